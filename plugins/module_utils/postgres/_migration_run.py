# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One session of psql that carries out a plan, and what became of it. Private to strata.compose."""

from __future__ import annotations

import time
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


class Interrupted(Exception):
    """The plan was not carried out to its end; ``done`` is what was."""

    def __init__(self, failure: ComposeFailure, done: list[Done]) -> None:
        super().__init__(failure.message)
        self.failure, self.done = failure, done


def run(target: Target, plan: Plan, history: History) -> list[Done] | None:
    """Carry out a plan that was made for a history; ``None`` when the history is another one by now.

    Raises `Interrupted` when a file fails, or the session is cut off.
    """
    script = Script(plan.steps, history, target.role, target.manner, f"strata-{target.server.token}")
    with open_output() as output:
        cause, rc = _run(target, script, output)
        printed = _content(output)
        if cause is None and rc == 0 and script.is_stale(printed):
            return None
        if cause is None and rc == 0 and script.is_unsettled(printed):
            _migration_plan.require_settled(
                plan.steps, _history_reader.read(target.server, target.database, target.role)
            )
            return None
        # From here on a signal cannot say any more that nothing was changed.
        target.cancellation.touch()
        done = [Done(plan.steps[number], seconds) for number, seconds in sorted(script.done(printed).items())]
        if cause is None and rc == 0:
            return done
        errors = output.errors()
    error = _sql.error_of(errors)
    is_cut = cause is not None or _migration_failure.is_lost(error)
    now = _settled(target, is_cut)
    done = _seen(plan, history, now, done) if is_cut else done
    ending = Ending(
        service=target.server.service,
        database=target.database,
        manner=target.manner,
        done=[each.step.file for each in done],
        history=now,
        left=plan.steps[len(done) :][:1],
        cause=cause,
        rc=rc,
        errors=errors,
    )
    raise Interrupted(_migration_failure.failure_of(ending, error, script.place(error.line if error else None)), done)


def _run(target: Target, script: Script, output: Output) -> tuple[ComposeFailure | None, int]:
    """Run the session; a timeout or a signal is a cause and not raised, for there is something to settle."""
    server = target.server
    content = script.text.encode("utf-8", "surrogateescape")
    seconds = server.cli.timeout + target.manner.lock_wait
    try:
        completed = server.cli.run(
            server.argv(target.database, FROM_INPUT), stdin=content, accept=None, timeout=seconds, into=output.files
        )
    except ComposeFailure as failure:
        return failure, -1
    return None, completed.rc


def _content(output: Output) -> str:
    stream = output.files[0]
    stream.seek(0)
    return stream.read().decode("utf-8", "replace")


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


def _seen(plan: Plan, before: History, after: History | None, told: list[Done]) -> list[Done]:
    """The steps whose end the history shows, whether the session could tell it or not."""
    if after is None:
        return told
    seconds = {each.step: each.seconds for each in told}
    return [Done(step, seconds.get(step)) for step in plan.steps if step in seconds or _is_done(step, before, after)]


def _is_done(step: Step, before: History, after: History) -> bool:
    version = step.migration.version
    if step.action == MIGRATE:
        return version in after.versions - before.versions
    return step.action == REVERT and version in before.versions - after.versions
