# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pg_dump and pg_restore in the container, with their own word for how they ended. Private to strata.compose.

The CLI's exit code alone proves nothing: ``docker exec`` that is told to end gives 0 with half of the output. So the
shell in the container writes the exit code of the program to standard error, with a token that nothing else knows.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils.postgres import _counts
from ansible_collections.strata.compose.plugins.module_utils.postgres._counts import Counts
from ansible_collections.strata.compose.plugins.module_utils.postgres._server import (
    LOCK,
    PSQL,
    QUESTION,
    SUPERUSER,
    VERBOSE,
    Server,
)
from ansible_collections.strata.compose.plugins.module_utils.postgres._streams import Stream, read_from, written_to

ZSTD, GZIP = "zstd:1", "1"
"""For ``--compress``: three times as fast as gzip and smaller, but known to pg_dump 16 and later only."""

MARK = "STRATA-END"
COUNTING_ENDED = "STRATA-COUNTING-ENDED"
KEPT = 1 << 24
"""Bytes of standard error that are looked at: the rows of each table are told there."""

FAST = (
    "-c maintenance_work_mem=256MB -c synchronous_commit=off -c statement_timeout=0 -c lock_timeout=0 "
    "-c idle_in_transaction_session_timeout=0 -c default_transaction_read_only=off"
)
"""Settings of a session that fills a database which nobody uses yet; those of its roles do not count in it."""

VERSION = re.compile(r"pg_dump \(PostgreSQL\) (\d+)\S*")


class Tools(t.NamedTuple):
    """What the container has."""

    version: str
    major: int
    compression: str


def tools_of(server: Server) -> Tools:
    """The version of pg_dump in the container, and the best compression that it was built with."""
    script = (
        "pg_dump --version || exit; LC_ALL=C pg_dump --format=custom --compress=zstd:1 --host=/nonexistent "
        "--file=/dev/null 2>&1"
    )
    completed = server.cli.run(server.argv("postgres", script), stdin=b"", accept=None, timeout=QUESTION)
    found = VERSION.search(completed.text)
    if found is None:
        raise ComposeFailure(
            f"service {server.service} has no pg_dump ({completed.error_text or completed.text.strip()}): its image "
            f"must hold Postgres' own programs, as the official image postgres does. Nothing was changed."
        )
    # What it does not know it refuses before it connects.
    has_zstd = "connection to server" in completed.text
    return Tools(found[0].rpartition(" ")[2], int(found[1]), ZSTD if has_zstd else GZIP)


class Dumped(t.NamedTuple):
    """A dump that was written."""

    stream: Stream
    rows: Counts
    migrations: dict[str, str]
    """the newest one by table of migrations"""


def dump(server: Server, database: str, compression: str, file: t.IO[bytes], timeout: int) -> Dumped:
    """Write a dump of a database into a file, with the rows of each table as the dump holds them.

    psql opens a snapshot and counts in it while pg_dump reads it. Whatever runs in the container is a child of the
    shell there: one that outlived it would become a child of the server, which takes its end for that of a session.
    psql ends when its input does, and that is when the first output comes, also from a pg_dump that fails.
    """
    command = (
        f'{{ {PSQL.replace("exec ", "", 1)}; echo "{COUNTING_ENDED} $?"; }} | {{ IFS= read -r snapshot; '
        f'case $snapshot in "{COUNTING_ENDED}"*) exit 1 ;; esac; '
        f'pg_dump --format=custom --compress="$2" --snapshot="$snapshot" --lock-wait-timeout={LOCK}s '
        f"--username={SUPERUSER}; code=$?; [ $code = 0 ] || echo; cat >&2; (exit $code); }}"
    )
    with contextlib.ExitStack() as stack:
        questions, close = stack.enter_context(_open_until_called(VERBOSE + _counts.in_snapshot()))
        output, stream = stack.enter_context(written_to(file, close))
        told = _run(server, database, command, (compression,), questions, output, timeout, lambda: stream.error)
    if stream.error is not None:
        raise _unwritten(stream.error)
    if f"{COUNTING_ENDED} 0" not in told.splitlines():
        raise _failure(server, database, "psql", told, 1, 1)
    return Dumped(stream, *_counts.counted(told))


