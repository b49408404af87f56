"""Random changes of a document. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests.property.case import Change, Document
from tests.property.document import active, has_health, is_one_shot, replicas, services

Changes = tuple[Change, ...]
BROKEN = ["sh", "-c", "echo broken; exit 3"]


def changes_of(chance: random.Random, document: Document) -> Changes:
    """One kind of change; empty where the document has nothing of that kind."""
    return chance.choice(KINDS)(chance, document)


def another(value: Any) -> str:
    """A value that was not there before."""
    words = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    last = str(value).strip().rpartition("=")[2]
    return words[(words.index(last) + 1) % len(words)]


def failing(chance: random.Random, document: Document) -> Changes:
    """Changes with which one service does not pass the gate, and perhaps another one changes too."""
    able = [name for name, each in active(document).items() if replicas(each) and not is_one_shot(each)]
    if not able:
        return ()
    name = chance.choice(able)
    sick = {"test": ["CMD", "false"], "interval": "1s", "retries": 1}
    own = [Change(("layer", "services", name, "command"), BROKEN)]
    if chance.random() < 0.3:
        own = [Change(("layer", "services", name, "healthcheck"), sick)]
    others = [each for each in able if each != name]
    if others and chance.random() < 0.6:
        own += _environment(chance, document, chance.choice(others))
    if chance.random() < 0.3:
        own += _file(chance, document)
    return tuple(own)


def _environment(chance: random.Random, document: Document, name: str | None = None) -> Changes:
    name = name or chance.choice(list(services(document)))
    value = another(services(document)[name]["environment"]["RELEASE"])
    return (Change(("layer", "services", name, "environment", "RELEASE"), value),)


def _variable(_chance: random.Random, document: Document) -> Changes:
    return (Change(("variables", "LEVEL"), another(document["variables"]["LEVEL"])),)


def _unused_variable(_chance: random.Random, document: Document) -> Changes:
    return (Change(("variables", "UNUSED"), another(document["variables"]["UNUSED"])),)


def _file(chance: random.Random, document: Document) -> Changes:
    path = chance.choice(["settings.ini", "token.txt", "site.conf"])
    return (Change(("files", path), another(document["files"][path])),)


def _env_file(_chance: random.Random, document: Document) -> Changes:
    return (Change(("files", "app.env"), f"MODE={another(document['files']['app.env'])}"),)


def _replicas(chance: random.Random, document: Document) -> Changes:
    able = [name for name, each in services(document).items() if not is_one_shot(each)]
    if not able:
        return ()
    name = chance.choice(able)
    key = "scale" if "scale" in services(document)[name] else "deploy"
    number = chance.randint(0, 3)
    return (Change(("layer", "services", name, key), number if key == "scale" else {"replicas": number}),)


def _profiles(chance: random.Random, document: Document) -> Changes:
    profile, on = chance.choice(["tools", "errors-only"]), document["profiles"]
    return (Change(("profiles",), [each for each in on if each != profile] if profile in on else [*on, profile]),)


def _new_service(chance: random.Random, document: Document) -> Changes:
    name = chance.choice(["new", "alpha"])
    if name in services(document):
        return ()
    on = [each for each, known in active(document).items() if not known.get("profiles")]
    needs = {"depends_on": {chance.choice(on): {"condition": "service_started"}}} if on else {}
    made = {
        "image": "busybox:1",
        "command": ["sleep", "3600"],
        "labels": {"kind": "server"},
        "environment": {"RELEASE": "one"},
        **needs,
        "init": True,
        "stop_grace_period": "1s",
    }
    return (Change(("layer", "services", name), made),)


def _service_gone(chance: random.Random, document: Document) -> Changes:
    return (Change(("layer", "services", chance.choice(list(services(document))))),)


def _dependency(chance: random.Random, document: Document) -> Changes:
    names = list(services(document))
    later = chance.randrange(1, len(names)) if len(names) > 1 else 0
    if not later:
        return ()
    name, other = names[later], chance.choice(names[:later])
    at = ("layer", "services", name, "depends_on", other)
    if other in services(document)[name].get("depends_on", {}):
        return (Change(at),)
    conditions = ["service_started"]
    conditions += ["service_healthy"] if has_health(services(document)[other]) else []
    conditions += ["service_completed_successfully"] if is_one_shot(services(document)[other]) else []
    how: dict[str, Any] = {"condition": chance.choice(conditions)}
    if chance.random() < 0.3:
        how["required"] = False
    return (Change(at, how),)


def _command(chance: random.Random, document: Document) -> Changes:
    name = chance.choice(list(services(document)))
    new = ["sh", "-c", "sleep 0.3"] if is_one_shot(services(document)[name]) else ["sleep", "3601"]
    return (Change(("layer", "services", name, "command"), new),)


def _network(_chance: random.Random, document: Document) -> Changes:
    tier = document["layer"]["networks"]["back"].get("labels", {}).get("tier", "0")
    return (Change(("layer", "networks", "back", "labels"), {"tier": str(int(tier) + 1)}),)


def _networks_of(chance: random.Random, document: Document) -> Changes:
    name = chance.choice(list(services(document)))
    return (Change(("layer", "services", name, "networks"), chance.choice([["front"], ["back"], ["front", "back"]])),)


def _volume(chance: random.Random, document: Document) -> Changes:
    name = chance.choice(list(services(document)))
    new = chance.choice([["data:/data"], ["more:/data"], ["data:/data", "./site.conf:/etc/site.conf:ro"]])
    return (Change(("layer", "services", name, "volumes"), new),)


def _namespace(chance: random.Random, document: Document) -> Changes:
    """Leave another service's namespace, or enter it."""
    names = list(services(document))
    name = chance.choice(names)
    here = services(document)[name]
    if here.get("network_mode"):
        return (Change(("layer", "services", name, "network_mode")),)
    leader = chance.choice(names)
    at = ("layer", "services", name)
    return (Change((*at, "networks")), Change((*at, "network_mode"), f"service:{leader}"))


def _build(chance: random.Random, document: Document) -> Changes:
    able = [name for name, each in services(document).items() if "build" in each]
    if not able:
        return ()
    name = chance.choice(able)
    stage = services(document)[name]["build"]["args"]["STAGE"]
    return (Change(("layer", "services", name, "build", "args", "STAGE"), another(stage)),)


def _container_name(chance: random.Random, document: Document) -> Changes:
    name = chance.choice(list(services(document)))
    at = ("layer", "services", name, "container_name")
    if "container_name" in services(document)[name]:
        return (Change(at),)
    return (Change(at, "${COMPOSE_PROJECT_NAME}-named-" + name.lower()),)


def _restart_policy(chance: random.Random, document: Document) -> Changes:
    able = [name for name, each in services(document).items() if not is_one_shot(each)]
    if not able:
        return ()
    return (Change(("layer", "services", chance.choice(able), "restart"), chance.choice(["always", "unless-stopped"])),)


KINDS: tuple[Callable[[random.Random, Document], Changes], ...] = (
    _environment,
    _environment,
    _environment,
    _variable,
    _unused_variable,
    _file,
    _file,
    _env_file,
    _replicas,
    _replicas,
    _profiles,
    _profiles,
    _new_service,
    _service_gone,
    _dependency,
    _command,
    _network,
    _networks_of,
    _volume,
    _namespace,
    _build,
    _container_name,
    _restart_policy,
)
