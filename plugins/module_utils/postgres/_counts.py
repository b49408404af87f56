# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is counted in a database, so that a copy of it can be held against it. Pure. Private to strata.compose."""

from __future__ import annotations

import json
import typing as t

Counts = dict[str, int]
"""Rows by ``schema.table``, both quoted as Postgres does where they have to be."""

TOLD = "STRATA-COUNTED"
"""What a line begins with that tells a table and its rows, or a table of migrations and its newest one."""

UNHURRIED = """
SELECT set_config(name, '0', false) FROM pg_settings
 WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout') \\g /dev/null
SET lock_timeout = '30s';
"""

EXPORT = """
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT pg_export_snapshot();
"""

ROWS = f"""
SELECT format('SELECT %L || json_build_array(%L, count(*)) FROM ONLY %I.%I', '{TOLD} ',
              format('%I.%I', n.nspname, c.relname), n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY c.relpages DESC, 1 \\gexec
"""
"""Tables of extensions are left out: what is in them comes with the extension."""

HEADS = f"""
SELECT format('SELECT %L || json_build_array(%L, max(%I::text)) FROM %I.%I', '{TOLD} ',
              format('%I.%I', c.table_schema, c.table_name), c.column_name, c.table_schema, c.table_name)
  FROM information_schema.columns c JOIN information_schema.tables USING (table_schema, table_name)
 WHERE (c.table_name, c.column_name) IN (
         ('schema_migrations', 'version'), ('alembic_version', 'version_num'), ('flyway_schema_history', 'version'),
         ('goose_db_version', 'version_id'), ('_prisma_migrations', 'migration_name'))
   AND table_type = 'BASE TABLE' \\gexec
"""
"""How far the usual tools have migrated the database."""

INVALID = """
SELECT coalesce(json_agg(format('%I.%I', n.nspname, c.relname)), '[]')
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT i.indisvalid AND n.nspname !~ '^pg_'
"""
"""Indexes that are not used because building them failed."""


def in_snapshot() -> str:
    """psql input that prints the name of a snapshot, keeps that for as long as its input lasts, and counts in it."""
    return UNHURRIED + EXPORT + ROWS + HEADS


def counted(printed: str) -> tuple[Counts, dict[str, str]]:
    """The rows of each table, and the newest migration of each table of migrations."""
    rows: Counts = {}
    heads: dict[str, str] = {}
    for line in printed.split("\n"):
        if line.startswith(f"{TOLD} "):
            name, value = json.loads(line[len(TOLD) + 1 :])
            if isinstance(value, int):
                rows[name] = value
            elif value is not None:
                heads[name] = value
    return rows, heads


def differences(expected: t.Mapping[str, int], found: t.Mapping[str, int]) -> list[str]:
    """What distinguishes the tables of a copy from those of the original, told for people."""
    missing = [f"table {name} is missing" for name in expected if name not in found]
    unexpected = [f"table {name} was not in the original" for name in found if name not in expected]
    other = [
        f"table {name} has {found[name]} rows where the original has {rows}"
        for name, rows in expected.items()
        if name in found and found[name] != rows
    ]
    return [*missing, *unexpected, *other]
