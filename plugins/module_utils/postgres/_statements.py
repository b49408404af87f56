# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQL text as single statements, each with its line. Pure. Private to strata.compose.

Rule: psql's own splitter (src/fe_utils/psqlscan.l): a semicolon ends a statement unless it is in quotes, in a comment,
in parentheses, or in the ``BEGIN ATOMIC ... END`` of a function.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

TOKEN = re.compile(
    r"(?P<space>\s+|--[^\n]*)"
    r"|(?P<comment>/\*)"
    r"|(?P<quoted>[eE]'(?:[^'\\]|\\.|'')*'|'[^']*(?:''[^']*)*'|\"[^\"]*(?:\"\"[^\"]*)*\")"
    r"|(?P<dollar>\$(?:[^\W\d]\w*)?\$)"
    r"|(?P<word>[^\W\d][\w$]*)"
    r"|(?P<number>[\d$][\w.]*)"
    r"|(?P<open>['\"])"
    r"|(?P<mark>.)",
    re.DOTALL,
)
COMMENT_EDGE = re.compile(r"/\*|\*/")

KEPT_WORDS = 12
"""Words at the beginning of a statement that tell what it is."""

ROUTINE = re.compile(r"create (?:or replace )?(?:function|procedure)\b")


class Unfinished(ValueError):
    """A quote, comment or parenthesis that nothing ends; ``line`` is where it begins."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.line = line


@dataclass(frozen=True)
class WrittenStatement:
    """One statement of a text, without its semicolon."""

    text: str
    line: int
    """of the file, where it begins"""
    words: tuple[str, ...] = ()
    """its first words outside of parentheses, in lower case"""

    def begins(self, *words: str) -> bool:
        """Whether it begins with these words."""
        return self.words[: len(words)] == words


def split(text: str, line: int = 1) -> tuple[WrittenStatement, ...]:
    """The statements of a text whose first line has the given number; raises `Unfinished`."""
    return tuple(_Splitter(text, line).statements())


class _Splitter:
    def __init__(self, text: str, line: int) -> None:
        self.text, self.line, self.counted = text, line, 0
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.start: int | None = None
        self.end = 0
        self.words: list[str] = []
        self.parentheses: list[int] = []
        self.blocks = 0

    def statements(self) -> t.Iterator[WrittenStatement]:
        at = 0
        while at < len(self.text):
            kind, after = self._token(at)
            if kind == "mark" and self.text[at] == ";" and not self.parentheses and not self.blocks:
                yield from self._statement()
                self._begin_anew()
            elif kind not in ("space", "comment"):
                self._take(kind, at, after)
            at = after
        if self.parentheses:
            raise Unfinished("a parenthesis is opened and not closed", self._line_of(self.parentheses[0]))
        yield from self._statement()

    def _statement(self) -> t.Iterator[WrittenStatement]:
        """The statement that has been read, unless there is nothing but space and comments."""
        if self.start is not None:
            yield WrittenStatement(self.text[self.start : self.end], self._line_of(self.start), tuple(self.words))

    def _take(self, kind: str, at: int, after: int) -> None:
        """Make a token a part of the statement."""
        self.start = at if self.start is None else self.start
        self.end = after
        if kind == "word" and not self.parentheses:
            word = self.text[at:after].lower()
            self.blocks = _depth(self.blocks, self.words, word)
            self.words += [word] if len(self.words) < KEPT_WORDS else []
        elif kind == "mark" and self.text[at] == "(":
            self.parentheses.append(at)
        elif kind == "mark" and self.text[at] == ")" and self.parentheses:
            self.parentheses.pop()

    def _token(self, at: int) -> tuple[str, int]:
        """Kind and end of the token at a place."""
        found = TOKEN.match(self.text, at)
        kind = str(found.lastgroup) if found else ""
        after = found.end() if found else at
        if kind == "comment":
            after = self._end_of_comment(at)
        elif kind == "dollar":
            after = self._end_of_dollar_quote(at, self.text[at:after])
        elif kind == "open":
            raise Unfinished("a quote is opened and not closed", self._line_of(at))
        return kind, after

    def _end_of_dollar_quote(self, at: int, tag: str) -> int:
        end = self.text.find(tag, at + len(tag))
        if end < 0:
            raise Unfinished(f"the dollar quote {tag} is opened and not closed", self._line_of(at))
        return end + len(tag)

    def _end_of_comment(self, at: int) -> int:
        """Comments nest (documentation, SQL Syntax, comments)."""
        depth, edge = 0, COMMENT_EDGE.search(self.text, at)
        while edge:
            depth += 1 if edge.group() == "/*" else -1
            if not depth:
                return edge.end()
            edge = COMMENT_EDGE.search(self.text, edge.end())
        raise Unfinished("a comment is opened and not closed", self._line_of(at))

    def _line_of(self, at: int) -> int:
        """The line of a place that is not before the last one asked for."""
        self.line += self.text.count("\n", self.counted, at)
        self.counted = at
        return self.line


def _depth(blocks: int, words: t.Sequence[str], word: str) -> int:
    """How many blocks of a routine's body are open after a word; ``CASE`` ends with ``END`` too."""
    if word == "begin":
        return blocks + 1 if ROUTINE.match(" ".join(words)) else blocks
    if word == "case":
        return blocks + 1 if blocks else 0
    return blocks - 1 if word == "end" and blocks else blocks
