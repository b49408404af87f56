# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The statements that turn what a server has into what is wanted. Pure. Private to strata.compose."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._redact import fingerprint, is_secret_name
from ansible_collections.strata.compose.plugins.module_utils.postgres._observed import Observed, Role
from ansible_collections.strata.compose.plugins.module_utils.postgres._sql import Statement
from ansible_collections.strata.compose.plugins.module_utils.postgres._wish import Setting, Wish

READ_ONLY = "default_transaction_read_only=on"
LATER = (
    ("r SELECT", "tables", "ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT SELECT ON TABLES TO %I"),
    ("S SELECT", "sequences", "ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT SELECT ON SEQUENCES TO %I"),
    ("n USAGE", "schemas", "ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT USAGE ON SCHEMAS TO %I"),
)
"""What the read-only role may do with what comes later: how the server tells it, of what, and by which statement."""


@dataclass(frozen=True)
class Change:
    """One statement, and how it is told; it never tells a password or a verifier of one."""

    action: str
    """as in ``create role``"""
    subject: str
    """as in ``role shop``"""
    before: str
    after: str
    statement: Statement
    inside: bool = False
    """whether it is for the database itself, which exists by then"""

    @property
    def reason(self) -> str:
        return f"{self.subject}: {self.after}" + (f" instead of {self.before}" if self.before else "")


def changes(wish: Wish, seen: Observed, verifiers: t.Mapping[str, str]) -> tuple[Change, ...]:
    """The changes in their order; none where nothing differs.

    ``verifiers`` are those of the roles whose password is another one, or that are still to be made.
    """
    return (
        *_roles(wish, seen, verifiers),
        *_database(wish, seen),
        *_access(wish, seen),
        *_settings(wish, seen),
        *_extensions(wish, seen),
        *_belongings(wish, seen),
        *_reading(wish, seen),
    )


def warnings_of(wish: Wish, seen: Observed) -> list[str]:
    """What the application will stumble over, and what nobody but an administrator can decide."""
    if not seen.foreign:
        return []
    return [
        f"{seen.foreign} tables, views or sequences in database {wish.database} belong neither to {wish.owner} nor to "
        f"{wish.role}, so role {wish.role} may lack the right to use them. If they are the application's, give them "
        f"to the owner: ALTER TABLE ... OWNER TO, or REASSIGN OWNED BY for those of a role that is no superuser."
    ]


def require_possible(wish: Wish, seen: Observed) -> None:
    """Raise `ComposeFailure` for roles that must not be used so, and for what the server does not know."""
    for name in wish.roles:
        if name == seen.superuser:
            raise ComposeFailure(
                f"role {name} is the superuser of the server (POSTGRES_USER): an application that logs in as it can do "
                f"anything with all databases. Give it another name with role. Nothing was changed in the database."
            )
        if name in seen.roles and seen.roles[name].powers:
            raise ComposeFailure(
                f"role {name} exists and may do more than use a database, such as make roles or pass row security: "
                f"choose another name, or take that from it with ALTER ROLE. Nothing was changed in the database."
            )
    if wish.owner in seen.roles and seen.roles[wish.owner].login:
        raise ComposeFailure(
            f"role {wish.owner}, which is to own database {wish.database}, can log in, and somebody may do so. Name "
            f"it as role and choose another owner, whom its tables are given to then, or ALTER ROLE ... NOLOGIN. "
            f"Nothing was changed in the database."
        )
    _require_known(wish, seen)


def _require_known(wish: Wish, seen: Observed) -> None:
    missing = [each for each in wish.extensions if each not in seen.available | seen.extensions]
    if missing:
        raise ComposeFailure(
            f"extension {', '.join(missing)} is not in the server's image: take an image that has it. Nothing was "
            f"changed in the database."
        )
    unknown = [each for each in wish.settings if "." not in each and each not in seen.known]
    if unknown:
        raise ComposeFailure(
            f"settings: Postgres {seen.version_told} knows no {', '.join(unknown)}. Nothing was changed in the "
            f"database."
        )


def _roles(wish: Wish, seen: Observed, verifiers: t.Mapping[str, str]) -> t.Iterator[Change]:
    if wish.owner not in seen.roles:
        statement = Statement("CREATE ROLE %I NOLOGIN", (wish.owner,))
        yield Change("create role", f"role {wish.owner}", "", "exists, cannot log in", statement)
    for name in wish.logins:
        yield from _login(name, seen.roles.get(name), verifiers.get(name))
    membership = seen.roles.get(wish.role, Role()).member_of
    if wish.owner not in membership:
        statement = Statement("GRANT %I TO %I", (wish.owner, wish.role))
        yield Change("grant role", f"role {wish.role}", "", f"is a member of {wish.owner}", statement)


def _login(name: str, role: Role | None, verifier: str | None) -> t.Iterator[Change]:
    subject = f"role {name}"
    if role is None:
        statement = Statement("CREATE ROLE %I LOGIN PASSWORD %L", (name, verifier or ""))
        yield Change("create role", subject, "", "exists, can log in with its password", statement)
        return
    if not role.login:
        yield Change("alter role", subject, "cannot log in", "can log in", Statement("ALTER ROLE %I LOGIN", (name,)))
    if verifier:
        statement = Statement("ALTER ROLE %I PASSWORD %L", (name, verifier))
        before = "another one" if role.verifier else "none"
        yield Change("set password", f"password of role {name}", before, "the wanted one", statement)


