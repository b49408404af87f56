# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a project is: one project directory and one environment, compared as given. Pure. Private to strata.compose.

Links in a project directory are not followed: what ``current`` leads to changes with each release, and the project
stays the same.
"""

from __future__ import annotations

import posixpath
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

NAMES_ENVIRONMENT = (
    re.compile(r"(?:docker-)?compose\.(?P<name>[^.]+)\.ya?ml"),
    re.compile(r"\.env\.(?P<name>.+)"),
    re.compile(r"\.?(?P<name>[^.]+)\.env"),
)
"""File names that belong to one environment, as discovery finds them."""

OF_NO_ENVIRONMENT = frozenset({"override", "local", "example", "sample", "shared", "common", "default", "defaults"})
"""What such names say too when they mean no environment."""


@dataclass(frozen=True)
class Owner:
    """The project directory, absolute and as given, and the environment that an operation is for."""

    project_dir: str
    environment: str

    def __str__(self) -> str:
        return f"environment {self.environment} of {self.project_dir}"


@dataclass(frozen=True)
class Claim:
    """Whose a project is, as one source on the host says; what that source does not say is empty."""

    directory: str
    environment: str
    is_project_dir: bool = False
    """whether the directory is a project directory, and not the folder that Compose takes relative paths from"""

    def __str__(self) -> str:
        of = f"of {self.directory}" if self.directory else ""
        return " ".join(filter(None, (f"environment {self.environment}" if self.environment else "", of)))


@dataclass(frozen=True)
class Request:
    """Who asks for a change of a project, and whom the task names as the owner before."""

    project: str
    owner: Owner
    folders: tuple[str, ...] = ()
    """further folders that are the project's: where Compose takes its relative paths from, and its state folder"""
    moved_from: str | None = None
    renamed_from: str | None = None

    def require(self, claim: Claim, named_by: t.Callable[[], str], is_same: t.Callable[[str, str], bool]) -> None:
        """Raise `ComposeFailure` when the project belongs to another directory or another environment.

        ``named_by`` tells what gives the project its name, ``is_same`` whether two folders are one on this host.
        """
        moved = not self._is_own_directory(claim, is_same)
        renamed = claim.environment not in ("", self.owner.environment, self.renamed_from)
        if moved or renamed:
            raise self._refusal(claim, moved, renamed, named_by())

    def _is_own_directory(self, claim: Claim, is_same: t.Callable[[str, str], bool]) -> bool:
        if not claim.directory:
            return True
        own = [each for each in (self.owner.project_dir, self.moved_from) if each]
        if claim.is_project_dir:
            return claim.directory in own
        folders = (*own, *self.folders)
        return any(is_inside(claim.directory, each) or is_same(claim.directory, each) for each in folders)

    def _refusal(self, claim: Claim, moved: bool, renamed: bool, named_by: str) -> ComposeFailure:
        ways = [
            *([f"project_moved_from={claim.directory} if the project has moved"] if moved else []),
            *([f"environment_renamed_from={claim.environment} if the environment was renamed"] if renamed else []),
        ]
        return ComposeFailure(
            f"project {self.project} on this host is {claim}, and not {self.owner}: {named_by}. Give one of them "
            f"another project_name (or COMPOSE_PROJECT_NAME in its env file). Or say once {' and '.join(ways)}. "
            f"Nothing was changed.",
            error_kind="other_owner",
            owner={"project_dir": claim.directory, "environment": claim.environment},
        )


def environment_named(paths: t.Iterable[str], own: t.Collection[str]) -> str:
    """The environment that layers and env files belong to by their names; empty when they name none.

    ``own`` are the names of the files that the operation itself takes, which are its environment's whatever their name.
    """
    for path in paths:
        name = posixpath.basename(path)
        matches = (pattern.fullmatch(name) for pattern in NAMES_ENVIRONMENT)
        found = next((match["name"] for match in matches if match), "")
        if found and found not in OF_NO_ENVIRONMENT and name not in own:
            return found
    return ""


def is_inside(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies below it, both as given."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")
