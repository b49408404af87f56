# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operation has asked of its host, with the answers: the same answers lead to the same decision.

That is how `_unchanged` knows that there is nothing to do, without deciding anew. Private to strata.compose.
"""

from __future__ import annotations

import functools
import hashlib
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._cli import Completed

Answer = t.TypeVar("Answer")
QUESTIONS: dict[str, t.Callable[[str], t.Any]] = {}
"""Each question about a path, by its name."""


class Asked:
    """All questions of an operation, as long as they can be asked again."""

    def __init__(self) -> None:
        self.of_paths: dict[tuple[str, str], str] = {}
        """question and path to the first answer, see `as_text`"""
        self.of_engine: list[Completed] = []
        self.is_whole = True
        """whether nothing else has been asked or done that a decision may depend on"""
        self.found_nothing_to_do = False


_asked: list[Asked] = []


def begin() -> Asked:
    """Take down what is asked from now on."""
    _asked[:] = [Asked()]
    return _asked[0]


def question(ask: t.Callable[[str], Answer]) -> t.Callable[[str], Answer]:
    """Take down what this function is asked about paths, and what it answers."""

    @functools.wraps(ask)
    def asked(path: str) -> Answer:
        if not _asked:
            return ask(path)
        try:
            answer = ask(path)
        except BaseException:
            cannot_be_repeated()
            raise
        _asked[0].of_paths.setdefault((ask.__name__, path), as_text(answer))
        return answer

    QUESTIONS[ask.__name__] = ask
    return asked


def as_text(answer: object) -> str:
    """An answer as it is kept: of a file's content, the digest."""
    return hashlib.sha256(answer).hexdigest() if isinstance(answer, bytes) else repr(answer)


def note_engine(completed: Completed) -> None:
    """Take down what a process has answered."""
    if _asked:
        _asked[0].of_engine.append(completed)


def cannot_be_repeated() -> None:
    """Say that the decision depends on something that is not taken down, or that something was done."""
    if _asked:
        _asked[0].is_whole = False


def note_nothing_to_do() -> None:
    """Say that the operation has decided that there is nothing to do."""
    if _asked:
        _asked[0].found_nothing_to_do = True
