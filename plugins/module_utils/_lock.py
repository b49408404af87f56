# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One operation at a time on a project: a lock that dies with its holder and tells who that is.

Private to strata.compose.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import make_folder

POLL = 0.2
"""Seconds between two tries to get the lock."""


@contextlib.contextmanager
def locked(folder: str, operation: str, actor: str, wait: float) -> t.Iterator[None]:
    """Hold the project's lock, for which others are waited up to ``wait`` seconds.

    Raises `ComposeFailure` that names the holder. The kernel frees the lock when this process ends, however it ends.
    """
    with _acquired(folder, time.monotonic() + wait) as file:
        os.set_inheritable(file.fileno(), True)
        _sign(file.fileno(), {"pid": os.getpid(), "operation": operation, "actor": actor, "started": now()})
        try:
            yield
        finally:
            os.ftruncate(file.fileno(), 0)


def _opened(folder: str, path: str) -> int:
    try:
        make_folder(folder)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ComposeFailure(f"{path} cannot be written: {error.strerror}. Nothing was changed.") from error


def _sign(handle: int, owner: dict[str, t.Any]) -> None:
    """Tell who holds the lock; on a full disk it is held all the same, and nobody told."""
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(owner).encode(), 0)


def now() -> str:
    """This moment in UTC, as all records tell it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@contextlib.contextmanager
def _acquired(folder: str, deadline: float) -> t.Iterator[t.IO[str]]:
    """The locked file; one that was removed while we waited for it excludes nobody, so its successor is taken."""
    path = os.path.join(folder, "lock")
    while True:
        with open(_opened(folder, path), "r+") as file:
            _acquire(file, path, deadline)
            if os.path.exists(path) and os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                yield file
                return


def _acquire(file: t.IO[str], path: str, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise _refused(file, path) from None
            time.sleep(POLL)
        else:
            return


def _refused(file: t.IO[str], path: str) -> ComposeFailure:
    try:
        told = json.load(file)
    except (ValueError, RecursionError):
        told = None
    owner = told if isinstance(told, dict) else {}
    who = f"{owner.get('operation', 'an operation')} by {owner.get('actor', 'somebody')}"
    since = f"since {owner.get('started', 'just now')}, process {owner.get('pid', 'unknown')}"
    return ComposeFailure(
        f"{os.path.basename(os.path.dirname(path))} is locked: {who}, {since}. Wait for it to end, or give lock_wait "
        f"seconds to wait. Nothing was changed.",
        error_kind="locked",
        lock=owner,
    )
