# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the lock lies that all take who may use an engine: one file for an engine and a project.

It lies in a folder that everybody may write to and where nobody removes what another has made. Everybody includes those
who may not use the engine: the file is for the group of the engine's socket, no link in its place is followed, and one
that is shared with another folder is not written to. Private to strata.compose.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._engine_identity import (
    Engine,
    engine_of,
    recorded_identity,
)
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure, notice

FOLDERS = ("/run/lock", "/tmp")
"""The first of them that is for everybody: `/run/lock` is root's alone on some systems (FHS 3.0, 3.15)."""

FOR_ALL = stat.S_ISVTX | stat.S_IWOTH
BEING_MADE = 1.0
"""Seconds that a file may be closed to us: who makes it lets the others in at once."""

POLL = 0.02


class Place(t.NamedTuple):
    """A lock's path, and the group that it is for; everybody where that is ``None``."""

    path: str
    group: int | None


def place_for(engine: Engine | None, project: str) -> Place | None:
    """Where the lock of a project on an engine lies, ``None`` where no engine answers or no folder is for all."""
    if engine is None:
        return None
    folder = next(filter(_is_for_all, FOLDERS), None)
    if folder is None:
        notice(
            f"Neither {' nor '.join(FOLDERS)} is a folder of root's that everybody may write to (mode 1777): the lock "
            f"of project {project} does not keep off operations of other users."
        )
        return None
    return Place(os.path.join(folder, name_of(engine.identity, project)), engine.group)


def shared_lock(cli: Cli, folder: str) -> Place | None:
    """Where the lock of the project lies whose state folder is ``folder``."""
    return place_for(engine_of(cli, folder), os.path.basename(folder))


def known_path(cli: Cli, folder: str) -> str:
    """The path of that lock, to look at it; no engine is asked where the project was operated on before."""
    identity = recorded_identity(folder)
    try:
        engine = Engine(identity, None) if identity else engine_of(cli, folder, keep=False)
        place = place_for(engine, os.path.basename(folder))
    except ComposeFailure as failure:
        notice(f"Whether another user is at work on the project is not known: {failure.message}")
        return ""
    return place.path if place else ""


def name_of(identity: str, project: str) -> str:
    """The name of the lock's file. Pure."""
    return f"strata-{hashlib.sha256(f'{identity}/{project}'.encode()).hexdigest()[:24]}.lock"


def _is_for_all(folder: str) -> bool:
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and found.st_mode & FOR_ALL == FOR_ALL


def opened(place: Place) -> int:
    """The open file, which is made when it is missing."""
    deadline = time.monotonic() + BEING_MADE
    while True:
        try:
            return _sound(_made_or_opened(place), place.path)
        except PermissionError as error:
            if time.monotonic() < deadline:
                time.sleep(POLL)
                continue
            raise _closed(place.path, error) from error
        except OSError as error:
            raise _closed(place.path, error) from error


def _made_or_opened(place: Place) -> int:
    """Open before making: the kernel refuses ``O_CREAT`` on others' files there (fs.protected_regular, proc(5))."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    while True:
        with contextlib.suppress(FileNotFoundError):
            return os.open(place.path, flags)
        with contextlib.suppress(FileExistsError):
            handle = os.open(place.path, flags | os.O_CREAT | os.O_EXCL, 0o600)
            _let_others_in(handle, place.group)
            return handle


def _let_others_in(handle: int, group: int | None) -> None:
    """Open the file to those who may use the engine; to all where this user cannot give it to their group."""
    mode = 0o660
    try:
        os.fchown(handle, -1, group if group is not None else -1)
    except PermissionError:
        mode = 0o666
    os.fchmod(handle, 0o666 if group is None else mode)


def _sound(handle: int, path: str) -> int:
    found = os.fstat(handle)
    if stat.S_ISREG(found.st_mode) and found.st_nlink <= 1:
        return handle
    os.close(handle)
    raise ComposeFailure(
        f"{path} is no file of its own, so it cannot be the project's lock: user {found.st_uid} has put it there. "
        f"Remove it. Nothing was changed."
    )


def _closed(path: str, error: OSError) -> ComposeFailure:
    owner = ""
    with contextlib.suppress(OSError):
        owner = f", which user {os.lstat(path).st_uid} has made,"
    return ComposeFailure(
        f"the project's lock {path}{owner} cannot be opened: {error.strerror}. When no operation is at work, let root "
        f"remove it; or run with become. Nothing was changed."
    )
