# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that can be checked before anything is built, pulled, started or stopped. Private to strata.compose."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.strata.compose.plugins.module_utils import _disk, _mounted_files, _outside_needs, _plan
from ansible_collections.strata.compose.plugins.module_utils._addresses import (
    address_problems,
    overlaps,
    to_be_created,
)
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._container_names import name_problems, names_of
from ansible_collections.strata.compose.plugins.module_utils._endpoint import is_local
from ansible_collections.strata.compose.plugins.module_utils._engine_limits import engine_limits
from ansible_collections.strata.compose.plugins.module_utils._engine_objects import (
    EngineObjects,
    all_networks,
    observe_objects,
)
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._health_conditions import health_conditions
from ansible_collections.strata.compose.plugins.module_utils._host_ports import taken_ports
from ansible_collections.strata.compose.plugins.module_utils._lost_networks import lost_networks, may_be_lost
from ansible_collections.strata.compose.plugins.module_utils._model import selected_with_dependencies
from ansible_collections.strata.compose.plugins.module_utils._networks_and_volumes import (
    Used,
    changed_volumes,
    external_problems,
    externals_to_create,
    foreign_networks,
    foreign_volumes,
    missing_externals,
    networks_in_use,
    unlabelled_volumes,
    used_by,
)
from ansible_collections.strata.compose.plugins.module_utils._snapshot import with_networks
from ansible_collections.strata.compose.plugins.module_utils._step import (
    BUILD,
    CREATE,
    RECREATE,
    REQUIRE,
    START,
    Policy,
    Step,
)

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Made, Release
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Snapshot

NOTHING_CHANGED = "Nothing was changed."
IMAGES_ONLY = "Images were built or pulled, and no container was touched."


IMAGE_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
"""What an image without a registry can be called (distribution/reference, `path-component`)."""


@dataclass(frozen=True)
class Findings:
    """What stands in nobody's way and has to be done or said."""

    missing: tuple[Used, ...] = ()
    """external networks and volumes to create first"""
    warnings: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        return externals_to_create(self.missing)


def check_before_change(
    release: Release,
    steps: t.Sequence[Step],
    made: t.Mapping[str, Made],
    snapshot: Snapshot,
    policy: Policy,
    cli: Cli,
    images: t.Sequence[Step],
    acquired: t.Sequence[t.Mapping[str, str]] = (),
) -> Findings:
    """Raise one `ComposeFailure` that tells all that stands in the way of these steps and of having these images first.

    In ``snapshot``, images that are about to be built or pulled count as here; ``acquired`` are those that were.
    """
    concerned = sorted({step.service for step in steps if step.action in (CREATE, RECREATE, START)})
    around = _Surroundings.of(release, concerned, made, cli)
    problems = [
        *_on_host(release, concerned, made, cli),
        *_mounted_files.unusable_grants(release, concerned),
        *_on_engine(release, steps, concerned, snapshot, around),
        *external_problems(around.missing if policy.external == REQUIRE else ()),
        *misnamed_images(release, images),
        *_lost_networks(release, steps, snapshot, cli),
        *_address_problems(release, steps, concerned, around, cli),
        *engine_limits(release, concerned, cli),
        *_missing_images(release, concerned, snapshot, policy),
        *taken_ports(release, concerned, steps, around.objects.containers, cli),
        *health_conditions(release, concerned, _without(release, images, snapshot), cli),
        *_disk.shortage(release, images, cli),
    ]
    if problems:
        untouched = IMAGES_ONLY if acquired else NOTHING_CHANGED
        raise ComposeFailure(f"{'; '.join(problems)}. {untouched}", problems=problems, changed=bool(acquired))
    warnings = (*unlabelled_volumes(around.used, around.objects), *_mounted_files.folders_to_come(release, concerned))
    return Findings(around.missing, warnings)


@dataclass(frozen=True)
class _Surroundings:
    """What the engine has that the services to be deployed meet."""

    used: tuple[Used, ...]
    """networks and volumes of these services"""
    missing: tuple[Used, ...]
    """external ones that do not exist, of what these services depend on too"""
    remade: tuple[str, ...]
    """networks that the switch makes anew"""
    objects: EngineObjects

    @classmethod
    def of(cls, release: Release, services: t.Sequence[str], made: t.Mapping[str, Made], cli: Cli) -> _Surroundings:
        """Nothing is asked of the engine when no service is to be deployed."""
        if not services:
            return cls((), (), (), EngineObjects())
        # Compose wants all networks and volumes of the services that it starts from, and of what those depend on.
        used = used_by(release, selected_with_dependencies(release.model, services))
        names = {kind: {each.name for each in used if each.kind == kind} for kind in ("network", "volume")}
        objects = observe_objects(cli, names["network"], names["volume"])
        missing = missing_externals(used, objects)
        if any(each.kind == "network" for each in missing) and _is_swarm_worker(cli):
            # It knows the overlay networks of its cluster only while one of its containers is in them.
            missing = tuple(each for each in missing if each.kind != "network")
        return cls(used_by(release, services), missing, _plan.changed_networks(release, made), objects)


