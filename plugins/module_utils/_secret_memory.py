# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secret files in memory: a folder of the project's own in a tmpfs, to which a link in the project directory leads.

All by open descriptors: the project directory may belong to anybody, and so may what stands in ``/dev/shm``. Private to
strata.compose.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import read_file
from ansible_collections.strata.compose.plugins.module_utils._folders import Folder, open_folder, private

MOUNTS = "/proc/self/mounts"
IN_MEMORY = ("tmpfs", "ramfs")
SHARED = "/dev/shm"
"""Where everybody may make a folder; so the user's number is part of its name."""

FOLDER_MODE = 0o700


def folder_of(project_dir: str) -> str:
    """The folder in memory that is a project's; raises `ComposeFailure` where this host has no place for it."""
    mounts = (read_file(MOUNTS) or b"").decode("utf-8", "replace")
    tops = tops_of(os.geteuid())
    found = next((top for top in tops if top in in_memory(mounts)), None)
    if found is None:
        raise ComposeFailure(
            f"this host has no tmpfs at {' or '.join(tops)}, so the secret files cannot be kept in memory. Mount one, "
            f"or set secrets_in_memory to false. No secret file was written."
        )
    return _below(found, os.geteuid(), project_dir)


def own_folders(project_dir: str, user: int) -> list[str]:
    """All places where the folder of a project may be: an earlier boot may have had another one. Pure."""
    return [_below(top, user, project_dir) for top in tops_of(user)]


def tops_of(user: int) -> tuple[str, str]:
    """The folders that are looked at for one in memory, the better one first. Pure."""
    return ("/run" if user == 0 else f"/run/user/{user}", SHARED)


def in_memory(mounts: str) -> set[str]:
    """The places where a file system in memory is mounted that can be written to, by the lines of proc(5). Pure."""
    rows = (line.split(" ") for line in mounts.splitlines())
    return {row[1] for row in rows if len(row) > 3 and row[2] in IN_MEMORY and row[3].split(",")[0] == "rw"}


def _below(top: str, user: int, project_dir: str) -> str:
    of_all = f"strata-{user}" if top == SHARED else "strata"
    digest = hashlib.sha256(project_dir.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{top}/{of_all}/{os.path.basename(project_dir)}-{digest}"


def make_own(path: str) -> None:
    """Make the folder and the one above it, or let nobody but this user into what is there.

    Raises `ComposeFailure` for one that belongs to somebody else, who could read what is written to it.
    """
    for each in (os.path.dirname(path), path):
        with _named(each), open_folder(each, private) as folder, folder.readable() as handle:
            found = os.fstat(handle)
            if found.st_uid != os.geteuid():
                raise ComposeFailure(
                    f"{each} belongs to user {found.st_uid}, so no secret is written to it: remove it, or find out who "
                    f"made it. No secret file was written."
                )
            if stat.S_IMODE(found.st_mode) != FOLDER_MODE:
                os.fchmod(handle, FOLDER_MODE)


def target_of(place: Folder, name: str) -> str | None:
    """Where a link leads; ``None`` for what is none, or is not there."""
    found = place.look(name)
    return os.readlink(name, dir_fd=place.handle) if found and stat.S_ISLNK(found.st_mode) else None


def others_in(place: Folder, name: str, known: t.Container[str]) -> list[str]:
    """What a folder holds besides the names that are known; nothing where there is no folder."""
    found = place.look(name)
    if found is None or not stat.S_ISDIR(found.st_mode):
        return []
    with place.below(name) as folder:
        return [each for each in folder.names() if each not in known]


def link(place: Folder, name: str, target: str) -> None:
    """Make a link, in place of the file, link or folder that is there."""
    found = place.look(name)
    if found and stat.S_ISDIR(found.st_mode):
        remove_tree(place, name)
    temporary = f".{name}.link"
    place.remove(temporary)
    os.symlink(target, temporary, dir_fd=place.handle)
    os.replace(temporary, name, src_dir_fd=place.handle, dst_dir_fd=place.handle)


def remove_tree(place: Folder, name: str) -> bool:
    """Remove what has a name in an open folder, with all that is in it, and follow no link; whether it was there."""
    found = place.look(name)
    if found is None:
        return False
    if not stat.S_ISDIR(found.st_mode):
        place.remove(name)
        return True
    with place.below(name) as folder:
        for each in folder.names():
            remove_tree(folder, each)
    os.rmdir(name, dir_fd=place.handle)
    return True


def remove_own(path: str) -> bool:
    """Remove the folder in memory; whether it was there."""
    with contextlib.suppress(FileNotFoundError), open_folder(os.path.dirname(path)) as place:
        return remove_tree(place, os.path.basename(path))
    return False


@contextlib.contextmanager
def _named(path: str) -> t.Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ComposeFailure(f"{path} cannot be made: {error.strerror}. No secret file was written.") from error
