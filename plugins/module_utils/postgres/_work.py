# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every operation on the content of a database begins and ends with. Private to strata.compose."""

from __future__ import annotations

import contextlib
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils import _report
from ansible_collections.strata.compose.plugins.module_utils._backup_status import FAILED, GOOD, note_outcome
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure, as_failure
from ansible_collections.strata.compose.plugins.module_utils._lock import locked
from ansible_collections.strata.compose.plugins.module_utils._operations import find_by_name
from ansible_collections.strata.compose.plugins.module_utils._owner_record import (
    note_owner,
    require_own,
    require_recorded,
)
from ansible_collections.strata.compose.plugins.module_utils._record import audited
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._release_store import ReleaseStore
from ansible_collections.strata.compose.plugins.module_utils._secrets import learn_generated
from ansible_collections.strata.compose.plugins.module_utils._signals import Cancellation, cancellable
from ansible_collections.strata.compose.plugins.module_utils._snapshot import observe
from ansible_collections.strata.compose.plugins.module_utils.postgres import _database, _sql
from ansible_collections.strata.compose.plugins.module_utils.postgres._backup_folder import BackupFolder, folder_of
from ansible_collections.strata.compose.plugins.module_utils.postgres._database import Database
from ansible_collections.strata.compose.plugins.module_utils.postgres._place import place_of
from ansible_collections.strata.compose.plugins.module_utils.postgres._server import APPLICATION, Server, find_server

Options = t.Mapping[str, t.Any]
Result = dict[str, t.Any]

OPERATIONS = ("backup", "restore")
"""Of these, no session but our own may be there while we hold the lock."""


WITHOUT_ENGINE = ("scheduled", "unscheduled")
"""States that only change what this user's timer does."""


@dataclass(frozen=True)
class Work:
    """One run of a module: what is asked for, and where."""

    options: Options
    check: bool
    cli: Cli
    store: ReleaseStore
    folder: BackupFolder
    cancellation: Cancellation
    operation: str

    @property
    def project(self) -> str:
        """Of the environment."""
        return self.store.project

    @property
    def database(self) -> str:
        return str(self.options["database"])

    @property
    def actor(self) -> str:
        return str(self.options["actor"] or "unknown")

    def server(self) -> Server:
        """The running server."""
        project, service = place_of(self.options, self.project)
        return find_server(self.cli, project, service, self.operation)

    def told(self, actions: t.Sequence[tuple[str, str]], **facts: t.Any) -> Result:
        """A result; each action is told as what was done to the service, and why."""
        project, _service = place_of(self.options, self.project)
        services = _report.services_told(observe(self.cli, project))
        return {**self.told_without_engine(actions), "services": services, **facts}

    def told_without_engine(self, actions: t.Sequence[tuple[str, str]]) -> Result:
        """The same of what needs no engine, and so is not to fail without one."""
        _project, service = place_of(self.options, self.project)
        current = self.store.current()
        return {
            "project": self.project,
            "environment": self.options["environment"],
            "release": current.number if current else None,
            "changed": bool(actions),
            "actions": [{"service": service, "action": action, "reason": reason} for action, reason in actions],
            "database": self.database,
        }


def carried_out(
    options: Options,
    redactor: Redactor,
    check: bool,
    operation: str,
    perform: t.Callable[[Work], Result],
    noted: str | None = None,
) -> Result:
    """What an operation on a database tells, of which the audit log has a line if it changed anything.

    With ``noted``, how it ends is written down under that name, where compose_env_info finds it.
    """
    with _work_on(options, redactor, check, operation, None if check else noted) as work:
        result = perform(work)
        if check:
            return result
        if noted:
            note_outcome(work.store.folder, work.database, noted, work.actor, outcome=GOOD, file=result.get("file"))
        return _audited(work, note_owner(options, work.cli, work.store, result))


@contextlib.contextmanager
def _noting_failures(options: Options, redactor: Redactor, store: ReleaseStore, noted: str | None) -> t.Iterator[None]:
    """Write down a failure, also one to get the lock."""
    try:
        yield
    except Exception as error:
        if noted:
            message = redactor.mask(as_failure(error).message)
            facts = {"outcome": FAILED, "cause": message}
            # It may be for a full disk that it failed, and that is what has to be told then.
            with contextlib.suppress(ComposeFailure, OSError):
                note_outcome(store.folder, options["database"], noted, options["actor"] or "unknown", **facts)
        raise


