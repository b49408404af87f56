"""Backups of a real Postgres: complete or not there, kept as long as wanted, and restored for a test."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from tests import processes
from tests.integration.conftest import Environment, adhoc
from tests.integration.postgres_backups import BIG, ROWS, SHOP, Postgres

STRANGE = "a=b 'x' \\ \"q\" $s0$ ü " + "z" * 30
"""A name with all that could be misread, of nearly 63 bytes."""


@pytest.fixture(scope="module")
def started(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """One server for all tests of this file; each has its own databases and backups."""
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
    """A database of the test's own, with a folder for its backups that does not exist yet."""
    found = Postgres(started, f"shop_{uuid.uuid4().hex[:6]}")
    found.folder = tmp_path / "deep" / "backups"
    found.make(SHOP)
    return found


def manifest_of(path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(path).with_suffix(".json").read_text())
    return found


def test_backup_is_private_whole_and_told(postgres: Postgres) -> None:
    postgres.sql(
        f'ALTER DATABASE {postgres.database} SET search_path TO "$user", "a,b", public;'
        f"ALTER DATABASE {postgres.database} CONNECTION LIMIT 7; COMMENT ON DATABASE {postgres.database} IS 'hi';"
    )
    planned = postgres.run("postgres_backup", "check")
    assert planned.changed
    assert not postgres.folder.exists()
    outcome = postgres.back_up()
    assert outcome.changed
    assert outcome.actions == {("postgres", "backup")}
    assert outcome.result["rows"] == ROWS
    assert outcome.result["migrations"] == {"public.schema_migrations": "002"}
    (told,) = outcome.result["services"]
    assert (told["service"], told["state"], told["image"]) == ("postgres", "running", "postgres:17")
    assert outcome.result["release"] is None, "it was started by hand"
    (dump,) = postgres.dumps()
    assert outcome.result["file"] == str(dump)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (postgres.folder, dump, dump.with_suffix(".json"))] == [
        0o700,
        0o600,
        0o600,
    ]
    assert {each.name for each in postgres.folder.iterdir()} == {dump.name, dump.with_suffix(".json").name}
    postgres.require_whole_backups()
    manifest = manifest_of(str(dump))
    assert (manifest["verified"], manifest["compression"], manifest["actor"]) == ("decode", "zstd:1", "alice")
    database = manifest["database"]
    assert (database["connection_limit"], database["comment"], database["encoding"]) == (7, "hi", "UTF8")
    assert database["settings"] == [[None, 'search_path="$user", "a,b", public']]
    assert "canary-superuser" not in json.dumps(manifest) + outcome.printed
    assert postgres.sessions() == []
    state = postgres.environment.state_dir / postgres.environment.project
    assert "postgres_backup" in (state / "audit.log").read_text()


def test_strange_names(started: Environment, tmp_path: Path) -> None:
    postgres = Postgres(started, STRANGE)
    postgres.folder = tmp_path
    postgres.make(SHOP)
    assert postgres.back_up().result["rows"] == ROWS
    assert postgres.back_up(state="verified").result["verified"] == "restore"


def test_database_that_is_not_there(postgres: Postgres) -> None:
    outcome = postgres.run("postgres_backup", database="nope")
    assert outcome.failed
    assert "has no database nope, it has" in outcome.message
    assert postgres.database in outcome.message
    outcome = postgres.run("postgres_backup", service="elsewhere")
    assert "service elsewhere of" in outcome.message
    for options in ({"dedicated": True}, {"service": ""}):
        outcome = postgres.run("postgres_backup", **options)
        assert f"service postgres of {postgres.environment.project}-postgres does not run" in outcome.message
    assert not postgres.folder.exists() or not postgres.dumps()


def test_backup_is_restored_for_a_test(postgres: Postgres) -> None:
    postgres.sql("CREATE ROLE teller NOLOGIN; GRANT SELECT ON orders TO teller; ALTER TABLE article OWNER TO teller")
    file = postgres.back_up().result["file"]
    holds = ["SELECT count(*) = 500 FROM orders;", "SELECT true"]
    outcome = postgres.back_up(state="verified", assertions=holds)
    assert (outcome.result["file"], outcome.result["verified"]) == (file, "restore")
    assert manifest_of(file)["verification"]["assertions"] == holds
    fails = ["SELECT count(*) > 500 FROM orders"]
    for assertion in (fails, ["\\! touch /tmp/hacked"], ["SELECT 1/0"]):
        outcome = postgres.run("postgres_backup", state="verified", backup=Path(file).name, assertions=assertion)
        assert outcome.failed
        assert assertion[0] in outcome.message
    assert "It keeps its place" in outcome.message
    told = manifest_of(file)["verification"]
    assert (told["cause"] != "", told["error_kind"]) == (True, "assertion_failed")
    outcome = postgres.run("postgres_restore", "check", backup="latest_verified")
    assert "was restored for a test" in outcome.message
    assert postgres.back_up(state="verified").result["file"] == file, "it is the latest all the same"
    label = {"label": f"strata.compose.verifies={postgres.environment.project}"}
    assert postgres.environment.engine.containers.list(all=True, filters=label) == []
    postgres.sql("DROP OWNED BY teller CASCADE; DROP ROLE teller")


