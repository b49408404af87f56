# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The psql input that carries out a plan in one session, and the place in a file for each of its lines. Pure.

Private to strata.compose.

Statements go to the server as dollar-quoted values that ``\\gexec`` runs. So nothing in a file means anything to psql:
a ``\\!`` in it is a syntax error of the server, and not a shell.
"""

from __future__ import annotations

import bisect
import json
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils.postgres import _history, _migration_plan
from ansible_collections.strata.compose.plugins.module_utils.postgres._history import (
    APPLIED,
    REVERTING,
    STARTED,
    History,
)
from ansible_collections.strata.compose.plugins.module_utils.postgres._migration_plan import (
    ACCEPT,
    ADOPT,
    MIGRATE,
    REVERT,
    Step,
)
from ansible_collections.strata.compose.plugins.module_utils.postgres._sql import literal
from ansible_collections.strata.compose.plugins.module_utils.postgres._statements import WrittenStatement

KEY = int.from_bytes(b"strata", "big")
"""Of the advisory lock; such a lock is one of a database (documentation, Explicit Locking, advisory locks)."""

LOCKED = "ST001"
"""SQLSTATE of our own with which the wait for this lock ends: a table that is locked is another matter."""

LOCK = f"""\
DO $lock$
DECLARE holder text; deadline timestamptz := clock_timestamp() + make_interval(secs => {{seconds}});
BEGIN
  WHILE NOT pg_try_advisory_lock({KEY}) LOOP
    IF clock_timestamp() >= deadline THEN
      SELECT format('session %s (%s) since %s', a.pid, a.application_name, date_trunc('second', a.backend_start))
        INTO holder FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE l.locktype = 'advisory' AND l.classid = {KEY >> 32} AND l.objid = {KEY & 0xFFFFFFFF} AND l.granted
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database());
      RAISE EXCEPTION USING ERRCODE = '{LOCKED}', MESSAGE = coalesce(holder, 'another session');
    END IF;
    COMMIT;
    PERFORM pg_sleep(0.1);
  END LOOP;
END $lock$;
"""
"""Each look is a transaction of its own, for ``CREATE INDEX CONCURRENTLY`` waits for those that go on.

