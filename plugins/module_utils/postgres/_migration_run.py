# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One session of psql that carries out a plan, and what became of it. Private to strata.compose."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._output import Output, open_output
from ansible_collections.strata.compose.plugins.module_utils._signals import Cancellation
from ansible_collections.strata.compose.plugins.module_utils.postgres import (
    _history_reader,
    _migration_failure,
    _migration_plan,
    _sql,
)
from ansible_collections.strata.compose.plugins.module_utils.postgres._history import History
from ansible_collections.strata.compose.plugins.module_utils.postgres._migration_failure import Ending
from ansible_collections.strata.compose.plugins.module_utils.postgres._migration_plan import MIGRATE, REVERT, Plan, Step
from ansible_collections.strata.compose.plugins.module_utils.postgres._migration_script import Manner, Script
from ansible_collections.strata.compose.plugins.module_utils.postgres._server import PSQL, Server

FROM_INPUT = f"{PSQL} --file=-"
"""Makes psql tell the line of its input at which an error came."""

END_WITHIN = 10
"""Seconds that a session has to end after it was told to."""


@dataclass(frozen=True)
class Done:
    """A step that came to its end."""

    step: Step
    seconds: float | None
    """``None`` when the session was cut off before it could tell"""


@dataclass(frozen=True)
class Target:
    """Where a plan is carried out, and how."""

    server: Server
    database: str
    role: str | None
    manner: Manner
    cancellation: Cancellation = field(default_factory=Cancellation)


@dataclass(frozen=True)
class Ended:
    """What became of a plan: the steps that are done, and why there are no more of them if it failed."""

    done: list[Done]
    failure: ComposeFailure | None = None


@dataclass(frozen=True)
class _Session:
    """A session that is over."""

    cause: ComposeFailure | None
    """why our side ended it, ``None`` if it ended by itself"""
    rc: int
    printed: str
    errors: str

    @property
    def is_well(self) -> bool:
        return self.cause is None and self.rc == 0


def run(target: Target, plan: Plan, history: History) -> Ended | None:
    """Carry out a plan that was made for a history; ``None`` when the history is another one by now."""
    script = Script(plan.steps, history, target.role, target.manner, f"strata-{target.server.token}")
    session = _run(target, script)
    if session.is_well and _has_refused(target, script, session.printed):
        return None
    # From here on a signal cannot say any more that nothing was changed.
    target.cancellation.touch()
    done = [Done(script.steps[number], seconds) for number, seconds in sorted(script.done(session.printed).items())]
    return Ended(done) if session.is_well else _failed(target, script, history, session, done)


def _run(target: Target, script: Script) -> _Session:
    """Run the session; a timeout or a signal is a cause and not raised, for there is something to settle."""
    server = target.server
    argv, content = server.argv(target.database, FROM_INPUT), script.text.encode("utf-8", "surrogateescape")
    seconds = server.cli.timeout + target.manner.lock_wait
    with open_output() as output:
        cause, rc = None, -1
        try:
            rc = server.cli.run(argv, stdin=content, accept=None, timeout=seconds, into=output.files).rc
        except ComposeFailure as failure:
            cause = failure
        return _Session(cause, rc, _content(output), output.errors())


def _has_refused(target: Target, script: Script, printed: str) -> bool:
    """Whether the session did nothing, for the history is not the one that was planned for.

    Raises `ComposeFailure` when what an earlier one left half built has to be removed first.
    """
    if not script.is_unsettled(printed):
        return script.is_stale(printed)
    now = _history_reader.read(target.server, target.database, target.role)
    _migration_plan.require_settled(script.steps, now)
    return True


def _content(output: Output) -> str:
    stream = output.files[0]
    stream.seek(0)
    return stream.read().decode("utf-8", "replace")


def _failed(target: Target, script: Script, history: History, session: _Session, told: list[Done]) -> Ended:
    """What a session did that failed or was cut off, by what it told and by the history that it left."""
    error = _sql.error_of(session.errors)
    is_cut = session.cause is not None or _migration_failure.is_lost(error)
    now = _settled(target, is_cut)
    done = _seen(script.steps, history, now, told) if is_cut else told
    ending = Ending(
        service=target.server.service,
        database=target.database,
        manner=target.manner,
        done=[each.step.file for each in done],
        history=now,
        left=script.steps[len(done) :][:1],
        cause=session.cause,
        rc=session.rc,
        errors=session.errors,
    )
    return Ended(done, _migration_failure.failure_of(ending, error, script.place(error.line if error else None)))


def _settled(target: Target, is_cut: bool) -> History | None:
    """The history after a failure; what a session that was cut off still does is ended first.

    ``None`` when the server cannot be asked any more: then its transaction is gone with it.
    """
    server = target.server
    try:
        if is_cut:
            _end_sessions(server)
        return _history_reader.read(server, target.database, target.role)
    except ComposeFailure:
        return None


def _end_sessions(server: Server) -> None:
    """End what goes on after its client, and wait until it is gone, for until then it may still commit."""
    server.end_sessions()
    name = _sql.literal(server.application)
    deadline = time.monotonic() + END_WITHIN
    # The session that asks has the name too.
    while time.monotonic() < deadline and server.value(
        f"SELECT count(*) FROM pg_stat_activity WHERE application_name = {name} AND pid <> pg_backend_pid()"
    ):
        time.sleep(0.1)


def _seen(steps: t.Sequence[Step], before: History, after: History | None, told: list[Done]) -> list[Done]:
    """The steps whose end the history shows, whether the session could tell it or not."""
    if after is None:
        return told
    seconds = {each.step: each.seconds for each in told}
    return [Done(step, seconds.get(step)) for step in steps if step in seconds or _is_done(step, before, after)]


def _is_done(step: Step, before: History, after: History) -> bool:
    version = step.migration.version
    if step.action == MIGRATE:
        return version in after.versions - before.versions
    return step.action == REVERT and version in before.versions - after.versions
