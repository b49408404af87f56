# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One operation at a time on a project: a lock that dies with its holder and tells who that is.

It is two files: one in the state folder of the user, and one that all take who may use the engine, for their state is
each their own. Private to strata.compose.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._engine_socket import user_name
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import make_folder
from ansible_collections.strata.compose.plugins.module_utils._lock_place import opened, shared_lock

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._cli import Cli

POLL = 0.2
"""Seconds between two tries to get the lock."""


LONGEST_TOLD = 200
"""Characters of what a holder says of itself: others write to the file that all share."""


@contextlib.contextmanager
def locked(folder: str, operation: str, actor: str, wait: float, cli: Cli | None) -> t.Iterator[None]:
    """Hold the project's lock, for which others are waited up to ``wait`` seconds.

    With ``cli``, also the one that other users of its engine take; what needs no engine goes without.
    Raises `ComposeFailure` that names the holder. The kernel frees the lock when this process ends, however it ends.
    """
    deadline, path = time.monotonic() + wait, os.path.join(folder, "lock")
    holder = {"pid": os.getpid(), "operation": operation, "actor": actor, "user": user_name(), "started": now()}
    with contextlib.ExitStack() as stack:
        stack.enter_context(_held(lambda: _opened(folder, path), path, folder, holder, deadline))
        place = shared_lock(cli, folder) if cli else None
        if place:
            stack.enter_context(_held(lambda: opened(place), place.path, folder, holder, deadline))
        yield


@contextlib.contextmanager
def _held(
    open_file: t.Callable[[], int], path: str, folder: str, holder: dict[str, t.Any], deadline: float
) -> t.Iterator[None]:
    with _acquired(open_file, path, os.path.basename(folder), deadline) as file:
        os.set_inheritable(file.fileno(), True)
        _sign(file.fileno(), holder)
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
def _acquired(open_file: t.Callable[[], int], path: str, project: str, deadline: float) -> t.Iterator[t.IO[str]]:
    """The locked file; one that was removed while we waited for it excludes nobody, so its successor is taken."""
    while True:
        with open(open_file(), "r+") as file:
            _acquire(file, project, deadline)
            if os.path.exists(path) and os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                yield file
                return


def _acquire(file: t.IO[str], project: str, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise _refused(file, project) from None
            time.sleep(POLL)
        else:
            return


def holder_in(text: str) -> dict[str, t.Any]:
    """What a holder has written of itself; empty for what was never written whole. Pure."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: value[:LONGEST_TOLD] if isinstance(value, str) else value for key, value in found.items()}


def _refused(file: t.IO[str], project: str) -> ComposeFailure:
    holder = holder_in(file.read())
    user = f" (user {holder['user']})" if "user" in holder else ""
    who = f"{holder.get('operation', 'an operation')} by {holder.get('actor', 'somebody')}{user}"
    since = f"since {holder.get('started', 'just now')}, process {holder.get('pid', 'unknown')}"
    return ComposeFailure(
        f"{project} is locked: {who}, {since}. Wait for it to end, or give lock_wait seconds to wait. Nothing was "
        f"changed.",
        error_kind="locked",
        lock=holder,
    )