def require_networks(release: Release, before: Snapshot, steps: t.Sequence[Step], cli: Cli) -> None:
    """Raise `ComposeFailure` when a container is to be started as it is and somebody has removed its network."""
    if problems := list(_lost_networks(release, steps, before, cli)):
        raise ComposeFailure(f"{'; '.join(problems)}. {NOTHING_CHANGED}", problems=problems)


def _lost_networks(release: Release, steps: t.Sequence[Step], before: Snapshot, cli: Cli) -> list[str]:
    """A deployment recreates these containers, unless `recreate: never` keeps it from that."""
    if not may_be_lost(steps):
        return []
    here = with_networks(cli, before) if before.networks is None else before
    return [f"{each}: deploy with state=present and recreate=auto" for each in lost_networks(release, steps, here)]


def _address_problems(
    release: Release, steps: t.Sequence[Step], services: t.Sequence[str], around: _Surroundings, cli: Cli
) -> t.Iterator[str]:
    """All networks of the engine are read only where one with a subnet of its own is to be created."""
    yield from address_problems(release, services, steps, around.objects)
    if to_be_created(around.used, around.remade, around.objects.networks):
        yield from overlaps(around.used, around.remade, all_networks(cli))


def _without(release: Release, images: t.Iterable[Step], snapshot: Snapshot) -> Snapshot:
    """What is here for certain: an image that is asked for anew may turn out to be another one."""
    coming = {release.parts[step.service].image_name for step in images}
    return replace(snapshot, images={name: each for name, each in snapshot.images.items() if name not in coming})


def _is_swarm_worker(cli: Cli) -> bool:
    shown = cli.docker("info", "--format", "{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}", accept=None)
    return shown.text.split() == ["active", "false"]


def _on_host(release: Release, services: t.Sequence[str], made: t.Mapping[str, Made], cli: Cli) -> list[str]:
    """What is missing on this host, which says nothing when the engine is elsewhere."""
    problems = [
        *_mounted_files.missing_files(release, services, made),
        *_outside_needs.missing_devices(release, services),
    ]
    return problems if problems and is_local(cli) else []


def _on_engine(
    release: Release, steps: t.Sequence[Step], services: t.Sequence[str], snapshot: Snapshot, around: _Surroundings
) -> t.Iterator[str]:
    used, objects = around.used, around.objects
    yield from foreign_networks(used, release.project, objects)
    yield from foreign_volumes(used, release.project, objects)
    yield from changed_volumes(used, release.environment, objects)
    yield from networks_in_use(around.remade, release.project, objects)
    yield from name_problems(release, steps, snapshot, objects)
    yield from _outside_needs.contradictions(release, services)
    coming = {name for service in services for name in names_of(release, service, snapshot)}
    yield from _outside_needs.missing_containers(release, services, objects, coming)


def misnamed_images(release: Release, images: t.Iterable[Step]) -> t.Iterator[str]:
    """Images that Compose names after project and service, by names that no image can have; it refuses in the build."""
    for service in [step.service for step in images if step.action == BUILD]:
        name = release.parts[service].image_name
        if not release.model["services"][service].get("image") and not IMAGE_NAME.fullmatch(name):
            yield f"service {service}: it would be built as {name}, which no image can be called; set image"


def _missing_images(release: Release, services: t.Iterable[str], snapshot: Snapshot, policy: Policy) -> t.Iterator[str]:
    for service in services:
        image = release.parts[service].image_name
        if image not in snapshot.images:
            option, verb = ("build", "built") if release.model["services"][service].get("build") else ("pull", "pulled")
            rule, own = getattr(policy, option), release.model["services"][service].get("pull_policy")
            is_own = option == "pull" and rule == "missing" and own
            reason = f"pull_policy of service {service} is {own}" if is_own else f"{option} is {rule}"
            yield f"service {service}: image {image} is not here and may not be {verb} ({reason})"
