"""A restore on a real Postgres: the new database or the old one serves at every moment, and nothing is left behind."""

from __future__ import annotations

import json
import os
import random
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import docker
import pytest

from tests.integration.conftest import Environment
from tests.integration.postgres_backups import BIG, ROWS, SHOP, Postgres, longest_gap
from tests.integration.test_postgres_backup import STRANGE

SEED = os.environ.setdefault("RESTORE_SEED", str(random.SystemRandom().randrange(10**6)))
CONSENT = {"replace": True, "confirm": "dev"}
ITS_OWN = {"postgres"}


@pytest.fixture(scope="module")
def started(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """One server for all tests of this file."""
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
def postgres(started: Environment, tmp_path: Path) -> Iterator[Postgres]:
    """A database of the test's own, the only one in the server but for its own."""
    found = Postgres(started, f"shop_{uuid.uuid4().hex[:6]}")
    found.folder = tmp_path / "backups"
    found.make(SHOP)
    yield found
    for each in found.databases() - ITS_OWN:
        quoted = each.replace('"', '""')
        found.sql(f'DROP DATABASE "{quoted}" WITH (FORCE)', "postgres")


def require_tidy(postgres: Postgres, *names: str) -> None:
    """These databases, and no others; nobody is at work, everybody may come in."""
    assert postgres.databases() == {*ITS_OWN, postgres.database, *names}
    assert postgres.sessions() == []
    open_to_all = "SELECT datallowconn FROM pg_database WHERE datname = current_database()"
    assert postgres.sql(open_to_all) == "t"
    assert postgres.sql("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'strata%'") == "0"


def test_restore_brings_back_what_was_lost(postgres: Postgres) -> None:
    before = postgres.checksum()
    file = postgres.back_up().result["file"]
    postgres.sql("DROP TABLE orders; DELETE FROM article; CREATE TABLE later (a int)")
    refused = postgres.run("postgres_restore")
    assert refused.failed
    for part in (postgres.database, "is not empty", "replace=true and confirm=dev", "Nothing was changed"):
        assert part in refused.message
    assert postgres.run("postgres_restore", replace=True, confirm="prod").failed
    elsewhere = postgres.run("postgres_restore", dedicated=True, **CONSENT)
    assert f"service postgres of {postgres.environment.project}-postgres does not run" in elsewhere.message
    planned = postgres.run("postgres_restore", "check", **CONSENT)
    assert planned.changed
    assert postgres.databases() == {*ITS_OWN, postgres.database}
    outcome = postgres.restore(**CONSENT, assertions=["SELECT count(*) = 500 FROM orders"])
    assert outcome.result["file"] == file
    assert outcome.result["rows"] == ROWS
    assert [each["service"] for each in outcome.result["services"]] == ["postgres"]
    assert outcome.result["release"] is None, "it was started by hand"
    assert postgres.checksum() == before
    assert postgres.sql("SELECT to_regclass('later') IS NULL") == "t"
    require_tidy(postgres, outcome.result["old_database"])
    assert postgres.try_sql("SELECT 1", outcome.result["old_database"])[0], "nobody can write to what is kept"


def test_swapping_back_and_forth(postgres: Postgres) -> None:
    before = postgres.checksum()
    postgres.back_up()
    postgres.sql("INSERT INTO article VALUES (501, 'late', 1)")
    changed = postgres.checksum()
    postgres.restore(**CONSENT, keep_old="7d")
    assert postgres.checksum() == before
    assert "is not empty" in postgres.run("postgres_restore", state="swapped_back").message
    assert postgres.run("postgres_restore", "check", state="swapped_back", **CONSENT).changed
    outcome = postgres.restore(state="swapped_back", **CONSENT)
    assert postgres.checksum() == changed
    require_tidy(postgres, outcome.result["old_database"])
    postgres.restore(state="swapped_back", **CONSENT)
    assert postgres.checksum() == before


def test_log_that_cannot_be_written_makes_no_failure(postgres: Postgres) -> None:
    before = postgres.checksum()
    log = postgres.environment.state_dir / postgres.environment.project / "audit.log"
    postgres.back_up()
    log.unlink()
    log.symlink_to("/dev/full")
    try:
        outcomes = [postgres.back_up(), postgres.restore(**CONSENT)]
    finally:
        log.unlink()
    for each in outcomes:
        assert each.changed
        told = f"The audit log of {postgres.environment.project} lacks this: No space left on device."
        assert told in str(each.result["warnings"])
    assert postgres.checksum() == before


def await_end_of(name: str) -> None:
    """Until the time is over that the name of an old database tells."""
    until = datetime.strptime(name.split("_")[4], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    time.sleep(max((until - datetime.now(UTC)).total_seconds(), 0))


def test_old_database_goes_when_its_time_is_over(postgres: Postgres) -> None:
    postgres.back_up()
    postgres.restore(**CONSENT, keep_old="0")
    require_tidy(postgres)
    kept = postgres.restore(**CONSENT, keep_old="9s").result["old_database"]
    require_tidy(postgres, kept)
    await_end_of(kept)
    outcome = postgres.restore(**CONSENT)
    assert ("postgres", "drop") in outcome.actions
    require_tidy(postgres, outcome.result["old_database"])
    assert kept not in postgres.databases()
    assert "is no period" in postgres.run("postgres_restore", keep_old="soon", **CONSENT).message


def test_what_a_dump_does_not_hold_stays(postgres: Postgres) -> None:
    name = postgres.database
    role = f"teller_{name}"
    postgres.sql(
        f"""CREATE ROLE {role} LOGIN; ALTER DATABASE {name} OWNER TO {role}; REVOKE ALL ON DATABASE {name} FROM PUBLIC;
        GRANT CONNECT ON DATABASE {name} TO {role}; ALTER DATABASE {name} SET search_path TO "$user", "a,b", public;
        ALTER ROLE {role} IN DATABASE {name} SET work_mem = '5MB'; ALTER DATABASE {name} CONNECTION LIMIT 7;
        COMMENT ON DATABASE {name} IS 'it''s the shop'; ALTER DATABASE {name} SET default_transaction_read_only = on;
        ALTER TABLE article OWNER TO {role}; GRANT SELECT ON orders TO {role};"""
    )
    state = f"""
        SELECT pg_get_userbyid(datdba), datconnlimit, datacl, shobj_description(oid, 'pg_database')
          FROM pg_database WHERE datname = '{name}';
        SELECT setrole::regrole, setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase
         WHERE datname = '{name}' ORDER BY 1;
        SELECT relname, relowner::regrole, relacl FROM pg_class WHERE relname IN ('article', 'orders') ORDER BY 1"""
    try:
        before = postgres.sql(state)
        file = postgres.back_up().result["file"]
        postgres.restore(**CONSENT, keep_old="0")
        assert postgres.sql(state) == before
        postgres.sql(f"DROP DATABASE {name} WITH (FORCE)", "postgres")
        outcome = postgres.restore(backup=file)
        assert not outcome.result["replaced"]
        assert postgres.sql(state) == before
        require_tidy(postgres)
    finally:
        postgres.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", "postgres")
        postgres.sql(f"DROP ROLE {role}", "postgres")


def test_role_that_is_missing_is_named(postgres: Postgres) -> None:
    postgres.sql(f"CREATE ROLE gone_{postgres.database}; ALTER TABLE article OWNER TO gone_{postgres.database}")
    postgres.back_up()
    postgres.sql(f"DROP OWNED BY gone_{postgres.database} CASCADE; DROP ROLE gone_{postgres.database}")
    outcome = postgres.run("postgres_restore", **CONSENT)
    assert f"has no role gone_{postgres.database}" in outcome.message
    require_tidy(postgres)


def test_backup_of_another_environment(postgres: Postgres) -> None:
    """Its roles mean nothing here: all belongs to the owner of the database."""
    name = postgres.database
    postgres.sql(f"CREATE ROLE app_{name} LOGIN; CREATE ROLE other_{name}; ALTER TABLE orders OWNER TO other_{name}")
    file = Path(postgres.back_up().result["file"])
    manifest = json.loads(file.with_suffix(".json").read_text())
    project = f"{postgres.environment.folder.name}-prod"
    manifest.update(environment="prod", project=project, name="shop_prod")
    file.with_suffix(".json").write_text(json.dumps(manifest))
    postgres.sql(
        f"DROP OWNED BY other_{name} CASCADE; DROP ROLE other_{name}; ALTER DATABASE {name} OWNER TO app_{name}"
    )
    try:
        found = {"from_environment": "prod", "from_database": "shop_prod", "keep_old": "0"}
        postgres.restore(**found, **CONSENT)
        owners = (
            "SELECT DISTINCT relowner::regrole FROM pg_class WHERE relname IN ('article', 'orders', 'orders_id_seq')"
        )
        assert postgres.sql(owners) == f"app_{name}"
        assert postgres.sql("SELECT count(*) FROM orders", user=f"app_{name}") == "500"
        require_tidy(postgres)
    finally:
        postgres.sql(f"DROP DATABASE {name} WITH (FORCE)", "postgres")
        postgres.sql(f"DROP ROLE app_{name}", "postgres")


def masking(postgres: Postgres, name: str, sql: str) -> str:
    path = postgres.environment.folder / "masking" / f"{postgres.database}-{name}.sql"
    path.parent.mkdir(exist_ok=True)
    path.write_text(sql)
    return str(path.relative_to(postgres.environment.folder))


def test_masking_runs_before_the_assertions_and_the_swap(postgres: Postgres) -> None:
    names = masking(postgres, "names", "UPDATE article SET name = 'masked $1 %s ' || id; SELECT '\\! touch /tmp/ran';")
    more = masking(postgres, "more", "DELETE FROM orders WHERE id > 7; -- a comment at the end")
    postgres.back_up()
    outcome = postgres.restore(
        masking=[names, more], assertions=["SELECT count(*) = 500 FROM article WHERE name LIKE 'masked %'"], **CONSENT
    )
    assert postgres.sql("SELECT count(*) FROM orders; SELECT name FROM article WHERE id = 3") == "7\nmasked $1 %s 3"
    require_tidy(postgres, outcome.result["old_database"])


def test_masking_that_fails_leaves_the_database_as_it_was(postgres: Postgres) -> None:
    before = postgres.checksum()
    good = masking(postgres, "good", "DELETE FROM orders;")
    bad = masking(postgres, "bad", "DELETE FROM article; UPDATE no_such_table SET a = 1;")
    postgres.back_up()
    outcome = postgres.run("postgres_restore", masking=[good, bad], **CONSENT)
    assert outcome.failed
    for part in (bad, "no_such_table", "is as it was"):
        assert part in outcome.message
    missing = postgres.run("postgres_restore", masking=["masking/none.sql"], **CONSENT)
    assert missing.failed
    assert "masking/none.sql cannot be read" in missing.message
    assert postgres.checksum() == before
    require_tidy(postgres)


def test_masking_runs_as_the_owner_and_not_as_the_superuser(postgres: Postgres) -> None:
    role = f'"o""{postgres.database}"'
    postgres.sql(
        f"CREATE ROLE {role}; ALTER TABLE article OWNER TO {role}; ALTER DATABASE {postgres.database} OWNER TO {role}"
    )
    postgres.back_up()
    tried = masking(postgres, "tried", "CREATE ROLE escaped SUPERUSER;")
    try:
        outcome = postgres.run("postgres_restore", masking=[tried], **CONSENT)
        assert "42501" in outcome.message, "insufficient_privilege"
        require_tidy(postgres)
    finally:
        postgres.sql(f"DROP DATABASE {postgres.database} WITH (FORCE)", "postgres")
        postgres.sql(f"DROP ROLE {role}", "postgres")


def test_strange_names(started: Environment, tmp_path: Path) -> None:
    postgres = Postgres(started, STRANGE)
    postgres.folder = tmp_path
    postgres.make(SHOP)
    before = postgres.checksum()
    postgres.back_up()
    postgres.sql("DELETE FROM orders")
    outcome = postgres.restore(**CONSENT)
    assert postgres.checksum() == before
    require_tidy(postgres, outcome.result["old_database"])
    for each in (STRANGE, outcome.result["old_database"]):
        quoted = each.replace('"', '""')
        postgres.sql(f'DROP DATABASE "{quoted}" WITH (FORCE)', "postgres")


@pytest.mark.parametrize("damage", ["flip", "cut", "no manifest"])
def test_damaged_backup_is_refused_before_anything_is_touched(postgres: Postgres, damage: str) -> None:
    path = Path(postgres.back_up(state="present").result["file"])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1 if damage == "flip" else 0
    path.write_bytes(content[:-1] if damage == "cut" else content)
    if damage == "no manifest":
        path.with_suffix(".json").unlink()
    outcome = postgres.run("postgres_restore", backup=str(path), **CONSENT)
    assert outcome.failed
    assert ("has no manifest" if damage == "no manifest" else "is damaged") in outcome.message
    assert "Nothing was changed" in outcome.message
    require_tidy(postgres)


def test_backup_whose_last_test_failed_is_restored_with_a_warning(postgres: Postgres) -> None:
    file = postgres.back_up().result["file"]
    assert "warnings" not in postgres.restore(**CONSENT).result
    fails = ["SELECT count(*) > 500 FROM orders"]
    assert postgres.run("postgres_backup", state="verified", assertions=fails).failed
    for flags in (("check",), ()):
        outcome = postgres.run("postgres_restore", *flags, backup="latest", **CONSENT)
        assert not outcome.failed, outcome.message
        told = str(outcome.result["warnings"])
        assert f"the last test of backup {file}, at 20" in told
        assert fails[0] in told
    postgres.back_up(state="verified")
    assert "warnings" not in postgres.run("postgres_restore", "check", **CONSENT).result


def test_backup_that_fails_at_its_last_statement_changes_nothing(postgres: Postgres) -> None:
    """The last that a dump does is to fill its materialised views; this one cannot be filled elsewhere."""
    postgres.sql(
        """CREATE MATERIALIZED VIEW last AS
           SELECT 1 / CASE WHEN current_database() LIKE 'strata_new%' THEN 0 ELSE 1 END AS one"""
    )
    before = postgres.checksum()
    postgres.back_up()
    outcome = postgres.run("postgres_restore", **CONSENT)
    assert outcome.failed
    assert "division by zero" in outcome.message
    assert f"Database {postgres.database} is as it was" in outcome.message
    assert postgres.checksum() == before
    require_tidy(postgres)


def test_copy_that_is_not_what_was_backed_up_changes_nothing(postgres: Postgres) -> None:
    before = postgres.checksum()
    manifest = Path(postgres.back_up().result["file"]).with_suffix(".json")
    for assertion, rows, told in (("SELECT false", 500, "does not hold"), ("SELECT true", 499, "has 500 rows where")):
        manifest.write_text(
            json.dumps(
                {**(found := json.loads(manifest.read_text())), "rows": {**found["rows"], "public.article": rows}}
            )
        )
        outcome = postgres.run("postgres_restore", **CONSENT, assertions=[assertion])
        assert told in outcome.message
        assert f"Database {postgres.database} is as it was" in outcome.message
        assert postgres.checksum() == before
        require_tidy(postgres)


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def test_clients_are_cut_for_less_than_two_seconds(postgres: Postgres) -> None:
    """A writer and two readers that connect anew; their longest gap, the start of the restore included."""
    postgres.back_up()
    with postgres.clients(3, "INSERT INTO orders (article) VALUES (1);") as answered:
        wait_for(lambda: len(answered) >= 30)
        outcome = postgres.restore(**CONSENT, timeout=120)
        seen = len(answered)
        wait_for(lambda: len(answered) >= seen + 60)
    gap = longest_gap(answered)
    print(f"longest gap {gap:.2f} s, swap {outcome.result['swap_seconds']:.2f} s, {len(answered)} answers")
    assert gap < 2


@pytest.mark.thorough
def test_kills_at_random_moments_lose_nothing(postgres: Postgres) -> None:
    """What serves is the old database or the restored one; the next restore finds nothing in its way."""
    print(f"RESTORE_SEED={SEED}")
    chance = random.Random(SEED)
    postgres.sql(BIG.format(rows=60_000))
    backed_up = postgres.checksum()
    postgres.back_up()
    postgres.sql("DELETE FROM orders")
    changed = postgres.checksum()
    began = time.monotonic()
    postgres.restore(**CONSENT, keep_old="0")
    usual = time.monotonic() - began
    for _try in range(3):
        postgres.sql("DELETE FROM orders")
        running = postgres.start("postgres_restore", **CONSENT, keep_old="0")
        time.sleep(chance.uniform(0.3, 1) * usual)
        running.send_signal(chance.choice([signal.SIGKILL, signal.SIGTERM]))
        running.communicate(timeout=60)
        assert postgres.checksum() in (backed_up, changed)
        outcome = postgres.restore(**CONSENT, keep_old="0", lock_wait=60)
        assert not outcome.failed
        assert postgres.checksum() == backed_up
        require_tidy(postgres)


def test_project_is_found_by_what_the_options_say(postgres: Postgres) -> None:
    environment = postgres.environment
    project = f"{environment.folder.name}-dev"
    engine = {"docker_host": "unix:///var/run/docker.sock", "command_timeout": 60, "service": "postgres"}
    (environment.folder / "named.env").write_text(f"COMPOSE_PROJECT_NAME={project}\n")
    postgres.back_up()
    for found in ({"env_files": ["named.env"]}, {"project_name": project}):
        outcome = postgres.run("postgres_restore", "check", **engine, **found, **CONSENT)
        assert not outcome.failed, outcome.message
        assert outcome.result["project"] == project
