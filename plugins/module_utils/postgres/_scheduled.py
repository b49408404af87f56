# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups without Ansible: the program that the role backup installs, which a timer starts.

It does what the module postgres_backup does, with options from a file. Private to strata.compose.
"""

from __future__ import annotations

import json
import sys
import traceback
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._output import write_line
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._spec import POSTGRES_BACKUP
from ansible_collections.strata.compose.plugins.module_utils.postgres._backup import back_up
from ansible_collections.strata.compose.plugins.module_utils.postgres._verify import verify
from ansible_collections.strata.compose.plugins.module_utils.postgres._work import Result, Work, carried_out

ACTOR = "strata-backup"

LOCK_WAIT = 3600
"""Seconds to wait for a deployment or another backup; the night is long."""


def main(argv: t.Sequence[str]) -> int:
    """Make a backup, and restore it for a test if the file of options has ``verify``; 1 when that failed."""
    if len(argv) != 2:
        write_line(sys.stderr, f"usage: {argv[0]} OPTIONS.json")
        return 2
    with open(argv[1], encoding="utf-8") as file:
        given = json.load(file)
    steps = {"backup": back_up, **({"verify": verify} if given.pop("verify", False) else {})}
    return max(_told({**_defaults(), **given}, name, step) for name, step in steps.items())


def _defaults() -> dict[str, t.Any]:
    defaults = {name: option.get("default") for name, option in POSTGRES_BACKUP.items()}
    return {**defaults, "actor": ACTOR, "lock_wait": LOCK_WAIT}


def _told(options: dict[str, t.Any], noted: str, step: t.Callable[[Work], Result]) -> int:
    redactor = Redactor()
    name = f"{options['project_dir']}, {options['environment']}, database {options['database']}"
    try:
        result = carried_out(options, redactor, False, "backup", step, noted)
        for each in result["actions"]:
            write_line(sys.stdout, redactor.mask(f"{name}: {each['action']} {each['reason']}"))
        for warning in result.get("warnings", ()):
            write_line(sys.stderr, redactor.mask(f"{name}: {warning}"))
    except ComposeFailure as failure:
        write_line(sys.stderr, redactor.mask(f"{name}: {failure.message}"))
        return 1
    except Exception:  # Told as a whole, and masked.
        write_line(sys.stderr, redactor.mask(f"{name}: {traceback.format_exc()}"))
        return 1
    return 0
