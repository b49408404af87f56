# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup is restored for a test: in a server of its own, and held against what was counted when it was made.

That server is a container of the same image without a network, so neither the disk nor the sessions of the one that
serves have a part in it. Private to strata.compose.
"""

from __future__ import annotations

import contextlib
import os
import time
import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._lock import now
from ansible_collections.strata.compose.plugins.module_utils.postgres import _archive, _backups, _database
from ansible_collections.strata.compose.plugins.module_utils.postgres._backups import RESTORED, Backup
from ansible_collections.strata.compose.plugins.module_utils.postgres._checks import require_copy, run_assertions
from ansible_collections.strata.compose.plugins.module_utils.postgres._server import POLL, Server, answers
from ansible_collections.strata.compose.plugins.module_utils.postgres._sql import Statement
from ansible_collections.strata.compose.plugins.module_utils.postgres._work import Result, Work

LABEL = "strata.compose.verifies"
"""Label of a container that is there for a test, with the project; a killed test leaves it to the next operation."""

NAME = "restored"
UNSAFE = (
    *("fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0"),
    *("autovacuum=off", "max_wal_size=4GB", "listen_addresses=127.0.0.1"),
)
"""Settings of a server whose data nobody needs after a crash."""

BAD = ("damaged", "archive_failed", "not_a_copy", "assertion_failed")
"""Failures that tell something of the backup, and not of the host that tests it."""

START = 120.0
"""Seconds that it gets to begin."""


def verify(work: Work) -> Result:
    """Restore a backup for a test and write down in its manifest how that went."""
    backup = chosen(work, work.options["backup"])
    path = work.folder.place(backup.file)
    if work.check:
        return work.told([("verify", path)], file=path, verified=backup.verified)
    sweep_containers(work.cli, work.project)
    began = time.monotonic()
    try:
        work.folder.check(backup)
        _tried(work, backup)
    except ComposeFailure as failure:
        if failure.facts.get("error_kind") not in BAD:
            raise ComposeFailure(f"{path} could not be tested: {failure.message}", **failure.facts) from failure
        work.folder.write(replace(backup, verification=_outcome(work, began, failure.message)))
        raise ComposeFailure(
            f"{path} did not stand the test: {failure.message} It is marked as bad.",
            **{**failure.facts, "changed": True, "file": path, "error_kind": "verification_failed"},
        ) from failure
    proven = replace(backup, verified=RESTORED, verification=_outcome(work, began, None))
    work.folder.write(proven)
    facts = {"verified": RESTORED, "verification": proven.verification, "rows": backup.rows, "sha256": backup.sha256}
    return work.told([("verify", path)], file=path, **facts)


def chosen(work: Work, which: str) -> Backup:
    """The backup that an option means: ``latest``, ``latest_verified``, the name of a file, or its path."""
    if which not in ("latest", "latest_verified"):
        return work.folder.named(os.path.join(work.folder.path, which))
    return newest(work, which, work.project, work.database)


def newest(work: Work, which: str, project: str, database: str) -> Backup:
    """The newest backup of a database, which was restored for a test if so asked."""
    own = [each for each in work.folder.all() if each.is_of(project, database)]
    found = _backups.latest(own, verified=which == "latest_verified")
    if found is None:
        what = "backup that was restored for a test" if which == "latest_verified" else "good backup"
        raise ComposeFailure(
            f"{work.folder.path} holds no {what} of database {database} of {project}: make one with postgres_backup"
            f"{', state=verified' if which == 'latest_verified' else ''}. Nothing was changed.",
            error_kind="no_backup",
        )
    return found


def _outcome(work: Work, began: float, cause: str | None) -> dict[str, t.Any]:
    seconds = round(time.monotonic() - began, 2)
    assertions = list(work.options["assertions"])
    return {"finished": now(), "seconds": seconds, "actor": work.actor, "assertions": assertions, "cause": cause}


def _tried(work: Work, backup: Backup) -> None:
    """Restore into an empty server that has the same roles, and compare."""
    origin = backup.origin
    with _server(work, backup) as server:
        roles = [each for each in origin.needed_roles if each != origin.superuser]
        server.execute([Statement("CREATE ROLE %I", (each,)) for each in roles])
        server.execute([_database.create(NAME, origin, origin.owner, origin.major)])
        with open(work.folder.place(backup.file), "rb", buffering=0) as file:
            _restored(server, file, work.options["timeout"])
        require_copy(server, NAME, backup.rows)
        run_assertions(server, NAME, work.options["assertions"])


def _restored(server: Server, file: t.IO[bytes], timeout: int) -> None:
    try:
        _archive.restore(server, NAME, file, (), timeout)
    except ComposeFailure:
        # A server that has died, for want of memory perhaps, says nothing of the backup.
        server.psql("SELECT;\n")
        raise


@contextlib.contextmanager
def _server(work: Work, backup: Backup) -> t.Iterator[Server]:
    """A server that nobody can reach, and that is gone afterwards with all that is in it."""
    origin = backup.origin
    image = backup.image.split()[-1]
    libraries = (f"shared_preload_libraries={origin.libraries}",) if origin.libraries else ()
    settings = [word for each in (*UNSAFE, *libraries) for word in ("-c", each)]
    started = work.cli.docker(
        *("run", "--detach", "--rm", "--network", "none", "--shm-size", "256m", "--pull", "never"),
        *("--label", f"{LABEL}={work.project}", "--env", f"POSTGRES_USER={origin.superuser}"),
        *("--env", "POSTGRES_HOST_AUTH_METHOD=trust", "--env", "POSTGRES_DB=postgres", image, "postgres", *settings),
    )
    server = Server(work.cli, started.text.strip(), "for the test", "verify")
    try:
        _await(server)
        yield server
    finally:
        work.cancellation.touch()
        _remove(work.cli, [server.container])


def _await(server: Server) -> None:
    """Wait until it answers over TCP, which it does when its own initialisation is over."""
    deadline = time.monotonic() + START
    while not answers(server):
        listed = server.cli.docker("ps", "--quiet", "--no-trunc", "--filter", f"id={server.container}").text
        if time.monotonic() > deadline or not listed.strip():
            raise ComposeFailure("no server of the same image could be started for the test.")
        time.sleep(POLL)


def sweep_containers(cli: Cli, project: str) -> None:
    """Remove the servers of tests that were killed; only under the lock."""
    listed = cli.docker("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={LABEL}={project}")
    _remove(cli, listed.text.split())


def _remove(cli: Cli, containers: t.Sequence[str]) -> None:
    if containers:
        cli.docker("rm", "--force", "--volumes", *containers, accept=(0, 1))
