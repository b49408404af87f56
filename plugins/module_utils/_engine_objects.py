# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers, networks and volumes of the engine, of whatever project: what a deployment can run into.

Private to strata.compose.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli, Completed, failure_of, parsed_json
from ansible_collections.strata.compose.plugins.module_utils._snapshot import LABEL

COLUMNS = (
    "{{.ID}}",
    "{{.Names}}",
    "{{.State}}",
    *(f'{{{{.Label "{LABEL}{key}"}}}}' for key in ("project", "service", "oneoff")),
    "{{.Networks}}",
    "{{.Mounts}}",
    "{{.Ports}}",
)
"""What `docker ps` is to print of a container, separated by tabs."""


@dataclass(frozen=True)
class EngineContainer:
    """A container of whatever project."""

    id: str
    name: str
    project: str = ""
    """Compose's project, empty when Compose did not make it"""
    service: str = ""
    is_one_off: bool = False
    is_running: bool = True
    networks: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    """names of its volumes, and paths of the host"""
    ports: str = ""
    """the published ports as the CLI prints them"""

    def __str__(self) -> str:
        if not self.project:
            return f"container {self.name}"
        return f"container {self.name} (service {self.service} of project {self.project})"


@dataclass(frozen=True)
class EngineNetwork:
    """A network of the engine."""

    id: str
    name: str
    project: str = ""
    """Compose's project, empty when Compose did not make it"""
    key: str = ""
    """its name in the layers that it was made from"""
    subnets: tuple[str, ...] = ()
    addresses: t.Mapping[str, str] = field(default_factory=dict)
    """IP address to the id of the running container that has it"""
    driver: str = "bridge"


@dataclass(frozen=True)
class EngineVolume:
    """A volume of the engine; its driver and options are those of its creation, for nothing can change them."""

    name: str
    driver: str = "local"
    options: t.Mapping[str, str] = field(default_factory=dict)
    project: str = ""
    """Compose's project, empty when Compose did not make it"""


@dataclass(frozen=True)
class EngineObjects:
    """What the engine has: all containers, and those of the networks and volumes asked for that exist, by name."""

    containers: tuple[EngineContainer, ...] = ()
    networks: t.Mapping[str, EngineNetwork] = field(default_factory=dict)
    volumes: t.Mapping[str, EngineVolume] = field(default_factory=dict)

    def container(self, name_or_id: str) -> EngineContainer | None:
        """The container that the engine would take for a name, a whole id or the beginning of one."""
        named = (each for each in self.containers if each.name == name_or_id)
        return next(named, None) or next(
            (each for each in self.containers if name_or_id and each.id.startswith(name_or_id)), None
        )


def observe_objects(cli: Cli, networks: t.Collection[str], volumes: t.Collection[str]) -> EngineObjects:
    """Read all containers, and these networks and volumes, by calls that run at the same time."""
    listing = ("ps", "--all", "--no-trunc", "--format", "\t".join(COLUMNS))
    asked = [("network", "inspect", *sorted(networks))] if networks else []
    asked += [("volume", "inspect", *sorted(volumes))] if volumes else []
    listed, *inspected = cli.docker_side_by_side(listing, *asked)
    if listed.rc:
        raise failure_of(listed)
    found = {completed.argv[1]: existing(completed) for completed in inspected}
    return EngineObjects(
        containers=parsed_containers(listed.text),
        networks=_networks(found.get("network", []), networks),
        volumes={each["Name"]: _volume(each) for each in found.get("volume", [])},
    )


def all_networks(cli: Cli) -> tuple[EngineNetwork, ...]:
    """The networks of whatever project."""
    ids = cli.docker("network", "ls", "--quiet", "--no-trunc").text.split()
    return tuple(_network(each) for each in existing(cli.docker("network", "inspect", *ids, accept=(0, 1))))


def existing(completed: Completed) -> list[dict[str, t.Any]]:
    """What `docker ... inspect` prints of the names that exist; raises `ComposeFailure` for any other complaint."""
    lines = completed.error_text.lower().splitlines()
    if completed.rc not in (0, 1) or not all("no such" in line or "not found" in line for line in lines):
        raise failure_of(completed)
    return parsed_json(completed) or []


def parsed_containers(printed: str) -> tuple[EngineContainer, ...]:
    """The rows of `docker ps` with `COLUMNS`."""
    rows = (line.split("\t") for line in printed.splitlines())
    return tuple(_container(*row) for row in rows if len(row) == len(COLUMNS))


def _container(
    identity: str,
    names: str,
    state: str,
    project: str,
    service: str,
    one_off: str,
    networks: str,
    mounts: str,
    ports: str,
) -> EngineContainer:
    """Names hold those that legacy links give it too, as ``other/alias``."""
    own = next((each for each in names.split(",") if "/" not in each), names)
    is_running = state in ("running", "paused", "restarting")
    attached, mounted = (tuple(filter(None, listed.split(","))) for listed in (networks, mounts))
    return EngineContainer(identity, own, project, service, one_off == "True", is_running, attached, mounted, ports)


def _networks(found: t.Sequence[dict[str, t.Any]], asked: t.Iterable[str]) -> dict[str, EngineNetwork]:
    """By the name that was asked for, which may be an id too (compose, resolveExternalNetwork)."""
    networks = [_network(each) for each in found]
    return {name: each for name in asked for each in networks if name in (each.name, each.id)}


def _network(each: dict[str, t.Any]) -> EngineNetwork:
    labels = each.get("Labels") or {}
    attached = (each.get("Containers") or {}).items()
    pairs = [(end.get(key, ""), identity) for identity, end in attached for key in ("IPv4Address", "IPv6Address")]
    pools = (each.get("IPAM") or {}).get("Config") or ()
    return EngineNetwork(
        id=each["Id"],
        name=each["Name"],
        project=labels.get(LABEL + "project", ""),
        key=labels.get(LABEL + "network", ""),
        subnets=tuple(pool["Subnet"] for pool in pools if pool.get("Subnet")),
        driver=each.get("Driver") or "",
        addresses={address.partition("/")[0]: identity for address, identity in pairs if address},
    )


def _volume(each: dict[str, t.Any]) -> EngineVolume:
    labels = each.get("Labels") or {}
    return EngineVolume(each["Name"], each["Driver"], each.get("Options") or {}, labels.get(LABEL + "project", ""))
