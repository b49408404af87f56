# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop and start what exists, by the engine's labels: the project's files may be gone.

Private to strata.compose.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _plan, _plan_followers, _report
from ansible_collections.strata.compose.plugins.module_utils._changes import Seen, facts_of
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._lost_networks import may_be_lost
from ansible_collections.strata.compose.plugins.module_utils._model import is_past, selected_with_dependencies
from ansible_collections.strata.compose.plugins.module_utils._release import Release
from ansible_collections.strata.compose.plugins.module_utils._resolve import require_services
from ansible_collections.strata.compose.plugins.module_utils._scene import scene_of
from ansible_collections.strata.compose.plugins.module_utils._secrets import learn_secrets
from ansible_collections.strata.compose.plugins.module_utils._snapshot import Snapshot, observe
from ansible_collections.strata.compose.plugins.module_utils._step import Step
from ansible_collections.strata.compose.plugins.module_utils._stop import stop_in_order
from ansible_collections.strata.compose.plugins.module_utils._switch import settle_down, start_and_gate

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._operations import Operation

Result = dict[str, t.Any]


def stop(operation: Operation) -> Result:
    """Stop the environment's containers and keep them, those first that depend on others."""
    before = selected(operation)
    steps = _plan.plan_stop(before)
    if steps and not operation.check:
        going = {each for step in steps for each in step.containers}
        with brought_to_an_end(operation, before, steps):
            stop_in_order(
                (each for each in before.containers if each.id in going), operation.options["timeout"], operation.cli
            )
    return told(operation, before, steps)


def start(operation: Operation) -> Result:
    """Start containers that exist and stand still, as they are; nothing is created, no pending change applied.

    What the services that are meant depend on is started too, as Compose does, for they could not serve without it.
    """
    everything, meant = observe(operation.cli, operation.store.project), operation.options["services"]
    release = operation.store.current() or _resolved(operation)
    learn_secrets(operation.redactor, release, ())
    if meant is not None:
        require_services({*everything.services, *release.parts}, meant)
        meant = {*meant, *selected_with_dependencies(release.model, set(meant) & set(release.parts))}
    _require_containers(everything.only(meant), release, meant)
    steps = _plan.plan_start(release, everything, meant)
    _require_leaders(release, everything, steps)
    if may_be_lost(steps):
        from ansible_collections.strata.compose.plugins.module_utils._preflight import require_networks

        require_networks(release, everything, steps, operation.cli)
    in_switch = operation.init_in_switch() if steps else None
    due = in_switch.due(release, steps) if in_switch else None
    touched = everything.only(None if meant is None else {*meant, *(step.service for step in steps)})
    if steps and not operation.check:
        with brought_to_an_end(operation, touched, steps):
            manner = replace(operation.transaction().manner, stays=_plan.staying(release.made, everything))
            settle_down(steps, everything, manner, operation.cli)
            start_and_gate(_asked_for(release, everything, steps, meant), steps, manner, operation.cli)
    result = told(operation, touched, steps)
    return {**result, "actions": [*result["actions"], *due.told()]} if due else result


def _resolved(operation: Operation) -> Release:
    """What the layers say, where the current release is not known; with what is proven of its containers."""
    scene = scene_of(operation.options, operation.redactor)
    return replace(scene.release, made=scene.made)


def _asked_for(release: Release, before: Snapshot, steps: t.Sequence[Step], meant: t.Collection[str] | None) -> Release:
    """The release with what its application can be asked: from the host only when all of it is started."""
    resting = {each.service for each in before.containers if not each.is_running and not each.has_completed}
    if meant is None or not resting - {step.service for step in steps}:
        return release
    return replace(release, gate=tuple(each for each in release.gate if each["service"]))


@contextlib.contextmanager
def brought_to_an_end(operation: Operation, before: Snapshot, steps: t.Sequence[Step]) -> t.Iterator[None]:
    """A signal does not cut off what is inside, and a failure there tells what was changed until then."""
    seen = Seen.of(operation.store.project, before, operation.cli, before.services)
    operation.cancellation.touch()
    try:
        yield
    except ComposeFailure as failure:
        raise ComposeFailure(failure.message, **{**failure.facts, **facts_of(seen, steps, operation.cli)}) from failure


def selected(operation: Operation) -> Snapshot:
    """The containers that are meant. A service that has none now, but was deployed, is no mistake in ``services``."""
    snapshot, services = observe(operation.cli, operation.store.project), operation.options["services"]
    if services is not None and not set(services) <= set(snapshot.services):
        current = operation.store.current()
        require_services({*snapshot.services, *(current.parts if current else ())}, services)
    return snapshot.only(services)


def _require_containers(before: Snapshot, release: Release, services: t.Collection[str] | None) -> None:
    names = [name for name, part in release.parts.items() if part.replicas and (services is None or name in services)]
    there = {each.service for each in before.containers if not each.is_half_removed}
    missing = sorted(name for name in names if name not in there and not is_past(release, name))
    if missing:
        raise ComposeFailure(
            f"there is no container to start for service {', '.join(missing)}: state=present creates it. "
            f"Nothing was changed."
        )


def _require_leaders(release: Release, before: Snapshot, steps: t.Sequence[Step]) -> None:
    """Raise `ComposeFailure` when a container is to be started whose namespace or volumes went with another one."""
    started = {step.service for step in steps}
    for name, leader in _plan_followers.cut_off(release.model, before).items():
        if name in started:
            raise ComposeFailure(
                f"service {name} cannot be started: its container shares a namespace or volumes of a container of "
                f"service {leader} that is gone. state=present recreates it. Nothing was changed."
            )


def told(operation: Operation, before: Snapshot, steps: t.Sequence[Step]) -> Result:
    """The result: what the engine shows to have changed, or in check mode what is planned."""
    name, options = operation.store.project, operation.options
    whole = observe(operation.cli, name)
    after = whole.only(before.services)
    planned = [step.told() for step in steps]
    actions = planned if operation.check else _report.actions_between(before, after, steps)
    release = operation.store.current()
    plan = "".join(f"{step.action} {step.service}: {step.reason}\n" for step in steps)
    return {
        "changed": bool(actions),
        "project": name,
        "environment": options["environment"],
        "release": release.number if release else None,
        "actions": actions,
        "services": _report.services_told(whole),
        **({"diff": {"prepared": plan}} if operation.diff else {}),
    }
