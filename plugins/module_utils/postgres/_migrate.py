# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations brought to a database, or taken back: the operation of postgres_migrate. Private to strata.compose."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import read_file, seen
from ansible_collections.strata.compose.plugins.module_utils._lock import locked
from ansible_collections.strata.compose.plugins.module_utils._operations import find_by_name
from ansible_collections.strata.compose.plugins.module_utils._owner_record import note_owner, require_own
from ansible_collections.strata.compose.plugins.module_utils._record import audited
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._scene import Options
from ansible_collections.strata.compose.plugins.module_utils._secrets import learn_generated, learn_secrets
from ansible_collections.strata.compose.plugins.module_utils._signals import Cancellation, cancellable
from ansible_collections.strata.compose.plugins.module_utils.postgres import (
    _migration_plan,
    _migration_run,
    _migrations,
    _server,
    _sql,
)
from ansible_collections.strata.compose.plugins.module_utils.postgres._history import History
from ansible_collections.strata.compose.plugins.module_utils.postgres._migration_job import Job
from ansible_collections.strata.compose.plugins.module_utils.postgres._migration_report import told
from ansible_collections.strata.compose.plugins.module_utils.postgres._migration_run import Done, Ended, Target
from ansible_collections.strata.compose.plugins.module_utils.postgres._migration_script import Manner
from ansible_collections.strata.compose.plugins.module_utils.postgres._migrations import Folder
from ansible_collections.strata.compose.plugins.module_utils.postgres._server import Server

Result = dict[str, t.Any]

READY_WITHIN = 60
"""Seconds that a server which has just been started has to answer."""


def migrate(options: Options, redactor: Redactor, check: bool, diff: bool) -> Result:
    """Run what is pending, or revert what was applied; in check mode, tell what that would be."""
    _require_sense(options)
    if check and options["incoming"]:
        from ansible_collections.strata.compose.plugins.module_utils._incoming import laid_over

        with laid_over(options):
            return _migrated({**options, "incoming": None}, redactor, check, diff)
    return _migrated(options, redactor, check, diff)


def _migrated(options: Options, redactor: Redactor, check: bool, diff: bool) -> Result:
    cli, store = find_by_name(options, redactor)
    learn_generated(redactor, store.folder)
    release = store.current()
    if release:
        learn_secrets(redactor, release, ())
    job = Job(options, cli, store, _folder_of(options), diff)
    if check:
        require_own(options, cli, store)
        return _foreseen(job)
    operation = f"migrate {options['state']}"
    with cancellable() as cancellation, locked(store.folder, operation, job.actor, options["lock_wait"], cli):
        require_own(options, cli, store)
        return note_owner(options, cli, store, _carried_out(job, cancellation))


def _require_sense(options: Options) -> None:
    """What needs no look at the host: names, numbers, and the word for what loses data."""
    _sql.checked_name("database", options["database"])
    if options["role"] is not None:
        _sql.checked_name("role", options["role"])
    for name, least in (("steps", 1), ("lock_wait", 0), ("lock_timeout", 0), ("statement_timeout", 0)):
        if options[name] is not None and options[name] < least:
            raise ComposeFailure(f"{name}={options[name]}: it is at least {least}. Nothing was changed.")
    if options["state"] == "down" and options["confirm"] != options["environment"]:
        raise ComposeFailure(
            f"reverting migrations of environment {options['environment']} loses the data that they made room for: "
            f"say so with confirm={options['environment']}. Nothing was changed."
        )


def _folder_of(options: Options) -> Folder:
    """The migrations on the host, all of them read and understood before the database is touched."""
    path = os.path.join(os.path.abspath(options["project_dir"]), options["directory"])
    try:
        names = os.listdir(seen(path))
    except OSError as error:
        raise ComposeFailure(
            f"directory {path} with the migrations cannot be read: {error.strerror}. Bring it there, or set directory. "
            f"Nothing was changed."
        ) from error
    contents = {name: read_file(os.path.join(path, name)) for name in names if name.endswith(".sql")}
    return _migrations.read(path, {name: content for name, content in contents.items() if content is not None})


def _foreseen(job: Job) -> Result:
    """Check mode: in an environment that is not there yet, everything is pending."""
    absent: tuple[str, ...] = ()
    try:
        history = job.read(_server.find_server(job.cli, *job.place, "migrate"))
    except ComposeFailure as failure:
        if failure.facts.get("error_kind") not in ("not_running", "no_database"):
            raise
        history, absent = History("", ""), (f"{failure.message.partition('. ')[0]}: so all migrations are pending.",)
    plan = job.planned(history)
    _migration_plan.require_settled(plan.steps, history)
    return told(job, plan, history, [Done(step, None) for step in plan.steps], absent, is_foreseen=True)


def _carried_out(job: Job, cancellation: Cancellation) -> Result:
    """Plan and run, until the history that the plan was made for is the one that the lock was got with."""
    server, history = _ready(job)
    options = job.options
    manner = Manner(options["lock_wait"], options["lock_timeout"], options["statement_timeout"], job.actor)
    target = Target(server, job.database, options["role"], manner, cancellation)
    while True:
        plan = job.planned(history)
        ended = _migration_run.run(target, plan, history) if plan.steps else Ended([])
        if ended is not None:
            result = _audited(job, told(job, plan, history, ended.done))
            if ended.failure is None:
                return result
            raise ComposeFailure(ended.failure.message, **{**result, **ended.failure.facts})
        history = job.read(server)


def _ready(job: Job) -> tuple[Server, History]:
    """The server and its history; one that is still starting, or running its first scripts, is waited for."""
    server = _server.find_server(job.cli, *job.place, "migrate")
    try:
        history = job.read(server)
        if history.is_open:
            return server, history
    except ComposeFailure as failure:
        if "sqlstate" in failure.facts:
            raise
    server = _server.wait_until_ready(job.cli, *job.place, "migrate", READY_WITHIN)
    return server, job.read(server)


def _audited(job: Job, result: Result) -> Result:
    actions = [f"{each['action']} {each['reason']}" for each in result["actions"]]
    entry = {"operation": f"migrate {job.options['state']}", "actor": job.actor, "release": result["release"]}
    return audited(job.store.folder, {**entry, "database": job.database, "actions": actions}, result)