def test_killed_test_leaves_its_server_to_the_next_operation(postgres: Postgres) -> None:
    label = {"label": f"strata.compose.verifies={postgres.environment.project}"}
    containers = postgres.environment.engine.containers
    postgres.back_up()
    running = postgres.start("postgres_backup", state="verified")
    while not containers.list(filters=label):
        assert running.poll() is None
        time.sleep(0.01)
    running.kill()
    running.communicate()
    postgres.back_up(lock_wait=60)
    assert containers.list(all=True, filters=label) == []


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_damaged_backup_is_found_out(postgres: Postgres, damage: str) -> None:
    path = Path(postgres.back_up().result["file"])
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    path.write_bytes(content if damage == "flip" else content[:-1])
    outcome = postgres.run("postgres_backup", state="verified")
    assert outcome.failed
    assert "is damaged" in outcome.message
    assert "is not taken for the latest one any more" in outcome.message
    outcome = postgres.run("postgres_backup", state="verified")
    assert "holds no good backup" in outcome.message


def test_retention_is_of_this_database_alone(postgres: Postgres) -> None:
    other = Postgres(postgres.environment, postgres.database + "_too")
    other.folder = postgres.folder
    other.make(SHOP)
    kept = other.back_up().result["file"]
    first = postgres.back_up().result["file"]
    postgres.back_up(state="verified")
    none = {"keep_daily": 0, "keep_weekly": 0, "keep_monthly": 0}
    second = postgres.back_up(keep_last=2, **none).result["file"]
    third = postgres.back_up(keep_last=1, **none)
    assert third.result["pruned"] == [second], "the last verified one stays"
    assert {str(each) for each in postgres.dumps()} == {kept, first, third.result["file"]}
    assert len(list(postgres.folder.iterdir())) == 6


def test_older_pg_dump_compresses_with_gzip(postgres: Postgres) -> None:
    """A wrapper in the container that knows no zstd, as pg_dump 15 does not."""
    script = "#!/bin/sh\ncase $* in *zstd*) echo 'pg_dump: error: invalid value' >&2; exit 1;; esac\n"
    script += 'exec /usr/lib/postgresql/17/bin/pg_dump "$@"\n'
    install = f"cat > /usr/local/sbin/pg_dump <<'E'\n{script}E\nchmod +x /usr/local/sbin/pg_dump"
    container = postgres.environment.container("postgres")
    paths = "PATH=/usr/local/sbin:$PATH"
    assert container.exec_run(["sh", "-c", f"{install}; mv /usr/lib/postgresql/17/bin/pg_dump /tmp/real"])[0] == 0, (
        paths
    )
    container.exec_run(["sh", "-c", "sed -i s:/usr/lib/postgresql/17/bin/pg_dump:/tmp/real: /usr/local/sbin/pg_dump"])
    try:
        manifest = manifest_of(postgres.back_up().result["file"])
    finally:
        container.exec_run(["sh", "-c", "rm /usr/local/sbin/pg_dump; mv /tmp/real /usr/lib/postgresql/17/bin/pg_dump"])
    assert manifest["compression"] == "1"
    postgres.require_whole_backups()


def test_no_space_is_told_before(postgres: Postgres) -> None:
    postgres.sql(BIG.format(rows=60000))
    with mounted(postgres.folder, "2m"):
        outcome = postgres.run("postgres_backup")
        assert outcome.failed
        assert "free some space" in outcome.message
        assert list(postgres.folder.iterdir()) == []


def test_full_disk_leaves_nothing(postgres: Postgres) -> None:
    """What the last backup does not foretell: content that does not compress."""
    postgres.sql("CREATE TABLE big AS SELECT n, repeat('x', 90) a FROM generate_series(1, 50000) n")
    with mounted(postgres.folder, "6m"):
        first = Path(postgres.back_up().result["file"])
        postgres.sql("TRUNCATE big; INSERT INTO big SELECT n, gen_random_uuid() FROM generate_series(1, 400000) n")
        outcome = postgres.run("postgres_backup")
        assert outcome.failed
        assert "No space left on device" in outcome.message
        assert "No backup was made" in outcome.message
        assert {each.name for each in postgres.folder.iterdir()} == {first.name, first.with_suffix(".json").name}
        postgres.require_whole_backups()
    assert postgres.sessions() == []


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[None]:
    """A folder with a disk of its own."""
    folder.mkdir(parents=True)
    argv = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(argv, check=False).returncode:
        pytest.skip("needs to mount a disk")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def kill_module(_postgres: Postgres, running: subprocess.Popen[str]) -> None:
    running.send_signal(signal.SIGKILL)


def end_cli(_postgres: Postgres, running: subprocess.Popen[str]) -> None:
    for each in processes.children_of_threads(running.pid):
        os.kill(each, signal.SIGTERM)


