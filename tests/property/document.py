"""What a document says: which services are on, who leans on whom, and what Compose would refuse. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.property.case import Document

Service = Mapping[str, Any]
NAMESPACES = ("network_mode", "pid", "ipc")


def services(document: Document) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = document["layer"]["services"]
    return found


def active(document: Document) -> dict[str, dict[str, Any]]:
    """The services without a profile, and those with one that is on."""
    on = set(document["profiles"])
    return {
        name: each for name, each in services(document).items() if not each.get("profiles") or on & {*each["profiles"]}
    }


def profiles(document: Document) -> list[str]:
    """The profiles that are on, as far as a service has them."""
    known = {profile for each in services(document).values() for profile in each.get("profiles", ())}
    return [each for each in document["profiles"] if each in known]


def replicas(service: Service) -> int:
    return int(service.get("deploy", {}).get("replicas", service.get("scale", 1)))


def is_one_shot(service: Service) -> bool:
    """Generated one-shots are those whose command ends by itself."""
    return bool(service.get("labels", {}).get("kind") == "one-shot")


def has_health(service: Service) -> bool:
    return "healthcheck" in service


def leaders(service: Service) -> dict[str, str]:
    """The services whose namespaces this one lives in, by the key that says so."""
    shared = {key: str(service.get(key, "")) for key in NAMESPACES}
    found = {key: value.partition(":")[2] for key, value in shared.items() if value.startswith("service:")}
    if service.get("volumes_from"):
        found["volumes_from"] = service["volumes_from"][0].partition(":")[0]
    return found


def dependencies(service: Service) -> dict[str, dict[str, Any]]:
    """``depends_on``, and what Compose adds for shared namespaces (compose-go loader/normalize.go)."""
    implied = {name: {"condition": "service_started", "restart": True} for name in leaders(service).values()}
    return {**implied, **service.get("depends_on", {})}


def closure(document: Document, names: tuple[str, ...]) -> set[str]:
    """Services with all that they depend on, as far as it is on."""
    on, found, waiting = active(document), set[str](), list(names)
    while waiting:
        name = waiting.pop()
        if name in on and name not in found:
            found.add(name)
            waiting += dependencies(on[name])
    return found


def mounted(document: Document, service: Service) -> dict[str, str]:
    """The path in the container of each file of the project that a service mounts, with its path in the project."""
    layer = document["layer"]
    found = {}
    for volume in service.get("volumes", ()):
        source, target = volume.split(":")[:2]
        if source.startswith("./"):
            found[target] = source[2:]
    for kind, root in (("configs", "/"), ("secrets", "/run/secrets/")):
        for name in service.get(kind, ()):
            found[root + name] = layer[kind][name]["file"][2:]
    return found


def problems(document: Document) -> list[str]:
    """What Compose, or a person who reads it, would not accept."""
    on = active(document)
    found = [
        f"{name}: {problem}" for name, each in services(document).items() for problem in _of_itself(each, document)
    ]
    found += [f"{name}: {problem}" for name, each in on.items() for problem in _of_others(each, on, document)]
    if not any(replicas(each) for each in on.values()):
        found.append("nothing runs")
    if _has_circle(document):
        found.append("a circle")
    return found


def _of_itself(service: Service, document: Document) -> Iterator[str]:
    layer = document["layer"]
    if replicas(service) > 1 and service.get("container_name"):
        yield "several containers of one name"
    if service.get("networks") and service.get("network_mode"):
        yield "networks beside network_mode"
    for kind in ("networks", "configs", "secrets"):
        yield from (f"no {kind} {name}" for name in service.get(kind, ()) if name not in layer.get(kind, {}))
    for volume in service.get("volumes", ()):
        source = volume.partition(":")[0]
        if source.startswith("./"):
            if source[2:] not in document["files"]:
                yield f"no file {source}"
        elif source not in layer.get("volumes", {}):
            yield f"no volume {source}"
    for kind in ("configs", "secrets"):
        for name in service.get(kind, ()):
            if name in layer.get(kind, {}) and layer[kind][name]["file"][2:] not in document["files"]:
                yield f"no file of {name}"
    yield from (f"no file {path}" for path in service.get("env_file", ()) if path not in document["files"])


def _of_others(service: Service, on: Mapping[str, Service], document: Document) -> Iterator[str]:
    for name, how in dependencies(service).items():
        if name not in on:
            if how.get("required", True) or name not in services(document):
                yield f"needs {name}"
            continue
        condition = how["condition"]
        if condition == "service_healthy" and not has_health(on[name]):
            yield f"{name} has no health"
        if condition == "service_completed_successfully" and not is_one_shot(on[name]):
            yield f"{name} does not end"
    for key, name in leaders(service).items():
        leader = on.get(name)
        if leader is None or is_one_shot(leader) or replicas(leader) != 1:
            yield f"{key} of {name}"
        elif key == "ipc" and leader.get("ipc") != "shareable":
            yield f"ipc of {name} is private"


def _has_circle(document: Document) -> bool:
    left = {name: set(dependencies(each)) for name, each in services(document).items()}
    while left:
        free = [name for name, needs in left.items() if not needs & left.keys()]
        if not free:
            return True
        for name in free:
            del left[name]
    return False
