# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that containers are to get, against those that containers have. Pure. Private to strata.compose."""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils._model import selected_with_dependencies
from ansible_collections.strata.compose.plugins.module_utils._step import CREATE, RECREATE, REMOVE, Step

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._engine_objects import EngineContainer, EngineObjects
    from ansible_collections.strata.compose.plugins.module_utils._release import Release
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Snapshot


def name_problems(
    release: Release, steps: t.Sequence[Step], snapshot: Snapshot, objects: EngineObjects
) -> t.Iterator[str]:
    """Names that another container has, that two services ask for, or that one container only can have."""
    replaced = sorted({step.service for step in steps if step.action in (CREATE, RECREATE)})
    yield from _asked_for_twice(release, replaced)
    for service in replaced:
        yield from _shared_by_replicas(release, service)
        for name in names_of(release, service, snapshot):
            holder = objects.container(name)
            if holder and holder.name == name and not _gives_up(holder, service, release, steps):
                yield _told(service, name, holder, release)


def names_of(release: Release, service: str, snapshot: Snapshot) -> list[str]:
    """The names that the service's containers will get, as far as they can be foretold."""
    if fixed := _fixed_name(release, service):
        return [fixed]
    if snapshot.of(service):
        return []
    return [f"{release.project}-{service}-{number}" for number in range(1, release.parts[service].replicas + 1)]


def _fixed_name(release: Release, service: str) -> str:
    return str(release.parts[service].definition.get("container_name") or "")


def _asked_for_twice(release: Release, services: t.Collection[str]) -> t.Iterator[str]:
    users: dict[str, list[str]] = {}
    for service, part in sorted(release.parts.items()):
        if part.replicas and (name := _fixed_name(release, service)):
            users.setdefault(name, []).append(service)
    for name, claimants in users.items():
        if len(claimants) > 1 and set(claimants) & set(services):
            yield (
                f"services {' and '.join(claimants)}: both have container_name {name}, and a name belongs to one "
                f"container: change one of them in the layers"
            )


def _shared_by_replicas(release: Release, service: str) -> t.Iterator[str]:
    name, replicas = _fixed_name(release, service), release.parts[service].replicas
    if name and replicas > 1:
        yield (
            f"service {service}: {replicas} replicas cannot share container_name {name}: leave container_name out of "
            f"the layers, or run one replica"
        )


def _gives_up(holder: EngineContainer, service: str, release: Release, steps: t.Sequence[Step]) -> bool:
    """Whether the container has another name, or is gone, by the time that the service's new one gets this one.

    Removals come first. Of two services that are recreated, only the dependency is certain to be so before the other.
    """
    if holder.project != release.project or holder.is_one_off:
        return False
    if holder.service == service or any(holder.id in step.containers for step in steps if step.action == REMOVE):
        return True
    is_recreated = any((step.service, step.action) == (holder.service, RECREATE) for step in steps)
    is_created = any((step.service, step.action) == (service, CREATE) for step in steps)
    return is_recreated and (is_created or holder.service in selected_with_dependencies(release.model, [service]))


def _told(service: str, name: str, holder: EngineContainer, release: Release) -> str:
    return (
        f"service {service}: container name {name} belongs to {_owner(holder)}: {_ways_out(service, holder, release)}"
    )


def _owner(holder: EngineContainer) -> str:
    if holder.project:
        return f"service {holder.service} of project {holder.project}"
    return "a container that Compose did not make"


def _ways_out(service: str, holder: EngineContainer, release: Release) -> str:
    free = f"rename that container (docker rename {holder.name} NEW_NAME) or remove it"
    if _fixed_name(release, service):
        return f"change or leave out container_name in a layer of this environment, or {free}"
    return free
