# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a service's mounts is an input and what is data. Pure. Private to strata.compose.

The content of a mounted file is an input, with two exceptions. What ``data_paths`` names is data. And so is the new
content of a file that the service may write to, as long as it is the same file as when the container was made: the
container sees that content already. Another file in its place is an input, for the container keeps the old one.
"""

from __future__ import annotations

import fnmatch
import glob
import posixpath
import typing as t
from dataclasses import dataclass, field

from ansible_collections.strata.compose.plugins.module_utils._differences import changed_fields

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Made, Part

OF_THE_KERNEL = ("/proc", "/sys")
"""Folders whose files have no content of their own; links in there may lead elsewhere for each process."""


@dataclass(frozen=True)
class Mounts:
    """What the paths that a service mounts are on the host now."""

    links: t.Mapping[str, str] = field(default_factory=dict)
    """mounted path to the path that it leads to, where a symbolic link is on the way"""
    inodes: t.Mapping[str, str] = field(default_factory=dict)
    """file that the service may write to, or that is data, to device and inode; empty for one that is still to come"""
    data: t.Collection[str] = ()
    """mounted paths whose content is no input"""
    contexts: t.Mapping[str, str] = field(default_factory=dict)
    """build context to the path that it leads to, where a symbolic link is on the way"""


def sources_of(service: t.Mapping[str, t.Any]) -> set[str]:
    """The files and folders of the host that a service mounts."""
    return {each["source"] for each in service.get("volumes") or () if each.get("type") == "bind"}


def writable_sources_of(service: t.Mapping[str, t.Any]) -> set[str]:
    """Those that it may write to."""
    mounts = [each for each in service.get("volumes") or () if not each.get("read_only")]
    return sources_of({"volumes": mounts})


def contexts_of(service: t.Mapping[str, t.Any]) -> set[str]:
    """The folders of the host that an image is built from."""
    build = service.get("build") or {}
    named = (build.get("additional_contexts") or {}).values()
    return {each for each in (build.get("context"), *named) if each and each.startswith("/")}


def patterns_of(data_paths: t.Iterable[str], base_directory: str) -> tuple[str, ...]:
    """The option ``data_paths`` as absolute patterns."""
    return tuple(posixpath.normpath(posixpath.join(glob.escape(base_directory), each)) for each in data_paths)


def is_data(path: str, patterns: t.Iterable[str]) -> bool:
    """Whether a pattern matches a path or a folder above it."""
    parts = posixpath.normpath(path).split("/")
    places = ["/".join(parts[:count]) for count in range(2, len(parts) + 1)]
    return any(fnmatch.fnmatchcase(place, pattern) for pattern in patterns for place in places)


def is_of_the_kernel(path: str) -> bool:
    return path.startswith(tuple(f"{folder}/" for folder in OF_THE_KERNEL))


def has_same_inputs(part: Part, made: Made) -> bool:
    """Whether files, variables and what mounts lead to are still those that containers were made from."""
    return not moved(part, made) and not changed_contents(part, made)


def reason_of_inputs(part: Part, made: Made) -> str:
    """What differs in the files that a service gets; empty when nothing does."""
    places = moved(part, made)
    if places:
        return as_text(places)
    contents = changed_contents(part, made)
    if not contents:
        return ""
    before, inodes = made.inodes or {}, part.mounts.inodes if part.mounts else {}
    is_rule_applied = all(path in before and path in inodes for path in contents)
    return f"content of {', '.join(contents)} changed" + (
        " (it was replaced by another file)" if is_rule_applied else ""
    )


def as_text(places: t.Mapping[str, str]) -> str:
    """Where paths lead."""
    return ", ".join(f"{path} leads to {place} now" for path, place in sorted(places.items()))


def moved(part: Part, made: Made) -> dict[str, str]:
    """Mounted paths that lead elsewhere than when containers were made, with where; unknown ones do not."""
    if part.mounts is None or made.links is None:
        return {}
    return _elsewhere(sources_of(part.definition), made.links, part.mounts.links)


def moved_contexts(service: t.Mapping[str, t.Any], part: Part, made: Made) -> dict[str, str]:
    """Build contexts that lead elsewhere than when the image was built, with where; unknown ones do not."""
    if part.mounts is None or made.contexts is None:
        return {}
    return _elsewhere(contexts_of(service), made.contexts, part.mounts.contexts)


def _elsewhere(paths: t.Iterable[str], before: t.Mapping[str, str], now: t.Mapping[str, str]) -> dict[str, str]:
    return {path: now.get(path, path) for path in paths if now.get(path, path) != before.get(path, path)}


def changed_contents(part: Part, made: Made) -> list[str]:
    """Files, and variables, whose content differs and is an input."""
    data = part.mounts.data if part.mounts else ()
    differing = changed_fields(made.files, part.files)
    return [path for path in differing if path not in data and not _is_same(path, part, made)]


def written_in_place(part: Part, made: Made) -> list[str]:
    """Files whose content differs and is taken for data, for they are the same files as before."""
    data = part.mounts.data if part.mounts else ()
    differing = changed_fields(made.files, part.files)
    return [path for path in differing if path not in data and _is_same(path, part, made)]


def _is_same(path: str, part: Part, made: Made) -> bool:
    """Whether a writable file is the one that the containers have; unknown ones are not."""
    inode = part.mounts.inodes.get(path) if part.mounts else None
    return bool(inode) and made.inodes is not None and made.inodes.get(path) == inode


def noted(part: Part, made: Made) -> dict[str, t.Any]:
    """What a record of containers that stay lacks and can be added: nothing has changed as far as it tells."""
    if part.mounts is None or changed_contents(part, made):
        return {}
    found = {"links": part.mounts.links, "inodes": part.mounts.inodes, "contexts": part.mounts.contexts}
    return {key: value for key, value in found.items() if getattr(made, key) is None}


def warning_of(service: str, paths: t.Iterable[str]) -> str:
    """What to know of files that were written in place."""
    names = ", ".join(paths)
    return (
        f"service {service}: the content of {names} has changed since its containers were created. It was written in "
        f"place and is mounted writable, so it counts as data and nothing is recreated. If it is data, name it in "
        f"data_paths and there is no warning; if it is an input, mount it with :ro."
    )
