# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands on a host where a project's files shall be. Reads only. Private to strata.compose."""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import digest
from ansible_collections.strata.compose.plugins.module_utils._tree import (
    FOLDER,
    LINK,
    SPECIAL,
    Entry,
    Host,
    Tree,
    folders_of,
)

IS_FILE = "a file, and a folder belongs there"
IS_LINK = "a symbolic link, and what is below it would leave project_dir"


def observe(root: str, wanted: Tree, brought: t.Iterable[str]) -> Host:
    """What stands at these paths. Nothing is looked at through a symbolic link."""
    try:
        return _observed(root, wanted, brought)
    except OSError as error:
        raise ComposeFailure(f"{error.filename} cannot be read on this host: {error.strerror}.") from error


def _observed(root: str, wanted: Tree, brought: t.Iterable[str]) -> Host:
    barriers: dict[str, str] = {}
    found: dict[str, Entry] = {}
    for path in {*wanted, *brought}:
        barrier = _barrier(root, path)
        if barrier is None:
            entry = _entry(os.path.join(root, path))
            found.update({path: entry} if entry else {})
        elif path in wanted:
            barriers.update([barrier])
    inside = {path: _files_below(root, path) for path in wanted if path in found and found[path].content == FOLDER}
    return Host(found, barriers, inside)


def _barrier(root: str, path: str) -> tuple[str, str] | None:
    """The first of the folders above a path that is something else, and what it is."""
    for folder in folders_of(path):
        place = os.path.join(root, folder)
        if os.path.islink(place):
            return folder, IS_LINK
        if not os.path.isdir(place):
            return (folder, IS_FILE) if os.path.lexists(place) else None
    return None


def _entry(place: str) -> Entry | None:
    try:
        status = os.lstat(place)
    except FileNotFoundError:
        return None
    owner = (status.st_uid, status.st_gid)
    if stat.S_ISLNK(status.st_mode):
        return Entry(LINK + os.readlink(place), None, *owner)
    if stat.S_ISREG(status.st_mode):
        return Entry(digest(place) or "", stat.S_IMODE(status.st_mode), *owner)
    return Entry(FOLDER if stat.S_ISDIR(status.st_mode) else SPECIAL, None, *owner)


def _files_below(root: str, path: str) -> list[str]:
    """All that is in a folder, except folders; a link to a folder is none."""

    def refuse(error: OSError) -> None:
        raise error

    below = []
    for place, folders, files in os.walk(os.path.join(root, path), onerror=refuse):
        links = [each for each in folders if os.path.islink(os.path.join(place, each))]
        below += [os.path.relpath(os.path.join(place, each), root) for each in (*files, *links)]
    return below
