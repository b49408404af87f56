# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands on a host where a project's files shall be. Reads only. Private to strata.compose."""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._folders import Folder, open_folder
from ansible_collections.strata.compose.plugins.module_utils._tree import FOLDER, LINK, SPECIAL, Entry, Host, Tree

IS_FILE = "a file, and a folder belongs there"
IS_LINK = "a symbolic link, and what is below it would leave project_dir"


def observe(root: str, wanted: Tree, brought: t.Iterable[str]) -> Host:
    """What stands at these paths. Nothing is looked at through a symbolic link below the root."""
    try:
        with open_folder(root) as folder:
            return _observed(folder, wanted, brought)
    except FileNotFoundError:
        return Host({}, {}, {})
    except OSError as error:
        raise ComposeFailure(f"{error.filename or root} cannot be read on this host: {error.strerror}.") from error


def _observed(root: Folder, wanted: Tree, brought: t.Iterable[str]) -> Host:
    barriers: dict[str, str] = {}
    found: dict[str, Entry] = {}
    inside: dict[str, list[str]] = {}
    by_folder: dict[str, list[str]] = {}
    for path in {*wanted, *brought}:
        by_folder.setdefault(posixpath.dirname(path), []).append(path)
    for above, paths in by_folder.items():
        try:
            with root.below(above) as folder:
                for path in paths:
                    _look(folder, path, wanted, found, inside)
        except FileNotFoundError:
            continue
        except NotADirectoryError as error:
            if any(path in wanted for path in paths):
                barriers.update([_barrier(root, str(error.filename))])
    return Host(found, barriers, inside)


def _look(folder: Folder, path: str, wanted: Tree, found: dict[str, Entry], inside: dict[str, list[str]]) -> None:
    entry = _entry(folder, posixpath.basename(path))
    if entry:
        found[path] = entry
        if path in wanted and entry.content == FOLDER:
            inside[path] = _files_below(folder, path)


def _barrier(root: Folder, place: str) -> tuple[str, str]:
    """What stands where a folder is needed, and what it is."""
    return os.path.relpath(place, root.path), IS_LINK if os.path.islink(place) else IS_FILE


def _entry(folder: Folder, name: str) -> Entry | None:
    status = folder.look(name)
    if status is None:
        return None
    owner = (status.st_uid, status.st_gid)
    if stat.S_ISLNK(status.st_mode):
        return Entry(LINK + os.readlink(name, dir_fd=folder.handle), None, *owner)
    if stat.S_ISREG(status.st_mode):
        return _file(folder, name)
    return Entry(FOLDER if stat.S_ISDIR(status.st_mode) else SPECIAL, None, *owner)


def _file(folder: Folder, name: str) -> Entry:
    content = hashlib.sha256()
    with folder.opened(name) as file:
        status = os.fstat(file.fileno())
        while block := file.read(1 << 20):
            content.update(block)
    return Entry(content.hexdigest(), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def _files_below(folder: Folder, path: str) -> list[str]:
    """All that is in a folder, except folders; a link to a folder is none."""

    def refuse(error: OSError) -> None:
        raise error

    below: list[str] = []
    name = posixpath.basename(path)
    for place, folders, files, handle in os.fwalk(name, onerror=refuse, dir_fd=folder.handle):
        links = [each for each in folders if stat.S_ISLNK(os.lstat(each, dir_fd=handle).st_mode)]
        below += [posixpath.join(posixpath.dirname(path), place, each) for each in (*files, *links)]
    return below
