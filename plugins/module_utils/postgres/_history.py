# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database knows of its migrations: dbmate's table, and ours beside it. Pure. Private to strata.compose.

dbmate's ``schema_migrations`` is what counts, and stays as dbmate makes it: ``dbmate status`` agrees, and anybody can
leave. Checksums, and what was begun outside of a transaction, are in ``strata_migrations``.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils.postgres import _sql
from ansible_collections.strata.compose.plugins.module_utils.postgres._migrations import Migration

APPLIED, STARTED, REVERTING = "applied", "started", "reverting"


@dataclass(frozen=True)
class Record:
    """A row of our own table."""

    version: str
    file: str
    sha256: str
    state: str
    began: str = ""

    @property
    def seen(self) -> str:
        """What of it must still be so when the lock is held."""
        return f"{self.version} {self.state} {self.sha256}"


@dataclass(frozen=True)
class History:
    """What the database says, and the role and schema in which migrations run."""

    role: str
    schema: str
    columns: t.Mapping[str, str] | None = None
    """columns of ``schema_migrations`` with their types, ``None`` where there is no such table"""
    rows: tuple[t.Mapping[str, t.Any], ...] = ()
    has_records: bool = False
    records: t.Mapping[str, Record] = field(default_factory=dict)
    invalid_indexes: tuple[str, ...] = ()
    is_open: bool = True
    """whether the server listens on any address: the one that initialises a new volume does not"""

    @property
    def versions(self) -> frozenset[str]:
        return frozenset(str(row["version"]) for row in self.rows)

    @property
    def seen(self) -> list[str]:
        """What must still be so when the lock is held, for a plan to hold."""
        return sorted([*self.versions, *(each.seen for each in self.records.values())])


def begin(role: str | None) -> str:
    """The psql input that becomes the role, and puts its name and that of the schema into variables.

    The schema is the one that dbmate takes: ``current_schema()``, or ``public``.
    """
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    return (
        f"SELECT {_sql.literal(role) if role else f'({owner})'} AS strata_role \\gset\n"
        'SET ROLE :"strata_role";\n'
        "SELECT coalesce(current_schema(), 'public') AS strata_schema \\gset\n"
    )


DENIED = "42501"
"""SQLSTATE insufficient_privilege."""

CHANGE_OWNER = _sql.literal("ALTER TABLE %1$I.schema_migrations OWNER TO %2$I")

INVALID = """\
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE NOT indisvalid AND relkind = 'i' AND nspname NOT LIKE 'pg\\_%'
AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index WHERE index_relid = indexrelid)"""
"""Indexes that were not built to their end and are not being built; those of partitioned tables may be so for long."""

IS_SETTLED = f"SELECT NOT EXISTS (SELECT {INVALID}) AS strata_is_settled \\gset\n"

READ = f"""\
SELECT to_regclass(format('%I.schema_migrations', :'strata_schema')) IS NOT NULL AS strata_has_versions,
  to_regclass(format('%I.strata_migrations', :'strata_schema')) IS NOT NULL AS strata_has_records \\gset
SELECT json_build_object('role', :'strata_role'::text, 'schema', :'strata_schema'::text,
  'has_records', :'strata_has_records'::boolean, 'is_open', current_setting('listen_addresses') <> '', 'columns', (
    SELECT json_object_agg(attname, format_type(atttypid, NULL)) FROM pg_attribute
    WHERE attrelid = to_regclass(format('%I.schema_migrations', :'strata_schema')) AND attnum > 0 AND NOT attisdropped),
  'invalid_indexes', (
    SELECT coalesce(json_agg(format('%I.%I', nspname, relname) ORDER BY nspname, relname), '[]') {INVALID}));
\\if :strata_has_versions
SELECT coalesce(json_agg(h), '[]') FROM :"strata_schema".schema_migrations h;
\\else
\\echo []
\\endif
\\if :strata_has_records
SELECT coalesce(json_agg(json_build_object('version', version, 'file', file, 'sha256', sha256, 'state', state,
  'began', to_char(began AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'))), '[]')
FROM :"strata_schema".strata_migrations;
\\else
\\echo []
\\endif
"""
"""Prints three JSON values: facts, the rows of dbmate's table, the rows of ours."""

MAKE_TABLES = """\
CREATE TABLE IF NOT EXISTS :"strata_schema".schema_migrations (version varchar PRIMARY KEY);
CREATE TABLE IF NOT EXISTS :"strata_schema".strata_migrations (version varchar PRIMARY KEY, file text NOT NULL,
  sha256 text NOT NULL, state text NOT NULL, began timestamptz NOT NULL, seconds numeric, actor text);
COMMENT ON TABLE :"strata_schema".strata_migrations IS
  'Checksums of what is in schema_migrations, kept by strata.compose.postgres_migrate. It can be dropped.';
"""

IS_CURRENT = """\
WITH now AS (SELECT version::text FROM :"strata_schema".schema_migrations
  UNION ALL SELECT concat_ws(' ', version, state, sha256) FROM :"strata_schema".strata_migrations),
seen AS (SELECT json_array_elements_text({seen}::json))
SELECT NOT EXISTS (TABLE now EXCEPT TABLE seen) AND NOT EXISTS (TABLE seen EXCEPT TABLE now) AS strata_is_current \\gset
"""


def require_ours(history: History, migrations: t.Sequence[Migration], database: str) -> None:
    """Raise `ComposeFailure` when ``schema_migrations`` belongs to another tool, with the way from there to here."""
    if history.columns is None:
        return
    table = f"table {history.schema}.schema_migrations of database {database}"
    if "dirty" in history.columns:
        raise _of_golang_migrate(history, migrations, table)
    if history.columns.get("version") not in ("character varying", "text"):
        told = ", ".join(f"{name} {kind}" for name, kind in history.columns.items())
        raise ComposeFailure(
            f"{table} belongs to another tool: it has the columns {told}, and not a version as text. Rename it or move "
            f"it to another schema. Nothing was changed.",
            error_kind="foreign_history",
        )


def _of_golang_migrate(history: History, migrations: t.Sequence[Migration], table: str) -> ComposeFailure:
    """golang-migrate keeps the last version alone; the statement that turns it into dbmate's list is known."""
    row = history.rows[0] if history.rows else {"version": 0, "dirty": False}
    if row["dirty"]:
        way = f"Version {row['version']} is dirty: repair it, run `migrate force`, and come back for the next step."
    else:
        way = f"To go on with strata.compose, run this once:\n{_takeover(row['version'], history.schema, migrations)}"
    return ComposeFailure(
        f"{table} belongs to golang-migrate (it has a column `dirty`). {way}\nNothing was changed.",
        error_kind="foreign_history",
    )


def _takeover(last: int, schema: str, migrations: t.Sequence[Migration]) -> str:
    place = '"' + schema.replace('"', '""') + '"'
    rows = ", ".join(f"('{each.version}')" for each in migrations if each.number <= last)
    return "\n".join(
        (
            "BEGIN;",
            f"ALTER TABLE {place}.schema_migrations RENAME TO schema_migrations_of_golang_migrate;",
            f"ALTER INDEX IF EXISTS {place}.schema_migrations_pkey RENAME TO schema_migrations_of_golang_migrate_pkey;",
            f"CREATE TABLE {place}.schema_migrations (version varchar PRIMARY KEY);",
            *((f"INSERT INTO {place}.schema_migrations VALUES {rows};",) if rows else ()),
            "COMMIT;",
        )
    )
