# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server has of a database now, and the one query that asks it. Pure. Private to strata.compose.

The query runs as superuser in a database whose owner may have put functions and operators of the same names into its
schemas: so nothing but ``pg_catalog`` is searched (documentation, `Writing SECURITY DEFINER Functions Safely`).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.strata.compose.plugins.module_utils.postgres._sql import literal
from ansible_collections.strata.compose.plugins.module_utils.postgres._wish import Wish

TRUSTED = "SET search_path TO pg_catalog;\n"
MAINTENANCE = "postgres"
"""The database that every server has."""

QUERY = """
WITH wanted AS (
  SELECT {database}::name AS database, {owner}::name AS owner, {role}::name AS role, {readonly}::name AS readonly),
base AS (SELECT d.* FROM pg_database d, wanted WHERE d.datname = wanted.database),
reader AS (SELECT r.oid FROM pg_roles r, wanted WHERE r.rolname = wanted.readonly),
own_schemas AS (
  SELECT * FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
relations AS (
  SELECT c.oid, c.relowner, s.nspname FROM pg_class c JOIN own_schemas s ON s.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT EXISTS (
    SELECT FROM pg_depend x WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e'))
SELECT json_build_object(
  'version', current_setting('server_version_num')::int,
  'superuser', session_user,
  'roles', (
    SELECT coalesce(json_object_agg(r.rolname, json_build_object(
      'login', r.rolcanlogin,
      'powers', r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls,
      'verifier', r.rolpassword,
      'member_of', (
        SELECT coalesce(json_agg(g.rolname), '[]') FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
        WHERE m.member = r.oid),
      'settings', (
        SELECT s.setconfig FROM pg_db_role_setting s, base
        WHERE s.setrole = r.oid AND s.setdatabase = base.oid))), '{{}}')
    FROM pg_authid r, wanted WHERE r.rolname IN (wanted.owner, wanted.role, wanted.readonly)),
  'database', (
    SELECT json_build_object(
      'owner', pg_get_userbyid(datdba),
      'settings', (SELECT s.setconfig FROM pg_db_role_setting s WHERE s.setrole = 0 AND s.setdatabase = base.oid),
      'connect', (
        SELECT coalesce(json_agg(CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END), '[]')
        FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) a
        WHERE a.privilege_type = 'CONNECT' OR a.grantee = 0))
    FROM base),
  'known', (SELECT coalesce(json_agg(lower(name)), '[]') FROM pg_settings),
  'lists', {lists},
  'available', (
    SELECT coalesce(json_agg(name), '[]') FROM pg_available_extensions WHERE name = ANY({extensions}::name[])),
  'extensions', (SELECT coalesce(json_agg(extname), '[]') FROM pg_extension),
  'schemas', (
    SELECT coalesce(json_object_agg(nspname, json_build_object(
      'owner', pg_get_userbyid(nspowner),
      'makers', (
        SELECT coalesce(json_agg(a.grantee = 0), '[]') FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a
        WHERE a.privilege_type = 'CREATE' AND a.grantee = 0),
      'usable', EXISTS (SELECT FROM reader WHERE has_schema_privilege(reader.oid, own_schemas.oid, 'USAGE')),
      'unreadable', EXISTS (
        SELECT FROM relations WHERE relations.nspname = own_schemas.nspname
        AND NOT coalesce((SELECT has_table_privilege(reader.oid, relations.oid, 'SELECT') FROM reader), false))
      )), '{{}}') FROM own_schemas),
  'defaults', (
    SELECT coalesce(json_agg(d.defaclobjtype::text || ' ' || a.privilege_type), '[]')
    FROM pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl) a JOIN reader ON reader.oid = a.grantee, wanted
    WHERE d.defaclnamespace = 0 AND pg_get_userbyid(d.defaclrole) = wanted.owner),
  'owns', EXISTS (
    SELECT FROM pg_shdepend x JOIN pg_roles r ON r.oid = x.refobjid, wanted
    WHERE x.refclassid = 'pg_authid'::regclass AND x.deptype = 'o' AND r.rolname = wanted.role
    AND x.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())),
  'foreign', (
    SELECT count(*) FROM relations, wanted WHERE pg_get_userbyid(relowner) NOT IN (wanted.owner, wanted.role)))
"""


