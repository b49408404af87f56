# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders that are content of an init step, such as one with SQL files. Reads only. Private to strata.compose.

A folder is content when the step mounts it read-only and it lies in the project directory. What the step can write to
is data, and data differ after each run. What lies elsewhere, such as certificates of the host, is not the project's.
"""

from __future__ import annotations

import hashlib
import os
import stat
import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import digest, is_folder, seen
from ansible_collections.strata.compose.plugins.module_utils._release import Release

Model = t.Mapping[str, t.Any]

NOT_CONTENT = (".git", ".hg", ".svn", "__pycache__")
"""Folders that tools keep for themselves: they change while what they are about stays the same."""

MOST_ENTRIES, MOST_BYTES = 50_000, 1 << 30
"""What may be read of one folder; each deployment reads it several times."""


def with_folders(release: Release, steps: t.Collection[str], project_dir: str) -> Release:
    """The release in which the parts of the steps have digests of their folders too."""
    parts = {
        name: replace(part, files={**part.files, **digests(release.model, name, project_dir)})
        for name, part in release.parts.items()
        if name in steps
    }
    return replace(release, parts={**release.parts, **parts})


def digests(model: Model, step: str, project_dir: str) -> dict[str, str]:
    """The digest of each folder that is content of a step, by ``folder <path>``.

    One that is missing counts as empty, for the engine makes it when the step is run.
    """
    folders = {each["source"]: os.path.realpath(each["source"]) for each in _binds(model, step) if _is_read_only(each)}
    root = os.path.realpath(project_dir)
    data = _writable(model)
    return {
        f"folder {source}": tree_digest(path, data)
        for source, path in sorted(folders.items())
        if _is_inside(path, root) and (is_folder(path) or not os.path.lexists(seen(path)))
    }


def _binds(model: Model, service: str) -> list[Model]:
    return [each for each in model["services"][service].get("volumes") or () if each.get("type") == "bind"]


def _is_read_only(mount: Model) -> bool:
    return bool(mount.get("read_only"))


def _is_inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _writable(model: Model) -> frozenset[str]:
    """The folders that some service can write to."""
    return frozenset(
        os.path.realpath(each["source"])
        for service in model["services"]
        for each in _binds(model, service)
        if not _is_read_only(each)
    )


def tree_digest(root: str, data: t.Collection[str] = ()) -> str:
    """The SHA-256 of paths, types and file contents below a folder, without the folders in ``data``.

    A link counts by what it points to. Sockets, pipes and devices are left out. Raises `ComposeFailure` for what cannot
    be read, and for a folder that is too large to be read on each deployment.
    """
    found, entries, size = hashlib.sha256(), 0, 0
    for path, status in _entries(root, data):
        entries, size = entries + 1, size + (status.st_size if stat.S_ISREG(status.st_mode) else 0)
        if entries > MOST_ENTRIES or size > MOST_BYTES:
            raise _too_large(root)
        if content := _content(path, status):
            told = (os.path.relpath(path, root), content)
            found.update(b"".join(os.fsencode(each) + b"\0" for each in told))
    return found.hexdigest()


def _entries(folder: str, data: t.Collection[str]) -> t.Iterator[tuple[str, os.stat_result]]:
    """All below a folder, each folder before what is in it, in the order of the bytes of their names."""
    for path in _listed(folder):
        status = _status(path)
        if status is None or os.path.basename(path) in NOT_CONTENT or path in data:
            continue
        yield path, status
        if stat.S_ISDIR(status.st_mode):
            yield from _entries(path, data)


def _listed(folder: str) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in sorted(os.listdir(seen(folder)), key=os.fsencode)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(seen(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from error


def _content(path: str, status: os.stat_result) -> str | None:
    """Type and content of an entry; ``None`` for what has none."""
    if stat.S_ISDIR(status.st_mode):
        return "folder"
    if stat.S_ISLNK(status.st_mode):
        return f"link {os.readlink(seen(path))}"
    if stat.S_ISREG(status.st_mode):
        return f"file {digest(path)}"
    return None


def _unreadable(path: str, error: OSError) -> ComposeFailure:
    return ComposeFailure(f"{path}, which an init step mounts, cannot be read: {error.strerror}. Nothing was changed.")


def _too_large(folder: str) -> ComposeFailure:
    return ComposeFailure(
        f"folder {folder}, which an init step mounts read-only, has more than {MOST_ENTRIES} entries or "
        f"{MOST_BYTES >> 20} MB, too much to tell at each deployment whether it has changed. Mount what the step needs "
        f"of it, or mount it writable if it holds no content of the step. Nothing was changed."
    )
