# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which layers, env files and project name an environment means. Pure. Private to strata.compose."""

from __future__ import annotations

import posixpath
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

BASE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDE_NAMES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
"""What Compose takes beside a base when it is given no ``-f`` (compose-go cli/options.go)."""

FOLDERS = ("docker", "deploy")
FOLDER_RANKS = (("",), FOLDERS)
"""Folders that are searched for layers; those of one rank exclude each other."""

STEMS, EXTENSIONS = ("compose", "docker-compose"), ("yaml", "yml")

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
    given_base_directory: str | None = None
    given_variables: t.Mapping[str, str] = field(default_factory=dict)
    """variables of the option: they win over the env files"""
    defined: t.Mapping[str, str] = field(default_factory=dict)
    """all variables that env files and option define"""
    requires_profiles: bool = True
    """whether a profile that no service has is an error: not where an env file names it"""
    blank_variables: tuple[str, ...] = ()
    """names and patterns of variables that may be undefined"""
    data_paths: tuple[str, ...] = ()
    """mounted paths, and patterns of them, whose content is no input"""

    @property
    def base_directory(self) -> str:
        """The folder that relative paths in layers start from: Compose takes that of the first layer."""
        return self.given_base_directory or posixpath.dirname(self.layers[0])


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


def own_env_files(environment: str) -> tuple[str, ...]:
    """Names of env files that belong to one environment, the first one wins."""
    return (
        f".env.{environment}",
        f".{environment}.env",
        f"{environment}.env",
        f"environments/{environment}.env",
    )


def env_file_candidates(directory: str, environment: str, exists: Exists, lender: str | None = None) -> tuple[str, ...]:
    """All env files that are there and could be taken, the best one first.

    Those of the environment come before those that its lender has, and before the ``.env`` for all. A folder counts
    after the project directory, and only while that has no Compose file: then Compose itself would not look there.
    """
    folders = ("", *_env_file_folders(directory, environment, exists, lender))
    owners = (environment, lender) if lender else (environment,)
    ranked = [
        *(posixpath.join(folder, name) for each in owners for folder in folders for name in own_env_files(each)),
        *(posixpath.join(folder, ".env") for folder in folders),
    ]
    return tuple(path for name in ranked if exists(path := posixpath.join(directory, name)))


def _env_file_folders(directory: str, environment: str, exists: Exists, lender: str | None) -> tuple[str, ...]:
    """The folders whose env files count, that with the layers first; the layers may be gone."""
    there = {
        folder: any(_layer_names(posixpath.join(directory, folder), each, exists) for each in (lender, environment))
        for folder in ("", *FOLDERS)
    }
    return () if there[""] else tuple(sorted(FOLDERS, key=lambda folder: not there[folder]))


def _layer_names(folder: str, environment: str | None, exists: Exists) -> list[str]:
    """Every Compose file in a folder that discovery could take for an environment."""
    own = (f"{stem}.{environment}.{extension}" for stem in STEMS for extension in EXTENSIONS if environment)
    return [name for name in (*BASE_NAMES, *own) if exists(posixpath.join(folder, name))]


def find_env_files(
    directory: str, environment: str, given: t.Sequence[str] | None, exists: Exists, lender: str | None = None
) -> tuple[str, ...]:
    """The env files in the order of ``--env-file``; discovered when none is given; empty when there is none."""
    if given is not None:
        return _all_present("env file", directory, given, exists)
    return env_file_candidates(directory, environment, exists, lender)[:1]


def find_layers(
    directory: str,
    environment: str,
    given: t.Sequence[str] | None,
    variables: t.Mapping[str, str],
    exists: Exists,
    include_override: bool = False,
) -> tuple[str, ...]:
    """The layers in the order of ``-f``: given, or named by ``COMPOSE_FILE``, or discovered."""
    if given is not None:
        return _all_present("layer", directory, given, exists)
    if variables.get("COMPOSE_FILE"):
        separator = variables.get("COMPOSE_PATH_SEPARATOR") or ":"
        return _all_present("COMPOSE_FILE layer", directory, variables["COMPOSE_FILE"].split(separator), exists)
    return _discovered_layers(directory, environment, exists, include_override)


def profiles_of(given: t.Sequence[str] | None, variables: t.Mapping[str, str]) -> tuple[str, ...]:
    """The profiles to switch on, without repetition and in a stable order."""
    names = given if given is not None else variables.get("COMPOSE_PROFILES", "").split(",")
    return tuple(sorted({name.strip() for name in names if name.strip()}))


def bases_in(folder: str, exists: Exists) -> tuple[str, ...]:
    """The bases in a folder, of which the first is taken."""
    return tuple(path for name in BASE_NAMES if exists(path := posixpath.join(folder, name)))


def overrides_in(folder: str, exists: Exists) -> tuple[str, ...]:
    """The override files that Compose would take by itself, were it not given the layers."""
    return tuple(path for name in OVERRIDE_NAMES if exists(path := posixpath.join(folder, name)))


def own_layers_in(folder: str, environment: str, exists: Exists) -> tuple[str, ...]:
    """Layers in a folder that belong to one environment."""
    return tuple(
        path
        for stem in STEMS
        for extension in EXTENSIONS
        if exists(path := posixpath.join(folder, f"{stem}.{environment}.{extension}"))
    )


def _discovered_layers(directory: str, environment: str, exists: Exists, include_override: bool) -> tuple[str, ...]:
    for rank in FOLDER_RANKS:
        found = {
            folder: layers
            for folder in rank
            if (layers := _layers_in(posixpath.join(directory, folder).rstrip("/"), environment, exists))
        }
        if found:
            layers = _only("folders with Compose files", directory, found)
            return _with_override(layers, exists) if include_override else layers
    raise ComposeFailure(
        f"no Compose file for environment {environment} in {directory}: looked for {', '.join(BASE_NAMES)} and for the "
        f"same with .{environment} before the extension, there and in docker/ and deploy/. Name the layers in files."
    )


def _with_override(layers: tuple[str, ...], exists: Exists) -> tuple[str, ...]:
    """The layers with the override behind the base, where Compose takes it; a layer of the environment comes last."""
    folder = posixpath.dirname(layers[0])
    found = {path: (path,) for path in overrides_in(folder, exists)}
    override = _only("override files", folder, found) if found else ()
    has_base = posixpath.basename(layers[0]) in BASE_NAMES
    return (*layers[:1], *override, *layers[1:]) if has_base else (*override, *layers)


def _layers_in(folder: str, environment: str, exists: Exists) -> tuple[str, ...]:
    base = next((name for name in BASE_NAMES if exists(posixpath.join(folder, name))), None)
    stem = posixpath.splitext(base)[0] if base else None
    own = {
        path: (path,)
        for path in own_layers_in(folder, environment, exists)
        if stem in (None, posixpath.basename(path).partition(".")[0])
    }
    layer = _only(f"override layers of environment {environment}", folder, own) if own else ()
    return ((posixpath.join(folder, base),) if base else ()) + layer


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
