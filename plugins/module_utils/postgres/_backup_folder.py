# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a project's backups on the host: a dump has its name if, and only if, its manifest is there.

Private to strata.compose.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import digest, read_file, replace_file
from ansible_collections.strata.compose.plugins.module_utils._folders import Folder, open_folder, open_to_read, private
from ansible_collections.strata.compose.plugins.module_utils._manifest import told_size
from ansible_collections.strata.compose.plugins.module_utils.postgres._backups import FORMAT, Backup, backup_of

PARTIAL = ".partial"
SUFFIX = ".dump"
HALF_WRITTEN = re.compile(r"\..+-\d{8}T\d{6}Z-[0-9a-f]{8}\.json\..{8}")
"""A file that `replace_file` had not renamed yet."""

MARK = "strata.compose"
"""Key of a manifest by which it is told from other files in the folder."""


def folder_of(options: t.Mapping[str, t.Any], project: str) -> str:
    """The option ``backup_dir``, or the project's folder below ``/var/backups`` or the user's own data."""
    if options["backup_dir"]:
        return str(options["backup_dir"])
    if os.geteuid() == 0:
        return os.path.join("/var/backups/strata", project)
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return os.path.join(data, "strata", "backups", project)


class BackupFolder:
    """Reads and writes one folder; the files are for their owner only, for they hold all data."""

    def __init__(self, path: str) -> None:
        self.path = path

    def place(self, file: str) -> str:
        return os.path.join(self.path, file)

    def all(self) -> list[Backup]:
        """All backups whose dump and manifest are there."""
        found = (self._read(self.place(name)) for name in self._names() if name.endswith(".json"))
        return [each for each in found if each and os.path.isfile(self.place(each.file))]

    def named(self, path: str) -> Backup:
        """The backup whose dump has this path; raises `ComposeFailure` when there is none, or no manifest of it."""
        if not os.path.isfile(path):
            raise ComposeFailure(f"there is no backup {path} on this host. Nothing was changed.")
        backup = self._read(_manifest_of(path))
        if backup is None or backup.file != os.path.basename(path):
            raise ComposeFailure(
                f"{path} has no manifest {_manifest_of(path)}, so nothing tells whether it is whole: bring the "
                f"manifest of postgres_backup too. Nothing was changed."
            )
        return backup

    def sweep(self, token: str) -> None:
        """Remove what killed backups left: dumps and manifests that have no counterpart. Only under the lock.

        ``token`` stands for the project in the names of partial files, for a folder may hold backups of several.
        """
        kept = {name for each in self.all() for name in (each.file, _manifest_of(each.file))}
        with self._opened() as folder:
            if folder:
                for name in folder.names():
                    if name not in kept and self._is_ours(folder, name, token):
                        folder.remove(name)

    def _is_ours(self, folder: Folder, name: str, token: str) -> bool:
        if name.endswith(f".{token}{PARTIAL}") or _is_half_written(folder, name):
            return True
        found = self._read(self.place(name)) if name.endswith(".json") else None
        return found is not None and found.project == token

    @contextlib.contextmanager
    def partial(self, file: str, token: str) -> t.Iterator[t.IO[bytes]]:
        """A new file under a name that no backup has; it goes unless it was kept."""
        name, flags = _partial(file, token), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with contextlib.ExitStack() as stack:
            try:
                folder = stack.enter_context(open_folder(self.path, private))
                handle = os.open(name, flags, 0o600, dir_fd=folder.handle)
            except OSError as error:
                told = f"{self.place(name)} cannot be written: {error.strerror}. Nothing was changed."
                raise ComposeFailure(told) from error
            stack.callback(folder.remove, name)
            yield stack.enter_context(open(handle, "r+b", buffering=0))

    def keep(self, backup: Backup, token: str, content: t.IO[bytes]) -> None:
        """Make a partial file a backup. Its manifest comes first: the dump never has its name without one."""
        os.fsync(content.fileno())
        self.write(backup)
        try:
            with open_folder(self.path) as folder:
                partial = _partial(backup.file, token)
                os.rename(partial, backup.file, src_dir_fd=folder.handle, dst_dir_fd=folder.handle)
                folder.flush()
        except OSError as error:
            self._remove(_manifest_of(backup.file))
            raise ComposeFailure(f"{self.place(backup.file)} cannot be written: {error.strerror}.") from error

    def write(self, backup: Backup) -> None:
        """Write the manifest of a backup."""
        told = {MARK: "backup", **backup.told()}
        replace_file(self.place(_manifest_of(backup.file)), json.dumps(told, indent=1, sort_keys=True).encode() + b"\n")

    def remove(self, backup: Backup) -> None:
        """Remove a backup; a manifest alone is none."""
        self._remove(backup.file, _manifest_of(backup.file))

    def _remove(self, *names: str) -> None:
        """By descriptor: in a folder of somebody else's, a path could lead to a file of ours."""
        try:
            with self._opened() as folder:
                if folder:
                    for name in names:
                        folder.remove(name)
        except OSError as error:
            raise ComposeFailure(f"{self.place(names[0])} cannot be removed: {error.strerror}.") from error

    def require_there(self, backup: Backup) -> None:
        """Raise `ComposeFailure` unless the dump and its manifest are there, as large as they were written."""
        path = self.place(backup.file)
        if self._read(_manifest_of(path)) is None or not os.path.isfile(path) or os.path.getsize(path) != backup.bytes:
            raise ComposeFailure(
                f"backup {path} was written and is not there any more: something else removes files from this folder. "
                f"Choose a backup_dir of its own.",
                error_kind="backup_gone",
                changed=True,
            )

    def require_space(self, needed: int) -> None:
        """Raise `ComposeFailure` when a dump of this size does not fit."""
        existing = os.path.abspath(self.path)
        while not os.path.isdir(existing):
            existing = os.path.dirname(existing)
        status = os.statvfs(existing)
        free = status.f_bavail * status.f_frsize
        if free < needed:
            raise ComposeFailure(
                f"the backup needs about {told_size(needed)} and {self.path} has {told_size(free)} free: free some "
                f"space, keep fewer backups, or choose another backup_dir. Nothing was changed.",
                error_kind="disk_full",
            )

    @contextlib.contextmanager
    def dump(self, backup: Backup) -> t.Iterator[t.IO[bytes]]:
        """The dump of a backup, to read."""
        path = self.place(backup.file)
        try:
            handle = open_to_read(path)
        except OSError as error:
            raise ComposeFailure(f"{path} cannot be read: {error.strerror}.") from error
        with open(handle, "rb", buffering=0) as file:
            yield file

    def check(self, backup: Backup) -> None:
        """Raise `ComposeFailure` unless the dump is the one that was written."""
        path = self.place(backup.file)
        found = digest(path)
        if found is None:
            raise ComposeFailure(f"there is no backup {path} on this host any more. Nothing was changed.")
        if found != backup.sha256:
            size = os.path.getsize(path)
            differs = (
                f"it has {size} bytes instead of {backup.bytes}" if size != backup.bytes else "it has other content"
            )
            raise ComposeFailure(
                f"{path} is damaged: {differs}, and not the SHA-256 that its manifest tells. Choose another backup. "
                f"Nothing was changed.",
                error_kind="damaged",
            )

    @contextlib.contextmanager
    def _opened(self) -> t.Iterator[Folder | None]:
        """The folder, ``None`` where there is none yet."""
        with contextlib.ExitStack() as stack:
            try:
                folder = stack.enter_context(open_folder(self.path))
            except (FileNotFoundError, NotADirectoryError):
                folder = None
            yield folder

    def _names(self) -> list[str]:
        try:
            with self._opened() as folder:
                return folder.names() if folder else []
        except OSError as error:
            raise ComposeFailure(f"{self.path} cannot be read: {error.strerror}.") from error

    def _read(self, path: str) -> Backup | None:
        """The backup that a manifest tells, ``None`` when it is none, or of a format that is not ours."""
        try:
            told = json.loads(read_file(path) or b"null")
        except ValueError:
            return None
        if not isinstance(told, dict) or told.pop(MARK, None) != "backup" or told.get("format") != FORMAT:
            return None
        backup = backup_of(told)
        # A path would lead out of the folder, where a backup is removed one day.
        return backup if backup and _is_name(backup.file) else None


def _is_name(file: str) -> bool:
    return os.path.basename(file) == file and file not in ("", ".", "..")


def _partial(file: str, token: str) -> str:
    return f".{file}.{token}{PARTIAL}"


def _is_half_written(folder: Folder, name: str) -> bool:
    """Whether it was to become a manifest, which takes no hour; whose it is, its content need not tell."""
    found = folder.look(name) if HALF_WRITTEN.fullmatch(name) else None
    return found is not None and found.st_mtime < time.time() - 3600


def _manifest_of(path: str) -> str:
    return path[: -len(SUFFIX)] + ".json" if path.endswith(SUFFIX) else path + ".json"
