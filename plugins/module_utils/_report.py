# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module tells: actions found by comparing snapshots, services as they are, and diffs. Pure.

Private to strata.compose.
"""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _step
from ansible_collections.strata.compose.plugins.module_utils._deed import actions_on
from ansible_collections.strata.compose.plugins.module_utils._differences import changed_fields, shown
from ansible_collections.strata.compose.plugins.module_utils._step import Step

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Made, Release
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container, Snapshot

Told = list[dict[str, t.Any]]


def services_told(snapshot: Snapshot) -> Told:
    """The services that have containers, each with its least happy container's state and health."""
    return [_service_told(name, snapshot.of(name)) for name in snapshot.services]


def actions_between(before: Snapshot, after: Snapshot, planned: t.Sequence[Step], has_failed: bool = False) -> Told:
    """What changed on the engine, in the plan's order; the reason is the plan's where the plan foresaw it.

    What has failed may have come no further than to stop what it was to replace or restart.
    """
    touched = {step.service for step in planned} if has_failed else ()
    other = "done before the failure" if has_failed else "follows from the others"
    reasons = {(step.service, step.action): step.reason for step in planned}
    found = [
        (name, action)
        for name in sorted({*before.services, *after.services})
        for action in actions_on(before.of(name), after.of(name))
        # Only what was asked to stop was stopped: a job that ends meanwhile ends by itself.
        if action != _step.STOP or (name, action) in reasons or name in touched
    ]
    order = {each: position for position, each in enumerate(reasons)}
    return [
        {"service": name, "action": action, "reason": reasons.get((name, action), other)}
        for name, action in sorted(found, key=lambda each: order.get(each, len(order)))
    ]


def diff_of(release: Release, made: t.Mapping[str, Made], steps: t.Sequence[Step]) -> dict[str, t.Any]:
    """The field-level change of each service that the steps replace, and the steps themselves."""
    replaced = sorted({step.service for step in steps if step.action in _step.REPLACES})
    before, after = [], []
    for name in replaced:
        new = release.parts[name].definition if name in release.parts else {}
        old = made[name].definition if name in made else {}
        fields = changed_fields(old, new)
        before += _fields_told(name, shown(old, fields))
        after += _fields_told(name, shown(new, fields))
    plan = [f"{step.action} {step.service}: {step.reason}" for step in steps]
    return {
        "before_header": "the containers that run",
        "after_header": "the resolved layers",
        "before": "".join(f"{line}\n" for line in before),
        "after": "".join(f"{line}\n" for line in [*after, *(f"# plan: {line}" for line in plan)]),
    }


def _fields_told(name: str, fields: t.Mapping[str, str]) -> list[str]:
    return [f"{name}: {field} = {value}" for field, value in fields.items()]


def _service_told(name: str, containers: t.Sequence[Container]) -> dict[str, t.Any]:
    least = max(containers, key=_unhappiness)
    return {
        "service": name,
        "state": least.state,
        "health": least.health,
        "image": least.image_name,
        "ports": sorted({port for each in containers for port in each.ports}),
        "containers": [
            {
                "id": each.id,
                "name": each.name,
                "state": each.state,
                "health": each.health,
                "exit_code": each.exit_code,
                "restarts": each.restarts,
                "image_id": each.image,
            }
            for each in containers
        ],
    }


def _unhappiness(container: Container) -> tuple[bool, bool, bool]:
    return (
        not container.is_running and not container.has_completed,
        container.health == "unhealthy",
        bool(container.health == "starting"),
    )
