# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files written so that a reader finds the old content or the new one, never a part. Private to strata.compose.

What is read here may be laid over by files that are still to come, see `_incoming`: a plan then reads those instead.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._asked import cannot_be_repeated, question
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._folders import open_folder, open_to_read, private


class Overlay(t.NamedTuple):
    """A project directory as it will be, laid over the one that the host has: for this process, as a chroot is."""

    mirror: str
    """folder below which the whole host is seen with that project directory in place: ``<mirror>/srv/shop``"""
    roots: tuple[str, ...]
    """the project directory as it is given, and with symbolic links resolved"""
    digests: t.Mapping[str, str]
    """place in the mirror to SHA-256, of files whose content no plan reads and that are empty there"""


_overlays: list[Overlay] = []


@contextlib.contextmanager
def laid_over(overlay: Overlay) -> t.Iterator[None]:
    """Have everything below the project directory read from the overlay."""
    cannot_be_repeated()
    _overlays.append(overlay)
    try:
        yield
    finally:
        _overlays.remove(overlay)


def mirror() -> str:
    """The folder below which Compose sees the host as it will be; empty when it is as it is."""
    return _overlays[-1].mirror if _overlays else ""


def seen(path: str) -> str:
    """Where to look for a path: there, or where the file lies that is to come there."""
    for overlay in _overlays:
        for root in overlay.roots:
            if path == root or path.startswith(f"{root.rstrip('/')}/"):
                own = overlay.roots[0] + path[len(root) :]
                place = overlay.mirror + own
                return own if os.path.islink(place) and os.readlink(place) == own else place
    return path


@question
def is_file(path: str) -> bool:
    return os.path.isfile(seen(path))


@question
def is_folder(path: str) -> bool:
    return os.path.isdir(seen(path))


@question
def exists(path: str) -> bool:
    return os.path.exists(seen(path))


@question
def size(path: str) -> int:
    return os.path.getsize(seen(path))


@question
def real_path(path: str) -> str:
    """The path without symbolic links, as it is on the host or will be there."""
    found = os.path.realpath(seen(path))
    for overlay in _overlays:
        place = os.path.realpath(overlay.mirror)
        for start, real in ((place + overlay.roots[0], overlay.roots[-1]), (place, "")):
            if found == start or found.startswith(f"{start}/"):
                return real + found[len(start) :]
    return found


@question
def names_in(path: str) -> tuple[str, ...]:
    """The names of the files in a folder that may not be there."""
    place = seen(path)
    return tuple(sorted(each.name for each in os.scandir(place) if each.is_file())) if os.path.isdir(place) else ()


@question
def owner(path: str) -> int:
    """The user that a file or folder belongs to."""
    return os.stat(seen(path)).st_uid


@question
def identity_of_folder(path: str) -> str | None:
    """Device and inode of a folder, ``None`` when there is no such folder."""
    place = seen(path)
    if not os.path.isdir(place):
        return None
    found = os.stat(place)
    return f"{found.st_dev}:{found.st_ino}"


@question
def identity_of_file(path: str) -> str | None:
    """Device and inode of a regular file, ``None`` when there is no such file, empty when it is still to come."""
    place = seen(path)
    if not os.path.isfile(place):
        return None
    if mirror() and os.path.realpath(place).startswith(os.path.realpath(mirror()) + "/"):
        return ""
    found = os.stat(place)
    return f"{found.st_dev}:{found.st_ino}"


def replace_file(path: str, content: bytes, mode: int = 0o600) -> None:
    """Write beside ``path``, flush to the disk, rename over it; folders that are missing are made with 0700."""
    folder, name = os.path.split(os.path.abspath(path))
    try:
        with open_folder(folder, private) as opened:
            opened.replace(name, content, mode)
    except OSError as error:
        raise ComposeFailure(f"{path} cannot be written: {error.strerror}.") from error


def overwrite_file(path: str, content: bytes) -> None:
    """Write into a file that is there, which takes no space on a full disk as long as it does not grow."""
    folder, name = os.path.split(os.path.abspath(path))
    try:
        with open_folder(folder) as opened:
            opened.overwrite(name, content)
    except OSError as error:
        raise ComposeFailure(f"{path} cannot be written: {error.strerror}.") from error


def make_folder(path: str) -> None:
    """Make a folder and those above it for the owner only; `os.makedirs` gives the mode to the last one alone."""
    if path:
        with open_folder(path, private):
            pass


@question
def read_file(path: str) -> bytes | None:
    """The content of a regular file, ``None`` when there is no such file; one that could wait for ever is refused."""
    try:
        handle = open_to_read(seen(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ComposeFailure(f"{path} cannot be read: {error.strerror}.") from error
    try:
        return _content(handle, path)
    finally:
        os.close(handle)


def _content(handle: int, path: str) -> bytes | None:
    found = os.fstat(handle)
    if stat.S_ISDIR(found.st_mode):
        return None
    if not stat.S_ISREG(found.st_mode) and not os.path.samestat(found, os.stat(os.devnull)):
        raise ComposeFailure(f"{path} is a pipe or a device, and a file is needed: remove it, or choose another path.")
    try:
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read()
    except OSError as error:
        raise ComposeFailure(f"{path} cannot be read: {error.strerror}.") from error


@question
def digest(path: str) -> str | None:
    """The SHA-256 of a regular file's content, ``None`` when there is no such file."""
    place = seen(path)
    if not os.path.isfile(place):
        return None
    if _overlays and place in _overlays[-1].digests:
        return _overlays[-1].digests[place]
    try:
        with os.fdopen(open_to_read(place), "rb") as file:
            return _digest(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ComposeFailure(f"{path} cannot be read: {error.strerror}.") from error


def _digest(file: t.IO[bytes]) -> str:
    found = hashlib.sha256()
    while block := file.read(1 << 20):
        found.update(block)
    return found.hexdigest()
