# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which layers, env files and project name an environment means. Pure. Private to strata.compose."""

from __future__ import annotations

import posixpath
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

BASE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
FOLDER_RANKS = (("",), ("docker", "deploy"))
"""Folders that are searched for layers; those of one rank exclude each other."""

Exists = t.Callable[[str], bool]


@dataclass(frozen=True)
class Project:
    """One environment of a project: everything that is known before Compose has resolved it.

    Paths are absolute and ordered as Compose gets them.
    """

    directory: str
    environment: str
    name: str
    layers: tuple[str, ...]
    env_files: tuple[str, ...]
    profiles: tuple[str, ...]

    @property
    def base_directory(self) -> str:
        """The folder that relative paths in layers start from: Compose takes that of the first layer."""
        return posixpath.dirname(self.layers[0])


def project_name(directory: str, environment: str) -> str:
    """``<folder>-<environment>`` in the characters that Compose allows.

    Rule: https://docs.docker.com/compose/how-tos/project-name/ (lower case, digits, hyphens, underscores).
    """
    wanted = f"{posixpath.basename(posixpath.normpath(directory))}-{environment}".lower()
    name = re.sub(r"[^a-z0-9_-]", "", wanted).lstrip("_-")
    if not name:
        raise ComposeFailure(
            f"no project name can be made from folder {directory} and environment {environment}: set project_name."
        )
    return name


def checked_name(name: str) -> str:
    """The given project name, refused when Compose would refuse it."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise ComposeFailure(
            f"project_name {name!r} is not allowed by Compose: use lower case letters, digits, hyphens and "
            f"underscores, beginning with a letter or digit."
        )
    return name


def find_env_files(directory: str, environment: str, given: t.Sequence[str] | None, exists: Exists) -> tuple[str, ...]:
    """The env files in the order of ``--env-file``; discovered when none is given; empty when there is none."""
    if given is not None:
        return _all_present("env file", directory, given, exists)
    candidates = (
        f".env.{environment}",
        f".{environment}.env",
        f"{environment}.env",
        f"environments/{environment}.env",
        ".env",
    )
    found = (posixpath.join(directory, name) for name in candidates)
    return tuple(path for path in found if exists(path))[:1]


def find_layers(
    directory: str, environment: str, given: t.Sequence[str] | None, variables: t.Mapping[str, str], exists: Exists
) -> tuple[str, ...]:
    """The layers in the order of ``-f``: given, or named by ``COMPOSE_FILE``, or discovered."""
    if given is not None:
        return _all_present("layer", directory, given, exists)
    if variables.get("COMPOSE_FILE"):
        separator = variables.get("COMPOSE_PATH_SEPARATOR") or ":"
        return _all_present("COMPOSE_FILE layer", directory, variables["COMPOSE_FILE"].split(separator), exists)
    return _discovered_layers(directory, environment, exists)


def profiles_of(given: t.Sequence[str] | None, variables: t.Mapping[str, str]) -> tuple[str, ...]:
    """The profiles to switch on, without repetition and in a stable order."""
    names = given if given is not None else variables.get("COMPOSE_PROFILES", "").split(",")
    return tuple(sorted({name.strip() for name in names if name.strip()}))


def _discovered_layers(directory: str, environment: str, exists: Exists) -> tuple[str, ...]:
    for rank in FOLDER_RANKS:
        found = {
            folder: layers
            for folder in rank
            if (layers := _layers_in(posixpath.join(directory, folder).rstrip("/"), environment, exists))
        }
        if found:
            return _only("folders with Compose files", directory, found)
    raise ComposeFailure(
        f"no Compose file for environment {environment} in {directory}: looked for {', '.join(BASE_NAMES)} and for the "
        f"same with .{environment} before the extension, there and in docker/ and deploy/. Name the layers in files."
    )


def _layers_in(folder: str, environment: str, exists: Exists) -> tuple[str, ...]:
    base = next((name for name in BASE_NAMES if exists(posixpath.join(folder, name))), None)
    stems = [posixpath.splitext(base)[0]] if base else ["compose", "docker-compose"]
    overrides = {
        path: (path,)
        for stem in stems
        for extension in ("yaml", "yml")
        if exists(path := posixpath.join(folder, f"{stem}.{environment}.{extension}"))
    }
    override = _only(f"override layers of environment {environment}", folder, overrides) if overrides else ()
    return ((posixpath.join(folder, base),) if base else ()) + override


def _only(what: str, place: str, found: t.Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    if len(found) > 1:
        raise ComposeFailure(
            f"two candidates for the {what} in {place}: {' and '.join(sorted(found))}. "
            f"Remove one, or name the layers in files."
        )
    return next(iter(found.values()))


def _all_present(what: str, directory: str, given: t.Sequence[str], exists: Exists) -> tuple[str, ...]:
    paths = tuple(posixpath.normpath(posixpath.join(directory, path)) for path in given)
    missing = [path for path in paths if not exists(path)]
    if missing:
        raise ComposeFailure(f"{what} not found: {', '.join(missing)} (project_dir is {directory}).")
    if not paths:
        raise ComposeFailure(f"an empty list of {what}s was given: leave the option out to have them discovered.")
    return paths
