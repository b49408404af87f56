# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup is to be restored, and all that can be in the way of it. Private to strata.compose."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._manifest import told_size
from ansible_collections.strata.compose.plugins.module_utils._sources import identify
from ansible_collections.strata.compose.plugins.module_utils.postgres import _archive
from ansible_collections.strata.compose.plugins.module_utils.postgres._backup_folder import BackupFolder, folder_of
from ansible_collections.strata.compose.plugins.module_utils.postgres._backups import Backup
from ansible_collections.strata.compose.plugins.module_utils.postgres._database import Database
from ansible_collections.strata.compose.plugins.module_utils.postgres._server import Server
from ansible_collections.strata.compose.plugins.module_utils.postgres._verify import chosen, newest
from ansible_collections.strata.compose.plugins.module_utils.postgres._work import Options, Work, observed

ROLES = "SELECT json_agg(rolname) FROM pg_roles"
EXTENSIONS = "SELECT json_agg(name) FROM pg_available_extensions"


@dataclass(frozen=True)
class Plan:
    """What is restored, and how it has to be done here."""

    backup: Backup
    folder: BackupFolder
    target: Database | None
    roles: frozenset[str]
    """that the server has"""
    is_foreign: bool
    """the backup is of another environment: its owners and privileges mean nothing here"""
    tools: _archive.Tools

    @property
    def path(self) -> str:
        return self.folder.place(self.backup.file)

    @property
    def owner(self) -> str:
        """Who owns the restored database."""
        return self.target.owner if self.target else self.backup.origin.owner

    @property
    def is_replacing(self) -> bool:
        return self.target is not None and not self.target.is_empty


def wanted(work: Work) -> tuple[Backup, BackupFolder]:
    """The backup that is meant, and the folder that it is in."""
    options = work.options
    which, database = options["backup"], options["from_database"] or work.database
    if which not in ("latest", "latest_verified"):
        path = os.path.join(work.folder.path, which)
        folder = BackupFolder(os.path.dirname(path))
        return chosen(replace(work, folder=folder), path), folder
    if options["from_environment"] in (None, options["environment"]):
        return newest(work, which, work.project, database), work.folder
    project = _project_of(options)
    folder = BackupFolder(folder_of(options, project))
    return newest(replace(work, folder=folder), which, project, database), folder


def _project_of(options: Options) -> str:
    """The project name of the environment whose backup is wanted."""
    own = {"environment": options["from_environment"], "project_name": None, "env_files": None, "layers_of": None}
    return identify({**options, **own}).name


def plan_of(work: Work, backup: Backup, folder: BackupFolder, server: Server) -> Plan:
    """All that can be known to be in the way, before anything is touched."""
    if work.database in ("postgres", "template0", "template1"):
        raise ComposeFailure(
            f"database {work.database} belongs to the server itself and cannot be replaced: restore into another one, "
            f"with from_database={work.database}. Nothing was changed."
        )
    target = observed(server, work.database)
    tools = _archive.tools_of(server)
    roles = frozenset(server.value(ROLES))
    is_foreign = (backup.project, backup.environment) != (work.project, work.options["environment"])
    plan = Plan(backup, folder, target, roles, is_foreign, tools)
    major = int(backup.dumped_by.partition(".")[0])
    if major > tools.major:
        raise ComposeFailure(
            f"{plan.path} was made by pg_dump {backup.dumped_by}, and service {server.service} has {tools.version}, "
            f"which cannot read it: restore into Postgres {major} or later. Nothing was changed."
        )
    if target and not target.is_empty:
        require_consent(work, target, "restoring")
    _require_roles(plan, server)
    _require_extensions(plan, server)
    return plan


def require_consent(work: Work, target: Database, what: str) -> None:
    environment = work.options["environment"]
    if work.options["replace"] and work.options["confirm"] == environment:
        return
    raise ComposeFailure(
        f"database {work.database} of environment {environment} is not empty ({told_size(target.size)}), and {what} "
        f"would put another one in its place: say replace=true and confirm={environment}. Nothing was changed.",
        error_kind="not_confirmed",
    )


def _require_roles(plan: Plan, server: Server) -> None:
    needed = [plan.owner] if plan.is_foreign else [plan.owner, *plan.backup.origin.needed_roles]
    missing = sorted({each for each in needed if each not in plan.roles})
    if missing:
        raise ComposeFailure(
            f"service {server.service} has no role {', '.join(missing)}, which {plan.path} needs: bring the database "
            f"with postgres_env first, or create the role. Nothing was changed."
        )


def _require_extensions(plan: Plan, server: Server) -> None:
    available = server.value(EXTENSIONS) or ()
    missing = [each[0] for each in plan.backup.origin.extensions if each[0] not in available]
    if missing:
        raise ComposeFailure(
            f"the image of service {server.service} has no extension {', '.join(missing)}, which {plan.path} needs: "
            f"use an image that has it. Nothing was changed."
        )
