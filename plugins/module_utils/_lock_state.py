# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a project's lock, found without touching it. Private to strata.compose.

A trial ``flock`` would do too, and would make an operation fail that asks at that moment. ``/proc/locks`` names only
the process that took the lock, which may be dead while a CLI that inherited it is at work, and is silent then in
containers (linux fs/locks.c, locks_translate_pid). ``/proc/<pid>/fdinfo`` tells of each open file whether it is the one
that is locked, so that it names exactly those that hold it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import read_file
from ansible_collections.strata.compose.plugins.module_utils._journal import JournalFile

SECOND_LOOK = 0.1
"""Seconds until a record that names none of the holders is read again: a new owner writes its own just after it got
the lock."""

LONGEST_COMMAND = 500

NOT_TO_BE_SEEN = (FileNotFoundError, ProcessLookupError, PermissionError)
"""What reading of another process fails with: it has ended meanwhile, or this user has no say in it."""


def lock_told(folder: str) -> dict[str, t.Any]:
    """Whether the lock of a project's state folder is held, by whom, and the switch that was cut off, if one was."""
    owner, holders = _look(folder)
    if holders and not _holds(owner, holders):
        time.sleep(SECOND_LOOK)
        owner, holders = _look(folder)
    return {
        "held": bool(holders),
        **{key: owner.get(key) for key in ("operation", "actor", "started", "pid")},
        "alive": _holds(owner, holders),
        "holders": holders,
        "journal": _journal_told(folder),
    }


def _look(folder: str) -> tuple[dict[str, t.Any], list[dict[str, t.Any]]]:
    path = os.path.join(folder, "lock")
    return _owner(path), holders_of(path)


def _owner(path: str) -> dict[str, t.Any]:
    """What the owner wrote; empty when it ended in order. One that is being written counts as none."""
    try:
        owner = json.loads(read_file(path) or b"{}")
    except (ValueError, RecursionError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _holds(owner: t.Mapping[str, t.Any], holders: t.Iterable[t.Mapping[str, t.Any]]) -> bool:
    """Whether the process of the record is the one at work: a number alone may be another process's by now."""
    return any(each["pid"] == owner.get("pid") for each in holders)


def holders_of(path: str) -> list[dict[str, t.Any]]:
    """The processes that hold the lock on a file, as far as this user may see them: all, for the file's owner."""
    try:
        file = os.stat(path)
    except FileNotFoundError:
        return []
    pids = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    return [{"pid": pid, "command": _command(pid)} for pid in pids if _has_locked(pid, file)]


def _has_locked(pid: int, file: os.stat_result) -> bool:
    with contextlib.suppress(*NOT_TO_BE_SEEN):
        return any(_is_locked(pid, each, file) for each in os.listdir(f"/proc/{pid}/fd"))
    return False


def _is_locked(pid: int, descriptor: str, file: os.stat_result) -> bool:
    link = f"/proc/{pid}/fd/{descriptor}"
    with contextlib.suppress(*NOT_TO_BE_SEEN):
        if os.path.basename(os.readlink(link)) == "lock" and os.path.samestat(os.stat(link), file):
            with open(f"/proc/{pid}/fdinfo/{descriptor}") as told:
                return any(line.startswith("lock:") and "FLOCK" in line for line in told)
    return False


def _command(pid: int) -> str:
    with contextlib.suppress(*NOT_TO_BE_SEEN), open(f"/proc/{pid}/cmdline", "rb") as file:
        words = file.read().decode("utf-8", "replace").rstrip("\0").split("\0")
        return " ".join(words)[:LONGEST_COMMAND]
    return ""


def _journal_told(folder: str) -> dict[str, t.Any] | None:
    """What the journal tells; one that is damaged is told too, for this is where one looks for what is wrong."""
    names = ("phase", "to", "back", "started", "actor")
    try:
        journal = JournalFile(folder).read()
    except ComposeFailure as failure:
        return {**dict.fromkeys(names), "phase": failure.message}
    return {name: getattr(journal, name) for name in names} if journal else None
