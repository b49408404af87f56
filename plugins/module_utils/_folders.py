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
import errno
import os
import secrets
import stat
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
ENTER = LOOK | os.O_DIRECTORY
MOST_LINKS = 40
"""As the kernel has it, see path_resolution(7)."""

Make = t.Callable[[int, str], None]
"""How a folder that is missing is made in an open one"""


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
                above, handle = handle, _entered(handle, name, make)
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
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with _named(self.place(name)):
            handle = os.open(name, flags, dir_fd=self.handle)
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

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.handle)

    def flush(self) -> None:
        """Let new names reach the disk too: a rename is lost with the power until its folder is flushed (fsync(2))."""
        handle = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.handle)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def private(folder: int, name: str) -> None:
    """Make a folder for its owner only."""
    os.mkdir(name, 0o700, dir_fd=folder)


def open_folder(path: str, make: Make | None = None) -> Folder:
    """The folder of a path; it may belong to anybody, but the links that lead to it may not."""
    with _Walk(make) as walk:
        walk.enter(os.path.abspath(path))
        return walk.folder()


def resolved(path: str) -> str:
    """A folder's path without its links, of which each has to belong to root or the task's user; it may be missing."""
    with _Walk(None) as walk:
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


@contextlib.contextmanager
def place_of(path: str, project_dir: str, make: Make | None = None) -> t.Iterator[tuple[Folder, str]]:
    """The open folder and the name where a file of a project lies, or would lie, with the links of its path followed.

    Below the project directory, what a link leads to has to belong to root or the task's user too.
    """
    path, project_dir = os.path.abspath(path), os.path.abspath(project_dir)
    with _Walk(make) as walk:
        if path.startswith(f"{project_dir.rstrip('/')}/"):
            walk.enter(project_dir)
            path = path[len(project_dir) :].lstrip("/")
        name = walk.enter_folder_of(path)
        with walk.folder() as folder:
            yield folder, name


class _Walk:
    """Goes along a path, and keeps the folders above open for the ``..`` of links."""

    def __init__(self, make: Make | None) -> None:
        self._make = make
        self._trusted = {0, os.geteuid()}
        self._folders = [os.open("/", ENTER)]
        self._names: list[str] = []
        self._links = 0

    def __enter__(self) -> _Walk:
        return self

    def __exit__(self, *_error: object) -> None:
        for each in self._folders:
            os.close(each)

    @property
    def path(self) -> str:
        return "/" + "/".join(self._names)

    def folder(self) -> Folder:
        return Folder(os.open(".", ENTER, dir_fd=self._folders[-1]), self.path)

    def reset(self) -> None:
        while self._names:
            self._leave()

    def enter(self, path: str) -> None:
        """Enter the folder at a path. A folder that a link leads to may belong to anybody."""
        if path.startswith("/"):
            self.reset()
        for name in path.split("/"):
            self._step(name)

    def enter_folder_of(self, path: str) -> str:
        """Enter the folder that the file at a path lies in, and give its name there."""
        above, name = os.path.split(path)
        if above.startswith("/"):
            self.reset()
        for each in above.split("/"):
            if self._step(each):
                self._require_ours(self.path, os.fstat(self._folders[-1]))
        link = None
        while (target := self._target(name)) is not None:
            link = os.path.join(self.path, name)
            above, name = os.path.split(target)
            self.enter(above)
        if link:
            found = _status(self._folders[-1], name) or os.fstat(self._folders[-1])
            self._require_ours(os.path.join(self.path, name), found, link)
        return name

    def _require_ours(self, path: str, found: os.stat_result, link: str = "") -> None:
        if found.st_uid not in self._trusted:
            raise ComposeFailure(
                f"{link or path} is not followed: a link leads to {path}, which belongs to user {found.st_uid} and "
                f"neither to root nor to the user of this task. Give it to one of them, or put a file or folder in the "
                f"place of the link. Nothing was changed there."
            )

    def _step(self, name: str) -> bool:
        """Enter what has a name in the folder that was reached; whether that was a link."""
        if name in ("", "."):
            return False
        if name == "..":
            self._leave()
            return False
        try:
            with _named(os.path.join(self.path, name)):
                self._folders.append(_entered(self._folders[-1], name, self._make))
        except NotADirectoryError:
            target = self._target(name)
            if target is None:
                raise
            self.enter(target)
            return True
        self._names.append(name)
        return False

    def _leave(self) -> None:
        if self._names:
            self._names.pop()
            os.close(self._folders.pop())

    def _target(self, name: str) -> str | None:
        """Where a link leads, ``None`` for what is none. Raises `ComposeFailure` for a link of a stranger."""
        path = os.path.join(self.path, name)
        try:
            handle = os.open(name, LOOK, dir_fd=self._folders[-1])
        except FileNotFoundError:
            return None
        try:
            found = os.fstat(handle)
            if not stat.S_ISLNK(found.st_mode):
                return None
            if found.st_uid not in self._trusted:
                raise ComposeFailure(
                    f"{path} is not followed: it is a link of user {found.st_uid}, who is neither root nor the user of "
                    f"this task. If it should be followed, give it to root with `chown -h`. Nothing was changed there."
                )
            self._links += 1
            if self._links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            return os.readlink("", dir_fd=handle)
        finally:
            os.close(handle)


def _entered(folder: int, name: str, make: Make | None) -> int:
    try:
        return os.open(name, ENTER, dir_fd=folder)
    except FileNotFoundError:
        if make is None:
            raise
    with contextlib.suppress(FileExistsError):
        make(folder, name)
    return os.open(name, ENTER, dir_fd=folder)


def _status(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _named(path: str) -> t.Iterator[None]:
    """Errors with the whole path, for a descriptor's own have the last name only."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
