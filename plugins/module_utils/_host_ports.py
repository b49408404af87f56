# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the host ports that services are to publish are free. Private to strata.compose."""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _ports
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._endpoint import is_local
from ansible_collections.strata.compose.plugins.module_utils._ports import (
    HostPort,
    published_ports,
    published_ranges,
    wanted_ports,
)
from ansible_collections.strata.compose.plugins.module_utils._step import RECREATE, REMOVE, Step

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._engine_objects import EngineContainer
    from ansible_collections.strata.compose.plugins.module_utils._release import Release

Socket = tuple[HostPort, str]
"""A port that a process listens on, and the inode of its socket."""
Holder = tuple[HostPort, "EngineContainer"]


def taken_ports(
    release: Release,
    services: t.Sequence[str],
    steps: t.Sequence[Step],
    containers: t.Sequence[EngineContainer],
    cli: Cli,
) -> t.Iterator[str]:
    """Host ports that containers or processes have already, or that two services or replicas ask for."""
    wanted = {name: wanted_ports(release.parts[name].definition) for name in services}
    yield from shared_by_replicas(release, services)
    yield from _claimed_twice(wanted)
    if not any(wanted.values()):
        return
    giving_up = {step.service for step in steps if step.action in (RECREATE, REMOVE)}
    holders = published_ports(containers)
    others = [each for each in holders if each[1].project != release.project or each[1].service not in giving_up]
    sockets = [each for each in _local_sockets(cli) if not any(each[0].meets(taken) for taken, _container in holders)]
    for service, ports in wanted.items():
        for port in ports:
            if owner := _owner(port, service, release.project, others, sockets):
                yield f"service {service}: host port {port} is in use by {owner}"


def shared_by_replicas(release: Release, services: t.Iterable[str]) -> t.Iterator[str]:
    """Published ports that are too few for the containers of a service."""
    for service in services:
        replicas = release.parts[service].replicas
        for first, last, target in published_ranges(release.parts[service].definition):
            if replicas > last - first + 1:
                told = f"host port {first}" if first == last else f"the host ports {first}-{last}"
                yield (
                    f"service {service}: {replicas} replicas cannot share {told}: publish a range that is wide enough "
                    f"({first}-{first + replicas - 1}:{target}), leave the choice to the engine "
                    f"(ports: [{target}]), or run one replica"
                )


def _local_sockets(cli: Cli) -> list[Socket]:
    """Sockets of this host, which say nothing when the engine is elsewhere."""
    return _ports.listening_ports() if is_local(cli) else []


def _owner(port: HostPort, service: str, project: str, holders: t.Sequence[Holder], sockets: t.Sequence[Socket]) -> str:
    for taken, container in holders:
        if port.meets(taken) and (container.project, container.service) != (project, service):
            return str(container)
    found = (inode for taken, inode in sockets if port.meets(taken) or _ports.is_held_by_both(port, taken))
    return next((_ports.process_of(inode) for inode in found), "")


def _claimed_twice(wanted: t.Mapping[str, t.Sequence[HostPort]]) -> t.Iterator[str]:
    claims = [(service, port) for service, ports in wanted.items() for port in ports]
    for index, (service, port) in enumerate(claims):
        for other, taken in claims[:index]:
            if other != service and port.meets(taken):
                yield f"service {service}: host port {port} is wanted by service {other} too"
