# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a container that the engine calls healthy is so steadily: pure, but for one function that runs its check.

The engine calls a container healthy at the first check that succeeds, and unhealthy after ``retries`` failures in a
row (compose-spec, healthcheck). A release whose check fails every other time is healthy by the first rule, and by the
second too when ``retries`` is greater than 1. Waiting for more of the engine's checks would cost each deployment an
interval, so the check is run once more at once, and only a doubt is given time. Private to strata.compose.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container

Checks = t.Sequence[tuple[float, bool]]
"""When each check of the engine began, and whether it succeeded; the oldest first."""

PROOFS = 2
"""So many of the engine's checks in a row have to succeed after a doubt."""

PATIENCE = 20.0
"""Seconds that a doubt is given, at most. Checks that come more rarely cannot settle it, and one failure alone, which
``retries`` forgives, must not fail a release."""

LONGEST_TRY = 3
"""Seconds that our own run of a check may take. A longer one says nothing: timeouts are the engine's matter."""


@dataclass(frozen=True)
class Try:
    """Our own run of a container's check."""

    began: float
    """as the engine tells the time: when its last check before this one began"""
    succeeded: bool


def relapses(checks: Checks) -> int:
    """How often a failure followed a success."""
    return sum(before[1] and not after[1] for before, after in zip(checks, checks[1:]))


def doubts(checks: Checks, tried: Try | None) -> int:
    """The signs that a healthy container is not so steadily: one may be chance, two are flapping."""
    return relapses(checks) + (tried is not None and not tried.succeeded)


def is_proven(checks: Checks, tried: Try | None) -> bool:
    """Whether enough checks in a row succeeded since the doubt arose."""
    since = [succeeded for began, succeeded in checks if tried is None or tried.succeeded or began > tried.began]
    latest = since[-PROOFS:]
    return len(latest) == PROOFS and all(latest)


def told_flapping(checks: Checks, tried: Try | None) -> str:
    """The cause of a failure, in words."""
    outcomes = [*(succeeded for _began, succeeded in checks), *([tried.succeeded] if tried else [])]
    return f"health flapping: {outcomes.count(False)} of its last {len(outcomes)} checks failed after it was healthy"


def try_check(cli: Cli, container: Container, if_late: bool = True) -> Try:
    """Run the container's health check once, as the engine runs it: in the container, as its user.

    ``if_late`` is what a check counts as that has not ended in time.
    """
    last = container.checks[-1][0] if container.checks else 0.0
    try:
        done = cli.docker("exec", container.id, *container.health_test, timeout=LONGEST_TRY, accept=None)
    except ComposeFailure as failure:
        if failure.facts.get("error_kind") != "timeout":
            raise
        return Try(last, if_late)
    return Try(last, done.rc == 0)
