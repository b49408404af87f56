# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on the controller that hold what a managed host has sent: the one way to write them. Private to strata.compose.

A host is not trusted with the controller (CVE-2020-1735 is what happens otherwise). Folders come from the task and the
inventory, a name is a plain one, a file is always a new one, no link is followed below the folder, and a host that does
not stop sending is cut off.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import typing as t

from ansible.errors import AnsibleActionFail

PARTIAL = ".partial"
LONGEST_NAME = 255 - len(PARTIAL)
"""Bytes; a file has the longer name while it is written."""


def shown(value: object) -> str:
    """What a host answered, for a message: on one line, without control characters, and not long."""
    text = json.dumps(value if isinstance(value, (str, int, float, bool, type(None))) else str(value))
    return text if len(text) <= 200 else f"{text[:200]}..."


def checked_name(name: object) -> str:
    """The name of a file in a folder; raises `AnsibleActionFail` for one that could be anything else."""
    if not isinstance(name, str) or not name.isprintable() or "/" in name or name in ("", ".", ".."):
        raise AnsibleActionFail(f"{shown(name)} is not the name of a file. Nothing was written on the controller.")
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise AnsibleActionFail(f"{shown(name)} is too long for a file. Nothing was written on the controller.")
    return name


@contextlib.contextmanager
def folder_below(base: str, *names: str) -> t.Iterator[Folder]:
    """A folder for the owner only; a link may lead to ``base``, which the task or inventory names, but not below it."""
    os.makedirs(base, 0o700, exist_ok=True)
    handle = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    path = base
    try:
        for name in map(checked_name, names):
            path = os.path.join(path, name)
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=handle)
            above, handle = handle, _opened_below(handle, name, path)
            os.close(above)
        yield Folder(handle, path)
    finally:
        os.close(handle)


def _opened_below(folder: int, name: str, path: str) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if os.path.islink(path) or not os.path.isdir(path):
            raise AnsibleActionFail(f"{path} on the controller is a link or no folder: move it away.") from error
        raise


class Folder:
    """An open folder on the controller, which only gets new files."""

    def __init__(self, handle: int, path: str) -> None:
        self._handle = handle
        self.path = path

    def write_new(self, name: str, content: t.Iterable[bytes], limit: int, sha256: str | None = None) -> str:
        """Write a file of mode 0600 that has its name when it is whole, and not before; the path.

        Raises `AnsibleActionFail`, and leaves nothing, when the name is taken, when there are more than ``limit``
        bytes, and for another SHA-256 than the expected one. Who creates the partial file alone takes the name.
        """
        partial, path = checked_name(name) + PARTIAL, os.path.join(self.path, name)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            handle = os.open(partial, flags, 0o600, dir_fd=self._handle)
        except FileExistsError as error:
            raise _taken(path + PARTIAL) from error
        try:
            with os.fdopen(handle, "wb") as file:
                if self._exists(name):
                    raise _taken(path)
                found = _written(file, content, limit, path)
            if sha256 not in (None, found):
                raise AnsibleActionFail(
                    f"{path} arrived damaged on the controller and was not kept: run the task again."
                )
            os.rename(partial, name, src_dir_fd=self._handle, dst_dir_fd=self._handle)
            os.fsync(self._handle)
        finally:
            self.remove(partial)
        return path

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._handle)

    def _exists(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._handle, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True


def _taken(path: str) -> AnsibleActionFail:
    return AnsibleActionFail(
        f"{path} exists on the controller and is not replaced: it may be another host's. Give each host a folder of "
        f"its own, or move that file away."
    )


def _written(file: t.IO[bytes], content: t.Iterable[bytes], limit: int, path: str) -> str:
    """The SHA-256 of what was written and is on the disk."""
    digest, size = hashlib.sha256(), 0
    for part in content:
        size += len(part)
        if size > limit:
            raise AnsibleActionFail(
                f"the host sends more than the {limit} bytes that {path} may have; what came was not kept."
            )
        file.write(part)
        digest.update(part)
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest()
