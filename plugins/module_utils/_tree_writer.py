# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A project's files put in place on their host. Private to strata.compose.

Everything new is written beside its place first, flushed to the disk and given its mode and owner; renames follow.
Folders are opened one from the other and files worked on by descriptor: who owns a folder cannot lead it elsewhere.
Files that are made in their own folder get its label, its access lists and, below a setgid folder, its group.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import posixpath
import shutil
import stat
import tarfile
import typing as t
import zlib

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._folders import Folder, open_folder
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
        self._path = root
        self._wanted = wanted
        self._found = host.found
        self._owner = (uid, gid)
        self._staged: dict[str, tuple[str, str]] = {}
        """By path, the folder below the root and the name of what is to be renamed to it"""
        self._root: Folder
        self.touched = False
        """Whether anything that others see was changed"""

    @contextlib.contextmanager
    def staged(self, archive: str | None, paths: t.Sequence[str]) -> t.Iterator[None]:
        """Everything new stands beside its place; what is not placed inside the block goes with its end."""
        with self._opened_root() as self._root:
            try:
                for path in paths:
                    if self._wanted[path].target is not None:
                        self._stage_link(path)
                if archive:
                    self._stage_files(archive, [path for path in paths if self._wanted[path].target is None])
                yield
            finally:
                for above, temporary in self._staged.values():
                    with contextlib.suppress(FileNotFoundError, NotADirectoryError), self._root.below(above) as folder:
                        folder.remove(temporary)

    def remove(self, paths: t.Sequence[str]) -> None:
        """Remove files and links, and the folders that are empty for that reason."""
        for path in paths:
            self.touched = True
            above, name = posixpath.split(path)
            with contextlib.suppress(FileNotFoundError), self._root.below(above) as folder:
                folder.remove(name)
            with contextlib.suppress(OSError):
                for each in reversed(list(folders_of(path))):
                    above, name = posixpath.split(each)
                    with self._root.below(above) as folder:
                        os.rmdir(name, dir_fd=folder.handle)

    def place(self, path: str) -> None:
        """Rename what was staged to its place."""
        self.touched = True
        above, name = posixpath.split(path)
        staged_in, temporary = self._staged[path]
        with self._root.below(above, self._make_folder) as folder, self._root.below(staged_in) as source:
            if path in self._found and self._found[path].content == FOLDER:
                _remove_empty_folders(folder, name)
            with _named(folder, name):
                os.replace(temporary, name, src_dir_fd=source.handle, dst_dir_fd=folder.handle)

    def adjust(self, path: str) -> None:
        """Give what stands at a path its mode and owner."""
        self.touched = True
        above, name = posixpath.split(path)
        with self._root.below(above) as folder, _named(folder, name):
            if self._wanted[path].is_file:
                with folder.opened(name) as file:
                    _require_one_name(folder, name, os.fstat(file.fileno()))
                    _give(file.fileno(), self._wanted[path])
            else:
                _give_link(folder, name, self._wanted[path])

    def _opened_root(self) -> Folder:
        above, name = os.path.split(self._path)
        with open_folder(above, _make_above) as folder:
            return folder.below(name, self._make_folder)

    def _make_folder(self, above: int, name: str) -> None:
        """With its owner; it is empty, so that none that was put in its place is given away."""
        os.mkdir(name, FOLDER_MODE, dir_fd=above)
        handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        try:
            if os.listdir(handle):
                raise OSError(errno.ENOTEMPTY, "another folder was put in its place", name)
            inherited = stat.S_IMODE(os.fstat(handle).st_mode) & stat.S_ISGID
            _give(handle, Entry(FOLDER, FOLDER_MODE | inherited, *self._owner))
        finally:
            os.close(handle)

    def _stage_link(self, path: str) -> None:
        with self._beside(path) as (folder, temporary):
            os.symlink(self._wanted[path].target or "", temporary, dir_fd=folder.handle)
            if kept := self._kept_owner(path):
                with contextlib.suppress(PermissionError):
                    _give_link(folder, temporary, kept)
            _give_link(folder, temporary, self._wanted[path])

    def _stage_files(self, archive: str, paths: t.Iterable[str]) -> None:
        """Unpack each content to the first of its paths, and copy it from there to the others."""
        by_content: dict[str, list[str]] = {}
        for path in paths:
            by_content.setdefault(self._wanted[path].content, []).append(path)
        with tarfile.open(archive, "r|gz") as members:
            for member in members:
                same = by_content.get(member.name, [])
                for path in same[:1]:
                    with _opened(members, member) as content:
                        self._stage_file(path, content)
                for path in same[1:]:
                    above, temporary = self._staged[same[0]]
                    with self._root.below(above) as folder, folder.opened(temporary) as copied:
                        self._stage_file(path, copied)

    def _stage_file(self, path: str, source: t.IO[bytes]) -> None:
        with self._beside(path) as (folder, temporary):
            self._stage(path, source, folder, temporary)

    def _stage(self, path: str, source: t.IO[bytes], folder: Folder, temporary: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with _named(folder, temporary):
            handle = os.open(temporary, flags, 0o600, dir_fd=folder.handle)
            with os.fdopen(handle, "wb") as file:
                shutil.copyfileobj(source, file, BLOCK)
                file.flush()
                os.fsync(handle)
                if kept := self._kept_owner(path):
                    with contextlib.suppress(PermissionError):
                        _give(handle, kept)
                _give(handle, self._wanted[path])

    def _kept_owner(self, path: str) -> Entry | None:
        """An owner that is not asked for stays that of the file there, if that is allowed."""
        found = self._found.get(path)
        return Entry("", None, found.uid, found.gid) if found and found.content != FOLDER else None

    @contextlib.contextmanager
    def _beside(self, path: str) -> t.Iterator[tuple[Folder, str]]:
        """The folder of a path, or the nearest one that exists, and a free name there; the same in every run.

        So what a run that was killed left there goes with the next one.
        """
        above = ""
        for each in folders_of(path):
            try:
                with self._root.below(each):
                    above = each
            except (FileNotFoundError, NotADirectoryError):
                break
        temporary = f".strata-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.new"
        with self._root.below(above) as folder:
            folder.remove(temporary)
            self._staged[path] = (above, temporary)
            yield folder, temporary


def _make_above(above: int, name: str) -> None:
    os.mkdir(name, FOLDER_MODE, dir_fd=above)


def _give(handle: int, entry: Entry) -> None:
    """Owner first: a change of owner takes bits from the mode."""
    status = os.fstat(handle)
    if not _has_owner(status, entry):
        os.fchown(handle, *_ids(entry))
    if entry.mode is not None:
        os.fchmod(handle, entry.mode)


def _give_link(folder: Folder, name: str, entry: Entry) -> None:
    if not _has_owner(os.stat(name, dir_fd=folder.handle, follow_symlinks=False), entry):
        os.chown(name, *_ids(entry), dir_fd=folder.handle, follow_symlinks=False)


def _has_owner(status: os.stat_result, entry: Entry) -> bool:
    return Entry("", None, entry.uid, entry.gid).same_attributes(Entry("", None, status.st_uid, status.st_gid))


def _ids(entry: Entry) -> tuple[int, int]:
    uid, gid = (-1 if each is None else each for each in (entry.uid, entry.gid))
    return uid, gid


def _require_one_name(folder: Folder, name: str, status: os.stat_result) -> None:
    """A stranger may give a second name to a file of root's, where the kernel does not protect hard links."""
    if status.st_nlink > 1 and os.fstat(folder.handle).st_uid not in (0, os.geteuid()):
        raise OSError(errno.EMLINK, "it has a second name (hard link) and so may be another file", folder.place(name))


def _remove_empty_folders(folder: Folder, name: str) -> None:
    if folder.look(name) is None:
        return  # it went with the last of its files
    for _place, folders, _files, handle in os.fwalk(name, topdown=False, dir_fd=folder.handle):
        for each in folders:
            os.rmdir(each, dir_fd=handle)
    os.rmdir(name, dir_fd=folder.handle)


@contextlib.contextmanager
def _named(folder: Folder, name: str) -> t.Iterator[None]:
    """Errors with the whole path, for a descriptor's own have the last name only."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, folder.place(name)) from error
