# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine runs now for a project: read from the engine and from nothing else. Private to strata.compose."""

from __future__ import annotations

import re
import time
import typing as t
from dataclasses import dataclass, field, replace
from datetime import datetime

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli, Completed, failure_of, parsed_json

LABEL = "com.docker.compose."
"""Prefix of the labels by which Compose knows its containers (compose pkg/api/labels.go)."""

TIME = re.compile(r"([^.Z+]+?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")
"""A time as the engine tells it (RFC 3339), with up to nine decimals, of which Python 3.9 reads six."""


class Origin(t.NamedTuple):
    """What Compose was given when it made a container, by its labels; the latter two are lists with commas."""

    working_dir: str
    """the folder that relative paths in layers start from"""
    config_files: str
    environment_file: str


@dataclass(frozen=True)
class Container:
    """One container of a service, as far as plans and gates look at it."""

    id: str
    name: str
    service: str
    number: int
    state: str
    """created, running, paused, restarting, removing, exited or dead"""
    exit_code: int
    health: str
    """healthy, unhealthy, starting, or empty without a health check"""
    health_output: str
    restarts: int
    restart_policy: str
    started: str
    image: str
    """id of the image it was made from"""
    image_name: str
    config_hash: str
    networks: tuple[str, ...]
    ports: tuple[str, ...]
    error: str
    checks: tuple[tuple[float, bool], ...] = ()
    """its last health checks since it was started: when each began and whether it succeeded; the engine keeps five"""
    health_test: tuple[str, ...] = ()
    """the command of its health check, empty without one"""
    origin: Origin = Origin("", "", "")
    depends_on: tuple[str, ...] = ()
    """the services that it depends on, as Compose has labelled it"""
    shares: tuple[tuple[str, str], ...] = ()
    """whose namespaces and volumes it was made to share: the key of the service's definition, id of the container"""
    made_by: str = ""
    """version of Compose"""
    network_ids: tuple[tuple[str, str], ...] = ()
    """the ids of its networks by name; empty before its first start"""
    created: str = field(default="", compare=False)

    @property
    def created_at(self) -> float:
        """Seconds since the epoch, 0 where it is not known."""
        return moment(self.created) if self.created else 0.0

    @property
    def started_at(self) -> float:
        """Seconds since the epoch."""
        return moment(self.started)

    @property
    def is_running(self) -> bool:
        return self.state == "running"

    @property
    def is_up(self) -> bool:
        """Whether it can be stopped."""
        return self.state in ("running", "paused", "restarting")

    @property
    def has_completed(self) -> bool:
        """Whether it ended by itself without an error."""
        return self.state == "exited" and self.exit_code == 0

    @property
    def is_half_removed(self) -> bool:
        """Whether its removal was cut off or failed: the engine never starts it again (moby container/state.go)."""
        return self.state in ("removing", "dead")


@dataclass(frozen=True)
class Snapshot:
    """The containers of a project by service, and the ids of the images that were asked for."""

    containers: tuple[Container, ...] = ()
    images: t.Mapping[str, str] = field(default_factory=dict)
    """image name to id, for those that are here"""
    image_ages: t.Mapping[str, float] = field(default_factory=dict, compare=False)
    """seconds since an image got its tag on this host, where the engine knows"""
    networks: t.Mapping[str, str] | None = field(default=None, compare=False)
    """ids of the engine's networks by name; ``None`` where nobody has asked"""

    def of(self, service: str) -> tuple[Container, ...]:
        return tuple(each for each in self.containers if each.service == service)

    def only(self, services: t.Collection[str] | None) -> Snapshot:
        """The snapshot with the containers of these services; ``None`` for all."""
        if services is None:
            return self
        return replace(self, containers=tuple(each for each in self.containers if each.service in services))

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(sorted({each.service for each in self.containers}))


