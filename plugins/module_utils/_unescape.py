# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A text without the escapes of programs, and where each character stood. Pure. Private to strata.compose.

JSON in JSON, a shell's quotes in a log line, an address of which a program encodes some characters and leaves others:
a secret and a text are both unescaped, and then compared as they are. That takes one look at each character, where a
pattern that knows all spellings tries their combinations, which a text of an attacker makes endless.
"""

from __future__ import annotations

import re
import typing as t
from array import array

ESCAPE = re.compile(
    r"""
    \\+ (?: u(?P<high>[dD][89abAB][0-9a-fA-F]{2}) \\+u (?P<low>[dD][c-fC-F][0-9a-fA-F]{2})
          | u(?P<unit>[0-9a-fA-F]{4}) | x(?P<byte>[0-9a-fA-F]{2}) | (?P<octal>[0-3][0-7]{2}) | (?P<named>[ntrbf0])
          | ) (?# always matches: no run of backslashes is read twice)
    | %(?:25)*(?P<percent>[0-9a-fA-F]{2})
    | &(?:amp;)* (?: (?P<entity>lt|gt|quot|apos) | \#(?P<decimal>\d{1,7}) | \#[xX](?P<hex>[0-9a-fA-F]{1,6}) );
    | (?P<amp>&(?:amp;)+)
    | (?P<own>["']+|\$+|[?\ufffd]+|[\r\n]+|\+)
    """,
    re.VERBOSE,
)
"""What may stand for another character. Each alternative begins otherwise and ends at once, so it takes linear time."""

NAMED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}
ENTITIES = {"lt": "<", "gt": ">", "quot": '"', "apos": "'"}

ALIKE = {'"': "'", "\ufffd": "?", "+": " "}
"""Shells end and begin quotes around a quote, addresses write a space as ``+``, terminals lose letters."""

REPEATED = frozenset("'$?\n")
"""Characters whose runs count as one: Compose doubles ``$``, YAML quotes; a lost letter leaves up to four ``?``."""

ROUNDS = 4
"""Levels of one escape within another of a different kind, such as markup in JSON in an address."""


class Unescaped(t.NamedTuple):
    """A text without escapes; for each character, where what stands for it begins and ends in the original."""

    text: str
    starts: t.Sequence[int]
    ends: t.Sequence[int]

    def span(self, at: int, length: int) -> tuple[int, int]:
        """The part of the original that some characters stood for."""
        return self.starts[at], self.ends[at + length - 1]


def unescaped(text: str) -> Unescaped:
    """The text without escapes of any level."""
    found = Unescaped(text, range(len(text)), range(1, len(text) + 1))
    for _round in range(ROUNDS):
        further = _Reader(found).read()
        if further.text == found.text:
            return further
        found = further
    return found


class _Reader:
    """Takes away one level of escapes."""

    def __init__(self, before: Unescaped) -> None:
        self._before = before
        self._characters: list[str] = []
        self._starts, self._ends = array("l"), array("l")
        self._last = ""
        self._bytes: list[tuple[int, int, int]] = []
        self._pending: int | None = None
        """where backslashes begin that escape what follows"""

    def read(self) -> Unescaped:
        text, at = self._before.text, 0
        for found in ESCAPE.finditer(text):
            if found.start() > at:
                self._plain(at, found.start())
            self._escape(found)
            at = found.end()
        if at < len(text):
            self._plain(at, len(text))
        self._end_bytes()
        return Unescaped("".join(self._characters), self._starts, self._ends)

    def _plain(self, start: int, end: int) -> None:
        """Characters that stand for themselves."""
        self._end_bytes()
        text, starts, ends = self._before
        if self._last == "\n":
            # How deep lines are indented is changed by whoever prints them.
            indented = len(text[start:end]) - len(text[start:end].lstrip(" \t"))
            start += indented
            if start == end:
                return
        self._characters.append(text[start:end])
        own = len(self._starts)
        self._starts.extend(starts[start:end])
        self._ends.extend(ends[start:end])
        if self._pending is not None:
            self._starts[own], self._pending = self._pending, None
        self._last = text[end - 1]

    def _escape(self, found: re.Match[str]) -> None:
        start, end = self._before.starts[found.start()], self._before.ends[found.end() - 1]
        kind, value = found.lastgroup, found.group(found.lastgroup) if found.lastgroup else ""
        if kind in ("byte", "percent"):
            self._byte(int(value, 16), start, end)
        elif kind == "octal":
            self._byte(int(value, 8), start, end)
        elif kind is None:
            self._backslashes(found.end(), start, end)
        else:
            self._end_bytes()
            self._character(_character_of(found, kind, value), start, end)

    def _backslashes(self, following: int, start: int, end: int) -> None:
        """Before a letter they are meant, as in a path of Windows; what else follows, they escape."""
        self._end_bytes()
        following_character = self._before.text[following : following + 1]
        if following_character and not (following_character.isalnum() or following_character == "_"):
            self._pending = start if self._pending is None else self._pending
        else:
            self._character("\\", start, end)

    def _byte(self, value: int, start: int, end: int) -> None:
        """A byte by its number; those of a letter beyond ASCII follow each other."""
        if value < 0x80:
            self._end_bytes()
            self._character(chr(value), start, end)
            return
        if value & 0xC0 != 0x80:
            self._end_bytes()
        self._bytes.append((value, start, end))
        content = bytes(each for each, _start, _end in self._bytes)
        try:
            character = content.decode()
        except UnicodeDecodeError:
            if len(content) >= 4:
                self._end_bytes()
            return
        first, self._bytes = self._bytes[0][1], []
        self._character(character, first, end)

    def _end_bytes(self) -> None:
        """Bytes that are no letter stay what they are."""
        alone, self._bytes = self._bytes, []
        for value, start, end in alone:
            self._character(chr(0xDC00 + value), start, end)

    def _character(self, character: str, start: int, end: int) -> None:
        character = ALIKE.get(character, character)
        if self._pending is not None:
            start, self._pending = self._pending, None
        is_repeated = character == self._last and character in REPEATED
        if is_repeated or character == "\r" or (character in " \t" and self._last == "\n"):
            if is_repeated:
                self._ends[-1] = end
            return
        self._characters.append(character)
        self._starts.append(start)
        self._ends.append(end)
        self._last = character


def _character_of(found: re.Match[str], kind: str, value: str) -> str:
    if kind == "low":
        high, low = int(found["high"], 16), int(value, 16)
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    if kind == "named":
        return NAMED[value]
    if kind == "entity":
        return ENTITIES[value]
    if kind == "amp":
        return "&"
    if kind == "own":
        return "\n" if "\n" in value else value[0]
    number = int(value, 10 if kind == "decimal" else 16)
    return chr(number) if number < 0x110000 else "?"
