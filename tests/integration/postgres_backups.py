"""A Postgres to back up and restore, clients that use it meanwhile, and the looks at what is left."""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.integration.conftest import Environment, Outcome, process

UNSAFE = [word for each in ("fsync=off", "full_page_writes=off", "max_wal_size=2GB") for word in ("-c", each)]
SERVICE = {
    "image": "postgres:17",
    "environment": {"POSTGRES_PASSWORD": "canary-superuser-7c1f"},
    "command": ["postgres", *UNSAFE],
    "tmpfs": ["/var/lib/postgresql/data:size=3g"],
    "shm_size": "256m",
    "stop_grace_period": "5s",
}

SHOP = """
CREATE TABLE article (id bigint PRIMARY KEY, name text NOT NULL, price numeric);
INSERT INTO article SELECT n, 'article ' || n, n * 1.5 FROM generate_series(1, 500) n;
CREATE TABLE orders (id bigserial PRIMARY KEY, article bigint REFERENCES article, at timestamptz DEFAULT now());
INSERT INTO orders (article) SELECT id FROM article;
CREATE INDEX ON orders (article);
CREATE SCHEMA "S ü";
CREATE TABLE "S ü"."odd ""x"" name" (a int);
INSERT INTO "S ü"."odd ""x"" name" VALUES (1), (2), (3);
CREATE TABLE schema_migrations (version varchar PRIMARY KEY);
INSERT INTO schema_migrations VALUES ('001'), ('002');
"""
ROWS = {
    "public.article": 500,
    "public.orders": 500,
    '"S ü"."odd ""x"" name"': 3,
    "public.schema_migrations": 2,
}

BIG = """
CREATE TABLE big (id bigint, a text, b text);
INSERT INTO big SELECT n, md5(n::text) || md5((n + 1)::text), md5((n + 2)::text) FROM generate_series(1, {rows}) n;
"""


