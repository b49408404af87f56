# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database of an environment: its server runs, and it is what is wanted. Private to strata.compose."""

from __future__ import annotations

import sys
import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _operations
from ansible_collections.strata.compose.plugins.module_utils._changes import following
from ansible_collections.strata.compose.plugins.module_utils._operations import Operation
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils.postgres import (
    _connection,
    _converge,
    _own,
    _passwords,
    _start,
)
from ansible_collections.strata.compose.plugins.module_utils.postgres._apply import apply
from ansible_collections.strata.compose.plugins.module_utils.postgres._converge import Change
from ansible_collections.strata.compose.plugins.module_utils.postgres._observe import changes_told, observe_database
from ansible_collections.strata.compose.plugins.module_utils.postgres._observed import Observed
from ansible_collections.strata.compose.plugins.module_utils.postgres._outcome import (
    connection_of,
    kept_passwords,
    told,
)
from ansible_collections.strata.compose.plugins.module_utils.postgres._place import is_dedicated
from ansible_collections.strata.compose.plugins.module_utils.postgres._task import Task, decided, keep

Options = t.Mapping[str, t.Any]
Result = dict[str, t.Any]


def run(options: Options, redactor: Redactor, check: bool, diff: bool) -> Result:
    """Bring the database to a state; what of a deployment is no option of postgres_env has no say in it."""
    fixed = {"services": None, "revision": None, "wait": True, "timeout": None, "stable_for": 0, "require_init": False}
    keep_all = {"keep_releases": sys.maxsize}
    state = {"state": "database", "database_state": options["state"]}
    return _operations.run({**options, **fixed, **keep_all, **state}, redactor, check, diff, perform)


def perform(operation: Operation) -> Result:
    """Bring the database to the state that is asked for."""
    task = Task.of(operation)
    task.learn()
    state = operation.options["database_state"]
    _connection.require_parts(operation.options["variables"], task.wish.readonly_role is not None)
    if state == "absent":
        from ansible_collections.strata.compose.plugins.module_utils.postgres import _removal

        return _removal.remove(task)
    return prepare(task) if state == "prepared" else present(task)


def prepare(task: Task) -> Result:
    """Have the passwords, and tell the connection; the server is asked only if it runs and a password is missing."""
    known = {**task.kept.read(), **task.given()}
    is_asked = any(name not in known for name in task.wish.logins) and task.runs()
    seen = observe_database(task.server(), task.wish) if is_asked else None
    passwords, made = decided(task, seen)
    connection = connection_of(task, passwords)
    keep(task, made)
    return told(task, seen, connection, made, ())


def present(task: Task) -> Result:
    """Have the server run, and the database and its roles be what is wanted."""
    brought = _brought(task)
    with following(() if task.operation.check else brought["actions"]):
        return _present_in(task, brought)


def _present_in(task: Task, brought: Result) -> Result:
    """Have the database and its roles be what is wanted in a server that runs."""
    if task.operation.check and not task.runs():
        passwords, made = decided(task, None)
        found = () if task.containers() else _in_new_server(task, passwords)
        return told(task, None, connection_of(task, passwords), made, found, brought)
    server = task.server()
    seen = observe_database(server, task.wish)
    passwords, made = decided(task, seen)
    connection = connection_of(task, passwords)
    found = _converge.changes(task.wish, seen, _passwords.verifiers(passwords, seen.roles))
    if (made or found) and not task.operation.check:
        task.operation.cancellation.touch()
        keep(task, made)
        with following(kept_passwords(task, made)), changes_told(server, task.wish, seen):
            apply(server, found, task.wish)
    return told(task, seen, connection, made, found, brought)


def _in_new_server(task: Task, passwords: t.Mapping[str, str]) -> tuple[Change, ...]:
    """Check mode: what a server that is still to be made will lack, which is everything."""
    seen = Observed(known=frozenset(task.wish.settings), available=frozenset(task.wish.extensions))
    return _converge.changes(task.wish, seen, _passwords.verifiers(passwords, {}))


def _brought(task: Task) -> Result:
    """What it took to have the server run. One in the layers that runs is left to the environment's own deployment."""
    operation, options = task.operation, task.options
    if not is_dedicated(options):
        if task.runs():
            return {"actions": []}
        selected = {**options, "services": [task.service], "server": task.service}
        return _start.bring(replace(operation, options=selected))
    with _own.written_layer(options, task.project, operation.cli, operation.check) as folder:
        own = {**_own.options_of(options, task.project, folder, "server"), "server": task.service}
        return _operations.run(own, operation.redactor, operation.check, operation.diff, _start.bring)
