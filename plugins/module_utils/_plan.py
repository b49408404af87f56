# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: the steps that turn what runs into what is wanted, with reasons. Pure. Private to strata.compose."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils._creation import outdated
from ansible_collections.strata.compose.plugins.module_utils._model import in_start_order, is_done
from ansible_collections.strata.compose.plugins.module_utils._mounts import as_text, moved_contexts
from ansible_collections.strata.compose.plugins.module_utils._plan_followers import Following
from ansible_collections.strata.compose.plugins.module_utils._plan_service import (
    awakenings,
    is_done_in,
    steps_of_service,
)
from ansible_collections.strata.compose.plugins.module_utils._pull_policy import (
    build_rule,
    pull_rule,
    reason_to_get_again,
)
from ansible_collections.strata.compose.plugins.module_utils._step import (
    BUILD,
    PULL,
    RECREATE,
    REMOVE,
    REPLACES,
    RESTART,
    STOP,
    UNPAUSE,
    Policy,
    Step,
)

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Made, Part, Release
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Snapshot


def plan(
    wanted: Release,
    running: Snapshot,
    made: t.Mapping[str, Made],
    policy: Policy,
    selected: t.Collection[str] | None = None,
) -> tuple[Step, ...]:
    """The steps that turn what runs into what is wanted; empty when nothing differs.

    ``made`` is the record of what the existing containers were made from, ``selected`` the services it is limited to.
    """
    names = [name for name in in_start_order(wanted.model) if selected is None or name in selected]
    own = [step for name in names for step in steps_of_service(wanted, name, running, made.get(name), policy)]
    own += outdated(wanted, own, running)
    followers = Following(wanted, running, made, policy, selected).steps(own)
    orphans = _orphans(wanted, running) if policy.remove_orphans and selected is None else []
    return (*orphans, *_in_order(own + followers, in_start_order(wanted.model)))


def left_behind(
    wanted: Release, running: Snapshot, made: t.Mapping[str, Made], policy: Policy, selected: t.Collection[str]
) -> frozenset[str]:
    """Ids of the containers that stay, because `recreate: never` says so, although they should be others."""
    if policy.recreate != "never":
        return frozenset()
    steps = plan(wanted, running, made, replace(policy, recreate="auto"), selected)
    return frozenset(each for step in steps if step.action == RECREATE for each in step.containers)


def plan_images(
    wanted: Release, here: Snapshot, made: t.Mapping[str, Made], policy: Policy, selected: t.Collection[str]
) -> tuple[Step, ...]:
    """The images to build or pull before anything else; one that a service builds is never pulled for another."""
    builders = _builders(wanted)
    steps: dict[str, Step] = {}
    for name in sorted(selected):
        part = wanted.parts[name]
        if part.replicas == 0:
            continue
        builder = builders.get(part.image_name)
        action, rule = BUILD if builder else PULL, image_rule(wanted, name, builder, here, policy)
        is_needed = part.image_name not in here.images and not _is_past(wanted, name, here, made)
        if rule != "never" and is_needed:
            reason = f"image {part.image_name} is not here"
        elif rule == "always":
            reason = _reason_to_get_again(wanted, builder or name, action, policy)
        elif rule == "missing" and builder and (change := _build_change(wanted, builder, made)):
            reason = change
        else:
            continue
        is_certain = is_needed or rule != "always"
        steps.setdefault(builder or name, Step(builder or name, action, reason, certain=is_certain))
    return tuple(steps.values())


def _reason_to_get_again(wanted: Release, name: str, action: str, policy: Policy) -> str:
    option = policy.build if action == BUILD else policy.pull
    return reason_to_get_again(wanted.model["services"][name], action, option)


def image_rule(wanted: Release, name: str, builder: str | None, here: Snapshot, policy: Policy) -> str:
    """Whether ``builder`` is to build the image, or, without one, it is to be pulled: always, missing or never."""
    services = wanted.model["services"]
    if builder:
        return build_rule(services[builder], policy.build)
    return pull_rule(services[name], policy.pull, here.image_ages.get(wanted.parts[name].image_name))


def _is_past(wanted: Release, name: str, here: Snapshot, made: t.Mapping[str, Made]) -> bool:
    """Whether a service is done and gone; nothing will be made from its image."""
    return not here.of(name) and is_done_in(wanted, name, here, made.get(name) or wanted.made.get(name))


def _builders(wanted: Release) -> dict[str, str]:
    """The service that builds an image, by its name: always the same one, for Compose labels images by service.

    One without a profile comes first, so that it does not matter which profiles are on.
    """
    services = wanted.model.get("services") or {}
    ranked = sorted(services, key=lambda name: (bool(services[name].get("profiles")), name), reverse=True)
    return {wanted.parts[name].image_name: name for name in ranked if services[name].get("build")}


def _build_change(wanted: Release, builder: str, made: t.Mapping[str, Made]) -> str:
    """What differs since the image was built, empty when nothing does."""
    before, service = made.get(builder), wanted.model["services"][builder]
    if before is None or before.build is None:
        return ""
    if before.build != service["build"]:
        return "its build section changed"
    places = moved_contexts(service, wanted.parts[builder], before)
    return f"its build context {as_text(places)}" if places else ""