def _database(wish: Wish, seen: Observed) -> t.Iterator[Change]:
    subject = f"database {wish.database}"
    if not seen.exists:
        statement = Statement("CREATE DATABASE %I OWNER %I", (wish.database, wish.owner))
        yield Change("create database", subject, "", f"exists, belongs to {wish.owner}", statement)
    elif seen.owner != wish.owner:
        statement = Statement("ALTER DATABASE %I OWNER TO %I", (wish.database, wish.owner))
        yield Change("alter database", subject, f"belongs to {seen.owner}", f"belongs to {wish.owner}", statement)


def _access(wish: Wish, seen: Observed) -> t.Iterator[Change]:
    """Who may connect. Rule: documentation, `Privileges`: everybody may connect to a new database."""
    subject = f"database {wish.database}"
    if not seen.exists or "" in seen.connect:
        statement = Statement("REVOKE ALL ON DATABASE %I FROM PUBLIC", (wish.database,))
        yield Change("revoke connect", subject, "open to every role", "closed to roles without a grant", statement)
    # What the owner may goes to the next owner with the database.
    kept = set(seen.connect) - ({seen.owner} if seen.owner != wish.owner else set())
    for name in wish.logins:
        if name not in kept:
            statement = Statement("GRANT CONNECT ON DATABASE %I TO %I", (wish.database, name))
            yield Change("grant connect", subject, "", f"open to {name}", statement)


def _settings(wish: Wish, seen: Observed) -> t.Iterator[Change]:
    place = (wish.role, wish.database)
    if f"role={wish.owner}" not in seen.roles.get(wish.role, Role()).settings:
        statement = Statement("ALTER ROLE %I IN DATABASE %I SET role TO %L", (*place, wish.owner))
        yield Change("alter role", f"role {wish.role}", "", f"acts as {wish.owner} in {wish.database}", statement)
    if wish.readonly_role and READ_ONLY not in seen.roles.get(wish.readonly_role, Role()).settings:
        template = "ALTER ROLE %I IN DATABASE %I SET default_transaction_read_only TO 'on'"
        statement = Statement(template, (wish.readonly_role, wish.database))
        yield Change("alter role", f"role {wish.readonly_role}", "", "begins read-only transactions", statement)
    found = {name.lower(): value for name, _sign, value in (each.partition("=") for each in seen.settings)}
    for name, value in sorted(wish.settings.items()):
        yield from _setting(wish.database, name, value, found.get(name), seen.lists.get(name, ""))


def _setting(database: str, name: str, value: Setting, found: str | None, quoted: str) -> t.Iterator[Change]:
    subject, before = f"setting {name} of database {database}", _shown(name, found or "")
    if value is None:
        if found is not None:
            statement = Statement("ALTER DATABASE %I RESET %I", (database, name))
            yield Change("alter database", subject, before, "the server's own", statement)
        return
    values = (value,) if isinstance(value, str) else value
    told = ", ".join(values)
    if found is None or found not in (told, quoted if isinstance(value, tuple) else told):
        places = ", ".join(["%L"] * len(values)) or "''"
        statement = Statement(f"ALTER DATABASE %I SET %I TO {places}", (database, name, *values))
        yield Change("alter database", subject, before, _shown(name, told), statement)


def _shown(name: str, value: str) -> str:
    """The value of a setting as it is shown: of a secret, such as ``app.jwt_secret``, the beginning of its digest."""
    return fingerprint(value) if value and is_secret_name(name) else value


def _extensions(wish: Wish, seen: Observed) -> t.Iterator[Change]:
    """An extension's objects go to the first schema that is searched, which must not be the server's own."""
    for name in wish.extensions:
        if name not in seen.extensions:
            template = "SET search_path TO public; CREATE EXTENSION %I CASCADE; SET search_path TO pg_catalog"
            yield Change(
                "create extension", f"extension {name}", "", "exists", Statement(template, (name,)), inside=True
            )


def _belongings(wish: Wish, seen: Observed) -> t.Iterator[Change]:
    """What an earlier application made, before its role acted as the owner, and the schema that all use."""
    if seen.login_owns:
        subject = f"objects in database {wish.database}"
        statement = Statement("REASSIGN OWNED BY %I TO %I", (wish.role, wish.owner))
        yield Change(
            "reassign owned", subject, f"belong to {wish.role}", f"belong to {wish.owner}", statement, inside=True
        )
    public = seen.schemas.get("public")
    if public and public.owner not in ("pg_database_owner", wish.owner):
        statement = Statement("ALTER SCHEMA public OWNER TO %I", (wish.owner,))
        before, after = f"belongs to {public.owner}", f"belongs to {wish.owner}"
        yield Change("alter schema", "schema public", before, after, statement, inside=True)
    if public and public.public_creates:
        statement = Statement("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        yield Change("revoke create", "schema public", "open to every role", "closed", statement, inside=True)


def _reading(wish: Wish, seen: Observed) -> t.Iterator[Change]:
    """What the read-only role may read, now and of what comes later."""
    reader = wish.readonly_role
    if not reader:
        return
    for name, schema in sorted(seen.schemas.items()):
        place = (name, reader)
        if not schema.usable:
            statement = Statement("GRANT USAGE ON SCHEMA %I TO %I", place)
            yield Change("grant usage", f"schema {name}", "", f"open to {reader}", statement, inside=True)
        if schema.unreadable:
            for kind in ("TABLES", "SEQUENCES"):
                statement = Statement(f"GRANT SELECT ON ALL {kind} IN SCHEMA %I TO %I", place)
                subject = f"{kind.lower()} of schema {name}"
                yield Change("grant select", subject, "", f"readable for {reader}", statement, inside=True)
    for sign, kind, template in LATER:
        if sign not in seen.defaults:
            statement = Statement(template, (wish.owner, reader))
            yield Change("grant select", f"later {kind}", "", f"readable for {reader}", statement, inside=True)
