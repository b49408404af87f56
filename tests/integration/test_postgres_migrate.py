"""Migrations on a real server: each once, whole or not at all, and none that psql would take for its own."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from tests.integration.conftest import (
    REPOSITORY,
    Environment,
    Outcome,
    adhoc,
    ansible_playbook,
    process,
)

DBMATE = "dbmate@2.36.0"
MODULE = "postgres_migrate"
MODULE_ARGV = [sys.executable, "-m", f"ansible_collections.strata.compose.plugins.modules.{MODULE}"]

POSTGRES = {
    "image": "postgres:17",
    "command": ["postgres", "-c", "fsync=off", "-c", "full_page_writes=off"],
    "environment": {"POSTGRES_PASSWORD": "only-for-tests"},
    "tmpfs": ["/var/lib/postgresql/data"],
    "ports": ["127.0.0.1::5432"],
    "shm_size": "256mb",
    "stop_grace_period": "1s",
}


@dataclass
class Database:
    """A database of its own on the server, and a folder with its migrations."""

    environment: Environment
    state_dir: Path
    name: str = field(default_factory=lambda: f"d{uuid.uuid4().hex[:8]}")
    service: str = "postgres"

    @property
    def directory(self) -> Path:
        return self.environment.folder / self.name

    def write(self, **files: str) -> None:
        """Migrations by name: ``_001_users`` is the file ``001_users.sql``."""
        self.directory.mkdir(exist_ok=True)
        for name, text in files.items():
            (self.directory / f"{name.lstrip('_').replace('__', '.')}.sql").write_text(text)

    def options(self, **given: Any) -> dict[str, Any]:
        own = {
            "database": self.name,
            "directory": self.name,
            "service": self.service,
            "state_dir": str(self.state_dir),
            "adopt_from": str(self.environment.state_dir),
        }
        return self.environment.options(MODULE, {**own, **given})

    def migrate(self, *modes: str, **given: Any) -> Outcome:
        return process(MODULE, {**self.options(**given), **{f"_ansible_{mode}": True for mode in modes}})

    def migrate_elsewhere(self, **given: Any) -> Outcome:
        """On another host, as far as locks go: with a state of its own, and a folder for locks of its own."""
        state_dir = self.state_dir.with_name(f"elsewhere{uuid.uuid4().hex[:8]}")
        argv = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs locks /run/lock && exec "$@"', "sh", *MODULE_ARGV]
        arguments = json.dumps({"ANSIBLE_MODULE_ARGS": self.options(state_dir=str(state_dir), **given)})
        variables = {**os.environ, "PYTHONPATH": str(REPOSITORY / ".ansible/collections")}
        done = subprocess.run(argv, input=arguments, capture_output=True, text=True, env=variables, check=False)
        assert done.stdout.startswith("\n{"), done.stdout + done.stderr
        return Outcome({"failed": False, **json.loads(done.stdout)}, done.stdout)

    def succeed(self, **given: Any) -> Outcome:
        outcome = self.migrate(**given)
        assert not outcome.failed, outcome.message
        return outcome

    def down(self, **given: Any) -> Outcome:
        return self.migrate(state="down", confirm=self.environment.name, **given)

    def query(self, sql: str, database: str | None = None) -> list[str]:
        """The lines that a query returns, by the server's own psql."""
        code, printed = self.environment.container("postgres").exec_run(
            ["psql", "-XAtq", "-U", "postgres", "-c", sql], environment={"PGDATABASE": database or self.name}
        )
        assert code == 0, printed
        return str(printed.decode()).splitlines()

    def versions(self) -> list[str]:
        return self.query("SELECT version FROM schema_migrations ORDER BY 1")

    def tables(self) -> list[str]:
        return self.query(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' "
            "AND relname NOT IN ('schema_migrations', 'strata_migrations') ORDER BY 1"
        )

    def sessions(self) -> list[str]:
        return self.query("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'strata-%'")


