# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statements and their quoting, errors of psql, and SCRAM verifiers."""

from __future__ import annotations

import base64

import pytest
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils.postgres import _scram, _sql

from tests.unit.tables import each, table

CASES = table("sql")
RFC_7677 = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


@pytest.mark.parametrize("case", CASES["literal"], ids=lambda case: case["value"] or "empty")
def test_literal(case):
    assert _sql.literal(case["value"]) == case["literal"]


def test_statement_is_written_by_the_server():
    statement = _sql.Statement("CREATE DATABASE %I OWNER %I", ("shop", "o'wner"))
    assert statement.executed() == (
        "SELECT format($s0$CREATE DATABASE %I OWNER %I$s0$, $s0$shop$s0$, $s0$o'wner$s0$) \\gexec\n"
    )


@each(CASES["error"])
def test_error_of_psql(case):
    found = _sql.error_of(case["printed"])
    assert (found and [found.state, found.text, found.line]) == case["error"]


@pytest.mark.parametrize("name", ["shop", "ü" * 31, 'strange "name" $s0$'])
def test_name_that_postgres_keeps_whole(name):
    assert _sql.checked_name("database", name) == name


@pytest.mark.parametrize("name", ["", "ü" * 32, "nul\0byte"])
def test_name_that_postgres_would_cut_or_refuse(name):
    with pytest.raises(ComposeFailure):
        _sql.checked_name("database", name)


def test_verifier_is_that_of_the_rfc():
    assert _scram.verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")) == RFC_7677


@pytest.mark.parametrize(
    ("stored", "password", "same"),
    [
        (RFC_7677, "pencil", True),
        (RFC_7677, "Pencil", False),
        (_scram.verifier("pä$ß", b"salt" * 4, 8192), "pä$ß", True),
        ("md5a3556571e93b0d20722ba62be61e8c2d", "postgres", False),
        (_scram.verifier("a b", b"salt"), "a\u00a0b", True),
        (_scram.verifier("IX", b"salt"), "\u2168", True),
        (_scram.verifier("ab", b"salt"), "a\u00adb", True),
        (_scram.verifier("1\U0001f600", b"salt"), "\u2460\U0001f600", False),
        (_scram.verifier("1\u0627", b"salt"), "\u2460\u0627", False),
        (None, "pencil", False),
        ("", "", False),
    ],
)
def test_password_is_compared_with_what_is_stored(stored, password, same):
    assert _scram.matches(stored, password) is same
