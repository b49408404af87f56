# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server of its own that a backup is restored into for a test, and its troubles, which say nothing of the backup.

Private to strata.compose.
"""

from __future__ import annotations

import contextlib
import re
import time
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils.postgres import _sql
from ansible_collections.strata.compose.plugins.module_utils.postgres._backups import Backup
from ansible_collections.strata.compose.plugins.module_utils.postgres._server import POLL, Server, answers
from ansible_collections.strata.compose.plugins.module_utils.postgres._work import Work

LABEL = "strata.compose.verifies"
"""Label of a container that is there for a test, with the project; a killed test leaves it to the next operation."""

UNSAFE = (
    *("fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0"),
    *("autovacuum=off", "max_wal_size=4GB", "listen_addresses=127.0.0.1"),
    *("log_error_verbosity=verbose", "logging_collector=off", "log_destination=stderr", "log_min_messages=warning"),
    "log_line_prefix=%m [%p] ",
)
"""Settings of a server whose data nobody needs after a crash, and whose log tells the SQLSTATE of each error."""

START = 120.0
"""Seconds that it gets to begin."""

OF_THE_HOST = ("53", "54", "57", "58")
"""Classes of SQLSTATE that tell of disks, memory, limits and interventions (documentation, appendix A)."""

TROUBLE = (
    *("No space left on device", "Disk quota exceeded", "Read-only file system", "Input/output error"),
    *("out of memory", "out of shared memory", "Cannot allocate memory", "Too many open files"),
    *("terminated by signal", "server closed the connection", "connection to server"),
)
"""How the log, or a client, tells the same where no SQLSTATE comes through, for the log is on that disk too."""

STARTING = "57P03"
"""SQLSTATE with which a server that begins refuses those that ask whether it answers."""

LOG_PREFIX = re.compile(r"^[^\[]*\[\d+\] ")
"""Time and process, as ``log_line_prefix`` above has them."""

NO_TABLESPACE = re.compile(r'tablespace "[^"\n]*" does not exist')

LOG = 1000
"""Lines of the log that are looked at after a failure."""


@contextlib.contextmanager
def started(work: Work, backup: Backup) -> t.Iterator[Server]:
    """A server that nobody can reach, and that is gone afterwards with all that is in it."""
    origin = backup.origin
    image = backup.image.split()[-1]
    libraries = (f"shared_preload_libraries={origin.libraries}",) if origin.libraries else ()
    settings = [word for each in (*UNSAFE, *libraries) for word in ("-c", each)]
    begun = work.cli.docker(
        *("run", "--detach", "--rm", "--network", "none", "--shm-size", "256m", "--pull", "never"),
        *("--log-driver", "json-file"),
        *("--label", f"{LABEL}={work.project}", "--env", f"POSTGRES_USER={origin.superuser}"),
        *("--env", "POSTGRES_HOST_AUTH_METHOD=trust", "--env", "POSTGRES_DB=postgres", image, "postgres", *settings),
    )
    server = Server(work.cli, begun.text.strip(), "for the test", "verify")
    try:
        _await(server)
        yield server
    finally:
        work.cancellation.touch()
        with work.cli.unbounded():
            _remove(work.cli, [server.container])


def _await(server: Server) -> None:
    """Wait until it answers over TCP, which it does when its own initialisation is over."""
    deadline = time.monotonic() + START
    while not answers(server):
        listed = server.cli.docker("ps", "--quiet", "--no-trunc", "--filter", f"id={server.container}").text
        if time.monotonic() > deadline or not listed.strip():
            raise ComposeFailure("no server of the same image could be started for the test.")
        time.sleep(POLL)


def sweep(cli: Cli, project: str) -> None:
    """Remove the servers of tests that were killed; only under the lock."""
    listed = cli.docker("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={LABEL}={project}")
    _remove(cli, listed.text.split())


def _remove(cli: Cli, containers: t.Sequence[str]) -> None:
    if containers:
        cli.docker("rm", "--force", "--volumes", *containers, accept=(0, 1))


@contextlib.contextmanager
def faults_of_it(server: Server) -> t.Iterator[None]:
    """A failure inside that is the server's own is none of the backup: it loses the kind that would say so."""
    try:
        yield
    except ComposeFailure as failure:
        trouble = host_trouble(failure, _log(server))
        if trouble is None:
            raise
        message = f"the server for the test is in trouble, and not the backup: {trouble} ({failure.message.rstrip()})."
        raise ComposeFailure(message, **{**failure.facts, "error_kind": "not_tested"}) from failure


def host_trouble(failure: ComposeFailure, log: str | None) -> str | None:
    """What the host of the test is in trouble with, ``None`` where the failure is the backup's own. Pure.

    pg_restore tells no SQLSTATE, but the ``log`` of the server does; ``None`` is that of one that is gone.
    """
    if log is None:
        return "it has ended"
    errors = [error for line in log.splitlines() for error in [_sql.error_of(LOG_PREFIX.sub("", line))] if error]
    last = [error for error in errors if error.state != STARTING][-1:]
    states = [str(failure.facts.get("sqlstate", "")), *(each.state for each in last)]
    found = next((state for state in states if state[:2] in OF_THE_HOST), None)
    if found:
        return f"SQLSTATE {found}"
    told = f"{log}\n{failure.message}"
    missing = NO_TABLESPACE.search(told)
    return missing[0] if missing else next((each for each in TROUBLE if each in told), None)


def _log(server: Server) -> str | None:
    """The last lines of the server's log; ``None`` when it has ended, and its container with it."""
    completed = server.cli.docker("logs", "--tail", str(LOG), server.container, accept=None)
    listed = server.cli.docker("ps", "--quiet", "--no-trunc", "--filter", f"id={server.container}", accept=None).text
    return completed.error_text + completed.text if listed.strip() and not completed.rc else None
