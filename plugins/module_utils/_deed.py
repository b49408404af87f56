# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was done to containers, found by comparing snapshots, and how it differs from the plan. Pure.

Compose and the engine replace, stop and start containers on their own at times, so what was done is never taken from
what was asked for. Private to strata.compose.
"""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _step
from ansible_collections.strata.compose.plugins.module_utils._step import Action, Step

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container, Snapshot

PAST = {
    _step.CREATE: "created",
    _step.RECREATE: "recreated",
    _step.START: "started",
    _step.RESTART: "restarted",
    _step.UNPAUSE: "unpaused",
    _step.CONNECT: "connected to its networks",
    _step.STOP: "stopped",
    _step.REMOVE: "removed",
}
STOOD = ("created", "exited", "dead")

Deed = frozenset[tuple[str, Action]]
"""Services, each with an action on its containers."""


def planned(steps: t.Iterable[Step]) -> Deed:
    """What steps on containers are to do."""
    return frozenset((step.service, step.action) for step in steps)


def done(before: Snapshot, after: Snapshot) -> Deed:
    """What was done between two snapshots, and a stop only of what did not end by itself without an error."""
    services = {*before.services, *after.services}
    ended = {each.service for each in after.containers if each.has_completed}
    return frozenset(
        (name, action)
        for name in services
        for action in actions_on(before.of(name), after.of(name))
        if action != _step.STOP or name not in ended
    )


def differences(before: Snapshot, after: Snapshot, steps: t.Sequence[Step]) -> list[str]:
    """In what way the plan and what was done are not the same, a sentence each; empty when they are."""
    expected, actual = planned(steps), done(before, after)
    surprises = [
        f"service {name} was {PAST[action]}, which the plan does not say." for name, action in actual - expected
    ]
    omissions = [f"service {name} was to be {PAST[action]} and was not." for name, action in expected - actual]
    return [*sorted(surprises), *sorted(omissions), *_never_started(before, after)]


def unplanned_replacements(before: Snapshot, after: Snapshot, steps: t.Sequence[Step]) -> list[Step]:
    """A step for each service of which Compose made containers that nobody asked for: they have to be started."""
    asked = {step.service for step in steps if step.action in _step.REPLACES}
    known = {each.id for each in before.containers}
    names = [name for name in after.services if name not in asked and {each.id for each in after.of(name)} - known]
    return [Step(name, _step.RECREATE, "Compose made its containers anew") for name in names]


def _never_started(before: Snapshot, after: Snapshot) -> list[str]:
    stood = {each.id for each in before.containers if each.state == "created"}
    left = sorted({each.service for each in after.containers if each.state == "created" and each.id not in stood})
    return [f"service {name} was created and not started: state=started starts it." for name in left]


def actions_on(before: t.Sequence[Container], after: t.Sequence[Container]) -> t.Iterator[Action]:
    """What happened to one service's containers; several actions when it was scaled and repaired at once."""
    old, new = {each.id: each for each in before}, {each.id: each for each in after}
    gone, come = old.keys() - new.keys(), new.keys() - old.keys()
    if gone and come:
        yield _step.RECREATE
        return
    if come:
        yield _step.CREATE
    if gone:
        yield _step.REMOVE
    kept = [(old[key], new[key]) for key in old.keys() & new.keys()]
    yield from sorted({action for pair in kept for action in _changes_of(*pair)})


def _changes_of(before: Container, after: Container) -> t.Iterator[Action]:
    stood, runs = before.state in STOOD, after.state in ("running", "restarting")
    if before.state == "paused" and runs and before.started == after.started:
        yield _step.UNPAUSE
    elif stood and before.started != after.started:
        yield _step.START
    elif not stood and not runs and after.state != "paused":
        yield _step.STOP
    elif before.started != after.started and not _is_restarted_by_the_engine(before, after):
        yield _step.RESTART
    if set(after.networks) - set(before.networks):
        yield _step.CONNECT


def _is_restarted_by_the_engine(before: Container, after: Container) -> bool:
    """By its restart policy: the engine counts its own restarts, before it waits for each, and a start sets it to 0."""
    return after.restarts > before.restarts or (after.restarts == before.restarts and before.state == "restarting")
