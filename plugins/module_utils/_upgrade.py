# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of the version before this one, believed once and written anew. Private to strata.compose."""

from __future__ import annotations

import os
import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _records
from ansible_collections.strata.compose.plugins.module_utils._current import Current, CurrentFile
from ansible_collections.strata.compose.plugins.module_utils._ledger import ledger_of_record
from ansible_collections.strata.compose.plugins.module_utils._owner_record import claim_of_record, owner_path
from ansible_collections.strata.compose.plugins.module_utils._records import Damage, Record
from ansible_collections.strata.compose.plugins.module_utils._release_record import checked_init
from ansible_collections.strata.compose.plugins.module_utils._secrets import GENERATED

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release_store import ReleaseStore


def upgrade(store: ReleaseStore) -> None:
    """Write all records of a project anew; ``current`` comes last, by which the others are known to be done."""
    ledger, numbers = os.path.join(store.folder, "init.json"), store.numbers()
    if not numbers and not os.path.exists(ledger) and not isinstance(CurrentFile(store.folder).read(), Damage):
        return
    current = store.current_number()
    for number in numbers:
        _upgrade_release(store, number, number == current)
        _upgrade(store.path(number, "init.json"), checked_init)
    _upgrade(ledger, ledger_of_record)
    _upgrade(owner_path(store.folder), claim_of_record)
    _upgrade(os.path.join(store.folder, GENERATED), dict)
    has_ledger = os.path.exists(ledger) or any(os.path.exists(store.path(each, "init.json")) for each in numbers)
    _write_current(store, Current(current, store.commits(), has_ledger))


def _upgrade_release(store: ReleaseStore, number: int, is_current: bool) -> None:
    found = store.read(number)
    if not isinstance(found, Damage) and not found.contents:
        store.save(replace(found, committed=1 if is_current else 0))


def _upgrade(path: str, build: t.Callable[[dict[str, t.Any]], t.Any]) -> None:
    """Seal a record that is whole."""
    found = _records.read_record(path)
    if isinstance(found, Record) and not found.is_sealed and not isinstance(_records.read(path, build), Damage):
        _records.write(path, found.content)


def _write_current(store: ReleaseStore, current: Current) -> None:
    file = CurrentFile(store.folder)
    found = file.read()
    if isinstance(found, Damage) and found.is_newer:
        return
    file.write(current)
