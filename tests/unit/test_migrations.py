# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pure parts of migrations: the tables are cases/migrations.yml."""

from __future__ import annotations

import hashlib
import re

import pytest
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils.postgres import (
    _history,
    _migration_plan,
    _migrations,
    _section,
    _statements,
)
from ansible_collections.strata.compose.plugins.module_utils.postgres._history import History, Record
from ansible_collections.strata.compose.plugins.module_utils.postgres._migration_plan import Step, Wish
from ansible_collections.strata.compose.plugins.module_utils.postgres._migration_script import Manner, Script
from ansible_collections.strata.compose.plugins.module_utils.postgres._place import place_of

from tests.unit.tables import each, table

CASES = table("migrations")


def told(section):
    return None if section is None else [[statement.line, statement.text] for statement in section.statements]


@each(CASES["split"])
def test_text_is_split_into_statements(case):
    assert [[found.line, found.text] for found in _statements.split(case["text"])] == case["statements"]


@each(CASES["unfinished"])
def test_text_that_does_not_end(case):
    with pytest.raises(_statements.Unfinished) as caught:
        _statements.split(case["text"])
    assert (caught.value.line, str(caught.value)) == (case["line"], case["error"])


@each(CASES["sections"])
def test_sections(case):
    if "flaw" in case:
        with pytest.raises(_section.Flaw) as caught:
            _section.ways_of(case["text"], case.get("half", ""))
        line, part = case["flaw"]
        assert caught.value.line == line
        assert part in str(caught.value)
        return
    ways = _section.ways_of(case["text"], case.get("half", ""))
    assert told(ways.up) == case.get("up")
    assert told(ways.down) == case.get("down")
    assert ways.up is None or ways.up.transaction is case.get("up_transaction", True)


@each(CASES["folder"])
def test_folder(case):
    files = {name: text.encode() for name, text in case["files"].items()}
    if "problems" in case:
        with pytest.raises(ComposeFailure) as caught:
            _migrations.read("m", files)
        found = caught.value.facts["problems"]
        assert len(found) == len(case["problems"])
        assert [part for part in case["problems"] if not any(part in problem for problem in found)] == []
        return
    folder = _migrations.read("m", files)
    assert [found.version for found in folder.migrations] == case["versions"]
    assert {found.version: found.down_file for found in folder.migrations if found.down} == case.get("ways_down", {})
    expected = case.get("warnings", [])
    assert len(folder.warnings) == len(expected)
    assert all(part in warning for part, warning in zip(expected, folder.warnings))


@pytest.mark.parametrize("content", [b"SELECT 1;\nSELECT 2;\n", b"\xef\xbb\xbfSELECT 1;\r\nSELECT 2;\r\n"])
def test_checksum_is_that_of_the_normal_content(content):
    (found,) = _migrations.read("m", {"1_a.sql": content}).migrations
    assert found.sha256 == hashlib.sha256(b"SELECT 1;\nSELECT 2;\n").hexdigest()
    assert told(found.up) == [[1, "SELECT 1"], [2, "SELECT 2"]]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"SELECT 1;\n\xff", "1_a.sql:2: is not UTF-8"),
        (b"SELECT\n\n\0", "1_a.sql:3: holds a NUL byte, which Postgres cannot store"),
    ],
)
def test_content_that_is_no_text(content, problem):
    with pytest.raises(ComposeFailure) as caught:
        _migrations.read("m", {"1_a.sql": content})
    assert caught.value.facts["problems"] == [problem]


def folder_of(versions):
    files = {}
    for version in versions:
        down = "" if version.endswith("!") else "-- migrate:down\n"
        files[f"{version.rstrip('!')}.sql"] = f"-- migrate:up\n{down}".encode()
    return _migrations.read("m", files).migrations


def history_of(case, migrations):
    """What is applied has our record too, unless the case tells otherwise."""
    applied = case.get("applied", [])
    sums = {each.version: each.sha256 for each in migrations}
    states = case.get("records", dict.fromkeys(applied, "applied"))
    records = {
        version: Record(
            version, f"{version}.sql", "other" if state == "other" else sums.get(version, ""), state, "then"
        )
        for version, state in states.items()
        if version in sums
    }
    rows = tuple({"version": version} for version in applied)
    return History("owner", "public", {"version": "text"}, rows, True, records, tuple(case.get("invalid", [])))


