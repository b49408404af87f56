# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of one migration file: its way up and its way down. Pure. Private to strata.compose.

Rule: dbmate, pkg/dbmate/migration.go, for ``-- migrate:up`` and ``-- migrate:down``. Stricter where dbmate passes over
what cannot be meant: a directive with a typing error, an option that does not exist.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils.postgres import _statements
from ansible_collections.strata.compose.plugins.module_utils.postgres._statements import WrittenStatement

UP, DOWN = "up", "down"

DIRECTIVE = re.compile(r"^--\s*migrate:(up|down)(?:[ \t]*|[ \t]+(\S.*))$")
LIKE_DIRECTIVE = re.compile(r"^\s*--\s*migrate\s*:", re.IGNORECASE)
FOREIGN = re.compile(r"^\s*--\s*\+(goose|migrate)\b", re.IGNORECASE)
"""Directives of goose and sql-migrate, which would make the way down a part of the way up."""

ENDS_TRANSACTION = ("begin", "start", "commit", "end", "rollback", "abort")
SAVEPOINTS = (("rollback", "to"), ("rollback", "work", "to"), ("rollback", "transaction", "to"))


class Flaw(ValueError):
    """Something wrong with a file; ``line`` is where."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


@dataclass(frozen=True)
class Section:
    """The statements of one direction, which are run in one transaction or each on its own."""

    statements: tuple[WrittenStatement, ...]
    transaction: bool
    text: str


@dataclass(frozen=True)
class Ways:
    """What a file tells of each direction."""

    up: Section | None
    down: Section | None


def ways_of(text: str, half: str) -> Ways:
    """Both directions of a file; ``half`` is that of a file which is one half of a pair. Raises `Flaw`."""
    blocks = _blocks(text)
    if not blocks:
        section = _section(text, 1, True)
        return Ways(None, section) if half == DOWN else Ways(section, None)
    for direction, line, _options, _body in blocks:
        if half and direction != half:
            raise Flaw(line, f"a file named .{half}.sql cannot hold the way {direction}")
    ups = [_of_block(block) for block in blocks if block[0] == UP]
    downs = [_of_block(block) for block in blocks if block[0] == DOWN]
    if not half and blocks[0][0] == DOWN:
        raise Flaw(blocks[0][1], "`-- migrate:up` has to come before `-- migrate:down`")
    # What was built last is taken down first.
    return Ways(_joined(ups, blocks), _joined(downs[::-1], blocks))


Block = tuple[str, int, str, str]
"""Direction, line of the directive, its options, and the text that follows it."""


def _blocks(text: str) -> list[Block]:
    """The file cut at its directives; empty for a file without any."""
    lines = text.split("\n")
    found = [(number, DIRECTIVE.match(line)) for number, line in enumerate(lines, 1) if _may_direct(line, number)]
    starts = [(number, match.group(1), match.group(2) or "") for number, match in found if match]
    if starts:
        _require_nothing_before("\n".join(lines[: starts[0][0] - 1]))
    ends = [start[0] - 1 for start in starts[1:]] + [len(lines)]
    return [
        (direction, number, options, "\n".join(lines[number:end]))
        for (number, direction, options), end in zip(starts, ends)
    ]


def _may_direct(line: str, number: int) -> bool:
    """Whether a line is a directive; raises `Flaw` for one that only looks like it, or is another tool's."""
    if DIRECTIVE.match(line):
        return True
    if LIKE_DIRECTIVE.match(line):
        raise Flaw(number, f"`{line.strip()}` is no directive: write `-- migrate:up` or `-- migrate:down`")
    foreign = FOREIGN.match(line)
    if foreign:
        tool = "goose" if foreign.group(1).lower() == "goose" else "sql-migrate"
        raise Flaw(number, f"`{line.strip()}` is a directive of {tool}: write `-- migrate:up` or `-- migrate:down`")
    return False


def _require_nothing_before(text: str) -> None:
    for statement in _split(text, 1)[:1]:
        raise Flaw(statement.line, "a statement stands before the first `-- migrate:up`")


def _of_block(block: Block) -> Section:
    _direction, line, options, body = block
    return _section(body, line + 1, _is_in_transaction(options, line))


def _is_in_transaction(options: str, line: int) -> bool:
    """The one option there is; words without a colon are a comment, as they are for dbmate."""
    transaction = True
    for word in options.split():
        name, colon, value = word.partition(":")
        if colon and (name != "transaction" or value not in ("true", "false")):
            raise Flaw(line, f"{word} is no option of a migration: there is only transaction:false")
        if colon:
            transaction = value == "true"
    return transaction


def _section(text: str, line: int, transaction: bool) -> Section:
    statements = _split(text, line)
    for statement in statements:
        if statement.begins("copy") and ("from", "stdin") in zip(statement.words, statement.words[1:]):
            raise Flaw(statement.line, "COPY ... FROM stdin has no input here: write INSERT (pg_dump --inserts)")
    if transaction:
        statements = _without_own_transaction(statements)
    return Section(statements, transaction, text.strip("\n"))


def _split(text: str, line: int) -> tuple[WrittenStatement, ...]:
    try:
        return _statements.split(text, line)
    except _statements.Unfinished as unfinished:
        raise Flaw(unfinished.line, str(unfinished)) from unfinished


def _without_own_transaction(statements: tuple[WrittenStatement, ...]) -> tuple[WrittenStatement, ...]:
    """The statements between ``BEGIN`` and ``COMMIT``, for golang-migrate's files often bring their own.

    Raises `Flaw` for any other that would end the transaction which holds the file and its record.
    """
    if len(statements) > 1 and _opens(statements[0]) and _commits(statements[-1]):
        statements = statements[1:-1]
    for statement in statements:
        if _is_control(statement):
            raise Flaw(
                statement.line,
                f"{statement.words[0].upper()} would end the transaction that holds the file and its record: take it "
                f"out, or write `-- migrate:up transaction:false`",
            )
    return statements


def _opens(statement: WrittenStatement) -> bool:
    return statement.begins("begin") or statement.begins("start", "transaction")


def _commits(statement: WrittenStatement) -> bool:
    return statement.words in (("commit",), ("end",), ("commit", "work"), ("commit", "transaction"))


def _is_control(statement: WrittenStatement) -> bool:
    if any(statement.begins(*words) for words in SAVEPOINTS):
        return False
    return statement.words[:1] in [(word,) for word in ENDS_TRANSACTION] or statement.begins("prepare", "transaction")


def _joined(sections: t.Sequence[Section], blocks: t.Sequence[Block]) -> Section | None:
    """Several sections of one direction as one; they are all run in a transaction or none of them is."""
    if not sections:
        return None
    if len({each.transaction for each in sections}) > 1:
        raise Flaw(blocks[-1][1], "sections with and without transaction:false cannot be in one file: split it")
    statements = tuple(statement for each in sections for statement in each.statements)
    return Section(statements, sections[0].transaction, "\n".join(each.text for each in sections))