@dataclass(frozen=True)
class Role:
    """A role that exists."""

    login: bool = False
    powers: bool = False
    """whether it may do what no application needs: superuser, make roles or databases, replicate, pass row security"""
    verifier: str | None = field(default=None, repr=False)
    member_of: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    """``name=value`` that hold for it in the database"""


@dataclass(frozen=True)
class Schema:
    """A schema of the database that is not the server's own."""

    owner: str
    public_creates: bool = False
    """whether everybody may make objects in it, as before Postgres 15"""
    usable: bool = False
    """whether the read-only role may look into it"""
    unreadable: bool = False
    """whether it has tables that the read-only role may not read"""


FRESH_SCHEMAS = {"public": Schema("pg_database_owner", usable=True)}
"""The schemas of a database that was just made."""


@dataclass(frozen=True)
class Observed:
    """The server and the database; without the latter, what is in it is what is in a new one."""

    version: int = 170000
    superuser: str = "postgres"
    roles: t.Mapping[str, Role] = field(default_factory=dict)
    exists: bool = False
    owner: str = ""
    settings: tuple[str, ...] = ()
    connect: tuple[str, ...] = ()
    """who may connect; an empty name for what everybody may, be it only to make temporary tables"""
    known: frozenset[str] = frozenset()
    """names of the server's settings"""
    lists: t.Mapping[str, str] = field(default_factory=dict)
    """the wanted lists of names, as the server writes them"""
    available: frozenset[str] = frozenset()
    extensions: frozenset[str] = frozenset()
    schemas: t.Mapping[str, Schema] = field(default_factory=lambda: FRESH_SCHEMAS)
    defaults: frozenset[str] = frozenset()
    """kind of later objects, and what the read-only role may do with them: ``r SELECT``"""
    login_owns: bool = False
    foreign: int = 0
    """tables and the like that belong neither to the owner nor to the login role"""

    @property
    def version_told(self) -> str:
        """Such as ``17.2``."""
        return f"{self.version // 10000}.{self.version % 10000}"


def query(wish: Wish) -> str:
    """The query for a wish; names are literals in it."""
    lists = {name: value for name, value in wish.settings.items() if isinstance(value, tuple)}
    return QUERY.format(
        database=literal(wish.database),
        owner=literal(wish.owner),
        role=literal(wish.role),
        readonly="NULL" if wish.readonly_role is None else literal(wish.readonly_role),
        extensions=_array(wish.extensions),
        lists=_lists(lists),
    )


def observed(told: t.Mapping[str, t.Any], inside: bool) -> Observed:
    """The answer to the query; ``inside`` tells whether the database itself gave it."""
    database = told["database"] or {}
    return Observed(
        version=told["version"],
        superuser=told["superuser"],
        roles={name: _role(each) for name, each in told["roles"].items()},
        exists=bool(database),
        owner=database.get("owner", ""),
        settings=tuple(database.get("settings") or ()),
        connect=tuple(database.get("connect") or ()),
        known=frozenset(told["known"]),
        lists=told["lists"],
        available=frozenset(told["available"]),
        **(_inside(told) if inside else {}),
    )


def _inside(told: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {
        "extensions": frozenset(told["extensions"]),
        "schemas": {
            name: Schema(each["owner"], bool(each["makers"]), each["usable"], each["unreadable"])
            for name, each in told["schemas"].items()
        },
        "defaults": frozenset(told["defaults"]),
        "login_owns": told["owns"],
        "foreign": told["foreign"],
    }


def _role(told: t.Mapping[str, t.Any]) -> Role:
    lists = {key: tuple(told[key] or ()) for key in ("member_of", "settings")}
    return Role(**{**told, **lists})


def _array(values: t.Iterable[str]) -> str:
    return f"ARRAY[{', '.join(map(literal, values))}]::text[]"


def _lists(lists: t.Mapping[str, tuple[str, ...]]) -> str:
    """Each list as the server writes it: names quoted where they have to be, in their order."""
    pairs = [
        f"{literal(name)}::text, (SELECT coalesce(string_agg(quote_ident(each), ', ' ORDER BY place), '') "
        f"FROM unnest({_array(values)}) WITH ORDINALITY AS given (each, place))"
        for name, values in lists.items()
    ]
    return f"json_build_object({', '.join(pairs)})"
