"""Time a backup beside pg_dump by hand, on a database of about 1 GB in memory.

    python tests/bench/postgres_backups.py --rounds 3 --megabytes 1000

Ours dumps, counts, writes to the disk for good, reads back and decodes; by hand, it is dumped with the same
compression, or with the one that pg_dump has by itself. Throughput is that of the database's data.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from measure import Finding, Sample, Side, interleaved, median, run, told

REPOSITORY = Path(__file__).resolve().parents[2]
BOUND = 0.9
ROW_BYTES = 190
FILL = """
CREATE TABLE item (id bigint, a text, b text, c double precision, d timestamptz);
INSERT INTO item SELECT n, md5(n::text), 'article number ' || n || ' of the shop, with a description that repeats',
  random(), now() - n * interval '1 s' FROM generate_series(1, {rows}) n;
"""
COMPOSE = {
    "services": {
        "postgres": {
            "image": "postgres:17",
            "environment": {"POSTGRES_PASSWORD": "bench"},
            "command": ["postgres", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_wal_size=2GB"],
            "tmpfs": ["/var/lib/postgresql/data:size=8g"],
        }
    }
}


def main() -> None:
    """Fill a database, time the sides in turn, and tell."""
    parser = argparse.ArgumentParser(description="Time a backup beside pg_dump by hand.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=1000)
    wish = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="strata-bench-") as name:
        folder = Path(name) / f"pgbench{uuid.uuid4().hex[:6]}"
        folder.mkdir()
        (folder / "compose.yml").write_text(json.dumps(COMPOSE))
        compose = ("docker", "compose", "-p", f"{folder.name}-dev", "--project-directory", str(folder))
        try:
            run(*compose, "up", "--detach")
            size = filled(compose, wish.megabytes)
            report(size, timed_sides(folder, compose, wish.rounds))
        finally:
            run(*compose, "down", "--volumes", "--timeout", "1")


def filled(compose: tuple[str, ...], megabytes: int) -> float:
    """Make the database; its size in MB."""
    psql = (*compose, "exec", "-T", "postgres", "psql", "-XqAt", "-h", "127.0.0.1", "-U", "postgres", "-c")
    deadline = time.monotonic() + 60
    while subprocess.run([*psql, "SELECT 1"], capture_output=True, check=False).returncode:
        if time.monotonic() > deadline:
            raise SystemExit("Postgres does not answer")
        time.sleep(0.3)
    told(f"filling a database with {megabytes} MB")
    run(*psql, FILL.format(rows=megabytes * 1_000_000 // ROW_BYTES))
    return int(run(*psql, "SELECT pg_table_size('item')").splitlines()[-1]) / 1e6


def timed_sides(folder: Path, compose: tuple[str, ...], rounds: int) -> dict[str, list[Sample]]:
    """Seconds of each side, and the memory that ours took at most."""
    dump = (*compose, "exec", "-T", "postgres", "pg_dump", "-U", "postgres", "-Fc")
    sides: dict[str, Side] = {
        "ours": lambda: ours(folder),
        "zstd": lambda: by_hand(folder, (*dump, "--compress=zstd:1", "postgres")),
        "usual": lambda: by_hand(folder, (*dump, "postgres")),
    }
    return interleaved("backup", sides, rounds, warm=True)


def ours(folder: Path) -> Sample:
    """The module, in a process of its own."""
    own = {"project_dir": str(folder), "environment": "dev", "database": "postgres", "keep_last": 1}
    places = {"state_dir": str(folder / "state"), "backup_dir": str(folder / "backups")}
    argv = [sys.executable, "-m", "ansible_collections.strata.compose.plugins.modules.postgres_backup"]
    variables = {**os.environ, "PYTHONPATH": str(REPOSITORY / ".ansible/collections")}
    began = time.monotonic()
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables) as process:
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": {**own, **places}}))
        process.stdin.close()
        printed = process.stdout.read()
        _pid, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    result = json.loads(printed)
    if result.get("failed"):
        raise SystemExit(result["msg"])
    return {"wall": time.monotonic() - began, "memory": used.ru_maxrss / 1000, "size": result["bytes"] / 1e6}


def by_hand(folder: Path, argv: tuple[str, ...]) -> Sample:
    """What one types, with the output into a file."""
    path = folder / "by-hand.dump"
    began = time.monotonic()
    with path.open("wb") as file:
        subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=file, check=True)
    found = {"wall": time.monotonic() - began, "size": path.stat().st_size / 1e6}
    path.unlink()
    return found


def report(size: float, samples: dict[str, list[Sample]]) -> None:
    """Throughput of each side, and ours over theirs."""
    mine = size / median(samples, "ours")
    for side, name in (("zstd", "pg_dump -Fc --compress=zstd:1"), ("usual", "pg_dump -Fc")):
        theirs = size / median(samples, side)
        found = Finding("backup", "MB/s", mine, theirs, name, theirs / mine, 1 / BOUND, f">= {BOUND} x", is_ratio=True)
        print(f"backup of {size:.0f} MB: ours {mine:.0f} MB/s, {name} by hand {theirs:.0f} MB/s,", end=" ")
        print(f"{mine / theirs:.2f} x, target {found.target}: {found.verdict}")
    print(f"memory of the module at most {max(each['memory'] for each in samples['ours']):.0f} MB; samples: {samples}")


if __name__ == "__main__":
    main()
