# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A project's files on the controller: what there is, and what of it is transferred. Private to strata.compose."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
import typing as t
from dataclasses import dataclass

from ansible.errors import AnsibleActionFail
from ansible_collections.strata.compose.plugins.module_utils._tree import is_inside, names
from ansible_collections.strata.compose.plugins.plugin_utils._patterns import is_left_out

VAULT = b"$ANSIBLE_VAULT;"
BLOCK = 1 << 20
COMPRESSION = 3
"""Sources are small and networks are fast: more takes longer than it saves."""

Decrypt = t.Callable[[str], str]
"""The path of a file that holds the plain text of an encrypted one"""


@dataclass(frozen=True)
class File:
    """A file of the source: where its content is, and what the host gets of it."""

    place: str
    sha256: str
    mode: int

    def told(self) -> dict[str, t.Any]:
        return {"sha256": self.sha256, "mode": self.mode}


@dataclass(frozen=True)
class Link:
    """A symbolic link of the source."""

    target: str

    def told(self) -> dict[str, t.Any]:
        return {"target": self.target}


Source = dict[str, t.Union[File, Link]]


def read_source(folder: str, patterns: t.Sequence[str], decrypt: Decrypt) -> Source:
    """All files and links below a folder that no pattern leaves out, by their paths.

    Raises `AnsibleActionFail` naming all that cannot be brought: links that leave the folder, sockets and the like, and
    names that are not UTF-8.
    """
    source: Source = {}
    unfit = []
    for path in _paths(folder, patterns):
        place = os.path.join(folder, path)
        if why := _unfit(folder, path):
            unfit.append(f"{names([path])} {why}")
        elif os.path.islink(place):
            source[path] = Link(os.readlink(place))
        else:
            source[path] = _file(place, decrypt)
    if unfit:
        raise AnsibleActionFail(f"In src {folder}: {'; '.join(unfit)}. Change that, or leave it out with exclude.")
    return source


def write_archive(file: t.IO[bytes], source: Source, needed: t.Collection[str]) -> None:
    """Write each needed content once, named by its SHA-256."""
    contents = {each.sha256: each.place for each in source.values() if isinstance(each, File) and each.sha256 in needed}
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=COMPRESSION) as archive:
        for sha256, place in contents.items():
            with open(place, "rb") as content:
                member = tarfile.TarInfo(sha256)
                member.size = os.fstat(content.fileno()).st_size
                archive.addfile(member, content)


def _paths(folder: str, patterns: t.Sequence[str], below: str = "") -> t.Iterator[str]:
    with os.scandir(os.path.join(folder, below)) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            path = below + entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_left_out(path, is_folder, patterns):
                continue
            if is_folder:
                yield from _paths(folder, patterns, path + "/")
            else:
                yield path


def _unfit(folder: str, path: str) -> str:
    place = os.path.join(folder, path)
    if not _is_utf8(path):
        return "has a name that is not UTF-8"
    if os.path.islink(place):
        target, real = os.readlink(place), os.path.realpath(place)
        stays = is_inside(path, target) and _is_utf8(target) and f"{real}/".startswith(f"{os.path.realpath(folder)}/")
        return "" if stays else f"is a link that leaves the folder, to {names([target])}"
    return "" if stat.S_ISREG(os.lstat(place).st_mode) else "is neither a file nor a link"


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _file(place: str, decrypt: Decrypt) -> File:
    """What was encrypted is for its owner only."""
    with open(place, "rb") as file:
        is_secret = file.read(len(VAULT)) == VAULT
        executable = bool(os.fstat(file.fileno()).st_mode & stat.S_IXUSR)
    plain = decrypt(place) if is_secret else place
    mode = 0o600 if is_secret else 0o644
    return File(plain, _digest(plain), mode | ((mode & 0o444) >> 2 if executable else 0))


def _digest(place: str) -> str:
    content = hashlib.sha256()
    with open(place, "rb") as file:
        while block := file.read(BLOCK):
            content.update(block)
    return content.hexdigest()
