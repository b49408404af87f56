# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a project's lock, found without touching it: this user's, or the one that all users of the engine take.

A trial ``flock`` would do too, and would make an operation fail that asks at that moment. ``/proc/locks`` names only
the process that took the lock, which may be dead while a CLI that inherited it is at work, and is silent then in
containers (linux fs/locks.c, locks_translate_pid). ``/proc/<pid>/fdinfo`` tells of each open file whether it is the one
that is locked, so that it names exactly those that hold it. Only root may see it of other users' processes: of those
there is what ``/proc/locks`` says. Private to strata.compose.
"""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import read_file
from ansible_collections.strata.compose.plugins.module_utils._journal import JournalFile
from ansible_collections.strata.compose.plugins.module_utils._lock import holder_in

SECOND_LOOK = 0.1
"""Seconds until a record that names none of the holders is read again: a new owner writes its own just after it got
the lock."""

LONGEST_COMMAND = 500

NOT_TO_BE_SEEN = (FileNotFoundError, ProcessLookupError, PermissionError)
"""What reading of another process fails with: it has ended meanwhile, or this user has no say in it."""


def lock_told(folder: str, shared: t.Callable[[], str]) -> dict[str, t.Any]:
    """Whether the lock of a project is held, by whom, and the switch that was cut off, if one was.

    ``folder`` is the project's state folder, ``shared`` tells the path of the lock that all users of the engine take,
    or nothing; it is asked only when nobody holds this user's own.
    """
    found = _looked_twice(os.path.join(folder, "lock"))
    path = "" if found[1] else shared()
    if path:
        found = _looked_twice(path)
    owner, holders = found
    return {
        "held": bool(holders),
        **{key: owner.get(key) for key in ("operation", "actor", "started", "pid")},
        "alive": _holds(owner, holders),
        "holders": holders,
        "journal": _journal_told(folder),
    }


def _looked_twice(path: str) -> tuple[dict[str, t.Any], list[dict[str, t.Any]]]:
    owner, holders = _look(path)
    if holders and not _holds(owner, holders):
        time.sleep(SECOND_LOOK)
        owner, holders = _look(path)
    return owner, holders


def _look(path: str) -> tuple[dict[str, t.Any], list[dict[str, t.Any]]]:
    return holder_in((_content(path) or b"").decode("utf-8", "replace")), holders_of(path) or _holders_of_others(path)


def _content(path: str) -> bytes | None:
    """What the owner wrote; empty when it ended in order."""
    try:
        return read_file(path)
    except ComposeFailure:
        # Another user's, who may use the engine while this one may not.
        return None


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
    name = os.path.basename(path)
    return [{"pid": pid, "command": _command(pid)} for pid in pids if _has_locked(pid, name, file)]


def _has_locked(pid: int, name: str, file: os.stat_result) -> bool:
    with contextlib.suppress(*NOT_TO_BE_SEEN):
        return any(_is_locked(pid, each, name, file) for each in os.listdir(f"/proc/{pid}/fd"))
    return False


def _is_locked(pid: int, descriptor: str, name: str, file: os.stat_result) -> bool:
    link = f"/proc/{pid}/fd/{descriptor}"
    with contextlib.suppress(*NOT_TO_BE_SEEN):
        if os.path.basename(os.readlink(link)) == name and os.path.samestat(os.stat(link), file):
            with open(f"/proc/{pid}/fdinfo/{descriptor}") as told:
                return any(line.startswith("lock:") and "FLOCK" in line for line in told)
    return False


def _holders_of_others(path: str) -> list[dict[str, t.Any]]:
    """The processes of other users that have taken the lock on a file, whose commands are not for this user to see."""
    try:
        file = os.stat(path)
        with open("/proc/locks") as lines:
            rows = [line.split() for line in lines]
    except OSError:
        return []
    mark = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    return [{"pid": int(row[4]), "command": ""} for row in rows if row[1] == "FLOCK" and row[5] == mark]


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
