# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release of a project is the last good one. Private to strata.compose.

The record ``current`` also has what would be missed if another record was gone without a trace.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.strata.compose.plugins.module_utils import _records
from ansible_collections.strata.compose.plugins.module_utils._files import read_file
from ansible_collections.strata.compose.plugins.module_utils._records import Damage

NUMBER = (int, type(None))


@dataclass(frozen=True)
class Current:
    """What ``current`` says."""

    release: int | None
    """``None`` when the environment was removed, or has not been deployed yet"""
    commits: int = 0
    """how many times a release has become the current one; see ``committed`` in `Release`"""
    has_ledger: bool = False
    """whether the project has a ledger of init steps"""
    is_sealed: bool = field(default=True, compare=False)


class CurrentFile:
    """``current`` of a project."""

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, "current")

    def read(self) -> Current | Damage | None:
        """``None`` when there is no such file, as of a project without releases."""
        found = _records.read(self.path, _built)
        return _of_version_before(self.path) or found if isinstance(found, Damage) else found

    def write(self, current: Current) -> None:
        content = {"release": current.release, "commits": current.commits, "has_ledger": current.has_ledger}
        if current.release is None:
            _records.rewrite(self.path, content)
        else:
            _records.write(self.path, content)


def _built(content: dict[str, t.Any]) -> Current:
    return Current(**_records.checked(content, {"release": NUMBER, "commits": int, "has_ledger": bool}, {}))


def _of_version_before(path: str) -> Current | None:
    """The bare number that the version before wrote."""
    text = (read_file(path) or b"").strip()
    return Current(int(text), is_sealed=False) if text.isdigit() and os.stat(path).st_uid in (0, os.geteuid()) else None