def observe(
    cli: Cli, project_name: str, image_names: t.Iterable[str] = (), expected: t.Collection[str] = ()
) -> Snapshot:
    """Read the project's containers and the given images, in two CLI calls however many there are.

    ``expected`` are ids of containers that were there last: where they all still are, and no others, the two calls run
    at the same time. One-off containers of ``docker compose run`` are left out: they belong to no service's desired
    state.
    """
    listing = ("ps", "-aq", "--no-trunc", "--filter", f"label={LABEL}project={project_name}")
    references = {with_tag(name): name for name in image_names}
    if expected:
        found = _both(cli, listing, [*expected, *references])
    else:
        found = _inspected(cli, [*cli.docker(*listing).text.split(), *references])
    images = {references[name]: each["Id"] for name, each in found.items() if name in references}
    ages = {references[name]: _age(each) for name, each in found.items() if name in references}
    return Snapshot(
        containers=_containers(found.values()),
        images=images,
        image_ages={name: age for name, age in ages.items() if age is not None},
    )


def with_networks(cli: Cli, snapshot: Snapshot) -> Snapshot:
    """The snapshot with the engine's networks, of whatever project."""
    listed = cli.docker("network", "ls", "--no-trunc", "--format", "{{.ID}} {{.Name}}").text.splitlines()
    return replace(snapshot, networks={name: each for each, _space, name in (line.partition(" ") for line in listed)})


def _age(image: t.Mapping[str, t.Any]) -> float | None:
    """Seconds since the image was tagged here; an engine that does not know tells the year 1."""
    told = (image.get("Metadata") or {}).get("LastTagTime") or "0001"
    return None if told.startswith("0001") else time.time() - moment(told)


def _both(cli: Cli, listing: t.Sequence[str], names: t.Sequence[str]) -> dict[str, dict[str, t.Any]]:
    """What was expected, if the list of containers has the same; else what is on the list, by a third call."""
    listed, told = cli.docker_side_by_side(listing, ("inspect", *names))
    if listed.rc:
        raise failure_of(listed)
    ids, found = set(listed.text.split()), _told_of(names, told)
    if ids == {name for name, each in found.items() if "State" in each}:
        return found
    references = [name for name in names if name not in found or "State" not in found[name]]
    return _inspected(cli, [*ids, *references])


def look_again(cli: Cli, project_name: str, before: Snapshot) -> Snapshot:
    """The same containers as they are now, by a single call; all of the project when one of them has gone."""
    found = _inspected(cli, [each.id for each in before.containers])
    if not found or len(found) < len(before.containers):
        return observe(cli, project_name)
    return Snapshot(containers=_containers(found.values()), images={})


def _containers(told: t.Iterable[dict[str, t.Any]]) -> tuple[Container, ...]:
    found = [_container(each) for each in told if "State" in each]
    return tuple(sorted((each for each in found if each), key=lambda each: (each.service, each.number)))


def with_tag(image_name: str) -> str:
    """An image name that no container can have: names of containers hold no colon, names with a tag always do."""
    last = image_name.rpartition("/")[2]
    return image_name if ":" in last or "@" in last else f"{image_name}:latest"


def _inspected(cli: Cli, names: t.Sequence[str]) -> dict[str, dict[str, t.Any]]:
    """What the engine tells of each name that exists; the CLI tells it in the order of the names."""
    if not names:
        return {}
    return _told_of(names, cli.docker("inspect", *names, accept=None))


def _told_of(names: t.Sequence[str], completed: Completed) -> dict[str, dict[str, t.Any]]:
    """The answers by name. Pure; raises `ComposeFailure` for any complaint but that a name is of nothing."""
    lines = completed.error_text.splitlines()
    if completed.rc not in (0, 1) or not all("no such object" in line.lower() for line in lines):
        raise failure_of(completed)
    absent = {line.rpartition(": ")[2].strip() for line in lines}
    return dict(zip([name for name in names if name not in absent], parsed_json(completed) or []))


