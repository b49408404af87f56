# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking the application: each question of a release's gate, until it passes or its time is over.

Private to strata.compose.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._application_gate import (
    Question,
    expected,
    option_of,
    printable,
    title,
)
from ansible_collections.strata.compose.plugins.module_utils._application_gate_commands import run_command
from ansible_collections.strata.compose.plugins.module_utils._application_gate_urls import get
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._gate import log_tail
from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container, Snapshot, observe

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._application_gate_answer import Answer
    from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
    from ansible_collections.strata.compose.plugins.module_utils._release import Release
    from ansible_collections.strata.compose.plugins.module_utils._switch import Manner

PAUSE = 1.0
"""Seconds between two tries."""


@dataclass(frozen=True)
class Asking:
    """What all questions of one gate have in common."""

    release: Release
    manner: Manner
    cli: Cli
    deadline: float
    """when ``wait_timeout`` is over, by the monotonic clock"""


def ask(release: Release, watched: t.Collection[str], manner: Manner, cli: Cli, deadline: float) -> None:
    """Ask all questions in turn; one within a service that stands still and is not ``watched`` is left out.

    Raises `ComposeFailure` for the first that does not pass.
    """
    asking, snapshot = Asking(release, manner, cli, deadline), observe(cli.until(deadline), release.project)
    for question in release.gate:
        container = _container(snapshot, question)
        if question["service"] and container is None and question["service"] not in watched:
            warning = f"{title(question)} was not tried: service {question['service']} stands still."
            cli.warnings[manner.redactor.mask(warning)] = None
        else:
            _require(question, container, asking)


def _container(snapshot: Snapshot, question: Question) -> Container | None:
    """The first running container of the service in which it is to be asked."""
    running = [each for each in snapshot.of(question["service"] or "") if each.is_running]
    return min(running, key=lambda each: each.number, default=None)


def _require(question: Question, container: Container | None, asking: Asking) -> None:
    tries = 0
    while True:
        tries += 1
        answer = _answer(question, container, asking, is_first=tries == 1)
        if answer.passes:
            return
        is_over = tries > question["retries"] or time.monotonic() + PAUSE >= asking.deadline
        if answer.is_final or is_over:
            raise _failure(question, answer, tries, container, asking)
        if failure := asking.manner.cancelled():
            raise failure
        time.sleep(PAUSE)


def _answer(question: Question, container: Container | None, asking: Asking, is_first: bool) -> Answer:
    """What one try gives. The first has its whole time, also when waiting for the containers has taken all."""
    left = asking.deadline - time.monotonic()
    seconds = question["timeout"] if is_first else max(1.0, min(question["timeout"], left))
    if question["service"] and container is None:
        from ansible_collections.strata.compose.plugins.module_utils._application_gate_answer import Answer

        return Answer(f"service {question['service']} does not run", is_final=True)
    identity = container.id if container else None
    asked = get if "url" in question else run_command
    return asked(question, identity, seconds, asking.cli, asking.manner.redactor)


def _failure(
    question: Question, answer: Answer, tries: int, container: Container | None, asking: Asking
) -> ComposeFailure:
    name, how_often = title(question), "1 try" if tries == 1 else f"{tries} tries"
    release = f"release {asking.release.number}" if asking.release.number else "the environment"
    message = f"{release} does not pass {name}: {answer.got}, expected {expected(question)} ({how_often})."
    output = printable_lines(asking.manner.redactor.mask(answer.output))
    if output:
        message += "\nIt answered:\n  " + "\n  ".join(output)
    log = log_tail(asking.cli, container.id) if container else []
    if log:
        message += f"\nLast log lines of service {question['service']}:\n  " + "\n  ".join(log)
    failed = {
        "option": option_of(question),
        "asked": name,
        "got": answer.got,
        "expected": expected(question),
        "tries": tries,
        "output": output,
        "log": log,
    }
    return ComposeFailure(message, failed_gate=failed)


def printable_lines(text: str) -> list[str]:
    """A text from outside, line by line."""
    return [printable(line) for line in text.splitlines() if line.strip()]
