# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database taken away, after a backup of it. Private to strata.compose."""

from __future__ import annotations

import os
import shutil
import sys
import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _operations, _remove
from ansible_collections.strata.compose.plugins.module_utils._changes import following
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._spec import POSTGRES, POSTGRES_BACKUP
from ansible_collections.strata.compose.plugins.module_utils._state import state_dir_of
from ansible_collections.strata.compose.plugins.module_utils.postgres import _names, _own, _work
from ansible_collections.strata.compose.plugins.module_utils.postgres._apply import apply
from ansible_collections.strata.compose.plugins.module_utils.postgres._backup import back_up
from ansible_collections.strata.compose.plugins.module_utils.postgres._backup_folder import BackupFolder, folder_of
from ansible_collections.strata.compose.plugins.module_utils.postgres._converge import Change
from ansible_collections.strata.compose.plugins.module_utils.postgres._observe import changes_told, observe_database
from ansible_collections.strata.compose.plugins.module_utils.postgres._observed import MAINTENANCE, Observed
from ansible_collections.strata.compose.plugins.module_utils.postgres._outcome import told_changes
from ansible_collections.strata.compose.plugins.module_utils.postgres._place import is_dedicated
from ansible_collections.strata.compose.plugins.module_utils.postgres._server import Server
from ansible_collections.strata.compose.plugins.module_utils.postgres._sql import Statement
from ansible_collections.strata.compose.plugins.module_utils.postgres._task import Task
from ansible_collections.strata.compose.plugins.module_utils.postgres._verify import verify
from ansible_collections.strata.compose.plugins.module_utils.postgres._wish import Wish

Result = dict[str, t.Any]


def remove(task: Task) -> Result:
    """Take away the database and its roles, and the server that was brought for it, with all of its data.

    Raises `ComposeFailure` without the environment's name as confirmation, and when the backup cannot be had.
    """
    _require_confirmation(task)
    if not task.runs():
        return _without_server(task)
    server = task.server()
    seen = observe_database(server, task.wish)
    if is_dedicated(task.options):
        _require_alone(task, server)
    changes = removals(task.wish, seen)
    first, taken = _backup(task, seen)
    with following(() if task.operation.check else first):
        if not is_dedicated(task.options):
            with changes_told(server, task.wish, seen):
                return {**_dropped(task, server, changes, first), **taken}
        return {**_without_own(task, changes, first), **taken}


def removals(wish: Wish, seen: Observed) -> tuple[Change, ...]:
    """The statements that take a database and its roles away; a role that owns something elsewhere stays, by an error.

    Pure. ``FORCE`` ends the sessions that are open (Postgres 13 and later).
    """
    found = []
    if seen.exists:
        statement = Statement("DROP DATABASE %I WITH (FORCE)", (wish.database,))
        found.append(Change("drop database", f"database {wish.database}", "exists", "is gone", statement))
    for name in reversed(wish.roles):
        if name in seen.roles and name != seen.superuser:
            found.append(Change("drop role", f"role {name}", "exists", "is gone", Statement("DROP ROLE %I", (name,))))
    return tuple(found)


def _require_confirmation(task: Task) -> None:
    environment = task.options["environment"]
    if task.options["confirm"] != environment:
        raise ComposeFailure(
            f"state=absent takes away database {task.wish.database} of environment {environment} with all that is in "
            f"it: say so with confirm={environment}. Nothing was changed."
        )


def _require_alone(task: Task, server: Server) -> None:
    """The server goes with all that is in it, so there must be nothing besides."""
    name = task.wish.database
    found = server.value("SELECT json_agg(datname ORDER BY datname) FROM pg_database WHERE NOT datistemplate")
    # Those that a restore has replaced are kept for a time only, and that was said then.
    kept = {each.name for each in _names.kept(found, name)}
    others = [each for each in found if each not in {MAINTENANCE, name, *kept}]
    if others:
        raise ComposeFailure(
            f"the server of {task.project} would go with database {', '.join(others)}, of which no backup would be "
            f"taken: drop it first, after a backup if it is needed. Nothing was changed."
        )


def _backup(task: Task, seen: Observed) -> tuple[list[dict[str, str]], Result]:
    """A backup that was restored for a test, unless the task says that none is wanted; all backups are kept for now."""
    if not task.options["backup"] or not seen.exists:
        return [], {}
    reason = f"database {task.wish.database}, restored for a test"
    told = [{"service": task.service, "action": "backup", "reason": reason}]
    if task.operation.check:
        return told, {}
    options = _options_of_backup(task)
    operation = task.operation
    folder = BackupFolder(folder_of(options, operation.store.project))
    work = _work.Work(options, False, task.cli, operation.store, folder, operation.cancellation, "backup")
    made = back_up(work)
    with following(told):
        verify(replace(work, options={**options, "backup": os.path.basename(made["file"])}))
    return told, {"backup_file": made["file"]}


def _options_of_backup(task: Task) -> dict[str, t.Any]:
    return {
        **{name: details.get("default") for name, details in POSTGRES_BACKUP.items()},
        **{name: task.options[name] for name in POSTGRES},
        "backup_dir": task.options["backup_dir"],
        "keep_last": sys.maxsize,
    }


def _dropped(task: Task, server: Server, changes: tuple[Change, ...], first: list[dict[str, str]]) -> Result:
    """The database and its roles, on a server that stays."""
    made = _forgotten(task)
    if not task.operation.check:
        task.operation.cancellation.touch()
        apply(server, changes, task.wish)
        _forget(task)
    return told_changes(task, changes, first, last=made)


def _without_own(task: Task, changes: tuple[Change, ...], first: list[dict[str, str]]) -> Result:
    """The server that was brought for the environment, and its volume."""
    options, operation = task.options, task.operation
    folder = os.path.join(state_dir_of(options), task.project, "layer")
    own = {
        **_own.options_of(options, task.project, folder, "absent"),
        "volumes": True,
        "confirm": options["environment"],
    }
    removed = _operations.run(own, operation.redactor, operation.check, operation.diff, _remove.remove)
    made = _forgotten(task)
    if not operation.check:
        _forget(task)
        shutil.rmtree(folder)
    told = told_changes(task, changes, first, last=[*removed["actions"], *made])
    return {**told, "services": removed["services"]}


def _without_server(task: Task) -> Result:
    """Nothing runs: whether there is data is known only of a server that was brought here."""
    has_own = os.path.isdir(os.path.join(state_dir_of(task.options), task.project, "layer"))
    if not is_dedicated(task.options) or task.containers() or has_own:
        raise ComposeFailure(
            f"service {task.service} of {task.project} does not run, so its database can neither be backed up nor be "
            f"removed: start it with state=present first. Nothing was changed."
        )
    return told_changes(task, ())


def _forgotten(task: Task) -> list[dict[str, str]]:
    names = sorted(set(task.kept.read()) & set(task.wish.logins))
    return [
        {"service": task.service, "action": "forget password", "reason": f"role {name} is removed"} for name in names
    ]


def _forget(task: Task) -> None:
    """Last: as long as a role is there, its password must be known."""
    kept = task.kept.read()
    if set(kept) & set(task.wish.logins):
        task.kept.write({name: each for name, each in kept.items() if name not in task.wish.logins})
