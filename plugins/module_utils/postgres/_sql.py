# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statements for psql, whose names and values Postgres itself quotes. Pure. Private to strata.compose."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

LONGEST_NAME = 63
"""Bytes of a name; Postgres cuts longer ones without an error (documentation, SQL Syntax, identifiers)."""

ERROR = re.compile(
    r"^(?:psql:[^\n]*?:(?P<line>\d+): )?(?:ERROR|FATAL|PANIC):  (?P<state>[0-9A-Z]{5}): (?P<text>.*)$", re.M
)
"""How psql tells an error with ``VERBOSITY`` set to ``verbose``."""


@dataclass(frozen=True)
class Statement:
    """A statement with the places of names (``%I``), values (``%L``) and text (``%s``) for Postgres' ``format``.

    Nothing is quoted in text: it is for what ``format`` cannot quote, such as numbers, and for SQL that a user means to
    be run, such as an assertion.
    """

    template: str
    arguments: tuple[str, ...] = ()

    def executed(self) -> str:
        """The line of psql input that has Postgres write the statement, and runs it (psql, ``\\gexec``)."""
        return f"SELECT format({', '.join(literal(each) for each in (self.template, *self.arguments))}) \\gexec\n"


@dataclass(frozen=True)
class SqlError:
    """An error of the server, as psql told it."""

    state: str
    """SQLSTATE, five characters (documentation, appendix A)"""
    text: str
    line: int | None
    """of psql's input"""


def literal(value: str) -> str:
    """A value as a dollar-quoted constant, in which nothing has a meaning, for the server or for psql.

    Rule: documentation, SQL Syntax, dollar-quoted string constants. Raises `ComposeFailure` for a NUL byte, which no
    text in Postgres can hold.
    """
    if "\0" in value:
        raise ComposeFailure("a name or value for Postgres holds a NUL byte, which it cannot store.")
    number = 0
    while f"$s{number}$" in value or value.endswith(f"$s{number}"):
        number += 1
    return f"$s{number}${value}$s{number}$"


def checked_name(what: str, name: str) -> str:
    """A name of a database, role or extension, refused where Postgres would cut or misread it."""
    size = len(name.encode("utf-8", "surrogateescape"))
    if not name or size > LONGEST_NAME:
        raise ComposeFailure(
            f"{what} {name!r} has {size} bytes: a name in Postgres has from 1 to {LONGEST_NAME}. Nothing was changed."
        )
    literal(name)
    return name


def script(statements: t.Iterable[Statement]) -> str:
    """The psql input that runs the statements one by one and stops at the first that fails."""
    return "".join(each.executed() for each in statements)


def error_of(printed: str) -> SqlError | None:
    """The first error of the server in what psql wrote to standard error."""
    found = ERROR.search(printed)
    if found is None:
        return None
    line = found.group("line")
    return SqlError(found.group("state"), found.group("text").strip(), int(line) if line else None)
