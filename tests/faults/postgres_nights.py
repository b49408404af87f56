"""Twenty nights with a clock that is wrong, and twenty with a server for the test that is full: nothing good goes.

make faults-postgres
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.postgres_strikes import MOMENTS, on_a_server
from tests.faults.seed import SEED
from tests.integration.postgres_backups import BIG, Postgres
from tests.integration.postgres_nights import require_kept_with_full_server, require_kept_with_wrong_clocks

ROWS = 400_000


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with on_a_server(tmp_path_factory.mktemp("pg")) as found:
        yield found


def test_wrong_clocks(postgres: Postgres, tmp_path: Path) -> None:
    postgres.folder = tmp_path / "backups"
    require_kept_with_wrong_clocks(postgres, tmp_path, MOMENTS, f"{SEED} clocks")


@pytest.mark.parametrize("room", ["45m", "60m", "75m"])
def test_full_server_of_the_test(postgres: Postgres, tmp_path: Path, room: str) -> None:
    """Disks that have no room for the server itself, for its log, or for the data."""
    postgres.folder = tmp_path / "backups"
    postgres.sql(f"DROP TABLE IF EXISTS big; {BIG.format(rows=ROWS)}")
    require_kept_with_full_server(postgres, tmp_path, MOMENTS, room)
