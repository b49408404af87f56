"""What the engine has of a project, read by the Docker SDK: the independent witness of each operation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import NotFound

LABEL = "com.docker.compose."


@dataclass(frozen=True)
class Seen:
    """One container at one moment."""

    id: str
    service: str
    state: str
    exit_code: int
    health: str
    started: str
    restarts: int
    networks: frozenset[str]
    config_hash: str
    image: str
    environment: Mapping[str, str]
    namespaces: Mapping[str, str]
    """``network_mode``, ``pid`` and ``ipc`` as the engine has them, and ids behind ``volumes_from``"""

    @property
    def has_completed(self) -> bool:
        return self.state == "exited" and self.exit_code == 0

    @property
    def stands(self) -> bool:
        return self.state in ("created", "exited", "dead")


Sight = dict[str, Seen]
"""Containers by id."""


def look(engine: docker.DockerClient, project: str) -> Sight:
    """All containers of a project, one-off ones left out."""
    found = {}
    for each in engine.api.containers(all=True, filters={"label": f"{LABEL}project={project}"}):
        if each["Labels"].get(LABEL + "oneoff") == "True":
            continue
        with contextlib.suppress(NotFound):
            found[each["Id"]] = _seen(engine.api.inspect_container(each["Id"]))
    return found


def _seen(told: Mapping[str, Any]) -> Seen:
    state, labels, host = told["State"], told["Config"]["Labels"], told["HostConfig"]
    return Seen(
        id=told["Id"],
        service=labels.get(LABEL + "service", ""),
        state=state["Status"],
        exit_code=state["ExitCode"],
        health=(state.get("Health") or {}).get("Status", ""),
        started=state["StartedAt"],
        restarts=told["RestartCount"],
        networks=frozenset(told["NetworkSettings"]["Networks"]),
        config_hash=labels.get(LABEL + "config-hash", ""),
        image=told["Image"],
        environment=dict(each.partition("=")[::2] for each in told["Config"]["Env"] or ()),
        namespaces={
            "network_mode": host["NetworkMode"],
            "pid": host["PidMode"],
            "ipc": host["IpcMode"],
            "volumes_from": ",".join(host.get("VolumesFrom") or ()),
        },
    )


def deeds(before: Sight, after: Sight) -> set[tuple[str, str]]:
    """What was done to each service's containers, in the words of results: (service, action)."""
    names = {each.service for each in (*before.values(), *after.values())}
    return {(name, action) for name in names for action in _of_service(_only(before, name), _only(after, name))}


def _only(sight: Sight, service: str) -> Sight:
    return {key: each for key, each in sight.items() if each.service == service}


def _of_service(before: Sight, after: Sight) -> Iterator[str]:
    come, gone = after.keys() - before.keys(), before.keys() - after.keys()
    if come and gone:
        yield "recreate"
        return
    if come:
        yield "create"
    if gone:
        yield "remove"
    for key in before.keys() & after.keys():
        yield from _of_container(before[key], after[key])


def _of_container(before: Seen, after: Seen) -> Iterator[str]:
    is_another_run = before.started != after.started
    if before.state == "paused" and not is_another_run and after.state == "running":
        yield "unpause"
    elif before.stands and is_another_run:
        yield "start"
    elif is_another_run and before.restarts == after.restarts:
        yield "restart"
    elif not before.stands and after.stands and not is_another_run:
        yield "stop"
    if after.networks - before.networks:
        yield "connect"


def as_text(sight: Sight) -> str:
    """The containers for a person to read."""
    lines = [
        f"{each.service:10} {each.id[:8]} {each.state} ({each.exit_code}) {each.health} started {each.started[11:23]}"
        for each in sorted(sight.values(), key=lambda each: (each.service, each.id))
    ]
    return "\n".join(lines)
