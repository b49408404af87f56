# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks and volumes of a release against those that the engine has: what is missing, and what is in the way.

Pure. Private to strata.compose.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._step import CREATE, Step

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._engine_objects import (
        EngineContainer,
        EngineObjects,
        EngineVolume,
    )
    from ansible_collections.strata.compose.plugins.module_utils._release import Release

Definition = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Used:
    """A network or volume that services use."""

    kind: str
    """network or volume"""
    key: str
    """its name in the layers"""
    definition: Definition
    services: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name on the engine."""
        return str(self.definition["name"])

    @property
    def is_external(self) -> bool:
        return bool(self.definition.get("external"))

    def __str__(self) -> str:
        plural = "s" if len(self.services) > 1 else ""
        return f"service{plural} {', '.join(self.services)}: {self.kind} {self.name}"


def used_by(release: Release, services: t.Iterable[str]) -> tuple[Used, ...]:
    """The networks and volumes of these services, each once."""
    users: dict[tuple[str, str], list[str]] = {}
    for service in sorted(services):
        for entry in release.parts[service].definition:
            kind, _space, key = entry.partition(" ")
            if kind in ("network", "volume") and release.parts[service].definition[entry]:
                users.setdefault((kind, key), []).append(service)
    return tuple(
        Used(kind, key, release.parts[names[0]].definition[f"{kind} {key}"], tuple(names))
        for (kind, key), names in users.items()
    )


def missing_externals(used: t.Iterable[Used], objects: EngineObjects) -> tuple[Used, ...]:
    """The external ones that the engine does not have."""
    here = {"network": objects.networks, "volume": objects.volumes}
    return tuple(each for each in used if each.is_external and each.name not in here[each.kind])


def externals_to_create(missing: t.Iterable[Used]) -> tuple[Step, ...]:
    """The steps that have the missing externals made."""
    return tuple(
        Step(f"{each.kind} {each.name}", CREATE, "external, and not on this engine (external is create)")
        for each in missing
    )


def external_problems(missing: t.Iterable[Used]) -> t.Iterator[str]:
    """What to say of missing externals that nobody is to create."""
    for each in missing:
        services = ", ".join(each.services)
        plural = "s" if len(each.services) > 1 else ""
        yield (
            f"service{plural} {services}: external {each.kind} {each.name} does not exist on this engine: create it "
            f"(docker {each.kind} create {each.name}), or have it created with external=create"
        )


def foreign_networks(used: t.Iterable[Used], project: str, objects: EngineObjects) -> t.Iterator[str]:
    """Networks that Compose would share with another project in silence, or refuse for want of its labels."""
    for each in used:
        network = objects.networks.get(each.name)
        if each.kind != "network" or each.is_external or network is None or network.project == project:
            continue
        yield (
            f"{each} already exists and was made {_maker(network.project)}: to share it, set external: true for "
            f"network {each.key} in the layers; otherwise give it another name there"
        )


def foreign_volumes(used: t.Iterable[Used], project: str, objects: EngineObjects) -> t.Iterator[str]:
    """Volumes whose data belongs to another project."""
    for each, volume in _own_volumes(used, objects):
        if volume.project and volume.project != project:
            yield (
                f"{each} already exists and was made {_maker(volume.project)}, whose data it holds: to share it, set "
                f"external: true for volume {each.key} in the layers; otherwise give it another name there"
            )


def unlabelled_volumes(used: t.Iterable[Used], objects: EngineObjects) -> t.Iterator[str]:
    """What Compose warns of: volumes that nobody's project made, and that are used all the same."""
    for each, volume in _own_volumes(used, objects):
        if not volume.project:
            yield (
                f"{each} already exists and was not made by Compose: it is used as it is, and state=absent will not "
                f"remove it. Set external: true for volume {each.key} in the layers if that is meant."
            )


def changed_volumes(used: t.Iterable[Used], environment: str, objects: EngineObjects) -> t.Iterator[str]:
    """Volumes that the engine made with another driver or other options than the layers ask for now.

    Labels are left out: Compose leaves the volume as it is when only they differ, and nothing is lost.
    """
    for each, volume in _own_volumes(used, objects):
        if differing := _differing(each.definition, volume):
            yield (
                f"{each} was made with another {' and '.join(differing)} than the layers ask for now, and a volume can "
                f"only be changed by losing its data: give volume {each.key} another name in the layers (name: ...), "
                f"or remove it with its data first (state=absent volumes=true confirm={environment})"
            )


def attached_from_outside(
    network: str, project: str, containers: t.Iterable[EngineContainer]
) -> tuple[EngineContainer, ...]:
    """The running containers that keep the engine from removing a network and that no plan of ours moves."""
    return tuple(
        each
        for each in containers
        if network in each.networks and each.is_running and (each.project != project or each.is_one_off)
    )


def networks_in_use(networks: t.Iterable[str], project: str, objects: EngineObjects) -> t.Iterator[str]:
    """Networks that have to be made anew while containers of others are attached."""
    for name in networks:
        if foreign := attached_from_outside(name, project, objects.containers):
            yield (
                f"network {name} has to be made anew, for its definition changed, and {_listed(foreign)} is attached "
                f"to it: disconnect it first (docker network disconnect {name} {foreign[0].name}), or give the "
                f"network another name in the layers"
            )


def _own_volumes(used: t.Iterable[Used], objects: EngineObjects) -> t.Iterator[tuple[Used, EngineVolume]]:
    for each in used:
        if each.kind == "volume" and not each.is_external and each.name in objects.volumes:
            yield each, objects.volumes[each.name]


def _differing(definition: Definition, volume: EngineVolume) -> list[str]:
    """What of a volume the driver would have to be asked for anew: the driver itself, or the names of its options."""
    driver = definition.get("driver") or "local"
    if volume.driver not in (driver, f"{driver}:latest"):
        return [f"driver ({volume.driver})"]
    options = {key: str(value) for key, value in (definition.get("driver_opts") or {}).items()}
    names = sorted(key for key in {*options, *volume.options} if options.get(key) != volume.options.get(key))
    return [f"driver option {name}" for name in names]


def _maker(project: str) -> str:
    return f"by project {project}" if project else "without Compose"


def _listed(containers: t.Iterable[EngineContainer]) -> str:
    return ", ".join(map(str, containers))
