# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file with its content, mode and owner, read and replaced by descriptor. Private to strata.compose."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
import typing as t
from dataclasses import dataclass, field

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._folders import place_of, private


@dataclass(frozen=True)
class FileState:
    """All that decides whether a file is as it should be."""

    content: bytes = field(repr=False)
    mode: int
    uid: int
    gid: int


def read_state(path: str, project_dir: str, kind: str) -> FileState | None:
    """The file at a path, or that a link there leads to; ``None`` when there is none."""
    try:
        with place_of(path, project_dir) as (folder, name):
            found = folder.look(name)
            if found is None:
                return None
            if stat.S_ISDIR(found.st_mode):
                raise ComposeFailure(f"{path} is a folder, so it cannot be {kind}: remove it, or choose another path.")
            with folder.opened(name) as file:
                status = os.fstat(file.fileno())
                return FileState(file.read(), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ComposeFailure(f"{path} cannot be read: {error.strerror}.") from error


def write_state(path: str, project_dir: str, state: FileState) -> None:
    """Into the file that a link points to; readable for its owner only until all of it is as it should be."""
    owner = (state.uid, state.gid)
    try:
        with place_of(path, project_dir, private) as (folder, name):
            folder.replace(name, state.content, state.mode, owner)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}."
        if isinstance(error, PermissionError) and owner != (os.geteuid(), os.getegid()):
            message = (
                f"{path} cannot be written for user {state.uid} and group {state.gid}: {error.strerror}. Use become, "
                f"or leave owner and group out."
            )
        raise ComposeFailure(message) from error


def user_id(option: str, name: str) -> int:
    """The number of a user that an option names."""
    return _id(option, name, lambda each: pwd.getpwnam(each).pw_uid)


def group_id(option: str, name: str) -> int:
    """The number of a group that an option names."""
    return _id(option, name, lambda each: grp.getgrnam(each).gr_gid)


def _id(option: str, name: str, find: t.Callable[[str], int]) -> int:
    with contextlib.suppress(KeyError):
        return find(name)
    if name.isdecimal():
        return int(name)
    raise ComposeFailure(f"{option} {name} is not known on this host: create it first, or give a number.")
