# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cancelled job does to an operation: it is finished one way or the other, never dropped in the middle.

Private to strata.compose.
"""

from __future__ import annotations

import contextlib
import signal
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure


class Cancellation:
    """Whether somebody wants this operation to end, told by SIGTERM or SIGINT."""

    def __init__(self) -> None:
        self.by = ""
        self._is_safe = True

    def told(self, number: int, _frame: t.Any) -> None:
        """The signal handler: ends the operation now while nothing is touched yet, and is remembered otherwise."""
        self.by = signal.Signals(number).name
        if self._is_safe:
            raise self.failure("Nothing was changed.")

    def failure(self, outcome: str) -> ComposeFailure:
        return ComposeFailure(f"cancelled by {self.by}. {outcome}".rstrip(), error_kind="cancelled")

    def touch(self) -> None:
        """From here on the operation has to be brought to an end."""
        self._is_safe = False

    @contextlib.contextmanager
    def held(self, outcome: str) -> t.Iterator[None]:
        """Bring what is inside to its end, then end the operation if somebody asked for that meanwhile."""
        self._is_safe = False
        yield
        self._is_safe = True
        if self.by:
            raise self.failure(outcome)


@contextlib.contextmanager
def cancellable() -> t.Iterator[Cancellation]:
    """Survive a lost connection (SIGHUP, SIGPIPE) and turn SIGTERM and SIGINT into a decision."""
    cancellation = Cancellation()
    handlers: dict[int, t.Any] = {
        signal.SIGHUP: signal.SIG_IGN,
        signal.SIGPIPE: signal.SIG_IGN,
        signal.SIGTERM: cancellation.told,
        signal.SIGINT: cancellation.told,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield cancellation
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
