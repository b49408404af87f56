# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A walk along a path, folder by folder, that heeds whose links it follows. Private to strata.compose."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
ENTER = LOOK | os.O_DIRECTORY
MOST_LINKS = 40
"""As the kernel has it, see path_resolution(7)."""

Make = t.Callable[[int, str], None]
"""How a folder that is missing is made in an open one"""


class Walk:
    """Goes along a path, and keeps the folders above open for the ``..`` of links.

    A walk that only ``reads`` follows links of strangers too, and `require_told_to_owner` judges them at its end.
    """

    def __init__(self, make: Make | None, reads: bool = False) -> None:
        self._reads = reads
        self._strangers: dict[int, str] = {}
        """Users whose links were followed, each with one of these"""
        self._make = make
        self._trusted = {0, os.geteuid()}
        self._folders = [os.open("/", ENTER)]
        self._names: list[str] = []
        self._links = 0

    def __enter__(self) -> Walk:
        return self

    def __exit__(self, *_error: object) -> None:
        for each in self._folders:
            os.close(each)

    @property
    def path(self) -> str:
        return "/" + "/".join(self._names)

    @property
    def handle(self) -> int:
        """The descriptor of the folder that was reached, which ends with the walk."""
        return self._folders[-1]

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

    def require_told_to_owner(self, owner: int) -> None:
        """Raise `ComposeFailure` when a link of one user has led to what belongs to another, ``owner``."""
        for stranger, link in self._strangers.items():
            if stranger != owner:
                raise ComposeFailure(
                    f"{link} is not followed: it is a link of user {stranger}, and what it leads to belongs to user "
                    f"{owner}, so reading it could tell what that user may not know. If it should be followed, give it "
                    f"to root with `chown -h`. Nothing was changed."
                )

    def _require_ours(self, path: str, found: os.stat_result, link: str = "") -> None:
        if found.st_uid not in self._trusted and not self._reads:
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
            with named_errors(os.path.join(self.path, name)):
                self._folders.append(entered(self._folders[-1], name, self._make))
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
            if found.st_uid not in self._trusted and self._reads:
                self._strangers.setdefault(found.st_uid, path)
            elif found.st_uid not in self._trusted:
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


def entered(folder: int, name: str, make: Make | None) -> int:
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
def named_errors(path: str) -> t.Iterator[None]:
    """Errors with the whole path, for a descriptor's own have the last name only."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
