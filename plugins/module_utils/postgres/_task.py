# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of postgres_env: what is wanted, where, and with which passwords. Private to strata.compose."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._redact import secrets_of
from ansible_collections.strata.compose.plugins.module_utils._secrets import learn_generated
from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container, observe
from ansible_collections.strata.compose.plugins.module_utils.postgres import _converge, _passwords
from ansible_collections.strata.compose.plugins.module_utils.postgres._observed import Observed
from ansible_collections.strata.compose.plugins.module_utils.postgres._passwords import OPTIONS, Kept
from ansible_collections.strata.compose.plugins.module_utils.postgres._place import place_of
from ansible_collections.strata.compose.plugins.module_utils.postgres._server import Server, wait_until_ready
from ansible_collections.strata.compose.plugins.module_utils.postgres._wish import Wish, wish_of

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._operations import Operation

OPERATION = "env"


@dataclass(frozen=True)
class Task:
    """One run of the module: the operation, what is wanted, and where."""

    operation: Operation
    wish: Wish
    project: str
    service: str
    kept: Kept

    @property
    def options(self) -> t.Mapping[str, t.Any]:
        return self.operation.options

    @property
    def cli(self) -> Cli:
        return self.operation.cli

    @classmethod
    def of(cls, operation: Operation) -> Task:
        options = operation.options
        project, service = place_of(options, operation.store.project)
        return cls(operation, wish_of(options), project, service, Kept.of(operation.store.folder, project, service))

    def containers(self) -> tuple[Container, ...]:
        return observe(self.cli, self.project).of(self.service)

    def runs(self) -> bool:
        return any(each.is_running for each in self.containers())

    def server(self) -> Server:
        """The server, once it truly answers."""
        return wait_until_ready(self.cli, self.project, self.service, OPERATION, self.options["wait_timeout"])

    def given(self) -> dict[str, str]:
        """The passwords that the task gives, by role."""
        pairs = zip(self.wish.logins, OPTIONS)
        return {
            name: _passwords.checked(option, self.options[option])
            for name, option in pairs
            if self.options[option] is not None
        }

    def learn(self) -> None:
        """Have the redactor know every password that this run may come across."""
        self.operation.redactor.learn(self.given().values())
        for option in ("settings", "url_parameters"):
            given = {name: str(value) for name, value in (self.options[option] or {}).items()}
            self.operation.redactor.learn(secrets_of(given))
        learn_generated(self.operation.redactor, self.operation.store.folder)


def decided(task: Task, seen: Observed | None) -> tuple[dict[str, str], dict[str, str]]:
    """The passwords of the login roles, and those among them that are new; with all that stands in the way checked."""
    if seen:
        _converge.require_possible(task.wish, seen)
    roles = seen.roles if seen else {}
    given, kept = task.given(), task.kept.read()
    replaces, path = task.options["password_mismatch"] == "replace", task.kept.path
    found = {
        name: _passwords.decided(name, given.get(name), kept.get(name), roles.get(name), replaces, path)
        for name in task.wish.logins
    }
    generated = _passwords.foreseen if task.operation.check else _passwords.generated
    made = {name: generated() for name, password in found.items() if password is None}
    task.operation.redactor.learn(made.values())
    return {name: made.get(name) or password or "" for name, password in found.items()}, made


def keep(task: Task, made: t.Mapping[str, str]) -> None:
    """Write new passwords down before the database has them: afterwards nobody would know them."""
    if made and not task.operation.check:
        task.kept.write({**task.kept.read(), **made})