@contextlib.contextmanager
def _open_until_called(text: str) -> t.Iterator[tuple[t.IO[bytes], t.Callable[[], None]]]:
    """A pipe with a text, which ends when the function is called, or with the block."""
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as given, open(writing, "wb", buffering=0) as end:
        end.write(text.encode())
        yield given, end.close


def decode(server: Server, file: t.IO[bytes], timeout: int) -> None:
    """Read a dump to its end, which shows that nothing is missing from it."""
    _run(server, "postgres", "pg_restore --file=/dev/null", (), file, None, timeout, lambda: None)


def restore(server: Server, database: str, file: t.IO[bytes], options: t.Sequence[str], timeout: int) -> Stream:
    """Restore a dump into an empty database, as a whole or not at all."""
    command = (
        f'export PGOPTIONS="{FAST}"; shift; pg_restore --username={SUPERUSER} --dbname= --single-transaction '
        f'--exit-on-error "$@"'
    )
    with read_from(file) as (content, stream):
        _run(server, database, command, options, content, None, timeout, lambda: stream.error)
    return stream


def _run(
    server: Server,
    database: str,
    command: str,
    words: t.Sequence[str],
    stdin: t.IO[bytes] | None,
    output: t.IO[bytes] | None,
    timeout: int,
    local_error: t.Callable[[], OSError | None],
) -> str:
    """Run a command of the container's shell, whose first parameter is the token; what it told on standard error."""
    script = f'end() {{ echo "{MARK} $1 $2" >&2; exit "$2"; }}; token=$1; {command}; end "$token" $?'
    argv = server.argv(database, script, server.token, *words)
    with tempfile.TemporaryFile() as errors, _somewhere(output) as target:
        completed = server.cli.run(
            argv, stdin=stdin or b"", timeout=timeout, accept=None, into=(target, t.cast("t.IO[bytes]", errors))
        )
        told = _tail(t.cast("t.IO[bytes]", errors))
    own = _own_code(told, server.token)
    if completed.rc == 0 and own == 0 and local_error() is None:
        return told
    error = local_error()
    if error is not None:
        raise _unwritten(error)
    raise _failure(server, database, command, told, completed.rc, own)


@contextlib.contextmanager
def _somewhere(output: t.IO[bytes] | None) -> t.Iterator[t.IO[bytes]]:
    if output is not None:
        yield output
        return
    with open(os.devnull, "wb") as nowhere:
        yield nowhere


def _tail(errors: t.IO[bytes]) -> str:
    errors.seek(max(0, os.fstat(errors.fileno()).st_size - KEPT))
    return errors.read().decode("utf-8", "replace")


def _own_code(told: str, token: str) -> int | None:
    """The exit code that the program itself had; ``None`` when it was not there to tell."""
    found = re.search(rf"^{MARK} {token} (\d+)$", told, re.M)
    return int(found[1]) if found else None


def _unwritten(error: OSError) -> ComposeFailure:
    return ComposeFailure(f"the file of the backup cannot be read or written: {error.strerror}.", errno=error.errno)


def _failure(server: Server, database: str, command: str, told: str, rc: int, own: int | None) -> ComposeFailure:
    program = next(each for each in ("pg_dump", "pg_restore", "psql") if each in command)
    lines = [line for line in told.splitlines() if line.strip() and not line.startswith("STRATA-")]
    where = f"{program} in service {server.service}, database {database}"
    if own is None:
        last = f": {lines[-1]}" if lines else ""
        text = f"{where}, was cut off before it ended (docker exited with {rc}){last}"
        return ComposeFailure(text, rc=rc, error_kind="cut_off")
    text = f"{where}, failed with exit code {own}: " + "\n".join(lines[-10:])
    return ComposeFailure(text, rc=own, error_kind="archive_failed")
