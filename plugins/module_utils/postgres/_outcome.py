# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What postgres_env tells: what changed, and the connection. Private to strata.compose."""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _report
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._snapshot import observe
from ansible_collections.strata.compose.plugins.module_utils._uncertain import is_changed
from ansible_collections.strata.compose.plugins.module_utils.postgres import _connection, _converge
from ansible_collections.strata.compose.plugins.module_utils.postgres._converge import Change
from ansible_collections.strata.compose.plugins.module_utils.postgres._observed import Observed
from ansible_collections.strata.compose.plugins.module_utils.postgres._place import is_dedicated
from ansible_collections.strata.compose.plugins.module_utils.postgres._server import by_hand
from ansible_collections.strata.compose.plugins.module_utils.postgres._task import Task

Result = dict[str, t.Any]


def told(
    task: Task,
    seen: Observed | None,
    connection: t.Mapping[str, str],
    made: t.Mapping[str, str],
    changes: t.Sequence[Change],
    brought: Result | None = None,
) -> Result:
    """The result of a database that is or will be there."""
    first = [*(brought or {}).get("actions", ()), *kept_passwords(task, made)]
    facts = told_changes(task, changes, first, brought=brought)
    warnings = _converge.warnings_of(task.wish, seen) if seen else []
    return {
        **facts,
        "server_version": seen.version_told if seen else None,
        "connection": dict(connection),
        "psql": by_hand(task.containers(), task.wish.database),
        **({"warnings": warnings} if warnings else {}),
    }


def kept_passwords(task: Task, made: t.Iterable[str]) -> list[dict[str, str]]:
    """The actions that tell of passwords that were generated for these roles."""
    reason = "is kept on the host from now on"
    return [{"service": task.service, "action": "make password", "reason": f"role {name}: {reason}"} for name in made]


def told_changes(
    task: Task,
    changes: t.Sequence[Change],
    first: t.Sequence[dict[str, str]] = (),
    last: t.Sequence[dict[str, str]] = (),
    brought: Result | None = None,
) -> Result:
    """The result that all states have; ``first`` and ``last`` are actions besides the statements."""
    current = task.operation.store.current()
    actions = [*first, *(_action(task.service, each) for each in changes), *last]
    return {
        "changed": is_changed(actions),
        "project": task.operation.store.project,
        "environment": task.options["environment"],
        "release": current.number if current else None,
        "actions": actions,
        "services": _report.services_told(observe(task.cli, task.project)),
        "service": task.service,
        "database": task.wish.database,
        "owner": task.wish.owner,
        "roles": list(task.wish.logins),
        **({"diff": _diff(changes, brought or {})} if task.operation.diff else {}),
    }


def _action(service: str, change: Change) -> dict[str, str]:
    return {"service": service, "action": change.action, "reason": change.reason}


def _diff(changes: t.Sequence[Change], brought: Result) -> dict[str, str]:
    """The containers' part and the database's part of what changes."""
    deployed = brought.get("diff") or {}
    before = [f"{each.subject}: {each.before}" for each in changes if each.before]
    after = [f"{each.subject}: {each.after}" for each in changes]
    return {
        "before_header": "the database as it is",
        "after_header": "the database as it is wanted",
        "before": deployed.get("before", "") + "".join(f"{line}\n" for line in before),
        "after": deployed.get("after", "") + "".join(f"{line}\n" for line in after),
    }


def connection_of(task: Task, passwords: t.Mapping[str, str]) -> dict[str, str]:
    """The variables for the env file, with the passwords as they are."""
    options = task.options
    accounts = [_connection.Account(name, passwords[name]) for name in task.wish.logins]
    names, scheme, parameters = options["variables"], options["url_scheme"], options["url_parameters"]
    # Encoded for a URL, a password is another text: the redactor learns that one too.
    task.operation.redactor.learn(_connection.encoded(password) for password in passwords.values())
    return _connection.variables(names, _endpoint(task), task.wish.database, accounts, scheme, parameters)


def _endpoint(task: Task) -> _connection.Endpoint:
    """Where consumers find the server; its published port is the one that the engine tells, or the option's."""
    options = task.options
    if options["consumer"] == _connection.INSIDE:
        host = task.project if is_dedicated(options) else task.service
        return _connection.Endpoint(options["host"] or host, _connection.PORT)
    ports = [port for each in task.containers() for port in each.ports]
    if options["port"] and is_dedicated(options):
        ports = [f"{_connection.published_as(options['port'])}->{_connection.PORT}/tcp"]
    found = _connection.published(ports)
    if found is None:
        raise ComposeFailure(
            f"service {task.service} of {task.project} publishes no port for consumers outside: publish its port "
            f"{_connection.PORT}, start it, or ask for consumer=inside."
        )
    return _connection.Endpoint(options["host"] or found.host, found.port)
