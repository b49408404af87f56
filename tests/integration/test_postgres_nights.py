"""Nights with a wrong clock, a full server for the test, a locked table: nothing good goes, and failures are told."""

from __future__ import annotations

import contextlib
import subprocess
import time
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import docker
import pytest

from tests.integration.conftest import Environment, process
from tests.integration.postgres_backups import BIG, Postgres
from tests.integration.postgres_nights import (
    Nights,
    manifest,
    require_kept_with_full_server,
    require_kept_with_wrong_clocks,
)

ROWS = 400_000
"""About 60 MB, for which the server of the test has no room."""


@pytest.fixture(scope="module")
def started(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    root = tmp_path_factory.mktemp("pg")
    folder = root / f"t{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    environment = Environment(folder, root / "state", engine)
    try:
        Postgres(environment).begin()
        yield environment
    finally:
        environment.clean_up()


@pytest.fixture
def postgres(started: Environment, tmp_path: Path) -> Postgres:
    found = Postgres(started, f"shop_{uuid.uuid4().hex[:6]}")
    found.folder = tmp_path / "backups"
    found.make()
    return found


@contextlib.contextmanager
def locked(postgres: Postgres, table: str) -> Iterator[None]:
    """A session that holds an exclusive lock on a table."""
    argv = ["docker", "exec", "-i", "-e", f"PGDATABASE={postgres.database}", "-e", "PGAPPNAME=holder"]
    argv += [postgres.container, "psql", "-XqAt", "-U", "postgres"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdin
        assert session.stdout
        session.stdin.write(f"BEGIN; LOCK {table}; SELECT 'held';\n")
        session.stdin.flush()
        assert session.stdout.readline() == "held\n"
        try:
            yield
        finally:
            session.stdin.close()


def test_wrong_clock_costs_no_backup(postgres: Postgres, tmp_path: Path) -> None:
    require_kept_with_wrong_clocks(postgres, tmp_path, 5, "nights")


def test_backup_of_an_earlier_version_from_the_future_costs_none(postgres: Postgres, tmp_path: Path) -> None:
    nights = Nights(postgres, tmp_path, keep_last=1, keep_daily=0, keep_weekly=0, keep_monthly=0)
    assert nights.night(datetime(2035, 1, 1, 2, 30)).returncode == 0
    (old,) = nights.made
    text = "\n".join(line for line in old.with_suffix(".json").read_text().splitlines() if '"number"' not in line)
    old.with_suffix(".json").write_text(text)
    done = nights.night(datetime(2026, 11, 21, 2, 30))
    assert "check the clock" in done.stderr
    assert postgres.dumps() == [nights.made[-1]], "the one made last stays"
    assert manifest(nights.made[-1])["number"] == 1


def test_full_server_of_the_test_costs_no_backup(postgres: Postgres, tmp_path: Path) -> None:
    postgres.sql(BIG.format(rows=ROWS))
    require_kept_with_full_server(postgres, tmp_path, 4, "75m")


def test_database_in_a_tablespace_is_tested(postgres: Postgres) -> None:
    place = f"/tmp/{postgres.database}"
    subprocess.run(["docker", "exec", "-u", "postgres", postgres.container, "mkdir", place], check=True)
    postgres.sql(f"CREATE TABLESPACE {postgres.database} LOCATION '{place}'")
    postgres.sql(f"ALTER TABLE orders SET TABLESPACE {postgres.database}")
    postgres.back_up()
    assert postgres.back_up(state="verified").result["verified"] == "restore"
    postgres.sql(f"ALTER TABLE orders SET TABLESPACE pg_default; DROP TABLESPACE {postgres.database}")


def test_killed_server_of_the_test_says_nothing_of_the_backup(postgres: Postgres) -> None:
    postgres.sql(BIG.format(rows=ROWS))
    dump = Path(postgres.back_up().result["file"])
    label = {"label": f"strata.compose.verifies={postgres.environment.project}"}
    running = postgres.start("postgres_backup", state="verified")
    while not (found := postgres.environment.engine.containers.list(filters=label)):
        assert running.poll() is None
        time.sleep(0.01)
    while "pg_restore" not in str(found[0].top()["Processes"]):
        assert running.poll() is None
        time.sleep(0.01)
    found[0].kill()
    printed, _errors = running.communicate()
    assert "could not be tested" in printed
    assert manifest(dump)["verification"] is None


def test_locked_table_fails_the_backup_of_the_night_loudly(postgres: Postgres, tmp_path: Path) -> None:
    nights = Nights(postgres, tmp_path)
    assert nights.night(datetime(2026, 11, 21, 2, 30)).returncode == 0
    began = time.monotonic()
    with locked(postgres, "orders"), pytest.raises(ValueError, match="not enough values"):
        nights.night(datetime(2026, 11, 22, 2, 30))
    assert time.monotonic() - began < 60
    with locked(postgres, "orders"):
        outcome = postgres.run("postgres_backup")
    assert outcome.failed
    assert "lock timeout" in outcome.message
    assert "(holder, since" in outcome.message
    assert outcome.result["error_kind"] == "lock_timeout"
    assert postgres.dumps() == nights.made
    told = process("compose_env_info", postgres.environment.options("compose_env_info", {"gather": ["backups"]}))
    (entry,) = [each for each in told.result["backups"] if each["database"] == postgres.database]
    assert (entry["operation"], entry["outcome"]) == ("backup", "failed")
    assert "lock timeout" in entry["cause"]
    postgres.back_up()
    told = process("compose_env_info", postgres.environment.options("compose_env_info", {"gather": ["backups"]}))
    (entry,) = [each for each in told.result["backups"] if each["database"] == postgres.database]
    assert (entry["outcome"], entry["file"]) == ("good", str(postgres.dumps()[-1]))


def test_whole_operation_has_a_limit(postgres: Postgres) -> None:
    """Everything together takes no longer, and nothing is left at work in the server."""
    postgres.sql(BIG.format(rows=ROWS))
    outcome = postgres.run("postgres_backup", time_limit=1)
    assert outcome.failed
    assert "time_limit" in outcome.message
    assert outcome.result["error_kind"] == "timeout"
    assert postgres.dumps() == postgres.partials() == []
    assert postgres.sessions() == []
