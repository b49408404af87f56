# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove an environment, by the engine's labels: the project's files may be gone. Private to strata.compose."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _images, _plan, _removal
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._journal import JournalFile
from ansible_collections.strata.compose.plugins.module_utils._operate import (
    Result,
    brought_to_an_end,
    selected,
    told,
)
from ansible_collections.strata.compose.plugins.module_utils._snapshot import observe
from ansible_collections.strata.compose.plugins.module_utils._stop import accept_gone, stop_in_order
from ansible_collections.strata.compose.plugins.module_utils._unchanged import forget

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._operations import Operation
    from ansible_collections.strata.compose.plugins.module_utils._removal import Removal
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Snapshot


def remove(operation: Operation) -> Result:
    """Remove the environment's containers and networks; volumes and images only when told.

    What somebody else's container still uses stays, with a warning that names it.
    """
    options, store = operation.options, operation.store
    _require_confirmation(operation)
    before, removal = selected(operation), None
    if options["services"] is None:
        # Only when the environment is meant as a whole, its networks, volumes and images go too.
        removal = _removal.planned(options, store.project, store.current(), before, operation.cli)
    others = removal.objects if removal else ()
    steps = (*_plan.plan_remove(before), *others)
    if not operation.check:
        with brought_to_an_end(operation, _with_images(before, removal, operation), steps):
            _remove(operation, before, removal)
            _forget(operation, removal)
    result = told(operation, before, steps)
    if removal and removal.warnings:
        result["warnings"] = list(removal.warnings)
    actions = [*result["actions"], *(() if operation.check else (step.told() for step in others))]
    return {**result, "changed": bool(actions), "actions": actions}


def _with_images(before: Snapshot, removal: Removal | None, operation: Operation) -> Snapshot:
    """The snapshot with the images that are to be removed, so that a failure can tell which of them were."""
    names = removal.names("image") if removal else ()
    if not names:
        return before
    return replace(before, images=observe(operation.cli, operation.store.project, names).images)


def _require_confirmation(operation: Operation) -> None:
    """What loses data has to name the environment that the project is on this host, whatever it is called by now."""
    options = operation.options
    environment = operation.running_environment or options["environment"]
    if options["volumes"] and options["confirm"] != environment:
        raise ComposeFailure(
            f"removing the volumes of environment {environment} loses their data for good: "
            f"say so with confirm={environment}. Nothing was changed."
        )


def _remove(operation: Operation, before: Snapshot, removal: Removal | None) -> None:
    cli, options = operation.cli, operation.options
    if removal is None:
        stop_in_order(before.containers, options["timeout"], cli)
        if before.containers:
            accept_gone(["rm", "--force", *(each.id for each in before.containers)], cli)
        return
    _removal.carry_out(removal, before, options, cli)
    images = removal.names("image")
    if images or options["volumes"]:
        # There is nothing left to go back to.
        _images.release(cli, operation.store.project, ())
    if images:
        cli.docker("image", "rm", *images)


def _forget(operation: Operation, removal: Removal | None) -> None:
    """What is removed on purpose is made anew, and nothing goes back to it."""
    store, services = operation.store, operation.options["services"]
    if removal:
        # What a switch that was cut off had left is gone with the rest.
        JournalFile(store.folder).close()
        store.retire()
        forget(operation.options)
        _forget_volumes(store.folder, removal.names("volume"))
        return
    store.forget_containers(services)


def _forget_volumes(folder: str, names: t.Collection[str]) -> None:
    """What init steps did in volumes that are gone is to be done again, also where no engine tells of their making."""
    from ansible_collections.strata.compose.plugins.module_utils._ledger import LedgerFile

    LedgerFile(folder).forget_volumes(names)