def needing_none(wanted: Release, before: Snapshot, steps: t.Sequence[Step]) -> set[str]:
    """The services that stay without a container, though they are not switched off: what they were for is done."""
    planned = {step.service for step in steps if step.action in REPLACES}
    gone = {each for step in steps if step.action == REMOVE for each in step.containers}
    return {name for name in wanted.parts if name not in planned and _ids(before, name) <= gone}


def created_needlessly(wanted: Release, before: Snapshot, after: Snapshot, steps: t.Sequence[Step]) -> list[str]:
    """Ids of the containers that Compose has created on its own, beside those that were there and not in their place.

    It does so for each service that another one depends on, also where some of its containers are done and gone.
    """
    planned = {step.service for step in steps if step.action in REPLACES}
    there, gone = {each.id for each in before.containers}, {each for step in steps for each in step.containers}
    untouched = [
        name for name in wanted.parts if name not in planned and _ids(before, name) - gone <= _ids(after, name)
    ]
    new = [each for name in untouched for each in after.of(name) if each.id not in there]
    return [each.id for each in new if each.state == "created"]


def _ids(snapshot: Snapshot, name: str) -> set[str]:
    return {each.id for each in snapshot.of(name)}


def _orphans(wanted: Release, running: Snapshot) -> list[Step]:
    gone = [name for name in running.services if name not in wanted.parts]
    return [
        Step(name, REMOVE, "no longer in the layers or profiles", tuple(each.id for each in running.of(name)))
        for name in gone
    ]


def _in_order(steps: t.Sequence[Step], names: t.Sequence[str]) -> list[Step]:
    """In the order of the services, without the steps that a greater one on the same containers makes needless."""
    needed = [step for step in steps if not any(_covers(greater, step) for greater in steps)]
    return sorted(needed, key=lambda step: names.index(step.service))


def _covers(greater: Step, smaller: Step) -> bool:
    """A recreation does all else on the service too; a restart unpauses, and what it stopped cannot be unpaused."""
    if greater.service != smaller.service:
        return False
    if greater.action == RECREATE:
        return smaller.action != RECREATE
    restarts = greater.action == RESTART and smaller.action == UNPAUSE
    return restarts and set(smaller.containers) <= set(greater.containers)


def changed_networks(wanted: Release, made: t.Mapping[str, Part | Made]) -> tuple[str, ...]:
    """Engine names of our networks that are wanted with another definition: they are made anew.

    Compose 2.26 keeps the old network without a word, 2.40 disconnects all containers from it, whoever is meant.
    """
    old, new = _own_networks(made.values()), _own_networks(wanted.parts.values())
    wanted_names = {value["name"] for value in new.values()}
    changed = {value["name"] for key, value in old.items() if new.get(key) != value}
    return tuple(sorted(changed & wanted_names))


def renamed_networks(wanted: Release, made: t.Mapping[str, Part | Made]) -> tuple[str, ...]:
    """Engine names of our networks for which the layers have another name now: nothing needs the old one."""
    old, new = _own_networks(made.values()), _networks(wanted.parts.values())
    used = {value["name"] for value in new.values()}
    return tuple(sorted(value["name"] for key, value in old.items() if key in new and value["name"] not in used))


def _networks(parts: t.Iterable[Part | Made]) -> dict[str, t.Mapping[str, t.Any]]:
    """The networks of these services, by their names in the layers."""
    entries = (each for part in parts for each in part.definition.items())
    return {key: value for key, value in entries if key.startswith("network ") and value}


def _own_networks(parts: t.Iterable[Part | Made]) -> dict[str, t.Mapping[str, t.Any]]:
    return {key: value for key, value in _networks(parts).items() if not value.get("external")}


def staying(made: t.Mapping[str, Made], running: Snapshot) -> frozenset[str]:
    """The services that ran on in the last release and did not end by themselves since: they are no one-shots.

    A container that has exited with code 0 since may have done its work or was stopped; nobody can tell.
    """
    ended = {each.id for each in running.containers if each.has_completed}
    ran = {name: {key for key, how in each.containers.items() if how == "running"} for name, each in made.items()}
    return frozenset(name for name, ids in ran.items() if ids - ended)


def plan_stop(running: Snapshot) -> tuple[Step, ...]:
    """The steps that stop everything that is up."""
    up = {name: [each for each in running.of(name) if each.is_up] for name in running.services}
    return tuple(
        Step(name, STOP, f"is {found[-1].state}", tuple(each.id for each in found))
        for name, found in up.items()
        if found
    )


def plan_start(release: Release, existing: Snapshot, selected: t.Collection[str] | None = None) -> tuple[Step, ...]:
    """The steps that start what stands still and unpause what is paused, completed one-shot services left out.

    What follows a started service restarts with it, selected or not.
    """
    steps: list[Step] = []
    names = in_start_order(release.model)
    for name in [each for each in names if selected is None or each in selected]:
        made = release.made.get(name)
        sound = [each for each in existing.of(name) if not each.is_half_removed]
        live = [each for each in sound if not is_done(release.model, each, made)]
        steps += list(awakenings(name, live))
    followers = Following(release, existing, release.made, selected=selected).steps(steps, may_recreate=False)
    return tuple(_in_order(steps + followers, names))


def plan_remove(existing: Snapshot) -> tuple[Step, ...]:
    """The steps that remove all containers."""
    return tuple(
        Step(name, REMOVE, "asked for", tuple(each.id for each in existing.of(name))) for name in existing.services
    )