class Postgres:
    """The Postgres of an environment, as the witness sees it."""

    def __init__(self, environment: Environment, database: str = "shop") -> None:
        self.environment, self.database = environment, database
        self.folder = environment.state_dir.with_name("backups")

    def begin(self, in_memory: bool = True, **keys: object) -> None:
        """Start it with Compose by hand, and wait until it truly answers; in memory, its data dies with it."""
        usual = {key: value for key, value in SERVICE.items() if in_memory or key != "tmpfs"}
        self.environment.write("compose.yml", {"services": {"postgres": {**usual, **keys}}})
        argv = ["docker", "compose", "-p", self.environment.project, "up", "-d"]
        subprocess.run(argv, cwd=self.environment.folder, check=True, capture_output=True)
        self.await_it()

    def await_it(self) -> None:
        deadline = time.monotonic() + 90
        while self.try_sql("SELECT 1", "postgres")[0]:
            assert time.monotonic() < deadline
            time.sleep(0.2)

    @property
    def container(self) -> str:
        return str(self.environment.container("postgres").name)

    def try_sql(self, text: str, database: str | None = None, user: str = "postgres") -> tuple[int, str]:
        argv = ["docker", "exec", "-i", "-e", f"PGDATABASE={database or self.database}", self.container]
        argv += ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", user]
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.strip() + done.stderr.strip()

    def sql(self, text: str, database: str | None = None, user: str = "postgres") -> str:
        code, printed = self.try_sql(text, database, user)
        assert code == 0, printed
        return printed

    def make(self, text: str = SHOP, name: str | None = None) -> None:
        """Create the database with a content."""
        quoted = '"' + (name or self.database).replace('"', '""') + '"'
        self.sql(f"CREATE DATABASE {quoted}", "postgres")
        self.sql(text, name)

    def databases(self) -> set[str]:
        return set(self.sql("SELECT datname FROM pg_database WHERE NOT datistemplate", "postgres").splitlines())

    def sessions(self) -> list[str]:
        """Sessions of ours that are at work in the server."""
        query = "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'strata-%'"
        return self.sql(query, "postgres").split()

    def checksum(self, database: str | None = None) -> str:
        """What tells whether the shop's content is the same."""
        tables = ("article", "orders", '"S ü"."odd ""x"" name"', "schema_migrations")
        sums = [
            f"SELECT count(*), sum(('x' || substr(md5(t::text), 1, 15))::bit(60)::bigint::numeric) FROM {each} t;"
            for each in tables
        ]
        return self.sql("".join(sums), database)

    def options(self, **given: Any) -> dict[str, Any]:
        return {"database": self.database, "backup_dir": str(self.folder), "actor": "alice", **given}

    def run(self, module: str, *flags: str, **given: Any) -> Outcome:
        modes = {f"_ansible_{flag}_mode": True for flag in flags}
        told = self.environment.options(module, self.options(**given))
        return process(module, {**told, **modes})

    def back_up(self, **given: Any) -> Outcome:
        outcome = self.run("postgres_backup", **given)
        assert not outcome.failed, outcome.message
        return outcome

    def restore(self, **given: Any) -> Outcome:
        outcome = self.run("postgres_restore", **given)
        assert not outcome.failed, outcome.message
        return outcome

    def start(self, module: str, **given: Any) -> subprocess.Popen[str]:
        """A module in a process of its own, to be struck."""
        told = self.environment.options(module, self.options(**given))
        argv = [sys.executable, "-m", f"ansible_collections.strata.compose.plugins.modules.{module}"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        running = subprocess.Popen(argv, **pipes, text=True, env=environment_of_modules())  # type: ignore[call-overload]
        running.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": told}))
        running.stdin.close()
        running.stdin = None
        found: subprocess.Popen[str] = running
        return found

    def dumps(self) -> list[Path]:
        return sorted(self.folder.glob("*.dump"))

    def partials(self) -> list[Path]:
        return sorted(self.folder.glob(".*.partial"))

    def require_whole_backups(self) -> None:
        """No dump has its name without a manifest that is true of it."""
        for dump in self.dumps():
            manifest = json.loads(dump.with_suffix(".json").read_text())
            printed = subprocess.run(["sha256sum", str(dump)], capture_output=True, text=True, check=True).stdout
            assert printed.split()[0] == manifest["sha256"]
            with dump.open("rb") as content:
                argv = ["docker", "exec", "-i", self.container, "pg_restore", "-f", "/dev/null"]
                subprocess.run(argv, stdin=content, check=True, capture_output=True)

    @contextlib.contextmanager
    def clients(self, count: int, text: str) -> Iterator[list[float]]:
        """Clients that ask one thing again and again and connect anew when they are cut; when each was answered."""
        answered: list[float] = []
        stop = threading.Event()
        threads = [threading.Thread(target=self._ask, args=(text, stop, answered)) for _number in range(count)]
        for each in threads:
            each.start()
        try:
            yield answered
        finally:
            stop.set()
            for each in threads:
                each.join()

    def _ask(self, text: str, stop: threading.Event, answered: list[float]) -> None:
        """One psql after the other, in the container, so that connecting anew takes what it takes a client."""
        end = f"/tmp/end-{secrets.token_hex(4)}"
        script = f"""
            while [ ! -e {end} ]; do
                while [ ! -e {end} ] && echo "{text} SELECT 1;"; do sleep 0.02; done |
                    PGCONNECT_TIMEOUT=2 psql -XqAt -v ON_ERROR_STOP=1 -h 127.0.0.1 -U postgres 2>/dev/null
                sleep 0.02
            done"""
        argv = ["docker", "exec", "-e", f"PGDATABASE={self.database}", self.container, "bash", "-c", script]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout
            for _line in running.stdout:
                answered.append(time.monotonic())
                if stop.is_set():
                    # Nothing is killed: the server would take it for a session of its own that crashed.
                    subprocess.run(["docker", "exec", self.container, "touch", end], check=True)


def environment_of_modules() -> dict[str, str]:
    import os

    from tests.integration.conftest import REPOSITORY

    return {**os.environ, "PYTHONPATH": str(REPOSITORY / ".ansible/collections")}


def longest_gap(answered: list[float]) -> float:
    times = sorted(answered)
    return max((later - earlier for earlier, later in zip(times, times[1:], strict=False)), default=0.0)
