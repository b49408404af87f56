"""A ledger of double entries over HTTP: `python3 ledger.py serve`, and `accounts FILE` to open accounts."""

import json
import logging
import os
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

PORT = 8000
log = logging.getLogger("ledger")


def connect() -> psycopg.Connection[dict[str, Any]]:
    return psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=3, row_factory=dict_row)


def health(_body: Any) -> Any:
    with connect() as connection:
        connection.execute("SELECT count(*) FROM entries")
    return {"status": "ok", "database": "ok"}


def balances(_body: Any) -> Any:
    with connect() as connection:
        rows = connection.execute("SELECT name, balance::text FROM balances ORDER BY name").fetchall()
    return {row["name"]: row["balance"] for row in rows}


def entries(_body: Any) -> Any:
    query = "SELECT id, debit, credit, amount::text, memo FROM entries ORDER BY id DESC LIMIT 50"
    with connect() as connection:
        return connection.execute(query).fetchall()


def book(body: Any) -> Any:
    query = """INSERT INTO entries (debit, credit, amount, memo)
               VALUES (%(debit)s, %(credit)s, %(amount)s, %(memo)s) RETURNING id"""
    with connect() as connection:
        return connection.execute(query, {"memo": "", **body}).fetchone()


ROUTES: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("GET", "/health"): health,
    ("GET", "/balances"): balances,
    ("GET", "/entries"): entries,
    ("POST", "/entries"): book,
}


class Handler(BaseHTTPRequestHandler):
    def answer(self) -> None:
        route = ROUTES.get((self.command, self.path))
        if route is None:
            return self.send(404, {"error": "there is no such page"})
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self.send(200, route(json.loads(body or "null")))
        except (ValueError, TypeError, KeyError, psycopg.errors.DataError, psycopg.errors.IntegrityError) as error:
            self.send(400, {"error": str(error).splitlines()[0]})
        except psycopg.Error as error:
            log.error("%s: %s", self.path, error)
            self.send(503, {"status": "error", "database": "error"})

    do_GET = do_POST = answer

    def send(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form: str, *values: Any) -> None:
        log.debug(form, *values)


def open_accounts(path: str) -> None:
    names = Path(path).read_text(encoding="utf-8").split()
    with connect() as connection:
        for name in names:
            connection.execute("INSERT INTO accounts (name) VALUES (%s) ON CONFLICT DO NOTHING", [name])
    print(f"{len(names)} accounts are open")


def main() -> None:
    logging.basicConfig(level=os.environ["LOG_LEVEL"].upper(), format="%(levelname)s %(message)s")
    if sys.argv[1:2] == ["accounts"]:
        open_accounts(sys.argv[2])
    else:
        ThreadingHTTPServer(("", PORT), Handler).serve_forever()


if __name__ == "__main__":
    main()
