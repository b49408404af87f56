# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of postgres_migrate: what is asked for, where, and what the database has. Private to strata.compose."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._release_store import ReleaseStore
from ansible_collections.strata.compose.plugins.module_utils._scene import Options
from ansible_collections.strata.compose.plugins.module_utils.postgres import (
    _history,
    _history_reader,
    _migration_plan,
    _sql,
)
from ansible_collections.strata.compose.plugins.module_utils.postgres._history import History
from ansible_collections.strata.compose.plugins.module_utils.postgres._migration_plan import Plan, Wish
from ansible_collections.strata.compose.plugins.module_utils.postgres._migrations import Folder
from ansible_collections.strata.compose.plugins.module_utils.postgres._place import place_of
from ansible_collections.strata.compose.plugins.module_utils.postgres._server import Server


@dataclass(frozen=True)
class Job:
    """One run of the module."""

    options: Options
    cli: Cli
    store: ReleaseStore
    folder: Folder
    diff: bool

    @property
    def place(self) -> tuple[str, str]:
        """Project and service of the database."""
        return place_of(self.options, self.store.project)

    @property
    def database(self) -> str:
        return str(self.options["database"])

    @property
    def actor(self) -> str:
        return str(self.options["actor"] or "unknown")

    def planned(self, history: History) -> Plan:
        """The steps from a history; raises `ComposeFailure` when they must not be taken."""
        _history.require_ours(history, self.folder.migrations, self.database)
        names = ("steps", "to", "out_of_order", "modified")
        wish = Wish(self.options["state"] == "up", **{name: self.options[name] for name in names})
        return _migration_plan.plan(wish, self.folder.migrations, history)

    def read(self, server: Server) -> History:
        """The history now; raises `ComposeFailure` of the kind ``no_database`` where there is no database yet."""
        try:
            return _history_reader.read(server, self.database, self.options["role"])
        except ComposeFailure as failure:
            name = _sql.literal(self.database)
            if "sqlstate" in failure.facts or server.value(f"SELECT count(*) FROM pg_database WHERE datname = {name}"):
                raise
            raise ComposeFailure(
                f"service {server.service} has no database {self.database}. Make it with postgres_env. Nothing was "
                f"changed.",
                error_kind="no_database",
            ) from None
