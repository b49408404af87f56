"""Nights on which a host makes backups by itself, with a clock that is wrong, or a server for the test that is full."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.integration.conftest import REPOSITORY
from tests.integration.postgres_backups import Postgres

PROGRAM = """
import json, sys
from ansible_collections.strata.compose.plugins.module_utils.postgres import _backup, _scheduled, _verify
_backup.now = _verify.now = lambda: {clock!r}
sys.exit(_scheduled.main(["backup.py", {options!r}]))
"""
FULL = """#!/bin/sh
# The data of a server that is there for a test has so much room, whatever the disk has.
for word in "$@"; do
    case $word in strata.compose.verifies=*) shift; exec "{docker}" run --tmpfs {data}:size={room} "$@" ;; esac
done
exec "{docker}" "$@"
"""
DATA = "/var/lib/postgresql/data"


class Nights:
    """Backups of one database, night after night."""

    def __init__(self, postgres: Postgres, folder: Path, **options: Any) -> None:
        self.postgres, self.folder, self.options = postgres, folder, options
        self.made: list[Path] = []
        """dumps in the order in which they were made"""
        self.days: dict[Path, date] = {}
        """that the clock told"""

    def night(self, clock: datetime, programs: Path | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run the host's own program once; ``programs`` is a folder in which its docker is found first."""
        given = self.postgres.environment.options("postgres_backup", self.postgres.options(**self.options, **options))
        path = self.folder / "options.json"
        path.write_text(json.dumps(given))
        program = PROGRAM.format(clock=f"{clock:%Y-%m-%dT%H:%M:%SZ}", options=str(path))
        variables = {**os.environ, "PYTHONPATH": str(REPOSITORY / ".ansible/collections")}
        if programs:
            variables["PATH"] = f"{programs}:{variables['PATH']}"
        before = set(self.made)
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=variables, check=False
        )
        (new,) = set(self.postgres.dumps()) - before
        self.made.append(new)
        self.days[new] = clock.date()
        return done

    def kept(self, last: int, daily: int) -> set[Path]:
        """What retention keeps of intact dumps: the last ones, and the last of each of so many days, by their order."""
        of_a_day: dict[date, Path] = {}
        for dump in reversed(self.made):
            of_a_day.setdefault(self.days[dump], dump)
        return {*self.made[-last:], *list(of_a_day.values())[:daily]}


def wrong_clocks(count: int, chance: random.Random) -> list[datetime]:
    """A clock that goes on by a day each night, years ahead on some of them and years behind on others."""
    right = datetime(2026, 11, 21, 2, 30)
    jumps: Sequence[int] = (0, 0, 3650, -1800, 1, -1)
    clocks = [right + timedelta(days=number + chance.choice(jumps)) for number in range(count)]
    # However short the run is, it has one that is ahead in its midst.
    return [*clocks[:-2], right + timedelta(days=3650), clocks[-1]]


def full_server(folder: Path, room: str) -> Path:
    """A folder with a docker that gives the servers of tests a small disk."""
    folder.mkdir()
    real = subprocess.run(["which", "docker"], capture_output=True, text=True, check=True).stdout.strip()
    path = folder / "docker"
    path.write_text(FULL.format(docker=real, data=DATA, room=room))
    path.chmod(0o755)
    return folder


def require_kept_with_wrong_clocks(postgres: Postgres, folder: Path, count: int, seed: str) -> None:
    """Every intact dump that retention should keep is there after each night, whatever the clock said."""
    keep = {"keep_last": 2, "keep_daily": 4, "keep_weekly": 0, "keep_monthly": 0}
    nights = Nights(postgres, folder, **keep)
    latest = datetime.min
    for number, clock in enumerate(wrong_clocks(count, random.Random(seed))):
        done = nights.night(clock)
        assert done.returncode == 0, f"night {number}, seed {seed}: {done.stderr}"
        assert ("check the clock" in done.stderr) == (clock < latest), f"night {number}, seed {seed}: {done.stderr}"
        there = set(postgres.dumps())
        expected = nights.kept(2, 4)
        assert expected <= there, f"night {number}, seed {seed}: {expected - there} gone"
        assert there == expected, f"night {number}, seed {seed}: {there - expected} too many"
        latest = max(datetime.strptime(manifest(each)["started"], "%Y-%m-%dT%H:%M:%SZ") for each in there)
    postgres.require_whole_backups()
    verified = postgres.back_up(state="verified").result
    assert verified["file"] == str(nights.made[-1]), "the latest is the one that was made last"


def require_kept_with_full_server(postgres: Postgres, folder: Path, count: int, room: str) -> None:
    """A server for the test whose disk is full says nothing of the dumps: each keeps its place."""
    keep = {"keep_last": 3, "keep_daily": 0, "keep_weekly": 0, "keep_monthly": 0, "verify": True}
    nights = Nights(postgres, folder, **keep)
    assert nights.night(datetime(2026, 11, 1, 2, 30)).returncode == 0
    proven, programs = nights.made[-1], full_server(folder / "programs", room)
    for number in range(count):
        done = nights.night(datetime(2026, 11, 2, 2, 30) + timedelta(days=number), programs)
        assert done.returncode == 1
        assert "could not be tested" in done.stderr
        assert set(postgres.dumps()) == {proven, *nights.made[-3:]}, f"night {number}"
        assert manifest(nights.made[-1])["verification"] is None
    verified = postgres.back_up(state="verified").result
    assert verified["file"] == str(nights.made[-1]), "it never lost its place"


def manifest(dump: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(dump.with_suffix(".json").read_text())
    return found
