# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database is besides its content: all that a dump without ``--create`` loses. Pure. Private to strata.compose.

Rule: documentation, pg_dump, ``--create``; src/bin/pg_dump/pg_dump.c, dumpDatabase and dumpDatabaseConfig.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, fields

from ansible_collections.strata.compose.plugins.module_utils.postgres import _sql
from ansible_collections.strata.compose.plugins.module_utils.postgres._sql import Statement

LISTS = frozenset(
    (
        *("local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries"),
        *("temp_tablespaces", "unix_socket_directories", "restrict_nonsystem_relation_kind"),
    )
)
"""Settings whose values are lists of names, each quoted by itself (src/include/utils/guc.h, GUC_LIST_QUOTE)."""

QUARANTINE = 0
"""A connection limit that keeps all out but superusers (src/backend/utils/init/postinit.c)."""

QUERY = """
SELECT json_build_object(
  'facts', to_jsonb(d) - 'datacl',
  'owner', pg_get_userbyid(d.datdba),
  'encoding', pg_encoding_to_char(d.encoding),
  'connection_limit', d.datconnlimit,
  'comment', shobj_description(d.oid, 'pg_database'),
  'acl', CASE WHEN d.datacl IS NOT NULL THEN (
    SELECT coalesce(json_agg(json_build_array(
             CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable)
             ORDER BY a.grantee, a.privilege_type), '[]')
      FROM aclexplode(d.datacl) a) END,
  'settings', (
    SELECT coalesce(json_agg(json_build_array(
             CASE WHEN s.setrole <> 0 THEN pg_get_userbyid(s.setrole) END, c.line) ORDER BY s.setrole, c.number), '[]')
      FROM pg_db_role_setting s, unnest(s.setconfig) WITH ORDINALITY AS c (line, number)
     WHERE s.setdatabase = d.oid),
  'roles', (
    SELECT coalesce(json_agg(DISTINCT r.rolname), '[]') FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid
     WHERE s.refclassid = 'pg_authid'::regclass AND s.dbid = d.oid),
  'extensions', (
    SELECT coalesce(json_agg(json_build_array(e.extname, e.extversion, n.nspname) ORDER BY e.extname), '[]')
      FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace),
  'size', pg_database_size(d.oid),
  'tables_size', (
    SELECT coalesce(sum(pg_table_size(c.oid)), 0)::bigint FROM pg_class c
     WHERE c.relkind = 'r' AND c.oid >= 16384),
  'is_empty', NOT EXISTS (
    SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid >= 16384 AND n.nspname !~ '^pg_(toast|temp)'
       AND NOT EXISTS (SELECT FROM pg_depend p WHERE p.classid = 'pg_class'::regclass
                          AND p.objid = c.oid AND p.deptype = 'e')),
  'superuser', (SELECT rolname FROM pg_roles WHERE oid = 10),
  'server_version', current_setting('server_version'),
  'server_number', current_setting('server_version_num')::int,
  'libraries', current_setting('shared_preload_libraries'))
  FROM pg_database d WHERE d.datname = current_database()
"""


@dataclass(frozen=True)
class Database:
    """A database as its catalogs tell it."""

    facts: t.Mapping[str, t.Any]
    """the row of ``pg_database``, whose columns differ between versions"""
    owner: str
    encoding: str
    connection_limit: int
    comment: str | None
    acl: t.Sequence[t.Sequence[t.Any]] | None
    """grantee (``None`` for PUBLIC), privilege, whether it may be granted on; ``None`` when nobody has changed it"""
    settings: t.Sequence[t.Sequence[t.Any]]
    """role (``None`` for all) and ``name=value``"""
    roles: t.Sequence[str]
    """all that own or may do something in it"""
    extensions: t.Sequence[t.Sequence[str]]
    """name, version, schema"""
    size: int
    tables_size: int
    """without indexes"""
    is_empty: bool
    superuser: str
    server_version: str
    server_number: int
    libraries: str
    """``shared_preload_libraries`` of the server"""

    @property
    def major(self) -> int:
        return self.server_number // 10000

    @property
    def needed_roles(self) -> tuple[str, ...]:
        """All roles that its content, its privileges and its settings name."""
        named = {each[0] for each in (*(self.acl or ()), *self.settings) if each[0] is not None}
        return tuple(sorted({self.owner, *self.roles, *named, self.superuser}))


