# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords of roles: given, or made once on the host and kept there. Private to strata.compose."""

from __future__ import annotations

import os
import secrets
import string
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils import _records
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._secrets import GENERATED
from ansible_collections.strata.compose.plugins.module_utils.postgres import _scram
from ansible_collections.strata.compose.plugins.module_utils.postgres._observed import Role

LETTERS = string.ascii_letters + string.digits
"""Nothing that an env file, a URL, YAML or a shell would read as more than a letter."""
LENGTH = 32
SECTION = "postgres"
"""Part of the file that holds these passwords."""
OPTIONS = ("password", "readonly_password")
"""Options that give the passwords of the login roles, in the order of these."""


def generated() -> str:
    """A new password of 190 bits."""
    return "".join(secrets.choice(LETTERS) for _each in range(LENGTH))


def checked(option: str, password: str) -> str:
    """A given password, refused where a server or a client of Postgres could not take it."""
    if not password or any(each in password for each in "\0\r\n"):
        raise ComposeFailure(f"{option} is empty or has a line break in it: give another one, or leave it out.")
    return password


def foreseen() -> str:
    """What stands for a password that a deployment will make: always the same, so that a plan is the same twice."""
    return "generated".ljust(LENGTH, "0")


@dataclass(frozen=True)
class Kept:
    """``secrets.json`` of a project: passwords by server and role. Written under the project's lock only."""

    path: str
    server: str

    @classmethod
    def of(cls, folder: str, project: str, service: str) -> Kept:
        return cls(os.path.join(folder, GENERATED), f"{project}/{service}")

    def read(self) -> dict[str, str]:
        """The passwords of this server's roles."""
        passwords: dict[str, str] = self._everything().get(SECTION, {}).get(self.server, {})
        return passwords

    def write(self, passwords: t.Mapping[str, str]) -> None:
        """Replace the passwords of this server's roles; those of others stay."""
        everything = self._everything()
        section = {**everything.get(SECTION, {}), self.server: dict(passwords)}
        told = {**everything, SECTION: {name: each for name, each in section.items() if each}}
        _records.write(self.path, told)

    def _everything(self) -> dict[str, t.Any]:
        found = _records.read(self.path, dict)
        if isinstance(found, _records.Damage):
            raise found.failure(
                "It holds the generated passwords of databases: restore it from a backup, or remove it and give the "
                "passwords with the options password and readonly_password, or have new ones made with "
                "password_mismatch=replace. Nothing was changed in the database."
            )
        return found or {}


def decided(name: str, given: str | None, kept: str | None, role: Role | None, replaces: bool, path: str) -> str | None:
    """The password that a role is to have; ``None`` for one that is still to be made.

    Raises `ComposeFailure` when the database has a password that is not known here: a new one that nobody asked for
    would lock out who uses it.
    """
    if given is not None:
        return given
    if replaces or role is None or role.verifier is None or (kept and _scram.matches(role.verifier, kept)):
        return kept
    found = f"{path} holds another one" if kept else f"{path} holds none"
    raise ComposeFailure(
        f"role {name} exists with a password that is not known here: none is given, and {found}. Give the password "
        f"that its applications use, or say password_mismatch=replace for "
        f"{'the one kept there' if kept else 'a new one'}, which locks them out until they have got it. Nothing was "
        f"changed in the database.",
        error_kind="password_mismatch",
    )


def verifiers(passwords: t.Mapping[str, str], roles: t.Mapping[str, Role]) -> dict[str, str]:
    """What is to be stored for the roles that do not have their password yet."""
    return {
        name: _scram.verifier(password, os.urandom(16))
        for name, password in passwords.items()
        if name not in roles or not _scram.matches(roles[name].verifier, password)
    }