So it would for ``pg_advisory_lock``, and that one for it: a deadlock.
"""


TABLES = ("strata_migrations", "schema_migrations")

ALL = ", ".join(f"{name} = EXCLUDED.{name}" for name in ("file", "sha256", "state", "began", "seconds", "actor"))
UPDATES = {
    MIGRATE: ALL,
    REVERT: "state = EXCLUDED.state, began = EXCLUDED.began",
    ACCEPT: "file = EXCLUDED.file, sha256 = EXCLUDED.sha256, actor = EXCLUDED.actor",
    ADOPT: "file = EXCLUDED.file",
}
"""What becomes of a row that is there already."""


@dataclass(frozen=True)
class Manner:
    """How a session runs its files."""

    lock_wait: int
    lock_timeout: int
    statement_timeout: int
    actor: str


@dataclass(frozen=True)
class Place:
    """What a line of the input belongs to."""

    step: Step
    statement: WrittenStatement | None


class Script:
    """The input of one session; ``token`` tells our lines in its output from those of the migrations."""

    def __init__(self, steps: t.Sequence[Step], history: History, role: str | None, manner: Manner, token: str) -> None:
        self.steps, self.manner, self.token = steps, manner, token
        self._parts: list[str] = []
        self._lines = 0
        self._ends: list[int] = []
        self._places: list[Place] = []
        self._frame(history, role)
        for number, step in enumerate(steps):
            self._step(number, step)

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def place(self, line: int | None) -> Place | None:
        """What the line of an error belongs to, ``None`` for what is not of a file."""
        at = bisect.bisect_left(self._ends, line or 0)
        return self._places[at] if line and self._ends and at < len(self._ends) and line > self._first else None

    def done(self, printed: str) -> dict[int, float]:
        """The steps that came to their end, with their seconds, by what the session printed."""
        found = re.findall(rf"^{self.token} done (\d+) ([\d.]+)$", printed, re.MULTILINE)
        return {int(number): float(seconds) for number, seconds in found}

    def is_stale(self, printed: str) -> bool:
        """Whether the session did nothing, for somebody else was faster."""
        return f"{self.token} stale" in printed.splitlines()

    def is_unsettled(self, printed: str) -> bool:
        """Whether the session did nothing, for what an earlier one left half built has to be removed first."""
        return f"{self.token} unsettled" in printed.splitlines()

    def _frame(self, history: History, role: str | None) -> None:
        """Become the role, get the lock, and end unless the history is still the one that was planned for."""
        self._add("\\set VERBOSITY verbose\n\\o /dev/null\n")
        self._add("SET statement_timeout = 0;\nSET client_min_messages = warning;\n")
        self._add(f"SET lock_timeout = '{int(self.manner.lock_timeout)}s';\n")
        self._add(_history.begin(role))
        self._add(LOCK.format(seconds=int(self.manner.lock_wait)))
        if history.columns is None or not history.has_records:
            self._add(_history.MAKE_TABLES)
        self._add(_history.IS_CURRENT.format(seen=literal(json.dumps(history.seen))))
        self._unless("strata_is_current", "stale")
        if _migration_plan.begun(self.steps, history):
            self._add(_history.IS_SETTLED)
            self._unless("strata_is_settled", "unsettled")
        self._first = self._lines

    def _unless(self, variable: str, word: str) -> None:
        """End here, and tell a word, unless a variable is true."""
        self._add(f"\\if :{variable}\n\\else\n\\echo {self.token} {word}\n\\q\n\\endif\n")

    def _step(self, number: int, step: Step) -> None:
        if step.section is not None and step.section.transaction:
            self._in_transaction(step)
        else:
            self._one_by_one(step)
        self._add(f"\\echo {self.token} done {number} :strata_seconds\n", Place(step, None))

    def _in_transaction(self, step: Step) -> None:
        """A file and its record as one; what needs no answer goes to the server together."""
        self._add(f"{self._fresh()} \\; BEGIN;\n", Place(step, None))
        self._statements(step)
        self._add(self._end(step, "transaction_timestamp()") + "COMMIT;\n", Place(step, None))

    def _one_by_one(self, step: Step) -> None:
        """Told before as begun, for what fails stays half done."""
        began = ":'strata_began'"
        self._add(f"{self._fresh()};\nSELECT clock_timestamp() AS strata_began \\gset\n", Place(step, None))
        if step.section:
            state = STARTED if step.action == MIGRATE else REVERTING
            self._add(f"{self._record(step, state, began)};\n", Place(step, None))
            self._statements(step)
        self._add(f"BEGIN;\n{self._end(step, began)}COMMIT;\n", Place(step, None))

    def _fresh(self) -> str:
        """A session as new: settings of one file must not reach the next. The lock outlives this."""
        return (
            'RESET SESSION AUTHORIZATION \\; RESET ALL \\; SET ROLE :"strata_role" '
            f"\\; SET lock_timeout = '{int(self.manner.lock_timeout)}s' "
            f"\\; SET statement_timeout = '{int(self.manner.statement_timeout)}s'"
        )

    def _statements(self, step: Step) -> None:
        for statement in step.section.statements if step.section else ():
            self._add(f"SELECT {literal(statement.text)} \\gexec\n", Place(step, statement))

    def _end(self, step: Step, began: str) -> str:
        """The record of a file, by the role, whatever the file has become meanwhile."""
        version = literal(step.migration.version)
        notes = ["RESET SESSION AUTHORIZATION", 'SET ROLE :"strata_role"']
        if step.action == REVERT:
            notes += [f'DELETE FROM :"strata_schema".{table} WHERE version = {version}' for table in TABLES]
        elif step.action == MIGRATE:
            notes += [f'INSERT INTO :"strata_schema".schema_migrations (version) VALUES ({version})']
        if step.action != REVERT:
            notes += [self._record(step, APPLIED, began)]
        seconds = f"SELECT {_seconds(began)} AS strata_seconds"
        return " \\;\n".join(notes) + f";\n{seconds} \\gset\n"

    def _record(self, step: Step, state: str, began: str) -> str:
        """The row of a file in our own table."""
        migration = step.migration
        values = ", ".join(literal(each) for each in (migration.version, migration.file, migration.sha256, state))
        seconds = _seconds(began) if step.action == MIGRATE else "NULL"
        return (
            'INSERT INTO :"strata_schema".strata_migrations (version, file, sha256, state, began, seconds, actor)\n'
            f"VALUES ({values}, {began}, {seconds}, {literal(self.manner.actor)})\n"
            f"ON CONFLICT (version) DO UPDATE SET {UPDATES[step.action]}"
        )

    def _add(self, text: str, place: Place | None = None) -> None:
        self._parts.append(text)
        self._lines += text.count("\n")
        if place:
            self._ends.append(self._lines)
            self._places.append(place)


def _seconds(began: str) -> str:
    return f"round(extract(epoch FROM clock_timestamp() - {began})::numeric, 3)"
