"""Cases by seed: small random environments, random changes, random operations. Pure, and the same everywhere."""

from __future__ import annotations

import random
from typing import Any

from tests.property.case import BY_HAND, Case, Change, Document, Step, applied
from tests.property.changes import changes_of, failing
from tests.property.document import active, has_health, is_one_shot, leaders, problems, replicas, services

NAMES = ("db", "web", "api", "app-1", "worker_2", "cache", "migrate", "zeta", "a", "seed.v2", "vpn", "Mail")
PROFILES = ("tools", "errors-only")
TRIES = 200
WEIGHTS = {
    "deploy": 4,
    "check then deploy": 5,
    "services": 4,
    "restarted": 3,
    "stopped": 2,
    "started": 1,
    "rolled_back": 3,
    "failing gate": 4,
    "plain up": 1,
}


def case_of(seed: int) -> Case:
    """The case of a seed; it depends on nothing else."""
    chance = random.Random(f"case {seed}")
    document = _until_valid(chance)
    steps, now = [Step("deploy" if chance.random() < 0.5 else "check then deploy")], document
    for _number in range(chance.randint(2, 4)):
        step = _step(chance, now, steps[-1])
        steps.append(step)
        if step.operation != "failing gate":
            now = applied(now, step.changes)
    return Case(document, tuple(steps), seed)


def _until_valid(chance: random.Random) -> Document:
    for _number in range(TRIES):
        document = _document(chance)
        if not problems(document):
            return document
    raise AssertionError("no valid environment was found")


def _document(chance: random.Random) -> Document:
    names = chance.sample(NAMES, chance.randint(2, 7))
    layer: dict[str, Any] = {
        "services": {},
        "networks": {"front": {}, "back": {"labels": {"tier": "1"}}},
        "volumes": {"data": {}, "more": {}},
        "configs": {"settings": {"file": "./settings.ini"}},
        "secrets": {"token": {"file": "./token.txt"}},
    }
    document: Document = {
        "layer": layer,
        "files": {
            "settings.ini": "one",
            "token.txt": "one",
            "site.conf": "one",
            "app.env": "MODE=one",
            "Dockerfile": "FROM busybox:1\nARG STAGE\nRUN echo $STAGE > /stage\n",
        },
        "variables": {"LEVEL": "one", "UNUSED": "one"},
        "profiles": [each for each in PROFILES if chance.random() < 0.5],
    }
    for name in names:
        layer["services"][name] = _service(chance, name, document)
    return document


def _service(chance: random.Random, name: str, document: Document) -> dict[str, Any]:
    ends = chance.random() < 0.3
    found: dict[str, Any] = {**_image(chance, name), **(_one_shot(chance) if ends else _server(chance))}
    if chance.random() < 0.25:
        found["profiles"] = [chance.choice(PROFILES)]
    found |= _inputs(chance)
    if others := list(services(document)):
        if chance.random() < 0.75:
            found["depends_on"] = _depends_on(chance, found, others, document)
        if chance.random() < 0.25:
            _share(chance, found, others, document)
    if "network_mode" not in found and chance.random() < 0.35:
        found["networks"] = chance.sample(["front", "back"], chance.randint(1, 2))
    if replicas(found) == 1 and chance.random() < 0.12:
        found["container_name"] = "${COMPOSE_PROJECT_NAME}-the-" + name.lower()
    return {**found, "init": True, "stop_grace_period": "1s"}


def _image(chance: random.Random, name: str) -> dict[str, Any]:
    if chance.random() < 0.12:
        is_named = chance.random() < 0.3 or not name.islower()  # Compose's own name for an image would have capitals
        named = {"image": f"${{COMPOSE_PROJECT_NAME}}-{name.lower()}:own"} if is_named else {}
        always = {"pull_policy": "build"} if chance.random() < 0.2 else {}
        return {"build": {"context": ".", "args": {"STAGE": "one"}}, **named, **always}
    policy = chance.choice(["", "", "", "missing", "never", "if_not_present"])
    return {"image": "busybox:1", **({"pull_policy": policy} if policy else {})}


