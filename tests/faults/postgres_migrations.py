"""Migrations that are struck at random moments: a file is applied and recorded, or neither.

make faults-postgres
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from tests.faults.postgres_strikes import MOMENTS, STRIKES, on_a_server, strike, usual_seconds
from tests.faults.seed import SEED
from tests.integration.postgres_backups import Postgres

NAMES = [f"{number:02}_t" for number in range(1, 31)]
FILE = "INSERT INTO log VALUES ('{name}');\nSELECT pg_sleep(0.03);\nCREATE TABLE t{name} (i int);\n"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with on_a_server(tmp_path_factory.mktemp("pg")) as found:
        for name in NAMES:
            found.environment.write(f"migrations/{name}.sql", FILE.format(name=name))
        yield found


def migrate(postgres: Postgres) -> None:
    outcome = postgres.run("postgres_migrate", backup_dir=None, directory="migrations", lock_wait=60)
    assert not outcome.failed, outcome.message


def begin_anew(postgres: Postgres) -> None:
    postgres.sql(f"DROP DATABASE {postgres.database} WITH (FORCE)", "postgres")
    postgres.make("CREATE TABLE log (file text)")


def await_rest(postgres: Postgres) -> None:
    """What a killed module has left in the server comes to its end by itself."""
    deadline = time.monotonic() + 20
    while postgres.sessions():
        assert time.monotonic() < deadline, "a session is still at work"
        time.sleep(0.05)


def applied(postgres: Postgres) -> tuple[list[str], list[str], list[str]]:
    """The files that have left their mark in the log, as tables, and as records."""
    log = postgres.sql("SELECT file FROM log ORDER BY 1").split()
    tables = postgres.sql("SELECT substr(relname, 2) FROM pg_class WHERE relname ~ '^t[0-9]+_t$' ORDER BY 1").split()
    has_records = postgres.sql("SELECT to_regclass('schema_migrations') IS NOT NULL") == "t"
    versions = postgres.sql("SELECT version FROM schema_migrations ORDER BY 1").split() if has_records else []
    return log, tables, [f"{version}_t" for version in versions]


@pytest.mark.parametrize("kind", STRIKES)
def test_struck_migrations(postgres: Postgres, kind: str) -> None:
    chance = random.Random(f"{SEED} {kind} migrate")
    begin_anew(postgres)
    seconds = usual_seconds(lambda: migrate(postgres))
    for number in range(MOMENTS):
        begin_anew(postgres)
        told = strike(postgres, kind, chance, seconds, "postgres_migrate", backup_dir=None, directory="migrations")
        await_rest(postgres)
        log, tables, records = applied(postgres)
        assert log == tables == records == NAMES[: len(log)], f"moment {number}, seed {SEED}: {told}"
        migrate(postgres)
        assert applied(postgres) == (NAMES, NAMES, NAMES), f"moment {number}, seed {SEED}: {told}"
