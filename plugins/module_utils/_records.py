# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of the state folder, each of which proves that it is what we wrote. Private to strata.compose.

A record is a JSON object. Its first line has the number of the format and the SHA-256 of all that follows that line::

    {"format": 2, "digest": "5f70bf18...",
     "release": 7
    }

A record without a digest was written by the version before this format. It is believed when it has all its fields, and
written anew by the next operation. Any other that does not prove itself is reported and not believed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import typing as t
from dataclasses import dataclass, fields

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import (
    is_folder,
    overwrite_file,
    owner,
    read_file,
    replace_file,
)

FORMAT = 2
"""Grows with every change of what records hold. Number 1 was that of ``owner.json`` alone, without a digest."""

FULL = (errno.ENOSPC, errno.EDQUOT)
HEADER = '{"format": %d, "digest": "%s",'
NEWER = "was written by a newer version: update the collection strata.compose"
EDITED = "does not match its digest: it was edited or damaged"

Content = dict[str, t.Any]
T = t.TypeVar("T")


@dataclass(frozen=True)
class Damage:
    """Why what a file holds is not believed."""

    path: str
    cause: str
    """what follows the path in a sentence, such as ``is empty``"""

    @property
    def is_newer(self) -> bool:
        """Whether a later version of the collection can read the file."""
        return self.cause == NEWER

    def __str__(self) -> str:
        return f"{self.path} {self.cause}"

    def failure(self, advice: str) -> ComposeFailure:
        """The failure of what cannot be done without the record; ``advice`` is the way out."""
        return ComposeFailure(f"{self}. {advice}", error_kind="damaged_state", damaged=self.path)


@dataclass(frozen=True)
class Record:
    """What a file holds, and whether it has proven that."""

    content: Content
    is_sealed: bool


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def as_bytes(text: str) -> bytes:
    """As `json.loads` reads them: also lone surrogates, which stand for bytes of env files that are no UTF-8."""
    return text.encode("utf-8", "surrogatepass")


def sealed(content: t.Mapping[str, t.Any]) -> str:
    """The text of a record, which has one field at least."""
    # Indented and not escaped, so that people and playbooks/remove.yml find paths in it.
    body = json.dumps(content, indent=1, sort_keys=True, default=dict, ensure_ascii=False)[2:] + "\n"
    return HEADER % (FORMAT, digest_of(as_bytes(body))) + "\n" + body


def proven(text: bytes) -> Record | str:
    """What a text holds, or why it is not believed."""
    if not text.strip():
        return "is empty"
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return "is no JSON or was cut off"
    if not isinstance(content, dict):
        return "is no JSON object"
    number, digest = content.pop("format", None), content.pop("digest", None)
    if digest is None and number in (None, 1):
        return Record(content, False)
    if isinstance(number, int) and number > FORMAT:
        return NEWER
    return Record(content, True) if digest == digest_of(text.partition(b"\n")[2]) else EDITED


def read(path: str, build: t.Callable[[Content], T]) -> T | Damage | None:
    """What ``build`` makes of a record; ``None`` when there is no such file."""
    found = read_record(path)
    if not isinstance(found, Record):
        return found
    try:
        return build(found.content)
    except (KeyError, TypeError, ValueError, AttributeError):
        # A record that proves itself and has other fields than ours is that of another version.
        return Damage(path, NEWER if found.is_sealed else "lacks fields, or has others than it should have")


def read_record(path: str) -> Record | Damage | None:
    """A record as it is, ``None`` when there is no such file."""
    text = read_file(path)
    if text is None:
        return Damage(path, "is a folder") if is_folder(path) else None
    if (user := owner(path)) not in (0, os.geteuid()):
        return Damage(path, f"belongs to user {user}, who can have changed it")
    found = proven(text)
    return Damage(path, found) if isinstance(found, str) else found


def write(path: str, content: t.Mapping[str, t.Any]) -> None:
    """Replace a record."""
    replace_file(path, as_bytes(sealed(content)))


def rewrite(path: str, content: t.Mapping[str, t.Any]) -> None:
    """Replace a record, on a full disk in its place: what was removed is to be forgotten there too.

    A power cut in between damages the record, which is found out and reported like any other damage.
    """
    try:
        write(path, content)
    except ComposeFailure as failure:
        cause = failure.__cause__
        if not isinstance(cause, OSError) or cause.errno not in FULL:
            raise
        overwrite_file(path, as_bytes(sealed(content)))


def set_aside(path: str) -> None:
    """Keep what a damaged file holds under another name, for a look."""
    try:
        os.replace(path, f"{path}.damaged")
    except FileNotFoundError:
        return
    except OSError as error:
        raise ComposeFailure(f"{path} cannot be renamed: {error.strerror}.") from error


def checked(content: Content, required: t.Mapping[str, t.Any], optional: t.Mapping[str, t.Any]) -> Content:
    """The content, when it has the required fields and no unknown ones, each of its type; else raises `TypeError`."""
    types = {**required, **optional}
    if not required.keys() <= content.keys() <= types.keys():
        raise TypeError("other fields")
    if wrong := [name for name, value in content.items() if not isinstance(value, types[name])]:
        raise TypeError(wrong[0])
    return content


def made_of(kind: type[T], content: t.Any, **types: t.Any) -> T:
    """A dataclass from a record; raises `TypeError` for fields that it lacks or does not know, or of other types."""
    names = {each.name for each in fields(t.cast(t.Any, kind))}
    checked(content, {}, {name: types.get(name, object) for name in names})
    return kind(**content)