def create(name: str, like: Database, owner: str, major: int) -> Statement:
    """Create an empty database with another's encoding and locale, which only superusers may enter as yet."""
    words = ["CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L"]
    values = [name, owner, like.encoding, like.facts["datcollate"], like.facts["datctype"]]
    provider = like.facts.get("datlocprovider")
    if provider and major >= 15:
        words.append(
            {"c": "LOCALE_PROVIDER libc", "i": "LOCALE_PROVIDER icu", "b": "LOCALE_PROVIDER builtin"}[provider]
        )
    locale = like.facts.get("datlocale") or like.facts.get("daticulocale")
    if locale and provider in ("i", "b"):
        words.append("ICU_LOCALE %L" if provider == "i" else "BUILTIN_LOCALE %L")
        values.append(locale)
    if like.facts.get("daticurules"):
        words.append("ICU_RULES %L")
        values.append(like.facts["daticurules"])
    words.append(f"CONNECTION LIMIT {QUARANTINE}")
    return Statement(" ".join(words), tuple(values))


def restored_state(name: str, like: Database, roles: t.Container[str]) -> list[Statement]:
    """The statements that give a new database another's comment, settings, privileges and connection limit.

    What concerns a role that is not among ``roles`` is left out.
    """
    return [
        *_privileges(name, like, roles),
        *(_setting(name, role, line) for role, line in like.settings if role is None or role in roles),
        *([Statement("COMMENT ON DATABASE %I IS %L", (name, like.comment))] if like.comment is not None else []),
        Statement(f"ALTER DATABASE %I CONNECTION LIMIT {like.connection_limit:d}", (name,)),
    ]


def _privileges(name: str, like: Database, roles: t.Container[str]) -> t.Iterator[Statement]:
    if like.acl is None:
        return
    yield Statement("REVOKE ALL ON DATABASE %I FROM PUBLIC", (name,))
    if like.owner in roles:
        yield Statement("REVOKE ALL ON DATABASE %I FROM %I", (name, like.owner))
    for grantee, privilege, is_grantable in like.acl:
        onward = " WITH GRANT OPTION" if is_grantable else ""
        if grantee is None:
            yield Statement(f"GRANT {privilege} ON DATABASE %I TO PUBLIC{onward}", (name,))
        elif grantee in roles:
            yield Statement(f"GRANT {privilege} ON DATABASE %I TO %I{onward}", (name, grantee))


def _setting(name: str, role: str | None, line: str) -> Statement:
    setting, _equals, value = line.partition("=")
    values = split_names(value) if setting in LISTS else [value]
    # A list without a name in it is the empty text, which is a name like any other here.
    places = ", ".join(["%L"] * len(values or [""]))
    if role is None:
        return Statement(f"ALTER DATABASE %I SET %I = {places}", (name, setting, *(values or [""])))
    return Statement(f"ALTER ROLE %I IN DATABASE %I SET %I = {places}", (role, name, setting, *(values or [""])))


def split_names(value: str) -> list[str]:
    """The names in the value of a list setting, without their quotes (src/fe_utils/string_utils.c, SplitGUCList)."""
    names: list[str] = []
    name, is_quoted, position = "", False, 0
    while position < len(value):
        character = value[position]
        if character == '"' and is_quoted and value[position + 1 : position + 2] == '"':
            name, position = name + '"', position + 1
        elif character == '"':
            is_quoted = not is_quoted
        elif character == "," and not is_quoted:
            names, name = [*names, name], ""
        elif is_quoted or not character.isspace():
            name += character
        position += 1
    return [*names, name] if value.strip() else []


def described(told: t.Mapping[str, t.Any]) -> Database:
    """A database from what `QUERY` returned, or a manifest has kept; what a later version adds is left out."""
    names = {each.name for each in fields(Database)}
    return Database(**{name: value for name, value in told.items() if name in names})


def where_name_is(name: str) -> str:
    """A query for what is known of a database without a connection to it: none, or whether it lets anybody in."""
    return f"SELECT json_build_object('open', datallowconn) FROM pg_database WHERE datname = {_sql.literal(name)}"
