# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How programs spell a secret: escaped, quoted, in addresses, in base64. Pure. Private to strata.compose.

A secret becomes a pattern in which each character stands for all its spellings, so that mixtures are found too: JSON in
JSON, a shell's quotes in a log line, an address of which a program encodes some characters and leaves others.
"""

from __future__ import annotations

import binascii
import itertools
import re
import typing as t

WORD = re.compile(r"[A-Za-z0-9]+")
"""What stays as it is in every spelling but those of `base64_pieces` and `hexadecimals`."""

ENTITIES = {"&": "&(?:amp|#38|#x26);", "<": "&(?:lt|#60|#x3c);", ">": "&(?:gt|#62|#x3e);", '"': "&(?:quot|#34|#x22);"}
NAMED_ESCAPES = {"\t": "t", "\r": "r", "\0": "0", "\b": "b", "\f": "f"}

PIECE = 10
"""Characters of base64 that are taken for a part of a secret: 7 bytes of it, which no other text has by chance."""

STEP = 4
"""Characters from one piece to the next: each 13 characters of a secret in base64 hold one, and few are to be kept."""

SHORTEST_ENCODED = 6
"""Shorter texts in base64 or hexadecimal turn up by chance."""

LARGEST_ENCODED = 1 << 13
"""Bytes; of a longer secret in base64 only the beginning is known, for every place in it costs memory."""

RUN = re.compile(rf"[A-Za-z0-9+/_-]{{{PIECE},}}={{0,2}}")
"""What may be base64, in either alphabet."""

TO_STANDARD = str.maketrans("-_", "+/")


def anchor_of(secret: str) -> str:
    """The part of a secret that all its spellings have in common; looking for it costs next to nothing."""
    return max(WORD.findall(secret), key=len, default="")


def pattern_of(secret: str) -> re.Pattern[str]:
    """What finds a secret however it is escaped."""
    runs = [(character, len(list(same))) for character, same in itertools.groupby(secret)]
    return re.compile("".join(_run(character, length) for character, length in runs))


def _run(character: str, length: int) -> str:
    if character.isascii() and character.isalnum():
        return character * length
    if character == "\\":
        # Each level of escaping doubles them. Counted as a whole: no text makes the search try all divisions.
        return rf"(?:\\{{{length},{length * 8}}}|(?:{_coded(character)}){{{length}}})"
    if character == "$":
        # Compose doubles them.
        return rf"(?:(?:\\{{0,4}}\$){{{length},{length * 2}}}|(?:{_coded(character)}){{{length}}})"
    each = f"(?:{_plain(character)}|{_coded(character)})"
    return each if length == 1 else f"{each}{{{length}}}"


def _plain(character: str) -> str:
    """A character as it is or behind backslashes, or as a shell and YAML write it within quotes."""
    if character == "\n":
        return r"\r?\n[ \t]*|\\{1,4}(?:r\\{1,4})?n"
    if character == " ":
        return r"\\{0,4} |\+"
    if character == "'":
        return r"""\\{0,4}'(?:\\{0,4}"'\\{0,4}"'|\\{1,4}''|')?"""
    named = NAMED_ESCAPES.get(character)
    told = [rf"\\{{0,4}}{re.escape(character)}", rf"\\{{1,4}}{named}" if named else "", ENTITIES.get(character, "")]
    return "|".join(each for each in told if each)


def _coded(character: str) -> str:
    """A character by its number: as addresses, JSON, markup and shells write it, or lost to a terminal's alphabet."""
    content = character.encode("utf-8", "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass")
    units = character.encode("utf-16-be", "surrogatepass").hex()
    told = [
        "".join(f"%(?:25)*{_hexadecimal(f'{byte:02x}')}" for byte in content),
        "".join(rf"\\{{1,4}}u{_hexadecimal(units[at : at + 4])}" for at in range(0, len(units), 4)),
        "".join(rf"\\{{1,4}}x{_hexadecimal(f'{byte:02x}')}" for byte in content),
        "".join(rf"\\{{1,4}}{byte:03o}" for byte in content),
        f"&#(?:{ord(character)}|x{_hexadecimal(f'{ord(character):x}')});",
    ]
    return "|".join(told if character.isascii() else [*told, "[?\ufffd]{1,4}"])


def _hexadecimal(digits: str) -> str:
    return "".join(f"[{each}{each.upper()}]" if each.isalpha() else each for each in digits)


def hexadecimals(secret: str) -> set[str]:
    """A secret as a dump of its bytes."""
    dumped = secret.encode("utf-8", "surrogateescape").hex()
    return {dumped, dumped.upper()} if len(dumped) >= SHORTEST_ENCODED else set()


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