@each(CASES["plan"])
def test_plan(case):
    migrations = folder_of(case["folder"])
    history, wish = history_of(case, migrations), Wish(**case.get("wish", {}))
    if "error" in case:
        with pytest.raises(ComposeFailure) as caught:
            _migration_plan.require_settled(_migration_plan.plan(wish, migrations, history).steps, history)
        assert case["error"] in caught.value.message
        assert caught.value.message.endswith("Nothing was changed.")
        return
    plan = _migration_plan.plan(wish, migrations, history)
    assert [f"{step.action} {step.migration.version}" for step in plan.steps] == case["steps"]
    expected = case.get("warnings", [])
    assert len(plan.warnings) == len(expected)
    assert all(warning.startswith(part) for part, warning in zip(expected, plan.warnings))


class TestScript:
    FILES = {
        "1_a.sql": b"SELECT 1;\n\nSELECT\n 2;",
        "2_b.sql": b"-- migrate:up transaction:false\nVACUUM;\n-- migrate:down\nSELECT 3;",
    }

    def script(self):
        migrations = _migrations.read("m", self.FILES).migrations
        steps = [Step("migrate", found) for found in migrations] + [Step("revert", migrations[1])]
        return Script(steps, History("owner", "public"), None, Manner(1, 2, 3, "al$s0$ice"), "token")

    def test_each_line_has_its_place(self):
        script = self.script()
        lines = script.text.split("\n")
        places = {
            (place.step.file, place.statement.line): line
            for number, line in enumerate(lines, 1)
            for place in [script.place(number)]
            if place and place.statement
        }
        assert places == {
            ("1_a.sql", 1): "SELECT $s0$SELECT 1$s0$ \\gexec",
            ("1_a.sql", 3): " 2$s0$ \\gexec",
            ("2_b.sql", 2): "SELECT $s0$VACUUM$s0$ \\gexec",
            ("2_b.sql", 4): "SELECT $s0$SELECT 3$s0$ \\gexec",
        }
        assert script.place(1) is script.place(None) is script.place(len(lines) + 5) is None

    def test_a_file_and_its_record_are_one_transaction(self):
        frame, _is_current, rest = self.script().text.partition("\\endif\n")
        words = r"BEGIN;|COMMIT;|SELECT \$s0\$SELECT.*|SELECT \$s0\$VACUUM.*|INSERT INTO \S+|DELETE FROM .*|\\echo.*"
        into, of_two = 'INSERT INTO :"strata_schema".', "WHERE version = $s0$2$s0$"
        assert re.findall(words, rest) == [
            "BEGIN;",
            "SELECT $s0$SELECT 1$s0$ \\gexec",
            "SELECT $s0$SELECT",
            f"{into}schema_migrations",
            f"{into}strata_migrations",
            "COMMIT;",
            "\\echo token done 0 :strata_seconds",
            f"{into}strata_migrations",
            "SELECT $s0$VACUUM$s0$ \\gexec",
            "BEGIN;",
            f"{into}schema_migrations",
            f"{into}strata_migrations",
            "COMMIT;",
            "\\echo token done 1 :strata_seconds",
            "BEGIN;",
            "SELECT $s0$SELECT 3$s0$ \\gexec",
            f'DELETE FROM :"strata_schema".strata_migrations {of_two} \\;',
            f'DELETE FROM :"strata_schema".schema_migrations {of_two};',
            "COMMIT;",
            "\\echo token done 2 :strata_seconds",
        ]
        assert "pg_advisory_lock(" not in frame

    def test_output_tells_what_is_done(self):
        script = self.script()
        assert script.done("token done 0 0.125\nother done 1 1\ntoken done 1 2.000\n") == {0: 0.125, 1: 2.0}
        assert script.is_stale("token stale\n")
        assert not script.is_stale("a token stale\n")


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ({"version": 2, "dirty": True}, "Version 2 is dirty"),
        ({"version": 2, "dirty": False}, "INSERT INTO \"a\"\"b\".schema_migrations VALUES ('1'), ('2');"),
        (None, 'CREATE TABLE "a""b".schema_migrations (version varchar PRIMARY KEY);\nCOMMIT;'),
    ],
)
def test_history_of_golang_migrate(row, part):
    history = History("owner", 'a"b', {"version": "bigint", "dirty": "boolean"}, (row,) if row else ())
    with pytest.raises(ComposeFailure) as caught:
        _history.require_ours(history, folder_of(["1", "2", "3"]), "shop")
    assert part in caught.value.message


@pytest.mark.parametrize(("service", "place"), [("db", ("shop-dev", "db")), ("", ("shop-dev-postgres", "postgres"))])
def test_place(service, place):
    assert place_of({"service": service}, "shop-dev") == place