@contextlib.contextmanager
def _work_on(options: Options, redactor: Redactor, check: bool, operation: str, noted: str | None) -> t.Iterator[Work]:
    """Hold the project's lock; in check mode nothing is held, for nothing is changed."""
    _sql.checked_name("database", options["database"])
    cli, store = find_by_name(options, redactor)
    learn_generated(redactor, store.folder)
    folder = BackupFolder(folder_of(options, store.project))

    def work(cancellation: Cancellation) -> Work:
        return Work(options, check, cli, store, folder, cancellation, operation)

    if check:
        _require_own(options, cli, store)
        yield work(Cancellation())
        return
    actor, wait = options["actor"] or "unknown", options["lock_wait"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(_noting_failures(options, redactor, store, noted))
        cancellation = stack.enter_context(cancellable())
        has_engine = options.get("state") not in WITHOUT_ENGINE
        stack.enter_context(locked(store.folder, operation, actor, wait, cli if has_engine else None))
        stack.enter_context(_timed(cli, options.get("time_limit")))
        _require_own(options, cli, store)
        yield work(cancellation)


@contextlib.contextmanager
def _timed(cli: Cli, seconds: int | None) -> t.Iterator[None]:
    """Bound the whole operation, which holds the project's lock; its end by that is told with the option."""
    began = time.monotonic()
    with cli.bounded(seconds):
        try:
            yield
        except ComposeFailure as failure:
            if not seconds or time.monotonic() - began < seconds or failure.facts.get("error_kind") != "timeout":
                raise
            raise ComposeFailure(
                f"{failure.message.rstrip()} The whole operation has {seconds} s (time_limit).", **failure.facts
            ) from failure


def _require_own(options: Options, cli: Cli, store: ReleaseStore) -> None:
    """Backups can be stopped where the engine is gone, by what the record says alone."""
    if options.get("state") == "unscheduled":
        require_recorded(options, store)
    else:
        require_own(options, cli, store)


def _audited(work: Work, result: Result) -> Result:
    actions = [f"{each['action']} {each['reason']}" for each in result["actions"]]
    entry = {"operation": f"postgres_{work.operation}", "actor": work.actor, "release": result["release"]}
    return audited(work.store.folder, {**entry, "actions": actions}, result)


def end_leftovers(server: Server) -> None:
    """End what the sessions of killed operations still do; only under the lock."""
    for operation in OPERATIONS:
        pattern = _sql.literal(f"{APPLICATION}-{operation}-%")
        server.psql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE {pattern} "
            f"AND pid <> pg_backend_pid() AND application_name <> {_sql.literal(server.application)};\n"
        )


@contextlib.contextmanager
def ending_sessions(work: Work, server: Server) -> t.Iterator[None]:
    """End the sessions of an operation that does not come to its end; a server that has gone has none."""
    try:
        yield
    except BaseException:
        work.cancellation.touch()
        with contextlib.suppress(ComposeFailure), work.cli.unbounded():
            server.end_sessions()
        raise


def observed(server: Server, name: str) -> Database | None:
    """A database as it is, ``None`` when there is none; raises `ComposeFailure` when it lets nobody in."""
    found = server.value(_database.where_name_is(name))
    if found is None:
        return None
    if not found["open"]:
        raise ComposeFailure(
            f"database {name} of service {server.service} lets nobody in (ALLOW_CONNECTIONS is false): open it with "
            f"ALTER DATABASE. Nothing was changed."
        )
    return _database.described(server.value(_database.QUERY, name))


def require(database: Database | None, name: str, server: Server) -> Database:
    """The database; raises `ComposeFailure` that names those that there are when it is none of them."""
    if database is not None:
        return database
    query = "SELECT json_agg(datname ORDER BY datname) FROM pg_database WHERE NOT datistemplate"
    known = ", ".join(server.value(query) or ())
    raise ComposeFailure(
        f"service {server.service} has no database {name}, it has {known}: correct the name (option database), or "
        f"bring it with postgres_env. Nothing was changed.",
        error_kind="no_database",
    )