def cancel(_postgres: Postgres, running: subprocess.Popen[str]) -> None:
    running.send_signal(signal.SIGTERM)


STRIKES: list[Callable[[Postgres, subprocess.Popen[str]], None]] = [kill_module, end_cli, cancel]


@pytest.mark.thorough
@pytest.mark.parametrize("strike", STRIKES)
def test_struck_backup_is_none(postgres: Postgres, strike: Callable[..., None]) -> None:
    """In the middle of a dump, when a part of it is on the disk."""
    postgres.sql(BIG.format(rows=700_000))
    before = postgres.back_up(keep_last=0).result["sha256"]
    running = postgres.start("postgres_backup")
    while not any(each.stat().st_size > 1 << 20 for each in postgres.partials()):
        assert running.poll() is None, "it was faster than we"
        time.sleep(0.01)
    strike(postgres, running)
    printed = running.communicate(timeout=60)[0]
    if strike is not kill_module:
        assert "No backup was made" in printed or "cancelled by SIGTERM" in printed
        assert postgres.partials() == []
        assert postgres.sessions() == []
    assert len(postgres.dumps()) == 1
    assert postgres.back_up(lock_wait=60).result["rows"]["public.big"] == 700_000
    assert postgres.partials() == []
    assert postgres.sessions() == []
    assert manifest_of(str(postgres.dumps()[0]))["sha256"] == before
    postgres.require_whole_backups()


def test_options_from_variables_and_a_copy_on_the_controller(postgres: Postgres, tmp_path: Path) -> None:
    options = postgres.environment.options(
        "postgres_backup", postgres.options(fetch=True, fetch_dir=str(tmp_path / "c"))
    )
    outcome = adhoc("postgres_backup", options)
    assert not outcome.failed, outcome.message
    fetched = Path(outcome.result["fetched"])
    assert fetched.parent == tmp_path / "c"
    assert fetched.read_bytes() == Path(outcome.result["file"]).read_bytes()
    assert json.loads(fetched.with_suffix(".json").read_text())["sha256"] == outcome.result["sha256"]
    assert stat.S_IMODE(fetched.stat().st_mode) == 0o600


@pytest.mark.parametrize("password", ["postgres", "dev-shop"])
def test_a_copy_where_the_password_is_a_word_of_its_name(
    environment: Environment, tmp_path: Path, password: str
) -> None:
    """The name and the digest of the backup go through the result, in which the password is masked."""
    postgres = Postgres(environment)
    postgres.folder = tmp_path / "postgres" / "backups"
    postgres.begin(environment={"POSTGRES_PASSWORD": password})
    postgres.make(SHOP)
    given = postgres.options(fetch=True, fetch_dir=str(tmp_path / "postgres" / "copies"))
    outcome = adhoc("postgres_backup", environment.options("postgres_backup", given))
    assert not outcome.failed, outcome.message
    fetched = Path(outcome.result["fetched"])
    assert fetched.read_bytes() == Path(outcome.result["file"]).read_bytes()
    (told,) = outcome.result["services"]
    assert (told["service"], told["image"]) == ("postgres", "postgres:17")
    assert "********" not in json.dumps([outcome.result[key] for key in ("project", "file", "fetched", "actions")])


def test_memory_does_not_grow_with_the_dump(postgres: Postgres) -> None:
    """Peak of the resident memory of the module's process."""
    postgres.sql(BIG.format(rows=700_000))
    running = postgres.start("postgres_backup", keep_monthly=1, timeout=300)
    peak = 0
    while running.poll() is None:
        try:
            lines = Path(f"/proc/{running.pid}/status").read_text().splitlines()
        except FileNotFoundError:
            break
        peak = max([peak, *(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))])
        time.sleep(0.02)
    running.communicate()
    assert postgres.dumps()[0].stat().st_size > 10_000_000
    assert 0 < peak < 64_000, f"{peak} kB"


def test_manifest_can_be_read_by_yaml_too(postgres: Postgres) -> None:
    file = postgres.back_up(keep_daily=1, keep_weekly=1).result["file"]
    assert yaml.safe_load(Path(file).with_suffix(".json").read_text()) == manifest_of(file)


def test_project_is_found_by_what_the_options_say(postgres: Postgres) -> None:
    environment = postgres.environment
    project = f"{environment.folder.name}-dev"
    engine = {"docker_host": "unix:///var/run/docker.sock", "command_timeout": 60, "service": "postgres"}
    (environment.folder / "named.env").write_text(f"COMPOSE_PROJECT_NAME={project}\n")
    environment.write(".env.dev", "COMPOSE_PROJECT_NAME=elsewhere\n")
    for found in ({"env_files": ["named.env"]}, {"project_name": project}):
        outcome = postgres.run("postgres_backup", **engine, **found)
        assert not outcome.failed, outcome.message
        assert outcome.result["project"] == project
        assert Path(outcome.result["file"]).name.startswith("dev-")
    (environment.folder / ".env.dev").unlink()
    refused = postgres.run("postgres_backup", docker_host="unix:///nowhere.sock")
    assert "nowhere.sock" in refused.message
