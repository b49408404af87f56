# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database is wanted to be: names, roles, extensions, settings. Pure. Private to strata.compose."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils.postgres._sql import checked_name

Setting = t.Union[str, tuple[str, ...], None]
"""The value of a setting, those of a list such as ``search_path``, or ``None`` for the server's own."""

FORBIDDEN = ("role", "session_authorization")
"""Settings that would undo what the roles are made for."""


@dataclass(frozen=True)
class Wish:
    """A database and who may do what in it.

    All objects belong to ``owner``, which cannot log in. The application logs in as ``role``, a member of it, and acts
    as the owner from its first statement on. So whatever it makes belongs to the owner, and the login role owns
    nothing: it can be replaced by another one or be dropped without touching a table.
    """

    database: str
    owner: str
    role: str
    readonly_role: str | None = None
    extensions: tuple[str, ...] = ()
    settings: t.Mapping[str, Setting] = field(default_factory=dict)

    @property
    def logins(self) -> tuple[str, ...]:
        """The roles that have a password."""
        return (self.role,) if self.readonly_role is None else (self.role, self.readonly_role)

    @property
    def roles(self) -> tuple[str, ...]:
        return (self.owner, *self.logins)


def wish_of(options: t.Mapping[str, t.Any]) -> Wish:
    """The wish of a module's options. Raises `ComposeFailure` for names that Postgres would cut, or that coincide."""
    database = checked_name("database", options["database"])
    role = checked_name("role", options["role"] or database)
    owner = checked_name("owner", options["owner"] or f"{role}_owner")
    readonly = options["readonly_role"]
    wish = Wish(
        database=database,
        owner=owner,
        role=role,
        readonly_role=checked_name("readonly_role", readonly) if readonly else None,
        extensions=tuple(checked_name("extension", each) for each in options["extensions"] or ()),
        settings={str(name).lower(): _setting(str(name), value) for name, value in (options["settings"] or {}).items()},
    )
    if len(set(wish.roles)) < len(wish.roles):
        raise ComposeFailure(
            f"owner, role and readonly_role must be three different roles, not {', '.join(wish.roles)}: the owner "
            f"cannot log in, and who only reads must not be who writes. Nothing was changed."
        )
    return wish


def _setting(name: str, value: t.Any) -> Setting:
    if name.lower() in FORBIDDEN:
        raise ComposeFailure(f"settings: {name} is made by role and owner, and cannot be set. Nothing was changed.")
    if isinstance(value, dict):
        raise ComposeFailure(f"settings: {name} is a mapping: give a text, a number, or a list. Nothing was changed.")
    if isinstance(value, (list, tuple)):
        return tuple(_text(each) for each in value)
    return None if value is None else _text(value)


def _text(value: t.Any) -> str:
    """A value as Postgres writes it."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
