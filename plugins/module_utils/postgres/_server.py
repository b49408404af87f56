# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Postgres server in a container, reached through the psql that is in it. Private to strata.compose.

The socket in the container lets its superuser in without a password (docker-library/postgres), so nothing has to be
known or published. Sessions carry an application name of their own: the engine lets a process in a container live on
when its client is killed (moby/moby#9098), and by that name the next operation ends it.
"""

from __future__ import annotations

import json
import secrets
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.strata.compose.plugins.module_utils import _gate
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli, Completed
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container, observe
from ansible_collections.strata.compose.plugins.module_utils.engines import compose
from ansible_collections.strata.compose.plugins.module_utils.postgres import _sql
from ansible_collections.strata.compose.plugins.module_utils.postgres._sql import Statement

APPLICATION = "strata"
POLL = 0.25
"""Seconds between two looks at a server that does not answer yet."""

SUPERUSER = '"${POSTGRES_USER:-postgres}"'
"""The superuser of the container, in the words of its shell (docker-library/postgres, `POSTGRES_USER`)."""

PSQL = f"exec psql --no-psqlrc --quiet --no-align --tuples-only --set=ON_ERROR_STOP=1 --username={SUPERUSER}"
OVER_TCP = "exec psql --no-psqlrc --quiet --no-align --tuples-only --host=127.0.0.1"

VERBOSE = "\\set VERBOSITY verbose\n"
"""Makes psql tell the SQLSTATE of an error."""

CONNECT = 30
"""Seconds that a connection may take to come about: where the database itself is locked, it waits as a query does."""

LOCK = 30
"""Seconds that a query of ours waits for a lock: what waits for an exclusive one holds up all who come after it."""

LOCK_NOT_AVAILABLE = "55P03"
"""SQLSTATE (documentation, appendix A)."""

HOLDERS = """
SET statement_timeout = '10s';
SELECT DISTINCT format('pid %s of %s (%s, since %s)', a.pid, a.usename, coalesce(nullif(a.application_name, ''), '?'),
                       to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
  FROM pg_locks l JOIN pg_stat_activity a USING (pid)
 WHERE l.granted AND l.mode = 'AccessExclusiveLock' AND l.locktype IN ('relation', 'object')
   AND l.database IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) AND pid <> pg_backend_pid();
"""

QUESTION = 120
"""Seconds that a question to the catalogs may take, the size of all tables included."""


@dataclass(frozen=True)
class Server:
    """The server of one service; ``operation`` names what is done, such as ``backup``."""

    cli: Cli
    container: str
    service: str
    operation: str
    token: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def application(self) -> str:
        """The name that sessions of this operation have in ``pg_stat_activity``."""
        return f"{APPLICATION}-{self.operation}-{self.token}"

    def argv(self, database: str, script: str, *words: str) -> list[str]:
        """A command line in the container's shell, with a connection to a database prepared in its environment.

        ``PGDATABASE`` is a name whatever is in it, where ``--dbname`` would take ``a=b`` for connection parameters.
        """
        variables = (
            *(f"PGAPPNAME={self.application}", f"PGDATABASE={database}", "PGCLIENTENCODING=UTF8"),
            f"PGCONNECT_TIMEOUT={CONNECT}",
        )
        options = compose.repeated("--env", variables)
        return ["docker", *compose.execute(self.container, True, options, ["sh", "-c", script, "sh", *words])]

    def psql(self, text: str, database: str = "postgres", timeout: int | None = None) -> str:
        """What psql prints for its input; raises `ComposeFailure` with the server's own error.

        No statement waits for a lock, or takes, longer than it may: a client that is ended does not end its query.
        """
        seconds = timeout or self.cli.timeout
        content = (VERBOSE + limits(seconds) + text).encode("utf-8", "surrogateescape")
        completed = self.cli.run(self.argv(database, PSQL), stdin=content, accept=None, timeout=seconds)
        if completed.rc:
            raise self._explained(failure_of(completed, self, database), database)
        return completed.text

    def value(self, query: str, database: str = "postgres") -> t.Any:
        """The one JSON value that a query returns."""
        printed = self.psql(query.rstrip("; \n") + ";\n", database, QUESTION).strip()
        return json.loads(printed) if printed else None

    def _explained(self, failure: ComposeFailure, database: str) -> ComposeFailure:
        """The failure; of one that waited for a lock in vain, with the sessions that hold the exclusive ones."""
        if failure.facts.get("sqlstate") != LOCK_NOT_AVAILABLE:
            return failure
        printed = self.cli.run(self.argv(database, PSQL), stdin=HOLDERS.encode(), accept=None, timeout=CONNECT).text
        holders = "; ".join(printed.split("\n")[:5]).strip("; ") or "they are gone by now"
        message = f"{failure.message.rstrip('.')}. Sessions that hold an exclusive lock there: {holders}"
        return ComposeFailure(message, **{"error_kind": "lock_timeout", **failure.facts})

    def execute(self, statements: t.Iterable[Statement], database: str = "postgres") -> None:
        """Run statements one by one, each in a transaction of its own."""
        text = _sql.script(statements)
        if text:
            self.psql(text, database)

    def end_sessions(self) -> None:
        """End what sessions of this operation still do in the server."""
        name = _sql.literal(self.application)
        self.psql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE application_name = {name} AND pid <> pg_backend_pid();\n"
        )


def by_hand(containers: t.Sequence[Container], database: str) -> list[str] | None:
    """The command that opens psql as the superuser in the first container that runs; ``None`` when none does."""
    running = [each.name for each in containers if each.is_running]
    if not running:
        return None
    # With all of psql's manners, and so without the options that output to be read by us has.
    script = f'exec psql --username={SUPERUSER} --dbname="$1"'
    return ["docker", *compose.execute(running[0], True, ["--tty"], ["sh", "-c", script, "sh", database])]


def find_server(cli: Cli, project: str, service: str, operation: str) -> Server:
    """The running server of a service; raises `ComposeFailure` when there is none."""
    containers = observe(cli, project).of(service)
    running = [each for each in containers if each.is_running]
    if running:
        return Server(cli, running[0].id, service, operation)
    known = ", ".join(f"{each.name} is {each.state}" for each in containers) or "it has no container"
    raise ComposeFailure(
        f"service {service} of {project} does not run: {known}. Start it with compose_env or postgres_env. "
        f"Nothing was changed.",
        error_kind="not_running",
    )


def wait_until_ready(cli: Cli, project: str, service: str, operation: str, seconds: float) -> Server:
    """The server once it truly answers: over TCP, for the one that initialises a new volume has its socket only.

    Rule: docker-library/postgres, `docker_temp_server_start`; ``pg_isready`` without a host is satisfied by that one.
    Raises `ComposeFailure` with the last log lines when it does not answer in time, or its container ends.
    """
    deadline = time.monotonic() + seconds
    while True:
        containers = observe(cli, project).of(service)
        running = [each for each in containers if each.is_running]
        if running and answers(Server(cli, running[0].id, service, operation)):
            return Server(cli, running[0].id, service, operation)
        ended = [each for each in containers if each.state in ("exited", "dead") and each.restart_policy == "no"]
        if time.monotonic() > deadline or (ended and not running):
            raise _not_ready(cli, project, service, containers, seconds)
        time.sleep(POLL)


def limits(seconds: float) -> str:
    """psql input that bounds what follows, whatever the roles and the database have set."""
    return f"SET lock_timeout = '{LOCK}s';\nSET statement_timeout = '{max(1, int(seconds))}s';\n"


def answers(server: Server) -> bool:
    """Whether a query gets through over TCP; a refused password is an answer too."""
    completed = server.cli.run(
        server.argv("postgres", f"{OVER_TCP} --username={SUPERUSER} --no-password --command='SELECT 1'"),
        stdin=b"",
        accept=None,
        timeout=2 * CONNECT,
    )
    return completed.rc == 0 or "password" in completed.error_text


def _not_ready(
    cli: Cli, project: str, service: str, containers: t.Sequence[Container], seconds: float
) -> ComposeFailure:
    if not containers:
        return ComposeFailure(f"service {service} of {project} has no container: deploy it with compose_env first.")
    container = containers[0]
    cause = f"does not answer after {seconds:g} s" if container.is_running else f"is {container.state}"
    failed = _gate.told_failures(cli, {container: f"Postgres {cause}"})
    return ComposeFailure(_gate.as_text(failed), failed_services=failed, error_kind="not_ready")


def failure_of(completed: Completed, server: Server, database: str) -> ComposeFailure:
    """The failure that psql reported, by the server's own error where there is one."""
    error = _sql.error_of(completed.error_text)
    where = f"database {database} of service {server.service}"
    if error is None:
        last = completed.error_text.splitlines()[-1:] or ["it said nothing"]
        return ComposeFailure(f"{where}: psql failed with exit code {completed.rc}: {last[0]}", rc=completed.rc)
    return ComposeFailure(f"{where}: {error.text} (SQLSTATE {error.state})", sqlstate=error.state, rc=completed.rc)
