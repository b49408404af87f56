# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The digests of the files whose content reaches containers, as they are now. Private to strata.compose."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import digest
from ansible_collections.strata.compose.plugins.module_utils._inputs import files_of_service
from ansible_collections.strata.compose.plugins.module_utils._mounts_on_host import mounts_of

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Part, Release

UNREADABLE = "unreadable"
"""Stands for the digest of a file that cannot be read."""


def file_digests(
    model: t.Mapping[str, t.Any],
    service: str,
    data: t.Collection[str],
    digest_of: t.Callable[[str], str | None] = digest,
) -> dict[str, str]:
    """The SHA-256 of each file whose content reaches a service's containers, without those that are ``data``."""
    paths = sorted(files_of_service(model, service) - set(data))
    found = {path: digest_of(path) for path in paths}
    return {path: value for path, value in found.items() if value is not None}


def with_files_as_now(
    release: Release, patterns: t.Collection[str] = (), digest_of: t.Callable[[str], str | None] = digest
) -> Release:
    """A stored release with the files that its services mount as they are now; ``patterns`` are those of what is data.

    A release keeps no files, so this is what containers get that are made from it now. The values of variables, which
    it does keep, stay what they are.
    """
    parts = {name: _as_now(release, name, patterns, digest_of) for name in release.parts}
    return replace(release, parts=parts)


def as_made_now(release: Release) -> Release:
    """The release as containers are made from it now: what is of a stored release is looked at now."""
    looked_at = with_files_as_now(release, digest_of=digest_if_readable)
    parts = {name: part if part.mounts else looked_at.parts[name] for name, part in release.parts.items()}
    return replace(release, parts=parts)


def _as_now(release: Release, name: str, patterns: t.Collection[str], digest_of: t.Callable[[str], str | None]) -> Part:
    part, mounts = release.parts[name], mounts_of(release.model, name, patterns)
    variables = {key: value for key, value in part.files.items() if key.startswith("variable ")}
    files = file_digests(release.model, name, mounts.data, digest_of)
    return replace(part, files={**variables, **files}, mounts=mounts)


def digest_if_readable(path: str) -> str | None:
    """The digest of a file, or what no file has for one that cannot be read: it is never taken for unchanged.

    For a roll back, which no file may stop.
    """
    try:
        return digest(path)
    except ComposeFailure:
        return UNREADABLE
