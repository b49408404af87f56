# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a secret is looked for as: unescaped, as it is, in hexadecimal, in base64. Pure. Private to strata.compose.

All are parts of a fixed length, which a text is searched for as they are: no text makes the search slow.
"""

from __future__ import annotations

import binascii
import re
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._unescape import unescaped

WORD = re.compile(r"[A-Za-z0-9]+")
"""What stays as it is in every spelling but those of `base64_pieces` and `hexadecimals`."""

PIECE = 10
"""Characters of base64 that are taken for a part of a secret: 7 bytes of it, which no other text has by chance."""

STEP = 4
"""Characters from one piece to the next: each 13 characters of a secret in base64 hold one, and few are to be kept."""

SHORTEST_ENCODED = 6
"""Shorter texts in base64 or hexadecimal turn up by chance."""

LARGEST_ENCODED = 1 << 13
"""Bytes; of a longer secret in base64 only the beginning is known, for every place in it costs memory."""

INDENTATION = re.compile(r"\r?\n[ \t]*")
"""What programs that print a text of several lines change."""

RUN = re.compile(rf"[A-Za-z0-9+/_-]{{{PIECE},}}={{0,2}}")
"""What may be base64, in either alphabet."""

TO_STANDARD = str.maketrans("-_", "+/")


PART = 64
"""Characters that are searched for at a time: the search takes linear time, however much a text resembles a secret."""


class Needle(t.NamedTuple):
    """A part of a secret, unescaped."""

    text: str
    shortest: int
    """characters of the original that it takes at least: no escape is shorter than what it stands for"""


class Needles(t.NamedTuple):
    """All that a secret is looked for as, apart from its bytes in hexadecimal and base64."""

    plain: t.Sequence[str]
    unescaped: t.Sequence[Needle]

    @classmethod
    def of(cls, secret: str) -> Needles:
        variants = dict.fromkeys((secret, _lost(secret, 0x7F), _lost(secret, 0xFF)))
        return cls(in_parts(secret), [needle for each in variants for needle in _unescaped_parts(each)])


def anchor_of(secret: str) -> str:
    """The part of a secret that all its spellings have in common; looking for it costs next to nothing."""
    return max(WORD.findall(secret), key=len, default="")


def in_parts(text: str) -> list[str]:
    """Parts of `PART` characters that overlap, so that one mask covers them all."""
    if len(text) <= PART:
        return [text]
    return list(dict.fromkeys(text[at : at + PART] for at in _beginnings(len(text))))


def _beginnings(length: int) -> tuple[int, ...]:
    return (*range(0, length - PART, PART - 1), max(0, length - PART))


def _lost(secret: str, last: int) -> str:
    """A secret as a terminal prints it that knows the letters up to one, and all others as a question mark."""
    return "".join(each if ord(each) <= last else "?" for each in secret)


def _unescaped_parts(secret: str) -> t.Iterator[Needle]:
    """Backslashes at the end are left out: what follows in a text says what they mean."""
    own = unescaped(INDENTATION.sub(r"\n", secret).rstrip("\\"))
    for at in _beginnings(len(own.text)) if own.text else ():
        part = own.text[at : at + PART]
        start, end = own.span(at, len(part))
        yield Needle(part, end - start)


def places(text: str, part: str) -> t.Iterator[tuple[int, int]]:
    """Where a part stands; places that overlap are one.

    What repeats itself is not looked at place by place, for a text of one letter has as many places as letters.
    """
    start, end = 0, 0
    at = text.find(part)
    while at >= 0:
        if at >= end:
            if end:
                yield start, end
            start, end = at, at + len(part)
        else:
            end = _end_of_repetition(text, at + len(part), part[end - at - len(part) :])
        at = text.find(part, max(at + 1, end - len(part) + 1))
    if end:
        yield start, end


def _end_of_repetition(text: str, end: int, unit: str) -> int:
    for block in (unit * (PART // len(unit)), unit):
        while block and text.startswith(block, end):
            end += len(block)
    return end


def found_in(text: str, needles: t.Sequence[Needles]) -> t.Iterator[tuple[int, int]]:
    """The parts of a text that are parts of secrets, however they are escaped."""
    for each in dict.fromkeys(plain for every in needles for plain in every.plain):
        yield from ((start, _past_backslashes(text, end, each)) for start, end in places(text, each))
    escaped = {needle for every in needles for needle in every.unescaped}
    if not escaped:
        return
    own = unescaped(text)
    for needle in escaped:
        for start, end in places(own.text, needle.text):
            first, last = own.span(start, end - start)
            if last - first >= needle.shortest:
                yield first, last


def _past_backslashes(text: str, end: int, part: str) -> int:
    """Backslashes at the end of a secret are doubled where it is quoted."""
    while part.endswith("\\") and text.startswith("\\", end):
        end += 1
    return end


def hexadecimals(secret: str) -> set[str]:
    """A secret as a dump of its bytes, in parts."""
    dumped = secret.encode("utf-8", "surrogateescape").hex()
    whole = (dumped, dumped.upper()) if len(dumped) >= SHORTEST_ENCODED else ()
    return {part for each in whole for part in in_parts(each)}


def base64_pieces(secret: str) -> set[str]:
    """The pieces by which a secret in base64 is recognised, wherever it begins and wherever lines are broken.

    Of each of the three positions that it can have, without the characters that depend on what is around it.
    """
    content = secret.encode("utf-8", "surrogateescape")[:LARGEST_ENCODED]
    found: set[str] = set()
    for before in range(3):
        encoded = binascii.b2a_base64(b"\0" * before + content, newline=False).decode().rstrip("=")
        own = encoded[(0, 2, 3)[before] : len(encoded) - (1 if (before + len(content)) % 3 else 0)]
        if len(own) >= SHORTEST_ENCODED:
            found.update(own[at : at + PIECE] for at in range(0, max(1, len(own) - PIECE + 1), STEP))
            found.add(own[-PIECE:])
    return found


def runs_of_base64(text: str, pieces: t.Collection[str]) -> t.Iterator[tuple[int, int]]:
    """Where a text holds base64 of which some piece is known."""
    for run in RUN.finditer(text):
        content = run.group().translate(TO_STANDARD)
        if any(content[at : at + PIECE] in pieces for at in range(len(content) - PIECE + 1)):
            yield run.span()