def _container(told: dict[str, t.Any]) -> Container | None:
    labels = told["Config"].get("Labels") or {}
    if labels.get(LABEL + "oneoff") == "True" or LABEL + "service" not in labels:
        return None
    state, settings = told["State"], told["NetworkSettings"]
    health = state.get("Health") or {}
    return Container(
        id=told["Id"],
        name=told["Name"].lstrip("/"),
        service=labels[LABEL + "service"],
        number=int(labels.get(LABEL + "container-number") or 1),
        state=state["Status"],
        exit_code=state["ExitCode"],
        health=health.get("Status", "").replace("none", ""),
        health_output=((health.get("Log") or [{}])[-1].get("Output") or "").strip(),
        restarts=told["RestartCount"],
        restart_policy=told["HostConfig"]["RestartPolicy"].get("Name") or "no",
        started=state["StartedAt"],
        created=told.get("Created", ""),
        image=told["Image"],
        image_name=told["Config"]["Image"],
        config_hash=labels.get(LABEL + "config-hash", ""),
        networks=tuple(sorted(settings.get("Networks") or ())),
        network_ids=_network_ids(settings.get("Networks") or {}),
        ports=_ports(settings.get("Ports") or {}),
        error=state.get("Error") or "",
        checks=_checks(health.get("Log") or (), state["StartedAt"]),
        health_test=_health_test(told["Config"]),
        depends_on=_dependencies(labels.get(LABEL + "depends_on", "")),
        shares=_shares(told["HostConfig"]),
        made_by=labels.get(LABEL + "version", ""),
        origin=Origin(*(labels.get(f"{LABEL}project.{name}", "") for name in Origin._fields)),
    )


def _network_ids(attached: t.Mapping[str, t.Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, (end or {}).get("NetworkID") or "") for name, end in attached.items()))


def _shares(settings: t.Mapping[str, t.Any]) -> tuple[tuple[str, str], ...]:
    """The keys are those of `_model.shared_services`."""
    modes = {"network_mode": "NetworkMode", "ipc": "IpcMode", "pid": "PidMode"}
    joined = {key: (settings.get(name) or "").partition("container:")[2] for key, name in modes.items()}
    volumes = [each.partition(":")[0] for each in settings.get("VolumesFrom") or ()]
    both = {**joined, **{f"volumes_from {place}": each for place, each in enumerate(volumes)}}
    return tuple((key, container) for key, container in both.items() if container)


def _dependencies(label: str) -> tuple[str, ...]:
    """The services in ``db:service_healthy:false,cache:service_started:true`` (compose pkg/compose/create.go)."""
    return tuple(each.partition(":")[0] for each in label.split(",") if each)


def _checks(log: t.Iterable[dict[str, t.Any]], started: str) -> tuple[tuple[float, bool], ...]:
    """The checks of this run of a container: the engine's log goes on over restarts (moby daemon/health.go)."""
    since = moment(started)
    found = [(moment(each["Start"]), each["ExitCode"] == 0) for each in log]
    return tuple(each for each in found if each[0] >= since)


def _health_test(config: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    """The command that the engine runs for ``test`` (moby daemon/health.go, getProbe and getShell)."""
    kind, *words = (config.get("Healthcheck") or {}).get("Test") or ["NONE"]
    if kind == "CMD-SHELL":
        return (*(config.get("Shell") or ("/bin/sh", "-c")), *words)
    return tuple(words) if kind == "CMD" else ()


def moment(told: str) -> float:
    """Seconds since the epoch of a time that the engine tells."""
    found = TIME.fullmatch(told)
    if found is None:
        raise ValueError(f"{told!r} is no time")
    whole, fraction, zone = found.groups()
    return datetime.fromisoformat(f"{whole}.{(fraction or '0')[:6]:0<6}{zone.replace('Z', '+00:00')}").timestamp()


def _ports(bindings: dict[str, t.Any]) -> tuple[str, ...]:
    """Published ports as ``address:host port->container port/protocol``."""
    published = (
        f"{binding['HostIp'] or '0.0.0.0'}:{binding['HostPort']}->{port}"
        for port, hosts in bindings.items()
        for binding in hosts or ()
    )
    return tuple(sorted(set(published)))
