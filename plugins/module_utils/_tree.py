# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between the files that a host shall have and those that it has. Pure. Private to strata.compose."""

from __future__ import annotations

import json
import posixpath
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

LINK = "-> "
FOLDER = "a folder"
SPECIAL = "neither a file nor a folder"

Manifest = dict[str, dict[str, t.Any]]
"""By path: ``sha256`` and ``mode`` of a file, or ``target`` of a link."""


@dataclass(frozen=True)
class Entry:
    """What stands at a path: the SHA-256 of a file, ``-> target`` of a link, or what else it is.

    A wanted entry has no ``uid`` or ``gid`` when any will do; only files have a ``mode``.
    """

    content: str
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None

    @property
    def target(self) -> str | None:
        return self.content[len(LINK) :] if self.content.startswith(LINK) else None

    @property
    def is_file(self) -> bool:
        return self.mode is not None

    def same_attributes(self, found: Entry) -> bool:
        """Whether mode and owner of what was found will do."""
        wishes = ((self.mode, found.mode), (self.uid, found.uid), (self.gid, found.gid))
        return all(wanted in (None, actual) for wanted, actual in wishes)


Tree = t.Mapping[str, Entry]
"""Entries by their paths below the project directory; folders are implied."""


@dataclass(frozen=True)
class Host:
    """What a host has, as far as it matters."""

    found: Tree
    """What stands at the paths that are wanted, or were brought earlier"""
    barriers: t.Mapping[str, str]
    """Where a wanted path needs a folder and something else stands: what that is"""
    inside: t.Mapping[str, t.Sequence[str]]
    """The files in folders that stand where a file is wanted"""


@dataclass(frozen=True)
class Difference:
    """The paths to work on, each list sorted."""

    created: tuple[str, ...]
    replaced: tuple[str, ...]
    adjusted: tuple[str, ...]
    """Content as wanted, but not mode or owner"""
    removed: tuple[str, ...]
    kept: tuple[str, ...]
    """Brought earlier and no longer in the source, but changed on the host since"""

    @property
    def written(self) -> tuple[str, ...]:
        return self.created + self.replaced


def tree_of(manifest: Manifest, uid: int | None, gid: int | None) -> dict[str, Entry]:
    """The wanted tree. Raises `ComposeFailure` for a manifest that leads out of the folder or contradicts itself."""
    tree = {
        path: Entry(LINK + said["target"], None, uid, gid) if "target" in said else _file(said, uid, gid)
        for path, said in manifest.items()
    }
    leading_out = [path for path, entry in tree.items() if not is_inside(path, entry.target)]
    if leading_out:
        raise ComposeFailure(f"refused, for this would leave project_dir: {names(leading_out)}.")
    twice = [path for path in tree if any(folder in tree for folder in folders_of(path))]
    if twice:
        raise ComposeFailure(f"the source has files below what is a file or link itself: {names(twice)}.")
    return tree


def _file(said: t.Mapping[str, t.Any], uid: int | None, gid: int | None) -> Entry:
    return Entry(said["sha256"], said["mode"], uid, gid)


def is_inside(path: str, target: str | None = None) -> bool:
    """Whether a path is a plain one below the folder, and so is what it points to when it is a link."""
    plain = posixpath.normpath(path) == path and not path.startswith(("/", "../")) and path not in (".", "..")
    if target is None or not plain:
        return plain and "\0" not in path
    reached = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return bool(target) and not target.startswith("/") and reached != ".." and not reached.startswith("../")


def folders_of(path: str) -> t.Iterator[str]:
    """The folders above a path, outermost first: ``a`` and ``a/b`` for ``a/b/c``."""
    for position, character in enumerate(path):
        if character == "/":
            yield path[:position]


def compare(wanted: Tree, host: Host, brought: t.Mapping[str, str], delete: bool) -> Difference:
    """What to do so that the host has the wanted tree; ``brought`` is the content of what earlier runs placed."""
    found = host.found
    differing = [path for path in wanted if path in found and found[path].content != wanted[path].content]
    same = [path for path in wanted if path in found and found[path].content == wanted[path].content]
    gone = [path for path in brought if delete and path in found and path not in wanted]
    return Difference(
        created=tuple(sorted(path for path in wanted if path not in found)),
        replaced=tuple(sorted(differing)),
        adjusted=tuple(sorted(path for path in same if not wanted[path].same_attributes(found[path]))),
        removed=tuple(sorted(path for path in gone if found[path].content == brought[path])),
        kept=tuple(sorted(path for path in gone if found[path].content != brought[path])),
    )


def require_no_obstacles(wanted: Tree, host: Host, difference: Difference, root: str) -> None:
    """Raise `ComposeFailure` naming all that stands in the way and is not to be removed anyway."""
    removed = set(difference.removed)
    told = [f"{name(path)} is {what}" for path, what in sorted(host.barriers.items()) if path not in removed]
    told += [
        f"{name(path)} is {host.found[path].content}, and a file or link belongs there"
        for path in sorted(wanted.keys() & host.found.keys())
        if host.found[path].content == SPECIAL or set(host.inside.get(path, ())) - removed
    ]
    if told:
        raise ComposeFailure(
            f"Nothing was written, for something else is in the way in {root} on this host: {'; '.join(told)}. "
            f"Move it away, or leave these paths out with exclude."
        )


def brought_after(
    wanted: Tree, host: Host, brought: t.Mapping[str, str], done: t.Collection[str] = ()
) -> dict[str, str]:
    """The record after a run: what is wanted, and what else was brought, is still there and is not among ``done``."""
    others = {path: content for path, content in brought.items() if path in host.found and path not in done}
    return {**others, **{path: entry.content for path, entry in wanted.items()}}


def name(path: str) -> str:
    """A path for a message: as it is, or quoted when it would break the line."""
    return path if path.isprintable() else json.dumps(path)


def names(paths: t.Iterable[str]) -> str:
    return ", ".join(map(name, sorted(paths)))
