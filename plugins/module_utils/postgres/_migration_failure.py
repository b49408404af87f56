# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of migrations that were not run to their end: file, line, cause, and the way on. Pure.

Private to strata.compose.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils.postgres import _migration_plan
from ansible_collections.strata.compose.plugins.module_utils.postgres._history import History
from ansible_collections.strata.compose.plugins.module_utils.postgres._migration_plan import REVERT, Step
from ansible_collections.strata.compose.plugins.module_utils.postgres._migration_script import LOCKED, Manner, Place
from ansible_collections.strata.compose.plugins.module_utils.postgres._sql import SqlError

HINTS = {
    "25001": "A statement like this one needs a file of its own that begins with `-- migrate:up transaction:false`.",
    "42501": "Migrations run as role {role}: give the role that owns these objects, or change their owner.",
    "55P03": "Another session held a lock for longer than lock_timeout ({lock_timeout} s).",
    "57014": "It took longer than statement_timeout ({statement_timeout} s), or somebody cancelled it.",
}
"""What to do about an error, by SQLSTATE (documentation, appendix A)."""

POINTED = re.compile(r"(?:ERROR|FATAL):  [^\n]*\nLINE (\d+): ")
"""How psql tells where in a statement an error is."""

NO_LONGER_THAN = 2000
"""Characters of a server's message."""


@dataclass(frozen=True)
class Ending:
    """How a session ended that did not carry out its plan."""

    service: str
    database: str
    manner: Manner
    done: t.Sequence[str]
    """the files before, which stay as they are"""
    history: History | None
    """as it is now, ``None`` when the server cannot be asked"""
    left: t.Sequence[Step]
    """the step that was under way, if one was left"""
    cause: ComposeFailure | None
    """why our side ended it, ``None`` if it ended by itself"""
    rc: int
    errors: str
    """what psql wrote to standard error"""


def failure_of(ending: Ending, error: SqlError | None, place: Place | None) -> ComposeFailure:
    """The failure for an error of the server at a place, or for a session that was cut off."""
    if ending.cause is not None or is_lost(error):
        return _cut_off(ending, error)
    if place is None:
        return _not_begun(ending, t.cast(SqlError, error))
    return _of_file(ending, t.cast(SqlError, error), place)


def is_lost(error: SqlError | None) -> bool:
    """Whether a session ended although no statement of it failed: class 57P is told by a server that goes down."""
    return error is None or error.state.startswith("57P")


def _of_file(ending: Ending, error: SqlError, place: Place) -> ComposeFailure:
    line = _line(ending, place)
    where = f"{place.step.file} line {line}" if line else f"{place.step.file}, at its end"
    parts = [
        f"{where}: {error.text[:NO_LONGER_THAN]} (SQLSTATE {error.state}), in database {ending.database} of service "
        f"{ending.service}.",
        _outcome(ending, place.step, line),
        _hint(ending, error.state),
        _before(ending),
    ]
    message = " ".join(part for part in parts if part)
    facts = {"file": place.step.file, "line": line, "sqlstate": error.state, "error_kind": "migration_failed"}
    return ComposeFailure(message, **facts, **_invalid(ending, place.step), **_failed_service(ending, message))


def _line(ending: Ending, place: Place) -> int | None:
    """The line of the file: where the server points to, or where the statement begins.

    With ``QUERY:`` it points into the statement of a function, which is in no file.
    """
    if place.statement is None:
        return None
    pointed = POINTED.search(ending.errors)
    is_ours = pointed is not None and "\nQUERY:  " not in ending.errors
    return place.statement.line + (int(pointed.group(1)) - 1 if pointed and is_ours else 0)


def _outcome(ending: Ending, step: Step, line: int | None) -> str:
    """What has become of the file."""
    if step.section is None or step.section.transaction:
        return "Nothing of this file was kept."
    before = f"statements before line {line}" if line else "statements"
    kept = f"It runs without a transaction: its {before} stay carried out, and it is run from its beginning again."
    found = _invalid(ending, step).get("invalid_indexes")
    return f"{kept} {_migration_plan.repair(found)}" if found else kept


def _invalid(ending: Ending, step: Step) -> dict[str, t.Any]:
    """Indexes that the file may have left half built."""
    is_own = step.section is not None and not step.section.transaction
    indexes = ending.history.invalid_indexes if ending.history and is_own else ()
    return {"invalid_indexes": list(indexes)} if indexes else {}


def _hint(ending: Ending, state: str) -> str:
    manner, role = ending.manner, ending.history.role if ending.history else "unknown"
    return HINTS.get(state, "").format(
        role=role, lock_timeout=manner.lock_timeout, statement_timeout=manner.statement_timeout
    )


def _before(ending: Ending) -> str:
    return f"Done before it, and kept: {', '.join(ending.done)}." if ending.done else ""


def _not_begun(ending: Ending, error: SqlError) -> ComposeFailure:
    """An error before the first file."""
    where = f"database {ending.database} of service {ending.service}"
    if error.state == LOCKED:
        return ComposeFailure(
            f"migrations of {where} are under way elsewhere: {error.text}. Waited {ending.manner.lock_wait} s. Wait "
            f"for it to end, or give lock_wait seconds to wait. Nothing was changed.",
            error_kind="locked",
        )
    told = f"{where}: {error.text} (SQLSTATE {error.state}). {_hint(ending, error.state)}".rstrip()
    return ComposeFailure(f"{told} Nothing was changed.", sqlstate=error.state, error_kind="not_begun")


def _cut_off(ending: Ending, error: SqlError | None) -> ComposeFailure:
    """A session that was ended by a signal, a timeout, a restart of the server, or the end of its client."""
    cause = ending.cause.message if ending.cause else f"the session ended with exit code {ending.rc}"
    told = f"{error.text} (SQLSTATE {error.state})" if error and not ending.cause else cause
    begun = "".join(_half(step) for step in ending.left)
    unknown = "" if ending.history else "The server does not answer, so what it has kept is told by the next run. "
    kind = ending.cause.facts.get("error_kind") if ending.cause else None
    message = (
        f"migrations of database {ending.database} were cut off: {told.rstrip('. ')}. {begun}{unknown}{_before(ending)}"
    )
    return ComposeFailure(
        f"{message.rstrip()} Run it again to go on.", error_kind=kind or "cut_off", **_failed_service(ending, message)
    )


def _half(step: Step) -> str:
    if step.section is not None and not step.section.transaction:
        return f"{step.file} was under way without a transaction, and may be half done. "
    verb = "reverted" if step.action == REVERT else "applied"
    return f"{step.file} is not {verb}, and nothing of it was kept. "


def _failed_service(ending: Ending, message: str) -> dict[str, t.Any]:
    return {"failed_services": [{"service": ending.service, "cause": message}]}
