# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the last backup of each database went, and the last test of one: ``backups.json`` in the project's state folder.

The host makes backups at night when nobody looks, so that what failed then has to be found in the morning. Private to
strata.compose.
"""

from __future__ import annotations

import contextlib
import json
import os
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import read_record, replace_file
from ansible_collections.strata.compose.plugins.module_utils._lock import now

FILE = "backups.json"
FORMAT = 1
GOOD, FAILED = "good", "failed"
"""Outcomes."""

Entry = dict[str, t.Any]


def note_outcome(folder: str, database: str, operation: str, actor: str, **facts: t.Any) -> None:
    """Write down how an operation on a database ended, in the place of how the last one of its kind did."""
    entry = {"database": database, "operation": operation, "actor": actor, "time": now(), **facts}
    others = [each for each in outcomes(folder) if (each["database"], each["operation"]) != (database, operation)]
    told = {"format": FORMAT, "backups": [*others, entry]}
    replace_file(os.path.join(folder, FILE), (json.dumps(told, indent=1, sort_keys=True) + "\n").encode())


def outcomes(folder: str) -> list[Entry]:
    """How the last operations ended, by database; nothing where the file cannot be understood, for nothing needs it."""
    with contextlib.suppress(ComposeFailure):
        told = read_record(os.path.join(folder, FILE)) or {}
        entries = told.get("backups") if told.get("format") == FORMAT else None
        found = [each for each in entries or () if isinstance(each, dict) and {"database", "operation"} <= set(each)]
        return sorted(found, key=lambda each: (str(each["database"]), str(each["operation"])))
    return []
