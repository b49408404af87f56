# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One database takes the place of another, in one transaction. Private to strata.compose.

``ALTER DATABASE ... RENAME`` locks the database, so that whoever connects waits, and then waits up to 5 seconds for the
sessions that are in it (src/backend/commands/dbcommands.c, RenameDatabase; storage/ipc/procarray.c,
CountOtherDBBackends). A second session ends these as soon as it sees the lock. So nothing has to be closed before, and
whatever is killed, at whatever moment, the database is either the one or the other, and open.
"""

from __future__ import annotations

import threading
import time
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils.postgres import _sql
from ansible_collections.strata.compose.plugins.module_utils.postgres._server import Server
from ansible_collections.strata.compose.plugins.module_utils.postgres._sql import Statement

SETTINGS = "SET lock_timeout = '5s';\nSET statement_timeout = '15s';\nSET default_transaction_read_only = off;\n"

TRIES = 3
"""A session may take longer to end than the renaming waits for it, such as one that writes to a slow disk."""


def swap(
    server: Server, current: str | None, aside: str, coming: str, name: str, state: t.Sequence[Statement]
) -> float:
    """Rename ``current`` to ``aside`` and ``coming`` to ``name``; the seconds that took, as clients have to wait.

    ``state`` are statements on the database under its final name that come with it. Raises `ComposeFailure` with
    everything as it was.
    """
    statements = [
        *([Statement("ALTER DATABASE %I RENAME TO %I", (current, aside))] if current is not None else []),
        Statement("ALTER DATABASE %I RENAME TO %I", (coming, name)),
        *([Statement("ALTER DATABASE %I ALLOW_CONNECTIONS false", (aside,))] if current is not None else []),
        Statement("ALTER DATABASE %I ALLOW_CONNECTIONS true", (name,)),
        *state,
    ]
    text = f"{SETTINGS}BEGIN;\n{_sql.script(statements)}COMMIT;\n"
    if current is None:
        began = time.monotonic()
        server.psql(text)
        return time.monotonic() - began
    return _with_sessions_ended(server, current, coming, text)


def _with_sessions_ended(server: Server, database: str, coming: str, text: str) -> float:
    for number in range(1, TRIES + 1):
        thread = _Ending(server, database)
        thread.start()
        began = time.monotonic()
        try:
            server.psql(text)
            return time.monotonic() - began
        except ComposeFailure as failure:
            # 55006: object in use; 55P03: lock not available
            if failure.facts.get("sqlstate") not in ("55006", "55P03") or number == TRIES:
                if _is_done(server, coming):
                    return time.monotonic() - began
                raise
        finally:
            thread.join()
    raise AssertionError("the last try raises")


def _is_done(server: Server, coming: str) -> bool:
    """Whether the transaction was committed all the same, and only its client did not live to tell."""
    return not server.value(f"SELECT count(*) FROM pg_database WHERE datname = {_sql.literal(coming)}")


class _Ending(threading.Thread):
    """Ends the sessions in a database as soon as another one of ours has locked it, and goes when that is over."""

    def __init__(self, server: Server, database: str) -> None:
        super().__init__()
        self.server, self.database = server, database
        # Asked for before, for afterwards another one has the name.
        query = f"SELECT oid::bigint FROM pg_database WHERE datname = {_sql.literal(database)}"
        self.number = int(server.value(query))

    def run(self) -> None:
        try:
            self.server.psql(
                f"SET statement_timeout = '20s';\n{_block(self.server.application, self.database, self.number)}"
            )
        except ComposeFailure:
            # The renaming then tells that the database is in use.
            return


def _block(application: str, database: str, number: int) -> str:
    body = f"""
DECLARE
  the_database oid := {number:d};
  is_seen boolean := false;
  is_locked boolean;
BEGIN
  FOR _try IN 1..400 LOOP
    is_locked := EXISTS (
      SELECT FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_database'::regclass AND objid = the_database
         AND mode = 'AccessExclusiveLock' AND granted);
    EXIT WHEN is_seen AND NOT is_locked;
    EXIT WHEN NOT EXISTS (
      SELECT FROM pg_database WHERE oid = the_database AND datname = {_sql.literal(database)});
    is_seen := is_seen OR is_locked;
    IF is_locked THEN
      PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datid = the_database AND pid <> pg_backend_pid() AND application_name <> {_sql.literal(application)};
      PERFORM pg_stat_clear_snapshot();
    END IF;
    PERFORM pg_sleep(0.02);
  END LOOP;
END"""
    return f"DO {_quoted(body)};\n"


def _quoted(body: str) -> str:
    return f"$strata_block${body}$strata_block$" if "$strata_block$" not in body else _sql.literal(body)
