"""Backups and restores that are struck at random moments: what is there is whole, and what serves is what it was.

    make faults-postgres

Not collected by itself, for it takes a while. FAULTS_SEED=... repeats a run, POSTGRES_MOMENTS=3 makes a short one.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from tests import processes
from tests.faults.seed import SEED
from tests.integration.conftest import Environment
from tests.integration.postgres_backups import BIG, Postgres
from tests.integration.test_postgres_restore import CONSENT, require_tidy

MOMENTS = int(os.environ.get("POSTGRES_MOMENTS", "20"))
ROWS = 700_000
"""A dump of about 25 MB out of 100 MB of data."""

Strike = Callable[[Postgres, "subprocess.Popen[str]"], None]


def kill_module(_postgres: Postgres, running: subprocess.Popen[str]) -> None:
    running.send_signal(signal.SIGKILL)


def cancel(_postgres: Postgres, running: subprocess.Popen[str]) -> None:
    running.send_signal(signal.SIGTERM)


def end_cli(_postgres: Postgres, running: subprocess.Popen[str]) -> None:
    for each in processes.children_of_threads(running.pid):
        os.kill(each, signal.SIGTERM)


def kill_container(postgres: Postgres, _running: subprocess.Popen[str]) -> None:
    postgres.environment.container("postgres").kill()


STRIKES: dict[str, Strike] = {
    "SIGKILL of the module": kill_module,
    "SIGTERM of the module": cancel,
    "SIGTERM of the CLI": end_cli,
    "container killed": kill_container,
}


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with on_a_server(tmp_path_factory.mktemp("pg")) as found:
        found.sql(BIG.format(rows=ROWS))
        yield found


@contextlib.contextmanager
def on_a_server(root: Path, **keys: object) -> Iterator[Postgres]:
    """A server whose data outlives its container, with the shop's database."""
    folder = root / f"t{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    engine = docker.from_env()
    found = Postgres(Environment(folder, root / "state", engine))
    try:
        found.begin(in_memory=False, **keys)
        found.make()
        yield found
    finally:
        found.environment.clean_up()
        engine.close()


def strike(postgres: Postgres, kind: str, chance: random.Random, seconds: float, module: str, **options: object) -> str:
    """Run a module and strike it somewhere in the time that it usually takes; what it told."""
    running = postgres.start(module, **options)
    time.sleep(chance.uniform(0.1, 1.0) * seconds)
    if running.poll() is None:
        STRIKES[kind](postgres, running)
    printed: str = running.communicate(timeout=120)[0]
    revive(postgres)
    return printed


def revive(postgres: Postgres) -> None:
    """Have the server answer again, whatever the strike has left of it."""
    container = postgres.environment.container("postgres")
    if container.status != "running":
        container.start()
    postgres.await_it()


def usual_seconds(run: Callable[[], object]) -> float:
    began = time.monotonic()
    run()
    return time.monotonic() - began


@pytest.mark.parametrize("kind", STRIKES)
def test_struck_backups(postgres: Postgres, kind: str) -> None:
    chance = random.Random(f"{SEED} {kind}")
    seconds = usual_seconds(lambda: postgres.back_up(keep_last=3))
    kept = {each.name: each.read_bytes() for each in postgres.dumps()}
    for number in range(MOMENTS):
        told = strike(postgres, kind, chance, seconds, "postgres_backup", keep_last=100)
        postgres.require_whole_backups()
        for name, content in kept.items():
            assert (postgres.folder / name).read_bytes() == content, f"moment {number}, seed {SEED}: {told}"
    postgres.back_up(keep_last=3, keep_daily=0, keep_weekly=0, keep_monthly=0, lock_wait=60)
    assert postgres.partials() == []
    assert postgres.sessions() == []


@pytest.mark.parametrize("kind", STRIKES)
def test_struck_restores(postgres: Postgres, kind: str) -> None:
    chance = random.Random(f"{SEED} {kind} restore")
    backed_up = postgres.checksum()
    postgres.back_up(keep_last=3)
    seconds = usual_seconds(lambda: postgres.restore(**CONSENT, keep_old="0"))
    for number in range(MOMENTS):
        postgres.sql("DELETE FROM orders WHERE id = (SELECT max(id) FROM orders)")
        changed = postgres.checksum()
        told = strike(postgres, kind, chance, seconds, "postgres_restore", **CONSENT, keep_old="0")
        assert postgres.checksum() in (backed_up, changed), f"moment {number}, seed {SEED}: {told}"
        postgres.restore(**CONSENT, keep_old="0", lock_wait=60)
        assert postgres.checksum() == backed_up, f"moment {number}, seed {SEED}: {told}"
        require_tidy(postgres)
