# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders that are held open, so that no stranger's link leads elsewhere what is done in them. Private.

A project directory may belong to anybody, and root writes into it. So each folder of a path is opened from the one
above it (openat(2) with ``O_NOFOLLOW``), which leaves no moment to put a link in its place, and files are worked on by
descriptor. A link is followed when it belongs to root or to the task's user.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._walk import ENTER, Make, Walk, entered, named_errors

TO_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Folder:
    """An open folder; ``path`` has no links and is for messages."""

    def __init__(self, handle: int, path: str) -> None:
        self.handle = handle
        self.path = path

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self.handle)

    def place(self, name: str) -> str:
        return os.path.join(self.path, name)

    def below(self, names: str, make: Make | None = None) -> Folder:
        """The folder at a path below this one, where no link is followed at all; ``make`` makes what is missing."""
        handle, path = os.open(".", ENTER, dir_fd=self.handle), self.path
        for name in filter(None, names.split("/")):
            path = os.path.join(path, name)
            try:
                above, handle = handle, entered(handle, name, make)
            except OSError as error:
                os.close(handle)
                raise OSError(error.errno, error.strerror, path) from error
            os.close(above)
        return Folder(handle, path)

    def look(self, name: str) -> os.stat_result | None:
        """What stands there, be it a link; ``None`` when nothing does."""
        try:
            return os.stat(name, dir_fd=self.handle, follow_symlinks=False)
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def opened(self, name: str) -> t.Iterator[t.IO[bytes]]:
        """A regular file, to read; raises `ComposeFailure` for a pipe or a device, which could wait for ever."""
        with named_errors(self.place(name)):
            handle = os.open(name, TO_READ, dir_fd=self.handle)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ComposeFailure(f"{self.place(name)} is not a regular file: remove it, or choose another path.")
            yield file

    def replace(self, name: str, content: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
        """Write beside a name, flush to the disk, rename over it: a link there is replaced and not followed."""
        temporary = f".{name}.{secrets.token_hex(4)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(temporary, flags, 0o600, dir_fd=self.handle)
        try:
            with os.fdopen(handle, "wb") as file:
                if owner:
                    os.fchown(handle, *owner)
                os.fchmod(handle, mode)
                file.write(content)
                file.flush()
                os.fsync(handle)
            os.replace(temporary, name, src_dir_fd=self.handle, dst_dir_fd=self.handle)
        except BaseException:
            self.remove(temporary)
            raise
        self.flush()

    def overwrite(self, name: str, content: bytes) -> None:
        """Write into a regular file that is there, if there is space for all of it."""
        handle = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.handle)
        with os.fdopen(handle, "wb") as file:
            os.posix_fallocate(handle, 0, len(content))
            file.write(content)
            file.truncate(len(content))
            os.fsync(handle)

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.handle)

    def flush(self) -> None:
        """Let new names reach the disk too: a rename is lost with the power until its folder is flushed (fsync(2))."""
        with self.readable() as handle:
            os.fsync(handle)

    def names(self) -> list[str]:
        """What is in the folder, sorted."""
        with named_errors(self.path), self.readable() as handle:
            return sorted(os.listdir(handle))

    @contextlib.contextmanager
    def readable(self) -> t.Iterator[int]:
        """A descriptor of the folder with which more can be done than reach what is in it."""
        handle = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.handle)
        try:
            yield handle
        finally:
            os.close(handle)


def private(folder: int, name: str) -> None:
    """Make a folder for its owner only."""
    os.mkdir(name, 0o700, dir_fd=folder)


def open_folder(path: str, make: Make | None = None) -> Folder:
    """The folder of a path; it may belong to anybody, but the links that lead to it may not."""
    with Walk(make) as walk:
        walk.enter(os.path.abspath(path))
        return _folder_at(walk)


def resolved(path: str) -> str:
    """A folder's path without its links, of which each has to belong to root or the task's user; it may be missing."""
    with Walk(None) as walk:
        path = os.path.abspath(path)
        missing: list[str] = []
        while True:
            try:
                walk.enter(path)
                return os.path.join(walk.path, *reversed(missing))
            except (FileNotFoundError, NotADirectoryError):
                path, name = os.path.split(path)
                missing.append(name)
                walk.reset()
            except OSError as error:
                raise ComposeFailure(f"{path} cannot be read on this host: {error.strerror}.") from error


def open_to_read(path: str) -> int:
    """A descriptor of what is at a path. It never waits for a pipe.

    A stranger's link is followed to what belongs to that same stranger, who can read it anyway. Any other raises
    `ComposeFailure`, for what it leads to may be told, kept or given to a container.
    """
    with Walk(None, reads=True) as walk:
        name = walk.enter_folder_of(os.path.join(os.getcwd(), path))
        with named_errors(path):
            handle = os.open(name, TO_READ, dir_fd=walk.handle)
        try:
            walk.require_told_to_owner(os.fstat(handle).st_uid)
        except BaseException:
            os.close(handle)
            raise
        return handle


def _folder_at(walk: Walk) -> Folder:
    return Folder(os.open(".", ENTER, dir_fd=walk.handle), walk.path)


@contextlib.contextmanager
def place_of(path: str, project_dir: str, make: Make | None = None) -> t.Iterator[tuple[Folder, str]]:
    """The open folder and the name where a file of a project lies, or would lie, with the links of its path followed.

    Below the project directory, what a link leads to has to belong to root or the task's user too.
    """
    path, project_dir = os.path.abspath(path), os.path.abspath(project_dir)
    with Walk(make) as walk:
        if path.startswith(f"{project_dir.rstrip('/')}/"):
            walk.enter(project_dir)
            path = path[len(project_dir) :].lstrip("/")
        name = walk.enter_folder_of(path)
        with _folder_at(walk) as folder:
            yield folder, name
