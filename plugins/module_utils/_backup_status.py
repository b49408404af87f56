# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the last backup of each database went, and the last test of one: ``backups.json`` in the project's state folder.

The host makes backups at night when nobody looks, so that what failed then has to be found in the morning. Private to
strata.compose.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _records
from ansible_collections.strata.compose.plugins.module_utils._lock import now

FILE = "backups.json"
GOOD, FAILED = "good", "failed"
"""Outcomes."""

Entry = dict[str, t.Any]


def note_outcome(folder: str, database: str, operation: str, actor: str, **facts: t.Any) -> None:
    """Write down how an operation on a database ended, in the place of how the last one of its kind did."""
    entry = {"database": database, "operation": operation, "actor": actor, "time": now(), **facts}
    others = [each for each in outcomes(folder) if (each["database"], each["operation"]) != (database, operation)]
    _records.write(os.path.join(folder, FILE), {"backups": [*others, entry]})


def outcomes(folder: str) -> list[Entry]:
    """How the last operations ended, by database; nothing where the file is not believed, for nothing needs it."""
    found = _records.read(os.path.join(folder, FILE), _entries)
    entries = found if isinstance(found, list) else []
    return sorted(entries, key=lambda each: (str(each["database"]), str(each["operation"])))


def _entries(content: _records.Content) -> list[Entry]:
    (entries,) = content.values()
    return [each for each in entries if {"database", "operation"} <= set(each)]
