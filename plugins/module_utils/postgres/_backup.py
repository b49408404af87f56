# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of a database: made, proven to be whole, kept as long as wanted. Private to strata.compose."""

from __future__ import annotations

import secrets
import time
import typing as t
from dataclasses import asdict

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._lock import now
from ansible_collections.strata.compose.plugins.module_utils.postgres import _archive, _backups, _test_server
from ansible_collections.strata.compose.plugins.module_utils.postgres._backups import Backup, Keep
from ansible_collections.strata.compose.plugins.module_utils.postgres._database import Database
from ansible_collections.strata.compose.plugins.module_utils.postgres._server import Server
from ansible_collections.strata.compose.plugins.module_utils.postgres._work import (
    Result,
    Work,
    end_leftovers,
    ending_sessions,
    observed,
    require,
)


def back_up(work: Work) -> Result:
    """Make one backup, and remove those that need not be kept any more."""
    server = work.server()
    database = require(observed(server, work.database), work.database, server)
    tools = _archive.tools_of(server)
    if not work.check:
        end_leftovers(server)
        _test_server.sweep(work.cli, work.project)
        work.folder.sweep(work.project)
    work.folder.require_space(_backups.needed_space(database, _backups.latest(own_backups(work))))
    if work.check:
        return work.told([("backup", f"database {work.database} to {work.folder.path}")])
    before = own_backups(work)
    with ending_sessions(work, server):
        backup = _made(work, server, database, tools, _backups.next_number(before))
    path = work.folder.place(backup.file)
    pruned = _prune(work, backup)
    work.folder.require_there(backup)
    warning = _backups.clock_warning(before, backup.started)
    actions = [
        ("backup", f"database {work.database} to {path}"),
        *(("prune", f"{each} is not to be kept any longer") for each in pruned),
    ]
    warned = {"warnings": [warning]} if warning else {}
    return work.told(actions, **facts_of(work, backup), pruned=pruned, **warned)


def own_backups(work: Work) -> list[Backup]:
    """The backups of this environment's database."""
    return [each for each in work.folder.all() if each.is_of(work.project, work.database)]


def facts_of(work: Work, backup: Backup) -> dict[str, t.Any]:
    """A backup for the result."""
    shown = ("sha256", "bytes", "seconds", "verified", "verification", "rows", "migrations")
    told = {key: value for key, value in asdict(backup).items() if key in shown}
    return {"file": work.folder.place(backup.file), "finished_at": backup.finished, **told}


def _made(work: Work, server: Server, database: Database, tools: _archive.Tools, number: int) -> Backup:
    started, began = now(), time.monotonic()
    file = _backups.file_name(work.options["environment"], work.database, started, secrets.token_hex(4))
    with work.folder.partial(file, work.project) as content:
        dumped = _dumped(work, server, tools, content)
        backup = Backup(
            file=file,
            sha256=dumped.stream.sha256,
            bytes=dumped.stream.size,
            started=started,
            finished=now(),
            seconds=round(time.monotonic() - began, 2),
            project=work.project,
            environment=work.options["environment"],
            service=server.service,
            name=work.database,
            image=_image_of(server),
            dumped_by=tools.version,
            compression=tools.compression,
            database=asdict(database),
            rows=dumped.rows,
            migrations=dumped.migrations,
            actor=work.actor,
            number=number,
        )
        work.cancellation.touch()
        work.folder.keep(backup, work.project, content)
    return backup


def _dumped(work: Work, server: Server, tools: _archive.Tools, content: t.IO[bytes]) -> _archive.Dumped:
    """Dump into a file, and read it back to its end."""
    timeout = work.options["timeout"]
    try:
        dumped = _archive.dump(server, work.database, tools.compression, content, timeout)
        content.seek(0)
        _archive.decode(server, content, timeout)
    except ComposeFailure as failure:
        raise _without_backup(work, failure) from failure
    return dumped


def _without_backup(work: Work, failure: ComposeFailure) -> ComposeFailure:
    """The failure with its outcome, and with the way out where the disk is full."""
    facts = {**failure.facts, "changed": False}
    told = failure.message.rstrip(".\n")
    if "errno" in facts:
        told = f"{work.folder.path}: {told}. Free some space there, keep fewer backups, or choose another backup_dir"
    return ComposeFailure(f"{told}. No backup was made; earlier ones are as they were.", **facts)


def _image_of(server: Server) -> str:
    told = server.cli.docker("inspect", "--format", "{{.Config.Image}} {{.Image}}", server.container)
    return told.text.strip()


def _prune(work: Work, made: Backup) -> list[str]:
    """Remove what is not to be kept, never what was ``made`` just now; without a number nothing is."""
    options = work.options
    keep = Keep(options["keep_last"], options["keep_daily"], options["keep_weekly"], options["keep_monthly"])
    if not any(asdict(keep).values()):
        return []
    gone = _backups.to_remove(own_backups(work), keep, made.file)
    for each in gone:
        work.folder.remove(each)
    return [work.folder.place(each.file) for each in gone]
