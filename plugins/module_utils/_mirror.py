# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A temporary folder in which the host is seen with another project directory. Private to strata.compose.

Below it every path is where the host has it, so that ``../common.yml`` and ``${PWD}`` lead where they will lead. What
the host keeps is a link to it: nothing is copied. The folder is in memory where there is room, for its owner only, and
a process of its own removes it when this one ends, by SIGKILL too.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import tempfile
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._tree import folders_of

IN_MEMORY = "/dev/shm"
ROOM = 64 << 20
"""Bytes that have to be free in memory; what a plan reads is text."""

GUARDIAN = 'trap "" HUP INT TERM; umask 077; mkdir -- "$1" && echo; cat > /dev/null; rm -rf -- "$1"'
"""Its input is a pipe that only this process holds: it ends with it. A signal to a whole session passes it by."""


@dataclass(frozen=True)
class Mirror:
    """``place`` is the folder; ``root`` the project directory as given, ``real_root`` without symbolic links."""

    place: str
    root: str
    real_root: str

    def place_of(self, path: str) -> str:
        """Where a path below the project directory is in the mirror."""
        return self.place + os.path.join(self.root, path)

    def fill(self, files: t.Mapping[str, bytes], links: t.Mapping[str, str], removed: t.Collection[str]) -> None:
        """Place what is to come; all else is what the host has, without what is to be removed."""
        self._link_surroundings()
        coming = {*files, *links}
        folders = {"", *(folder for path in (*coming, *removed) for folder in folders_of(path))}
        for folder in sorted(folders):
            self._make_folder(folder, folders, {*coming, *removed})
        for path, content in files.items():
            with open(self.place_of(path), "wb") as file:
                file.write(content)
        for path, target in links.items():
            os.symlink(target, self.place_of(path))
        self._remove_emptied({folder for path in removed for folder in folders_of(path)})

    def _link_surroundings(self) -> None:
        """The folders above the project directory, with everything else that is in them."""
        above = "/"
        for name in self.root.strip("/").split("/"):
            os.makedirs(self.place + above, exist_ok=True)
            for other in _listed(above):
                if other != name:
                    os.symlink(os.path.join(above, other), self.place + os.path.join(above, other))
            above = os.path.join(above, name)

    def _make_folder(self, folder: str, folders: t.Collection[str], own: t.Collection[str]) -> None:
        here = os.path.join(self.root, folder)
        os.makedirs(self.place_of(folder), exist_ok=True)
        for name in _listed(here):
            path = os.path.join(folder, name)
            if path not in own and path not in folders:
                os.symlink(os.path.join(here, name), self.place_of(path))

    def _remove_emptied(self, folders: t.Collection[str]) -> None:
        for folder in sorted(folders, reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(self.place_of(folder))


def _listed(folder: str) -> list[str]:
    """Names in a folder of the host; of one that is not there, or whose names this user may not see, none."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


@contextlib.contextmanager
def open_mirror(root: str) -> t.Iterator[Mirror]:
    """An empty mirror for a project directory; it is gone when the block ends."""
    place = os.path.join(_parent(), f"strata-{secrets.token_hex(16)}")
    argv = ["/bin/sh", "-c", GUARDIAN, "sh", place]
    pipe = subprocess.PIPE
    # It outlives this process, which no program that AnsibleModule.run_command starts can do.
    with subprocess.Popen(  # pylint: disable=ansible-bad-function
        argv, stdin=pipe, stdout=pipe, cwd="/", start_new_session=True
    ) as guardian:
        if guardian.stdout is None or guardian.stdout.readline() != b"\n":
            raise ComposeFailure(f"{place}, in which the plan is to be made, cannot be made. Nothing was changed.")
        yield Mirror(place, root, os.path.realpath(root))


def _parent() -> str:
    """Where the folder is made: in memory, or else where temporary files are."""
    if os.path.ismount(IN_MEMORY) and os.access(IN_MEMORY, os.W_OK | os.X_OK):
        status = os.statvfs(IN_MEMORY)
        if status.f_bavail * status.f_frsize >= ROOM:
            return IN_MEMORY
    return tempfile.gettempdir()
