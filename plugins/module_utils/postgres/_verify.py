# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup is restored for a test: in a server of its own, and held against what was counted when it was made.

That server is a container of the same image without a network, so neither the disk nor the sessions of the one that
serves have a part in it. Private to strata.compose.
"""

from __future__ import annotations

import os
import time
import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._lock import now
from ansible_collections.strata.compose.plugins.module_utils.postgres import _archive, _backups, _database, _test_server
from ansible_collections.strata.compose.plugins.module_utils.postgres._backups import RESTORED, Backup
from ansible_collections.strata.compose.plugins.module_utils.postgres._checks import require_copy, run_assertions
from ansible_collections.strata.compose.plugins.module_utils.postgres._sql import Statement
from ansible_collections.strata.compose.plugins.module_utils.postgres._work import Result, Work

NAME = "restored"
OF_THE_BACKUP = ("damaged", "archive_failed", "not_a_copy", "assertion_failed")
"""Failures that tell something of the backup; all others tell something of the host that tests it."""


def verify(work: Work) -> Result:
    """Restore a backup for a test and write down in its manifest how that went."""
    backup = chosen(work, work.options["backup"])
    path = work.folder.place(backup.file)
    if work.check:
        return work.told([("verify", path)], file=path, verified=backup.verified)
    _test_server.sweep(work.cli, work.project)
    began = time.monotonic()
    try:
        work.folder.check(backup)
        _tried(work, backup)
    except ComposeFailure as failure:
        if failure.facts.get("error_kind") not in OF_THE_BACKUP:
            raise _not_tested(path, failure) from failure
        work.folder.write(replace(backup, verification=_outcome(work, began, failure)))
        raise _not_passed(path, failure) from failure
    proven = replace(backup, verified=RESTORED, verification=_outcome(work, began))
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


def _not_tested(path: str, failure: ComposeFailure) -> ComposeFailure:
    """A failure of the host, which says nothing of the backup: its manifest stays as it is."""
    message = f"{path} could not be tested: {failure.message.rstrip()} The backup itself is as it was."
    return ComposeFailure(message, **{"error_kind": "not_tested", **failure.facts})


def _not_passed(path: str, failure: ComposeFailure) -> ComposeFailure:
    kind = failure.facts["error_kind"]
    outcome = "It is not taken for the latest one any more" if kind == "damaged" else "It keeps its place"
    return ComposeFailure(
        f"{path} did not stand the test: {failure.message} {outcome}, and its manifest tells the cause.",
        **{**failure.facts, "changed": True, "file": path, "error_kind": "verification_failed"},
    )


def _outcome(work: Work, began: float, failure: ComposeFailure | None = None) -> dict[str, t.Any]:
    return {
        "finished_at": now(),
        "seconds": round(time.monotonic() - began, 2),
        "actor": work.actor,
        "assertions": list(work.options["assertions"]),
        "cause": failure.message if failure else None,
        "error_kind": failure.facts["error_kind"] if failure else None,
    }


def _tried(work: Work, backup: Backup) -> None:
    """Restore into an empty server that has the same roles, and compare."""
    origin = backup.origin
    with _test_server.started(work, backup) as server:
        roles = [each for each in origin.needed_roles if each != origin.superuser]
        server.execute([Statement("CREATE ROLE %I", (each,)) for each in roles])
        server.execute([_database.create(NAME, origin, origin.owner, origin.major)])
        with _test_server.faults_of_it(server):
            with work.folder.dump(backup) as file:
                # Tablespaces are places on the disks of the server that the dump is from.
                _archive.restore(server, NAME, file, ("--no-tablespaces",), work.options["timeout"])
            require_copy(server, NAME, backup.rows)
            run_assertions(server, NAME, work.options["assertions"])