def _server(chance: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {"command": ["sleep", "3600"], "labels": {"kind": "server"}}
    if chance.random() < 0.4:
        found["healthcheck"] = {"test": ["CMD", "true"], "interval": "1s", "retries": 2}
    if chance.random() < 0.3:
        found["restart"] = chance.choice(["always", "unless-stopped", "on-failure"])
    number = chance.choice([1, 1, 1, 1, 1, 2, 3, 0])
    if number != 1:
        found |= {"scale": number} if chance.random() < 0.3 else {"deploy": {"replicas": number}}
    return found


def _one_shot(chance: random.Random) -> dict[str, Any]:
    number = {"deploy": {"replicas": 2}} if chance.random() < 0.1 else {}
    return {"command": ["sh", "-c", "sleep 0.2"], "labels": {"kind": "one-shot"}, **number}


def _inputs(chance: random.Random) -> dict[str, Any]:
    """What a service reads besides its own keys."""
    found: dict[str, Any] = {"environment": {"RELEASE": "one"}}
    if chance.random() < 0.35:
        found["environment"]["LEVEL"] = "${LEVEL}"
    volumes = [
        *(["./site.conf:/etc/site.conf:ro"] if chance.random() < 0.25 else []),
        *([f"{chance.choice(['data', 'more'])}:/data"] if chance.random() < 0.3 else []),
    ]
    extra = {
        "volumes": volumes,
        "configs": ["settings"] if chance.random() < 0.2 else [],
        "secrets": ["token"] if chance.random() < 0.2 else [],
        "env_file": ["app.env"] if chance.random() < 0.2 else [],
    }
    return {**found, **{key: value for key, value in extra.items() if value}}


def _depends_on(
    chance: random.Random, service: dict[str, Any], others: list[str], document: Document
) -> dict[str, dict[str, Any]]:
    """The service before it, as chains have it, or any others."""
    chosen = [others[-1]] if chance.random() < 0.6 else chance.sample(others, min(len(others), chance.randint(1, 3)))
    return {name: condition(chance, service, services(document)[name]) for name in chosen}


def condition(chance: random.Random, service: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """How one service may depend on another."""
    found: dict[str, Any] = {"condition": "service_started"}
    if is_one_shot(other) and chance.random() < 0.8:
        found["condition"] = "service_completed_successfully"
    elif has_health(other) and chance.random() < 0.7:
        found["condition"] = "service_healthy"
    if not is_one_shot(other) and not is_one_shot(service) and chance.random() < 0.25:
        found["restart"] = True
    is_optional = not set(other.get("profiles", ())) <= set(service.get("profiles", ()))
    if is_optional or chance.random() < 0.15:
        found["required"] = False
    return found


def _share(chance: random.Random, service: dict[str, Any], others: list[str], document: Document) -> None:
    """Live in another service's namespace, or have its volumes."""
    known = services(document)
    able = [
        name
        for name in others
        if not is_one_shot(known[name]) and replicas(known[name]) == 1 and not known[name].get("profiles")
    ]
    if not able:
        return
    leader, key = chance.choice(able), chance.choice(["network_mode", "network_mode", "pid", "ipc", "volumes_from"])
    if key == "volumes_from":
        service[key] = [leader]
        return
    if key == "ipc":
        if leaders(known[leader]).get("ipc"):
            return
        known[leader]["ipc"] = "shareable"
    service[key] = f"service:{leader}"


def _step(chance: random.Random, document: Document, before: Step) -> Step:
    weights = {**WEIGHTS, "started": 12} if before.operation == "stopped" else WEIGHTS
    operation = chance.choices(list(weights), list(weights.values()))[0]
    if operation == "failing gate":
        bad = failing(chance, document)
        return Step(operation, bad) if bad else Step("check then deploy", _changes(chance, document))
    changes = _changes(chance, document) if operation in ("deploy", "check then deploy", "services") else ()
    if operation == "restarted" and chance.random() < 0.4:
        changes = _changes(chance, document)
    return Step(
        operation, changes, _limit(chance, operation, applied(document, changes)), _by_hand(chance, document, operation)
    )


def _limit(chance: random.Random, operation: str, document: Document) -> tuple[str, ...] | None:
    if operation == "services" or (operation == "restarted" and chance.random() < 0.5):
        on = list(active(document))
        return tuple(chance.sample(on, chance.randint(1, min(2, len(on)))))
    return None


def _by_hand(chance: random.Random, document: Document, operation: str) -> tuple[tuple[str, str], ...]:
    likely = 0.25 if operation in ("deploy", "check then deploy", "restarted", "started", "stopped", "services") else 0
    if chance.random() >= likely:
        return ()
    how = chance.choice(BY_HAND)
    there = [
        name for name, each in active(document).items() if replicas(each) and is_one_shot(each) == (how == "prune")
    ]
    return ((how, chance.choice(there)),) if there else ()


def _changes(chance: random.Random, document: Document) -> tuple[Change, ...]:
    """Some changes that leave a valid environment."""
    found: tuple[Change, ...] = ()
    for _number in range(chance.randint(1, 4)):
        now = applied(document, found)
        more = changes_of(chance, now)
        if more and not problems(applied(now, more)):
            found += more
    return found
