"""Disks that run full, and backups of which a byte has changed: what serves is what it was.

make faults-postgres
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.postgres_migrations import await_rest
from tests.faults.postgres_strikes import MOMENTS, on_a_server, revive
from tests.faults.seed import SEED
from tests.integration.conftest import Outcome
from tests.integration.postgres_backups import BIG, Postgres
from tests.integration.test_postgres_backup import mounted
from tests.integration.test_postgres_restore import CONSENT

ROWS = 200_000
"""About 25 MB of data."""

FILES = 8
FILE = "CREATE TABLE t{number} AS SELECT n, repeat(md5(n::text), 10) FROM generate_series(1, 10000) n;\n"
"""3 MB of data, and as much of the log."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk for the server's data."""
    folder = tmp_path_factory.mktemp("disk") / "data"
    with mounted(folder, "700m"):
        yield folder


@pytest.fixture(scope="module")
def postgres(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    mount = f"{data}:/var/lib/postgresql/data"
    with on_a_server(tmp_path_factory.mktemp("pg"), volumes=[mount]) as found:
        found.sql(BIG.format(rows=ROWS))
        for number in range(1, FILES + 1):
            found.environment.write(f"migrations/{number}_t.sql", FILE.format(number=number))
        yield found


def with_little_room(data: Path, postgres: Postgres, megabytes: float, run: Callable[[], Outcome]) -> Outcome:
    """Run something while the server's disk has no more room than that."""
    status = os.statvfs(data)
    ballast = data / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - int(megabytes * 1e6))
    try:
        return run()
    finally:
        ballast.unlink()
        revive(postgres)
        await_rest(postgres)


def test_disk_full_during_dumps(postgres: Postgres) -> None:
    """Disks of many sizes that a dump does not fit on; its size is not foretold, for a first one is small."""
    chance = random.Random(f"{SEED} disk")
    folder = postgres.folder
    for number in range(MOMENTS):
        postgres.folder = folder.with_name(f"disk-{number}")
        with mounted(postgres.folder, f"{chance.randint(100, 4000)}k"):
            outcome = postgres.run("postgres_backup")
            assert outcome.failed, f"moment {number}, seed {SEED}"
            assert list(postgres.folder.iterdir()) == []
    postgres.folder = folder
    assert postgres.sessions() == []


def test_disk_full_during_restores(data: Path, postgres: Postgres) -> None:
    chance = random.Random(f"{SEED} disk restore")
    backed_up = postgres.checksum()
    postgres.back_up()
    failed = 0
    for number in range(MOMENTS):
        postgres.sql("DELETE FROM orders WHERE id = (SELECT max(id) FROM orders); CHECKPOINT")
        changed = postgres.checksum()
        outcome = with_little_room(
            data,
            postgres,
            chance.uniform(0, 25),
            lambda: postgres.run("postgres_restore", **CONSENT, keep_old="0", lock_wait=60),
        )
        failed += outcome.failed
        expected = changed if outcome.failed else backed_up
        assert postgres.checksum() == expected, f"moment {number}, seed {SEED}: {outcome.message}"
        postgres.restore(**CONSENT, keep_old="0", lock_wait=60)
        assert postgres.checksum() == backed_up, f"moment {number}, seed {SEED}: {outcome.message}"
        assert postgres.databases() == {"postgres", postgres.database}
    assert failed > MOMENTS // 2, "the disk was too large"


def test_disk_full_during_migrations(data: Path, postgres: Postgres) -> None:
    chance = random.Random(f"{SEED} disk migrate")
    failed = 0

    def migrate() -> Outcome:
        return postgres.run("postgres_migrate", backup_dir=None, directory="migrations", lock_wait=60)

    database, postgres.database = postgres.database, "migrated"
    for number in range(MOMENTS):
        postgres.make("")
        postgres.sql("CHECKPOINT")
        outcome = with_little_room(data, postgres, chance.uniform(1, 25), migrate)
        failed += outcome.failed
        tables = postgres.sql("SELECT substr(relname, 2) FROM pg_class WHERE relname ~ '^t[0-9]$' ORDER BY 1").split()
        has_records = postgres.sql("SELECT to_regclass('schema_migrations') IS NOT NULL") == "t"
        records = postgres.sql("SELECT version FROM schema_migrations ORDER BY 1").split() if has_records else []
        assert tables == records, f"moment {number}, seed {SEED}: {outcome.message}"
        again = migrate()
        assert not again.failed, f"moment {number}, seed {SEED}: {again.message}"
        assert len(postgres.sql("SELECT version FROM schema_migrations").split()) == FILES
        postgres.sql("DROP DATABASE migrated", "postgres")
    postgres.database = database
    assert failed > MOMENTS // 2, "the disk was too large"


@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_damaged_backups(postgres: Postgres, damage: str) -> None:
    """One byte changed, or the rest gone, at random places of the file."""
    chance = random.Random(f"{SEED} {damage}")
    path = Path(postgres.back_up().result["file"])
    content = path.read_bytes()
    before = postgres.checksum()
    for number in range(MOMENTS):
        place = chance.randrange(len(content))
        end = bytes([content[place] ^ (1 << chance.randrange(8))]) + content[place + 1 :]
        path.write_bytes(content[:place] + (end if damage == "flipped" else b""))
        for module, given in (("postgres_backup", {"state": "verified"}), ("postgres_restore", CONSENT)):
            outcome = postgres.run(module, backup=path.name, **given)
            assert outcome.failed, f"moment {number}, seed {SEED}: byte {place} of {len(content)}"
            assert "is damaged" in outcome.message
        assert postgres.checksum() == before
        assert postgres.databases() == {"postgres", postgres.database}
    path.write_bytes(content)
    assert not postgres.run("postgres_backup", state="verified", backup=path.name).failed
