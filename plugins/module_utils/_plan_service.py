# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of one service: from what runs to what is wanted. Pure. Private to strata.compose."""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils._differences import as_reason, changed_fields
from ansible_collections.strata.compose.plugins.module_utils._lost_networks import networks_of, reason_of_networks
from ansible_collections.strata.compose.plugins.module_utils._model import is_done, may_complete
from ansible_collections.strata.compose.plugins.module_utils._mounts import has_same_inputs, reason_of_inputs
from ansible_collections.strata.compose.plugins.module_utils._step import (
    ABSENT_IMAGE,
    ASKED_FOR,
    CONNECT,
    CREATE,
    OTHER_IMAGE,
    RECREATE,
    REMOVE,
    RESTART,
    START,
    UNPAUSE,
    Policy,
    Step,
)

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Made, Part, Release
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container, Snapshot


HALF_REMOVED = "its removal was cut off, and the engine does not start it again"


def steps_of_service(
    wanted: Release, name: str, running: Snapshot, made: Made | None, policy: Policy
) -> t.Iterator[Step]:
    part, existing = wanted.parts[name], running.of(name)
    sound = tuple(each for each in existing if not each.is_half_removed)
    rule = policy.recreation_of(name)
    past = _past(wanted, name, running, made, sound) if rule != "always" else 0
    reason = _reason_to_recreate(part, existing, made, running, rule) if existing and part.replicas else ""
    if not reason and rule != "never":
        reason = reason_of_networks(wanted, name, _live(wanted, existing[: part.replicas], made), running)
    if not reason and len(sound) < len(existing) and len(sound) + past < part.replicas:
        reason = HALF_REMOVED
    if rule != "always" and (reason or not existing) and is_done_in(wanted, name, running, wanted.made.get(name)):
        yield from _removal(name, f"had completed in release {wanted.number}", existing)
    elif part.replicas == 0:
        yield from _removal(name, "no replicas wanted", existing)
    elif reason:
        yield Step(name, RECREATE, reason, tuple(each.id for each in existing))
    else:
        yield from _removal(name, HALF_REMOVED, [each for each in existing if each.is_half_removed])
        yield from _in_number(name, part, sound, past)
        yield from _repairs(wanted, name, sound[: part.replicas], made, policy)


def _removal(name: str, reason: str, existing: t.Sequence[Container]) -> t.Iterator[Step]:
    if existing:
        yield Step(name, REMOVE, reason, tuple(each.id for each in existing))


def _in_number(name: str, part: Part, existing: t.Sequence[Container], past: int) -> t.Iterator[Step]:
    if len(existing) + past < part.replicas:
        told = f"{part.replicas} replicas wanted, {len(existing)} exist" if existing else "no container"
        yield Step(name, CREATE, told)
    if surplus := existing[part.replicas :]:
        ids = tuple(each.id for each in surplus)
        yield Step(name, REMOVE, f"{part.replicas} replicas wanted, {len(existing)} exist", ids)


def _past(wanted: Release, name: str, running: Snapshot, made: Made | None, existing: t.Iterable[Container]) -> int:
    """How many containers of a service need no successor: they had done their work, unchanged, before they went."""
    if made is None or not is_same(wanted.parts[name], made, running) or not may_complete(wanted.model, name):
        return 0
    there = {each.id for each in existing}
    return sum(how == "completed" for container, how in made.containers.items() if container not in there)


def is_done_in(release: Release, name: str, running: Snapshot, made: Made | None) -> bool:
    """Whether all that a record tells of is that a service did its work as it is in this release."""
    is_past = made is not None and made.has_completed and is_same(release.parts[name], made, running)
    return is_past and may_complete(release.model, name)


def is_same(part: Part, made: Made, running: Snapshot) -> bool:
    """Whether what is recorded was made from this definition, these files, and the image that the name means now."""
    image = running.images.get(part.image_name, made.image)
    is_same_kind = (made.definition, made.image) == (part.definition, image)
    return is_same_kind and has_same_inputs(part, made)


def _reason_to_recreate(
    part: Part, existing: t.Sequence[Container], made: Made | None, running: Snapshot, rule: str
) -> str:
    if rule == "always":
        return ASKED_FOR
    if rule == "never":
        return ""
    image = running.images.get(part.image_name, ABSENT_IMAGE)
    if made is None or any(each.id not in made.containers for each in existing):
        return _reason_without_record(part, existing, image)
    if fields := changed_fields(made.definition, part.definition):
        return as_reason(fields)
    return reason_of_inputs(part, made) or _reason_of_image(part, existing, image)


def _reason_of_image(part: Part, existing: t.Sequence[Container], image: str) -> str:
    if image != ABSENT_IMAGE and any(each.image != image for each in existing):
        return f"image {part.image_name} {OTHER_IMAGE}"
    return ""


def _reason_without_record(part: Part, existing: t.Sequence[Container], image: str) -> str:
    """Containers without a record are kept when Compose's own hash and the image prove them equal.

    Of files and variables neither tells anything: they have to be older than the containers.
    """
    proven = part.config_hash and all(each.config_hash == part.config_hash for each in existing)
    if not proven or (part.files and not _is_older(part, existing)):
        return "its containers are not those that were deployed last"
    return _reason_of_image(part, existing, image)


def _is_older(part: Part, existing: t.Sequence[Container]) -> bool:
    return part.changed is not None and all(part.changed < each.created_at for each in existing)


def _repairs(
    wanted: Release, name: str, existing: t.Sequence[Container], made: Made | None, policy: Policy
) -> t.Iterator[Step]:
    """What brings containers of the right kind back to work."""
    live = _live(wanted, existing, made)
    yield from awakenings(name, live)
    for network in networks_of(wanted, name):
        cut = tuple(each.id for each in live if network not in each.networks)
        if cut:
            yield Step(name, CONNECT, f"disconnected from network {network}", cut, network)
    sick = [each for each in live if each.health == "unhealthy" and each.is_running]
    up = [each for each in live if each.is_running or each.state in ("restarting", "paused")]
    if policy.restart and policy.names(name) and up:
        yield Step(name, RESTART, ASKED_FOR, tuple(each.id for each in up))
    elif sick:
        yield Step(name, RESTART, f"unhealthy: {_first_line(sick[0].health_output)}", tuple(each.id for each in sick))


def _live(wanted: Release, existing: t.Iterable[Container], made: Made | None) -> list[Container]:
    """Those that are not done for good."""
    return [each for each in existing if not is_done(wanted.model, each, made)]


def awakenings(name: str, live: t.Sequence[Container]) -> t.Iterator[Step]:
    stopped = [each for each in live if each.state in ("created", "exited")]
    if stopped:
        yield Step(name, START, _state_told(stopped[0]), tuple(each.id for each in stopped))
    paused = tuple(each.id for each in live if each.state == "paused")
    if paused:
        yield Step(name, UNPAUSE, "paused", paused)


def _state_told(container: Container) -> str:
    return f"exited ({container.exit_code})" if container.state == "exited" else container.state


def _first_line(text: str) -> str:
    return (text.splitlines() or ["its health check says nothing"])[0]
