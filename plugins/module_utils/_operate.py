# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop, start and remove what exists, by the engine's labels: the project's files may be gone.

Private to strata.compose.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _plan, _plan_followers, _removal, _report
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._images import release as release_images
from ansible_collections.strata.compose.plugins.module_utils._journal import JournalFile
from ansible_collections.strata.compose.plugins.module_utils._release import Release
from ansible_collections.strata.compose.plugins.module_utils._resolve import require_services
from ansible_collections.strata.compose.plugins.module_utils._scene import Options, scene_of
from ansible_collections.strata.compose.plugins.module_utils._secrets import learn_secrets
from ansible_collections.strata.compose.plugins.module_utils._snapshot import Snapshot, observe
from ansible_collections.strata.compose.plugins.module_utils._step import Step
from ansible_collections.strata.compose.plugins.module_utils._switch import settle_down, start_and_gate
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._operations import Operation
    from ansible_collections.strata.compose.plugins.module_utils._removal import Removal

Result = dict[str, t.Any]


def stop(operation: Operation) -> Result:
    """Stop the environment's containers and keep them."""
    options, cli = operation.options, operation.cli
    before = _selected(observe(cli, operation.store.project), options)
    steps = _plan.plan_stop(before)
    if steps and not operation.check:
        services = sorted({step.service for step in steps})
        with _brought_to_an_end(operation):
            cli.compose("--project-name", operation.store.project, *compose.stop_services(services, options["timeout"]))
    return _told(operation, before, steps)


def start(operation: Operation) -> Result:
    """Start containers that exist and stand still, as they are; nothing is created, no pending change applied."""
    everything, services = observe(operation.cli, operation.store.project), operation.options["services"]
    before = _selected(everything, operation.options)
    release = operation.store.current() or scene_of(operation.options, operation.redactor).release
    learn_secrets(operation.redactor, release, ())
    _require_containers(before, release, operation.options)
    steps = _plan.plan_start(release, everything, services)
    _require_leaders(release, everything, steps)
    in_switch = operation.init_in_switch() if steps else None
    due = in_switch.due(release, steps) if in_switch else None
    if steps and not operation.check:
        with _brought_to_an_end(operation):
            manner = operation.transaction().manner
            settle_down(steps, manner, operation.cli)
            start_and_gate(release, steps, manner, operation.cli)
    touched = None if services is None else {*services, *(step.service for step in steps)}
    told = _told(operation, everything.only(touched), steps)
    return {**told, "actions": [*told["actions"], *due.told()]} if due else told


def remove(operation: Operation) -> Result:
    """Remove the environment's containers and networks; volumes and images only when told."""
    options, name, cli = operation.options, operation.store.project, operation.cli
    _require_confirmation(operation)
    before = _selected(observe(cli, name), options)
    removal = _removal.planned(options, name, operation.store.current(), before, cli) if _is_whole(options) else None
    others = removal.objects if removal else ()
    steps = (*_plan.plan_remove(before), *others)
    if not operation.check:
        with _brought_to_an_end(operation):
            _remove(options, name, before, removal if steps else None, cli)
        if removal:
            # What a switch that was cut off had left is gone with the rest.
            JournalFile(operation.store.folder).close()
            gone = [step.service.partition(" ")[2] for step in steps if step.service.startswith("volume ")]
            _forget_volumes(operation, gone)
    told = _told(operation, before, steps)
    if removal and removal.warnings:
        told["warnings"] = list(removal.warnings)
    besides = [] if operation.check else [step.told() for step in others]
    return {**told, "changed": bool(steps), "actions": [*told["actions"], *besides]}


def _is_whole(options: Options) -> bool:
    """Whether the environment is meant as a whole: only then do its networks, volumes and images go too."""
    return options["services"] is None


def _forget_volumes(operation: Operation, names: t.Collection[str]) -> None:
    """What init steps did in volumes that are gone is to be done again, also where no engine tells of their making."""
    from ansible_collections.strata.compose.plugins.module_utils._ledger import LedgerFile

    file = LedgerFile(operation.store.folder)
    ledger = file.read() if names else None
    if ledger and ledger.succeeded:
        file.write(ledger.without_volumes(names))


@contextlib.contextmanager
def _brought_to_an_end(operation: Operation) -> t.Iterator[None]:
    """A signal does not cut off what is inside, and a failure there is told as one that may have changed something."""
    operation.cancellation.touch()
    try:
        yield
    except ComposeFailure as failure:
        raise ComposeFailure(failure.message, **{"changed": True, **failure.facts}) from failure


def _selected(snapshot: Snapshot, options: Options) -> Snapshot:
    require_services(snapshot.services, options["services"] or ())
    return snapshot.only(options["services"])


def _require_containers(before: Snapshot, release: Release, options: Options) -> None:
    names = options["services"] or [name for name, part in release.parts.items() if part.replicas]
    missing = sorted(name for name in names if not before.of(name))
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


def _require_confirmation(operation: Operation) -> None:
    """What loses data has to name the environment that the project is on this host, whatever it is called by now."""
    options = operation.options
    environment = operation.running_environment or options["environment"]
    if options["volumes"] and options["confirm"] != environment:
        raise ComposeFailure(
            f"removing the volumes of environment {environment} loses their data for good: "
            f"say so with confirm={environment}. Nothing was changed."
        )


def _remove(options: Options, name: str, before: Snapshot, removal: Removal | None, cli: Cli) -> None:
    if removal:
        _removal.carry_out(removal, before, options, name, cli)
        images = removal.names("image")
        if images or options["volumes"]:
            # There is nothing left to go back to.
            release_images(cli, name, ())
        if images:
            cli.docker("image", "rm", *images)
    elif before.containers:
        ids = [each.id for each in before.containers]
        cli.docker(*compose.stop(ids, options["timeout"]))
        cli.docker("rm", *ids)


def _told(operation: Operation, before: Snapshot, steps: t.Sequence[Step]) -> Result:
    name, options = operation.store.project, operation.options
    whole = observe(operation.cli, name)
    touched = None if options["services"] is None else {*options["services"], *(step.service for step in steps)}
    after = whole.only(touched)
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
