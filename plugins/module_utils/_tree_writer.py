# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A project's files put in place on their host. Private to strata.compose.

Everything new is written beside its place first, flushed to the disk and given its mode and owner; renames follow.
Files that are made in their own folder get its label, its access lists and, below a setgid folder, its group.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tarfile
import typing as t
import zlib

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._tree import FOLDER, Entry, Host, Tree, folders_of

BLOCK = 1 << 20
FOLDER_MODE = 0o755


def require_contents(archive: str, needed: t.Collection[str]) -> None:
    """Raise `ComposeFailure` unless the archive holds each content whole. Writes nothing."""
    try:
        with tarfile.open(archive, "r|gz") as members:
            held = {each.name for each in members if _digest(members, each) == each.name}
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise ComposeFailure(f"Nothing was written: what was transferred cannot be read ({error}).") from error
    if not held.issuperset(needed):
        raise ComposeFailure("Nothing was written: files changed while they were read. Run the task again.")


def _digest(members: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    content = hashlib.sha256()
    with _opened(members, member) as file:
        while block := file.read(BLOCK):
            content.update(block)
    return content.hexdigest()


def _opened(members: tarfile.TarFile, member: tarfile.TarInfo) -> t.IO[bytes]:
    file = members.extractfile(member)
    if file is None:
        raise tarfile.TarError(f"{member.name} is no file")
    return file


class Writer:
    """Brings a host's files to a wanted tree, in the steps stage, remove, place, adjust."""

    def __init__(self, root: str, wanted: Tree, host: Host, uid: int | None, gid: int | None) -> None:
        self._root = root
        self._wanted = wanted
        self._found = host.found
        self._owner = (uid, gid)
        self._staged: dict[str, str] = {}
        self.touched = False
        """Whether anything that others see was changed"""

    @contextlib.contextmanager
    def staged(self, archive: str | None, paths: t.Sequence[str]) -> t.Iterator[None]:
        """Everything new stands beside its place; what is not placed inside the block goes with its end."""
        try:
            self._make_root()
            for path in paths:
                if self._wanted[path].target is not None:
                    self._stage_link(path)
            if archive:
                self._stage_files(archive, [path for path in paths if self._wanted[path].target is None])
            yield
        finally:
            for temporary in self._staged.values():
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)

    def remove(self, paths: t.Sequence[str]) -> None:
        """Remove files and links, and the folders that are empty for that reason."""
        for path in paths:
            self.touched = True
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self._root, path))
            with contextlib.suppress(OSError):
                for folder in reversed(list(folders_of(path))):
                    os.rmdir(os.path.join(self._root, folder))

    def place(self, path: str) -> None:
        """Rename what was staged to its place."""
        self.touched = True
        place = os.path.join(self._root, path)
        for folder in folders_of(path):
            self._make_folder(os.path.join(self._root, folder))
        if path in self._found and self._found[path].content == FOLDER:
            _remove_empty_folders(place)
        os.replace(self._staged[path], place)

    def adjust(self, path: str) -> None:
        """Give what stands at a path its mode and owner."""
        self.touched = True
        _give(os.path.join(self._root, path), self._wanted[path])

    def _make_root(self) -> None:
        if not os.path.isdir(self._root):
            os.makedirs(os.path.dirname(self._root), FOLDER_MODE, exist_ok=True)
            self._make_folder(self._root)

    def _make_folder(self, place: str) -> None:
        if not os.path.isdir(place):
            os.mkdir(place, FOLDER_MODE)
            inherited = stat.S_IMODE(os.stat(place).st_mode) & stat.S_ISGID
            _give(place, Entry(FOLDER, FOLDER_MODE | inherited, *self._owner))

    def _stage_link(self, path: str) -> None:
        temporary = self._beside(path)
        os.symlink(self._wanted[path].target or "", temporary)
        self._finish(path, temporary)

    def _stage_files(self, archive: str, paths: t.Iterable[str]) -> None:
        """Unpack each content to the first of its paths, and copy it from there to the others."""
        by_content: dict[str, list[str]] = {}
        for path in paths:
            by_content.setdefault(self._wanted[path].content, []).append(path)
        with tarfile.open(archive, "r|gz") as members:
            for member in members:
                same = by_content.get(member.name, [])
                for path in same:
                    copied = path != same[0]
                    with open(self._staged[same[0]], "rb") if copied else _opened(members, member) as content:
                        self._stage_file(path, content)

    def _stage_file(self, path: str, source: t.IO[bytes]) -> None:
        temporary = self._beside(path)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            shutil.copyfileobj(source, file, BLOCK)
            file.flush()
            os.fsync(handle)
        self._finish(path, temporary)

    def _finish(self, path: str, temporary: str) -> None:
        """Owner and mode; an owner that is not asked for stays that of the file there, if that is allowed."""
        found = self._found.get(path)
        if found and found.content != FOLDER:
            with contextlib.suppress(PermissionError):
                _give(temporary, Entry("", None, found.uid, found.gid))
        _give(temporary, self._wanted[path])

    def _beside(self, path: str) -> str:
        """A free name in the folder of a path, or in the nearest one that exists; the same in every run.

        So what a run that was killed left there goes with the next one.
        """
        folder = self._root
        for each in folders_of(path):
            place = os.path.join(self._root, each)
            if os.path.islink(place) or not os.path.isdir(place):
                break
            folder = place
        temporary = os.path.join(folder, f".strata-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.new")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        self._staged[path] = temporary
        return temporary


def _give(place: str, entry: Entry) -> None:
    """Owner first: a change of owner takes bits from the mode."""
    status = os.lstat(place)
    if not Entry("", None, entry.uid, entry.gid).same_attributes(Entry("", None, status.st_uid, status.st_gid)):
        uid, gid = (-1 if each is None else each for each in (entry.uid, entry.gid))
        os.chown(place, uid, gid, follow_symlinks=False)
    if entry.mode is not None:
        os.chmod(place, entry.mode)


def _remove_empty_folders(place: str) -> None:
    for folder, _folders, _files in os.walk(place, topdown=False):
        os.rmdir(folder)