@pytest.fixture(scope="module")
def server(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """One server for all tests, whose data is in memory."""
    folder = tmp_path_factory.mktemp("server") / f"t{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    made = Environment(folder, folder.parent / "state", engine)
    made.write("compose.yml", {"services": {"postgres": POSTGRES}})
    try:
        made.deploy(wait=False)
        wait_for(lambda: b"ready" in made.container("postgres").logs() and answers(made), 60)
        yield made
    finally:
        made.clean_up()


def answers(environment: Environment) -> bool:
    argv = ["psql", "-XAtq", "-h", "127.0.0.1", "-U", "postgres", "-c", "SELECT 1"]
    return bool(environment.container("postgres").exec_run(argv)[0] == 0)


@pytest.fixture
def database(server: Environment, tmp_path: Path) -> Database:
    """A database whose owner is no superuser and cannot log in."""
    made = Database(server, tmp_path / "state")
    made.query(f"CREATE ROLE {made.name}_owner", "postgres")
    made.query(f"CREATE DATABASE {made.name} OWNER {made.name}_owner", "postgres")
    return made


def wait_for(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def files_of(outcome: Outcome, key: str = "applied") -> list[str]:
    return [each["file"] for each in outcome.result[key]]


def warnings_of(outcome: Outcome) -> list[str]:
    """What Ansible will show as warnings, of which a module tells more than the text."""
    return [each if isinstance(each, str) else each["event"]["msg"] for each in outcome.result.get("warnings", [])]


class TestUp:
    def test_runs_what_is_pending_once_and_in_order(self, database: Database) -> None:
        database.write(
            _001_users="CREATE TABLE users (id int);",
            _002_mail="-- migrate:up\nALTER TABLE users ADD mail text;\n-- migrate:down\nALTER TABLE users DROP mail;",
            _003_posts__up="CREATE TABLE posts (id int);",
            _003_posts__down="DROP TABLE posts;",
        )
        first = database.succeed()
        assert first.changed
        assert files_of(first) == ["001_users.sql", "002_mail.sql", "003_posts.up.sql"]
        assert [each["version"] for each in first.result["applied"]] == ["001", "002", "003"]
        assert all(each["seconds"] < 5 for each in first.result["applied"])
        assert first.result["actions"][0] == {"service": "postgres", "action": "migrate", "reason": "001_users.sql"}
        assert first.result["project"] == database.environment.project
        assert first.result["environment"] == "dev"
        assert first.result["pending"] == []
        assert database.versions() == ["001", "002", "003"]
        assert database.query("SELECT sha256 FROM strata_migrations WHERE version = '001'") == [
            hashlib.sha256(b"CREATE TABLE users (id int);").hexdigest()
        ]
        second = database.succeed()
        assert not second.changed
        assert second.result["actions"] == second.result["applied"] == []

    def test_objects_belong_to_the_owner_of_the_database(self, database: Database) -> None:
        database.write(_1_a="CREATE TABLE a (i int);")
        database.succeed()
        owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        assert database.query(owners) == [f"{database.name}_owner"]

    def test_role_can_be_another_one(self, database: Database) -> None:
        database.query(f'CREATE ROLE "{database.name} other"')
        database.write(_1_a="CREATE TABLE a (i int);")
        refused = database.migrate(role=f"{database.name} other")
        assert refused.failed
        assert "permission denied for schema public (SQLSTATE 42501)" in refused.message
        assert f"run as role {database.name} other" in refused.message
        database.query(f'GRANT CREATE ON SCHEMA public TO "{database.name} other"')
        database.succeed(role=f"{database.name} other")
        assert database.query("SELECT tableowner FROM pg_tables WHERE tablename = 'a'") == [f"{database.name} other"]
        absent = database.migrate(role="nobody")
        assert absent.failed
        assert 'role "nobody" does not exist' in absent.message

    def test_check_mode_lists_and_diff_mode_shows(self, database: Database) -> None:
        database.write(_001_a="CREATE TABLE a (i int);", _002_b="CREATE TABLE b (i int);")
        foreseen = database.migrate("check_mode", "diff")
        assert foreseen.changed
        assert foreseen.result["pending"] == [
            {"version": "001", "file": "001_a.sql"},
            {"version": "002", "file": "002_b.sql"},
        ]
        assert [each["reason"] for each in foreseen.result["actions"]] == ["001_a.sql", "002_b.sql"]
        assert foreseen.result["diff"][0]["after"] == "CREATE TABLE a (i int);\n"
        assert foreseen.result["diff"][0]["after_header"] == "migrate 001_a.sql"
        assert database.query("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace") == []
        done = database.succeed()
        assert done.result["actions"] == foreseen.result["actions"]
        assert not database.migrate("check_mode").changed

    def test_check_mode_before_the_database_is_there(self, database: Database) -> None:
        database.write(_001_a="CREATE TABLE a (i int);")
        absent = database.migrate("check_mode", database="not_yet")
        assert not absent.failed, absent.message
        assert [each["file"] for each in absent.result["pending"]] == ["001_a.sql"]
        assert "has no database not_yet" in warnings_of(absent)[0]
        assert "has no database not_yet. Make it with postgres_env" in database.migrate(database="not_yet").message
        assert not database.migrate("check_mode", service="").failed
        missing = database.migrate(service="")
        assert database.migrate(dedicated=True).message == missing.message
        assert missing.failed
        assert f"service postgres of {database.environment.project}-postgres does not run" in missing.message

    def test_steps_and_to(self, database: Database) -> None:
        database.write(**{f"_{number:03}_t": f"CREATE TABLE t{number} (i int);" for number in range(1, 6)})
        assert files_of(database.succeed(steps=1)) == ["001_t.sql"]
        some = database.succeed(to="3")
        assert files_of(some) == ["002_t.sql", "003_t.sql"]
        assert files_of(some, "pending") == ["004_t.sql", "005_t.sql"]
        assert "there are 5 of them, from 001 to 005" in database.migrate(to="9").message
        assert not database.succeed(to="2").changed

    def test_strange_names_and_settings_of_a_file_that_do_not_reach_the_next(self, database: Database) -> None:
        rename = f'ALTER DATABASE {database.name} RENAME TO "it\'s a=b \\ ""{database.name}"" ü"'
        database.query(rename, "postgres")
        database.name, folder = f'it\'s a=b \\ "{database.name}" ü', database.name
        (database.environment.folder / folder).mkdir()
        text = "SELECT pg_catalog.set_config('search_path', '', false);\nSET ROLE postgres;\nSET lock_timeout = 1;"
        (database.environment.folder / folder / '1 it\'s "odd" $s0$.sql').write_text(text)
        (database.environment.folder / folder / "2_b.sql").write_text("CREATE TABLE b AS SELECT current_user AS who;")
        database.succeed(directory=folder)
        assert database.query("SELECT tableowner FROM pg_tables WHERE tablename = 'b'") == [f"{folder}_owner"]

    def test_own_transaction_of_a_file_is_left_out(self, database: Database) -> None:
        database.write(_1_a__up="BEGIN;\nCREATE TABLE a (i int);\nSELECT 1/0;\nCOMMIT;\n")
        assert database.migrate().result["line"] == 3
        assert database.tables() == []


class TestFailure:
    @pytest.mark.parametrize(
        ("third", "line", "state"),
        [
            ("INSERT INTO b\n  SELECT * FROM\n  nosuch;", 7, "42P01"),
            ("SELECT 1,\n  2/0;", 5, "22012"),
            ("CREATE TABLE a (i int);", 5, "42P07"),
            ("DO $$\nBEGIN\n  PERFORM nosuch();\nEND $$;", 5, "42883"),
            ("SELEC 1;", 5, "42601"),
        ],
    )
    def test_names_file_line_and_code_and_leaves_nothing(
        self, database: Database, third: str, line: int, state: str
    ) -> None:
        database.write(
            _001_fine="CREATE TABLE fine (i int);",
            _002_bad=f"-- a comment; it's one\nCREATE TABLE a (i int);\n\nCREATE TABLE b (i int);\n{third}\n"
            "CREATE TABLE d (i int);\nCREATE TABLE e (i int);",
            _003_later="CREATE TABLE later (i int);",
        )
        outcome = database.migrate()
        assert outcome.failed
        assert outcome.message.startswith(f"002_bad.sql line {line}: ")
        assert f"(SQLSTATE {state})" in outcome.message
        assert "Nothing of this file was kept. Done before it, and kept: 001_fine.sql." in outcome.message
        assert (outcome.result["file"], outcome.result["line"]) == ("002_bad.sql", line)
        assert outcome.result["sqlstate"] == state
        assert outcome.changed
        assert files_of(outcome) == ["001_fine.sql"]
        assert files_of(outcome, "pending") == ["002_bad.sql", "003_later.sql"]
        assert outcome.result["failed_services"][0]["service"] == "postgres"
        assert database.tables() == ["fine"]
        assert database.versions() == ["001"]
        database.write(_002_bad="CREATE TABLE a (i int);")
        assert files_of(database.succeed()) == ["002_bad.sql", "003_later.sql"]

    def test_error_at_the_end_of_a_file_is_told_as_such(self, database: Database) -> None:
        database.write(
            _1_a="CREATE TABLE a (i int PRIMARY KEY);"
            "CREATE TABLE b (i int REFERENCES a DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO b VALUES (1);"
        )
        outcome = database.migrate()
        assert outcome.message.startswith("1_a.sql, at its end: ")
        assert outcome.result["sqlstate"] == "23503"
        assert database.tables() == []

    def test_nothing_in_a_file_means_anything_to_psql(self, database: Database, server: Environment) -> None:
        for text in (
            "\\! touch /tmp/pwned",
            "SELECT 1;\n\\! touch /tmp/pwned",
            "SELECT $s0$ $s1$ \\! touch /tmp/pwned",
        ):
            database.write(_1_a=text)
            outcome = database.migrate()
            assert outcome.failed
            assert "syntax error" in outcome.message or "not closed" in outcome.message
        database.write(
            _1_a="CREATE TABLE a AS SELECT ':database'::text AS t, $s0$\\! touch /tmp/pwned\n\\q$s0$::text AS u;"
            "SELECT 'SELECT 1/0' \\gexec"
        )
        assert 'syntax error at or near "\\"' in database.migrate().message
        database.write(
            _1_a="CREATE TABLE a AS SELECT ':database'::text AS t, $s0$\\! touch /tmp/pwned\n\\q$s0$::text AS u"
        )
        database.succeed()
        assert database.query("SELECT t FROM a") == [":database"]
        assert "pwned" not in server.inside("postgres", "ls", "/tmp")

    def test_all_errors_of_all_files_are_told_before_the_database_is_touched(self, database: Database) -> None:
        database.write(
            _1_a="CREATE TABLE a (i int);",
            _02_a="SELECT 'open",
            _2_b="-- +goose Up\nSELECT 1;",
            _9_c="SELECT 1;",
            _10_d="-- migrate:up\nSELECT 1;\nCOMMIT;\n",
            _11_e__down="SELECT 1;",
            _12_f="COPY a FROM stdin;\n1\n\\.\n",
        )
        outcome = database.migrate()
        assert outcome.failed
        told = "\n".join(outcome.result["problems"])
        for part in (
            "02_a.sql:1: a quote is opened and not closed",
            "2_b.sql:1: `-- +goose Up` is a directive of goose",
            "10_d.sql:3: COMMIT would end the transaction",
            "12_f.sql:1: COPY ... FROM stdin has no input here",
            "02_a.sql and 2_b.sql: both are version 2",
            "give all versions the same number of digits",
            "11_e.down.sql: there is no file with the way up of version 11",
        ):
            assert part in told
            assert part in outcome.message
        assert database.query("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace") == []

    def test_modified_file(self, database: Database) -> None:
        database.write(_001_a="CREATE TABLE a (i int);\n", _002_b="CREATE TABLE b (i int);\n")
        database.succeed()
        (database.directory / "001_a.sql").write_bytes(b"\xef\xbb\xbfCREATE TABLE a (i int);\r\n")
        assert not database.succeed().changed, "line ends and a byte order mark do not count"
        database.write(_001_a="CREATE TABLE a (i bigint);\n", _003_c="CREATE TABLE c (i int);")
        for mode in ((), ("check_mode",)):
            outcome = database.migrate(*mode)
            assert outcome.failed
            assert outcome.message.startswith("001_a.sql: modified after being applied to the database.")
            assert outcome.result["modified"] == ["001_a.sql"]
        assert database.versions() == ["001", "002"]
        warned = database.succeed(modified="warn", steps=1)
        assert warnings_of(warned) == ["001_a.sql: modified after being applied to the database."]
        accepted = database.succeed(modified="accept")
        assert [(each["action"], each["reason"]) for each in accepted.result["actions"]] == [("accept", "001_a.sql")]
        assert not database.succeed().changed

    def test_missing_and_late_files(self, database: Database) -> None:
        database.write(_001_a="CREATE TABLE a (i int);", _005_b="CREATE TABLE b (i int);", notes="SELECT 1;")
        told = warnings_of(database.succeed())
        assert told == [f"notes.sql in {database.directory} has no number at its beginning, so it is no migration."]
        (database.directory / "notes.sql").unlink()
        (database.directory / "001_a.sql").unlink()
        database.write(_003_late="CREATE TABLE late (i int);")
        outcome = database.migrate()
        assert outcome.failed
        assert outcome.message.startswith("003_late.sql: comes before version 005, which is applied already")
        allowed = database.succeed(out_of_order="allow")
        assert files_of(allowed) == ["003_late.sql"]
        assert warnings_of(allowed) == ["applied, and the file is missing: 001_a.sql."]

    def test_timeouts(self, database: Database) -> None:
        database.write(_001_a="CREATE TABLE a (i int);", _002_b="SELECT pg_sleep(30);")
        outcome = database.migrate(statement_timeout=1)
        assert outcome.result["sqlstate"] == "57014"
        assert "longer than statement_timeout (1 s)" in outcome.message
        database.write(_002_b="ALTER TABLE a ADD j int;")
        with holding(database, "BEGIN; LOCK TABLE a;"):
            outcome = database.migrate(lock_timeout=1)
        assert outcome.result["sqlstate"] == "55P03"
        assert "held a lock for longer than lock_timeout (1 s)" in outcome.message
        assert "Nothing was changed" not in outcome.message
        database.write(_002_b="SELECT pg_sleep(30);")
        outcome = database.migrate(command_timeout=3)
        assert outcome.result["error_kind"] == "timeout"
        assert "002_b.sql is not applied, and nothing of it was kept" in outcome.message
        assert database.sessions() == []

    def test_foreign_history(self, database: Database) -> None:
        database.query("CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL)")
        database.query(f"ALTER TABLE schema_migrations OWNER TO {database.name}_owner")
        database.query("INSERT INTO schema_migrations VALUES (2, true)")
        database.write(**{f"_{number:06}_t__up": f"CREATE TABLE t{number} (i int);" for number in (1, 2, 3)})
        assert "Version 2 is dirty" in database.migrate().message
        database.query("UPDATE schema_migrations SET dirty = false")
        outcome = database.migrate("check_mode")
        assert outcome.failed
        assert "belongs to golang-migrate" in outcome.message
        start, end = outcome.message.index("BEGIN;"), outcome.message.index("COMMIT;")
        database.query(f"SET ROLE {database.name}_owner;" + outcome.message[start : end + 7])
        assert files_of(database.succeed()) == ["000003_t.up.sql"]
        assert database.versions() == ["000001", "000002", "000003"]
        database.query("DROP TABLE schema_migrations")
        database.query("CREATE TABLE schema_migrations (version bigint PRIMARY KEY, inserted_at timestamp)")
        refused = database.migrate()
        assert refused.result["sqlstate"] == "42501"
        assert f"ALTER TABLE public.schema_migrations OWNER TO {database.name}_owner" in refused.message
        database.query(f"ALTER TABLE schema_migrations OWNER TO {database.name}_owner")
        assert "belongs to another tool: it has the columns version bigint, inserted_at" in database.migrate().message


class TestDown:
    def write(self, database: Database) -> None:
        database.write(
            **{
                f"_{number:03}_t": f"-- migrate:up\nCREATE TABLE t{number} (i int);\n"
                f"-- migrate:down\nDROP TABLE t{number};\n"
                for number in (1, 2, 3, 4)
            }
        )

    def test_reverts_the_last_ones(self, database: Database) -> None:
        self.write(database)
        database.succeed()
        unconfirmed = database.migrate(state="down")
        assert unconfirmed.failed
        assert "say so with confirm=dev" in unconfirmed.message
        foreseen = database.migrate("check_mode", "diff", state="down", confirm="dev")
        assert foreseen.result["diff"][0]["after"] == "DROP TABLE t4;\n"
        one = database.down()
        assert one.result["actions"] == [{"service": "postgres", "action": "revert", "reason": "004_t.sql"}]
        assert foreseen.result["actions"] == one.result["actions"]
        assert files_of(one, "reverted") == files_of(one, "pending") == ["004_t.sql"]
        assert database.tables() == ["t1", "t2", "t3"]
        assert files_of(database.down(steps=2), "reverted") == ["003_t.sql", "002_t.sql"]
        assert files_of(database.succeed()) == ["002_t.sql", "003_t.sql", "004_t.sql"]
        assert files_of(database.down(to="3"), "reverted") == ["004_t.sql"]
        assert not database.down(to="3").changed
        assert files_of(database.down(to="0"), "reverted") == ["003_t.sql", "002_t.sql", "001_t.sql"]
        assert not database.down().changed
        assert database.versions() == database.tables() == []

    def test_refuses_without_a_way_down_before_anything(self, database: Database) -> None:
        self.write(database)
        database.write(_002_t="CREATE TABLE t2 (i int);")
        database.succeed()
        outcome = database.down(steps=4)
        assert outcome.failed
        assert "002_t.sql has no way down" in outcome.message
        (database.directory / "003_t.sql").unlink()
        assert (
            "version 003 is applied and its file is missing; 002_t.sql has no way down" in database.down(to="1").message
        )
        assert database.versions() == ["001", "002", "003", "004"]

    def test_failure_keeps_the_file_applied(self, database: Database) -> None:
        database.write(
            _1_a__up="CREATE TABLE a (i int);", _1_a__down="CREATE TABLE b (i int);\nDROP TABLE a;\nDROP TABLE nosuch;"
        )
        database.succeed()
        outcome = database.down()
        assert outcome.message.startswith("1_a.down.sql line 3: ")
        assert database.tables() == ["a"]
        assert database.versions() == ["1"]


class TestWithoutTransaction:
    def test_single_and_several_statements(self, database: Database) -> None:
        database.write(
            _1_a="CREATE TABLE a (i int, j int);",
            _2_one="-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY one ON a (i);\n"
            "-- migrate:down transaction:false\nDROP INDEX CONCURRENTLY one;\n",
            _3_two="-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY two ON a (j);\nVACUUM a;\n"
            "CREATE INDEX CONCURRENTLY three ON a (i, j);\n-- migrate:down\nDROP INDEX two, three;\n",
        )
        database.succeed()
        assert database.query("SELECT indexname FROM pg_indexes WHERE tablename = 'a' ORDER BY 1") == [
            "one",
            "three",
            "two",
        ]
        assert database.query("SELECT DISTINCT state FROM strata_migrations") == ["applied"]
        assert files_of(database.down(steps=2), "reverted") == ["3_two.sql", "2_one.sql"]
        assert database.query("SELECT indexname FROM pg_indexes WHERE tablename = 'a'") == []

    def test_what_needs_it_is_told(self, database: Database) -> None:
        database.write(_1_a="CREATE TABLE a (i int);", _2_b="CREATE INDEX CONCURRENTLY b ON a (i);")
        outcome = database.migrate()
        assert outcome.result["sqlstate"] == "25001"
        assert "begins with `-- migrate:up transaction:false`" in outcome.message

    def test_invalid_index_is_told_with_its_repair_and_not_taken_for_done(self, database: Database) -> None:
        database.write(
            _1_a="CREATE TABLE a (i int);\nINSERT INTO a VALUES (1), (1);",
            _2_b="-- migrate:up transaction:false\nCREATE TABLE b (i int);\n"
            'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "odd One"\n ON a (i);',
        )
        outcome = database.migrate()
        assert outcome.message.startswith("2_b.sql line 3: could not create unique index")
        assert outcome.result["invalid_indexes"] == ['public."odd One"']
        assert 'DROP INDEX CONCURRENTLY public."odd One";' in outcome.message
        assert "its statements before line 3 stay" in outcome.message
        assert database.versions() == ["1"]
        assert database.query("SELECT state FROM strata_migrations WHERE version = '2'") == ["started"]
        database.query("DELETE FROM a; DROP TABLE b")
        again = database.migrate()
        assert again.failed
        assert again.message.startswith("2_b.sql was begun outside of a transaction on ")
        assert 'DROP INDEX CONCURRENTLY public."odd One";' in again.message
        assert not again.changed
        database.query('DROP INDEX CONCURRENTLY public."odd One"')
        assert files_of(database.succeed()) == ["2_b.sql"]
        assert database.query("SELECT indisvalid FROM pg_index WHERE indrelid = 'a'::regclass") == ["t"]


class holding:  # noqa: N801 - reads as a word in a with statement
    """A session that holds what its statements take, until the block ends."""

    def __init__(self, database: Database, sql: str) -> None:
        self.database, self.sql = database, sql

    def __enter__(self) -> None:
        argv = ["docker", "exec", "-i", self.database.environment.container("postgres").id]
        argv += ["psql", "-XAtq", "-U", "postgres", "-d", self.database.name]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{self.sql}\n\\echo ready\n")
        self.process.stdin.flush()
        end = threading.Timer(60, self.process.kill)
        end.start()
        is_ready = any("ready" in line for line in self.process.stdout)
        end.cancel()
        assert is_ready, "the session ended, or did not get what it is to hold"

    def __exit__(self, *_error: object) -> None:
        self.process.communicate("", timeout=30)


def started(database: Database, **given: Any) -> subprocess.Popen[str]:
    """The module as a process of its own."""
    variables = {**os.environ, "PYTHONPATH": str(REPOSITORY / ".ansible/collections")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen(MODULE_ARGV, **pipes, text=True, env=variables, start_new_session=True)
    assert process.stdin
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": database.options(**given)}))
    process.stdin.close()
    return process


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a module told that was started before."""
    assert process.stdout
    with process.stdout:
        told: dict[str, Any] = json.loads(process.stdout.read())
    process.wait(20)
    return told


class TestCutOff:
    def write(self, database: Database, seconds: float = 3) -> None:
        database.write(
            _1_a="CREATE TABLE a (i int);",
            _2_slow=f"CREATE TABLE slow (i int);\nSELECT pg_sleep({seconds});\nCREATE TABLE end_of_slow (i int);",
            _3_c="CREATE TABLE c (i int);",
        )

    def wait_for_slow(self, database: Database) -> None:
        wait_for(lambda: database.query("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(%'"))

    def test_killed_module_leaves_whole_files_and_the_next_run_waits(self, database: Database) -> None:
        self.write(database)
        process = started(database)
        self.wait_for_slow(database)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        assert database.tables() == ["a"]
        assert database.versions() == ["1"]
        refused = database.migrate()
        assert refused.failed
        assert refused.result["error_kind"] == "locked"
        database.succeed(lock_wait=30)
        assert database.tables() == ["a", "c", "end_of_slow", "slow"]
        assert database.versions() == ["1", "2", "3"]
        assert database.sessions() == []

    def test_killed_client_leaves_whole_files_and_the_next_run_waits(self, database: Database) -> None:
        self.write(database)
        process = started(database)
        self.wait_for_slow(database)
        for child in children(process.pid):
            os.kill(child, signal.SIGKILL)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        refused = database.migrate_elsewhere()
        assert refused.failed
        assert "under way elsewhere: session" in refused.message
        waited = database.migrate_elsewhere(lock_wait=30)
        assert not waited.failed, waited.message
        assert database.tables() == ["a", "c", "end_of_slow", "slow"]
        assert database.versions() == ["1", "2", "3"]

    def test_cancelled_module_takes_back_the_file_that_it_is_at(self, database: Database) -> None:
        self.write(database, 60)
        process = started(database)
        self.wait_for_slow(database)
        os.kill(process.pid, signal.SIGTERM)
        told = ended(process)
        assert told["failed"]
        assert told["error_kind"] == "cancelled"
        assert "2_slow.sql is not applied, and nothing of it was kept" in told["msg"]
        assert [each["file"] for each in told["applied"]] == ["1_a.sql"]
        assert database.tables() == ["a"]
        assert database.sessions() == []

    def test_ended_session_is_told(self, database: Database) -> None:
        self.write(database, 60)
        process = started(database)
        self.wait_for_slow(database)
        database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'strata-%'")
        told = ended(process)
        assert told["failed"]
        assert "were cut off" in told["msg"]
        assert "2_slow.sql is not applied" in told["msg"]
        assert database.versions() == ["1"]
        self.write(database, 0)
        database.succeed()

    @pytest.mark.thorough
    def test_killed_at_random_moments_nothing_is_half_recorded(self, database: Database) -> None:
        """Now the module first, now its client, now psql in the container."""
        chance = random.Random(os.environ["CANARY_SEED"])
        database.query(f"CREATE TABLE log (file text); ALTER TABLE log OWNER TO {database.name}_owner")
        names = [f"{number:02}_t" for number in range(1, 61)]
        for name in names:
            text = f"INSERT INTO log VALUES ('{name}');\nSELECT pg_sleep(0.05);\nCREATE TABLE t{name} (i int);"
            database.write(**{f"_{name}": text})
        for _turn in range(10):
            process = started(database, lock_wait=30)
            wait_for(lambda started=process: database.sessions() or started.poll() is not None)
            time.sleep(chance.uniform(0, 0.2))
            victims = chance.sample([process.pid, *children(process.pid)], chance.randint(0, 1))
            for victim in victims if process.poll() is None else ():
                os.kill(victim, signal.SIGKILL)
            database.environment.inside("postgres", "sh", "-c", KILL_PSQL)
            process.kill()
            process.wait(10)
            wait_for(lambda: not database.sessions())
            kept = database.query("SELECT file FROM log ORDER BY 1")
            assert kept == names[: len(kept)]
            if kept:
                assert database.versions() == [name[:2] for name in kept]
            assert database.tables() == ["log", *(f"t{name}" for name in kept)]
        database.succeed(lock_wait=30)
        assert database.query("SELECT file FROM log ORDER BY 1") == names


KILL_PSQL = 'for each in /proc/[0-9]*; do [ "$(cat $each/comm)" != psql ] || kill -9 ${each#/proc/}; done; true'


def children(pid: int) -> list[int]:
    told = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(each) for each in told.read_text().split()] if told.exists() else []


class TestMany:
    @pytest.mark.parametrize("shares_lock", [True, False], ids=["one host", "several hosts"])
    def test_five_at_once_apply_each_file_once(self, database: Database, shares_lock: bool) -> None:
        """On one host they wait for the project's lock, from several hosts for that of the database."""
        database.query("CREATE TABLE log (version text)")
        database.query(f"ALTER TABLE log OWNER TO {database.name}_owner")
        for number in range(1, 11):
            text = f"INSERT INTO log VALUES ('{number}');\nCREATE TABLE t{number} (i int);\nSELECT pg_sleep(0.05);"
            if number % 3 == 0:
                text = (
                    f"-- migrate:up transaction:false\nINSERT INTO log VALUES ('{number}');\n"
                    f"CREATE INDEX CONCURRENTLY i{number} ON t{number - 1} (i);"
                )
            database.write(**{f"_{number:02}_t": text})
        migrate = database.migrate if shares_lock else database.migrate_elsewhere
        with ThreadPoolExecutor(5) as pool:
            runs = list(pool.map(lambda _number: migrate(lock_wait=60), range(5)))
        assert [each.message for each in runs if each.failed] == []
        assert sorted(file for each in runs for file in files_of(each)) == [
            f"{number:02}_t.sql" for number in range(1, 11)
        ]
        assert [each.changed for each in runs].count(True) == 1
        assert database.query("SELECT version FROM log ORDER BY version::int") == [str(n) for n in range(1, 11)]
        assert database.query("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == ["0"]

    def test_two_hundred_files_take_less_than_five_seconds(self, database: Database) -> None:
        database.write(
            **{
                f"_{number:03}_t": f"CREATE TABLE t{number} (id bigint PRIMARY KEY, name text);\n"
                f"CREATE INDEX ON t{number} (name);\nINSERT INTO t{number} VALUES (1, 'a');"
                for number in range(1, 201)
            }
        )
        began = time.monotonic()
        outcome = database.succeed()
        seconds = time.monotonic() - began
        print(f"200 files: {seconds:.2f} s")
        assert len(outcome.result["applied"]) == 200
        assert seconds < 5


@pytest.fixture(scope="module")
def dbmate() -> Path:
    """dbmate's own binary, from its npm package, kept in the repository's cache."""
    folder = REPOSITORY / ".cache" / DBMATE
    program = folder / "node_modules/.bin/dbmate"
    if not program.exists():
        argv = ["npm", "install", "--no-audit", "--no-fund", "--no-save", "--prefix", str(folder), DBMATE]
        subprocess.run(argv, check=True, capture_output=True, timeout=300)
    return program


class TestDbmate:
    FILES = (
        ("20250101_users", "-- migrate:up\nCREATE TABLE users (id int);\n\n-- migrate:down\nDROP TABLE users;\n"),
        (
            "20250102_index",
            "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY users_id ON users (id);\n\n"
            "-- migrate:down transaction:false\nDROP INDEX CONCURRENTLY users_id;\n",
        ),
        (
            "20250103_function",
            "-- a comment before\n-- migrate:up\nCREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n"
            "  RETURN 1; -- it's one\nEND $$;\nINSERT INTO users VALUES (f());\n-- migrate:down\nDROP FUNCTION f();\n",
        ),
    )

    def run(self, program: Path, database: Database, *argv: str) -> str:
        (binding,) = database.environment.container("postgres").ports["5432/tcp"]
        address = f"postgres://{database.name}_owner:secret@127.0.0.1:{binding['HostPort']}/{database.name}"
        options = [
            "--no-dump-schema",
            "--migrations-dir",
            str(database.directory),
            "--url",
            f"{address}?sslmode=disable",
        ]
        completed = subprocess.run([str(program), *options, *argv], capture_output=True, text=True, check=False)
        assert completed.returncode == 0, completed.stderr
        return completed.stdout

    @pytest.fixture
    def shared(self, database: Database) -> Database:
        database.query(f"ALTER ROLE {database.name}_owner LOGIN PASSWORD 'secret'")
        database.write(**{f"_{name}": text for name, text in self.FILES})
        return database

    def test_agrees_with_what_we_applied_and_reverted(self, shared: Database, dbmate: Path) -> None:
        shared.succeed()
        status = self.run(dbmate, shared, "status")
        assert "Applied: 3" in status
        assert "Pending: 0" in status
        assert self.run(dbmate, shared, "up") == ""
        shared.down()
        assert "[ ] 20250103_function.sql" in self.run(dbmate, shared, "status")
        self.run(dbmate, shared, "rollback")
        assert shared.versions() == ["20250101"]
        shared.write(_20250104_more="-- migrate:up\nCREATE TABLE more (i int);\n-- migrate:down\nDROP TABLE more;\n")
        assert files_of(shared.succeed()) == ["20250102_index.sql", "20250103_function.sql", "20250104_more.sql"]
        for _number in range(4):
            self.run(dbmate, shared, "rollback")
        assert shared.tables() == shared.versions() == []
        assert len(files_of(shared.succeed())) == 4

    def test_is_agreed_with(self, shared: Database, dbmate: Path) -> None:
        self.run(dbmate, shared, "up")
        kind = "SELECT data_type, character_maximum_length FROM information_schema.columns WHERE table_name = '{}'"
        made_by_dbmate = shared.query(kind.format("schema_migrations"))
        foreseen = shared.migrate("check_mode")
        assert not foreseen.changed
        assert foreseen.result["pending"] == []
        adopted = shared.succeed()
        assert not adopted.changed
        assert adopted.result["adopted"] == [f"{name}.sql" for name, _text in self.FILES]
        assert shared.succeed().result["adopted"] == []
        assert files_of(shared.down(to="0"), "reverted") == [f"{name}.sql" for name, _text in self.FILES[::-1]]
        shared.query("DROP TABLE schema_migrations, strata_migrations")
        shared.succeed()
        assert shared.query(kind.format("schema_migrations")) == made_by_dbmate
        assert "Pending: 0" in self.run(dbmate, shared, "status")


def inventory(database: Database) -> str:
    own = {"project_dir": str(database.environment.folder), "environment": "dev", "state_dir": str(database.state_dir)}
    own["adopt_from"] = str(database.environment.state_dir)
    shared = {f"compose_env_{name}": value for name, value in own.items()}
    named = {"postgres_database": database.name, "postgres_migrate_directory": database.name}
    return yaml.safe_dump({"all": {"hosts": {"here": {"ansible_connection": "local", **shared, **named}}}})


def test_playbooks_and_variables(database: Database, tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text(inventory(database))
    database.write(_1_a__up="CREATE TABLE a (i int);", _1_a__down="DROP TABLE a;")

    def play(name: str, *flags: str) -> str:
        done = ansible_playbook("-i", tmp_path / "hosts.yml", f"strata.compose.{name}", *flags)
        return done.stdout + done.stderr

    assert "migrate    postgres       1_a.up.sql" in play("migrate", "--check", "--diff")
    assert database.tables() == []
    assert "migrate    postgres       1_a.up.sql" in play("migrate")
    assert "nothing to do" in play("migrate")
    assert "say so with confirm=dev" in play("migrate_down")
    assert "revert     postgres       1_a.down.sql" in play("migrate_down", "-e", "postgres_migrate_confirm=dev")
    assert database.tables() == []
    log = (database.state_dir / database.environment.project / "audit.log").read_text().splitlines()
    assert [json.loads(line)["actions"] for line in log] == [["migrate 1_a.up.sql"], ["revert 1_a.down.sql"]]


def test_log_that_cannot_be_written_makes_no_failure(database: Database) -> None:
    database.write(_1_a="CREATE TABLE a (i int);")
    assert not database.migrate().failed
    log = database.state_dir / database.environment.project / "audit.log"
    log.unlink()
    log.symlink_to("/dev/full")
    database.write(_2_b="CREATE TABLE b (i int);", _3_c="CREATE TABLE b (i int);")
    outcome = database.migrate()
    assert outcome.message.startswith("3_c.sql line 1")
    assert files_of(outcome) == ["2_b.sql"]
    assert "No space left on device" in str(outcome.result["warnings"])
    database.write(_3_c="CREATE TABLE c (i int);")
    outcome = database.succeed()
    assert files_of(outcome) == ["3_c.sql"]
    assert "No space left on device" in str(outcome.result["warnings"])


def test_options_of_every_module_on_databases(database: Database) -> None:
    database.write(_1_a="CREATE TABLE a (i int);")
    given = database.options(
        docker_host="unix:///var/run/docker.sock",
        project_name=database.environment.project,
        actor="alice",
        env_files=["secret.env"],
    )
    database.environment.write("secret.env", "DB_PASSWORD=topsecret-migrate\n")
    database.write(_2_b="SELECT 'topsecret-migrate' / 0;")
    outcome = adhoc(MODULE, given, "--diff")
    assert outcome.failed
    assert "topsecret-migrate" not in outcome.printed
    assert database.query("SELECT actor FROM strata_migrations") == ["alice"]
