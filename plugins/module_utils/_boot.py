# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a reboot cut off is settled without Ansible: the program that the role engine installs.

Each project is settled as the next operation on it would, and one that cannot be does not keep the others from it.
Private to strata.compose.
"""

from __future__ import annotations

import os
import sys
import traceback
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._journal import DEGRADED, Journal, JournalFile
from ansible_collections.strata.compose.plugins.module_utils._lock import locked
from ansible_collections.strata.compose.plugins.module_utils._operations import Operation
from ansible_collections.strata.compose.plugins.module_utils._output import write_line
from ansible_collections.strata.compose.plugins.module_utils._record import audited
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._release_store import ReleaseStore
from ansible_collections.strata.compose.plugins.module_utils._settle import settle
from ansible_collections.strata.compose.plugins.module_utils._signals import cancellable
from ansible_collections.strata.compose.plugins.module_utils._snapshot import observe
from ansible_collections.strata.compose.plugins.module_utils._spec import COMPOSE_ENV

OPERATION = "settle"
ACTOR = "strata-settle"

LOCK_WAIT = 900.0
"""Seconds to wait for an operation that was faster than we; it settles the project itself."""


def main(argv: t.Sequence[str]) -> int:
    """Settle all projects of the state folder that is given; 1 when one could not be."""
    if len(argv) != 2 or not os.path.isdir(argv[1]):
        write_line(sys.stderr, f"usage: {argv[0]} STATE_DIR, a folder such as /var/lib/strata")
        return 2
    return max([_settled_and_told(argv[1], project) for project in unsettled(argv[1])], default=0)


def unsettled(state_dir: str) -> list[str]:
    """The projects whose switch is under way or was cut off."""
    return sorted(each for each in os.listdir(state_dir) if os.path.isfile(_path(state_dir, each)))


def _path(state_dir: str, project: str) -> str:
    return JournalFile(os.path.join(state_dir, project)).path


def _settled_and_told(state_dir: str, project: str) -> int:
    redactor = Redactor()
    try:
        write_line(sys.stdout, redactor.mask(f"{project}: {_settled(state_dir, project, redactor)}"))
    except ComposeFailure as failure:
        write_line(sys.stderr, redactor.mask(f"{project}: {failure.message}"))
        return 1
    except Exception:  # Told as a whole; the other projects have no part in it.
        write_line(sys.stderr, redactor.mask(f"{project}: {traceback.format_exc()}"))
        return 1
    return 0


def _settled(state_dir: str, project: str, redactor: Redactor) -> str:
    store = ReleaseStore(state_dir, project)
    with cancellable() as cancellation, locked(store.folder, OPERATION, ACTOR, LOCK_WAIT, _cli("/")):
        journal = JournalFile(store.folder).read()
        if journal is None:
            return "was settled meanwhile."
        if journal.phase == DEGRADED:
            return "left to the next operation: going back has failed before, so it decides."
        cli = _cli(_directory(store, journal))
        if not observe(cli, project).containers:
            return "left to the next operation: this engine has no container of it."
        told = settle(Operation(_options(), redactor, False, False, cli, store, cancellation), journal)
        current = store.current()
        number = current.number if current else None
        entry: dict[str, t.Any] = {"operation": OPERATION, "actor": ACTOR, "release": number, "actions": []}
        result = audited(store.folder, {**entry, "settled": redactor.mask(told)}, {"changed": True})
    return " ".join([told, *result.get("warnings", ())])


def _cli(directory: str) -> Cli:
    """The engine of this host: which one the operation spoke to, nothing tells, so its containers have to be here."""
    return Cli(directory, None, COMPOSE_ENV["command_timeout"]["default"])


def _directory(store: ReleaseStore, journal: Journal) -> str:
    """The project's folder, which the record of each release tells, also where the files beside it are damaged.

    It is what layers see as ``${PWD}``, and none is read here: where no record tells it, any folder will do.
    """
    records = store.records()
    ranked = [records.get(number) for number in (journal.to, journal.back or 0, *sorted(records, reverse=True))]
    found = (each["resolved_from"].get("directory") for each in ranked if isinstance(each, dict))
    return str(next(filter(None, found), "/"))


def _options() -> dict[str, t.Any]:
    """The defaults of compose_env; how many releases are kept is for those to say who deploy."""
    defaults = {name: option.get("default") for name, option in COMPOSE_ENV.items()}
    return {**defaults, "actor": ACTOR, "keep_releases": sys.maxsize}
