# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A project's files on the host: which they are, what they define, and the digests of all that a model may depend on.

Private to strata.compose.
"""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _dotenv, _inputs, _project
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli, Completed, allowed_environment
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import (
    digest,
    is_file,
    is_folder,
    mirror,
    read_file,
    size,
)
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

SECTION = re.compile(
    r"(?:^|[{,])[ \t]*[\"']?(?:services|include|networks|volumes|configs|secrets)[\"']?[ \t]*:", re.MULTILINE
)
"""What a Compose file has at least one of."""


def find_project(options: t.Mapping[str, t.Any]) -> _project.Project:
    """The project that the options mean; raises `ComposeFailure` when its files cannot be told."""
    directory, environment = os.path.abspath(options["project_dir"]), options["environment"]
    if not is_folder(directory):
        raise ComposeFailure(f"project_dir {directory} is not a folder on this host: bring the project's files there.")
    env_files = _project.find_env_files(directory, environment, options["env_files"], is_file)
    variables = variables_of(env_files)
    return _project.Project(
        directory=directory,
        environment=environment,
        name=name_of(options, variables),
        layers=_project.find_layers(directory, environment, options["files"], variables, is_file),
        env_files=env_files,
        profiles=_project.profiles_of(options["profiles"], variables),
    )


def name_of(options: t.Mapping[str, t.Any], variables: t.Mapping[str, str]) -> str:
    """The project name: the option, or ``COMPOSE_PROJECT_NAME`` of the env file, or folder and environment."""
    given = options["project_name"] or variables.get("COMPOSE_PROJECT_NAME")
    directory = os.path.abspath(options["project_dir"])
    return _project.checked_name(given) if given else _project.project_name(directory, options["environment"])


def variables_of(env_files: t.Iterable[str]) -> dict[str, str]:
    """All variables of the env files; later files win and may use the earlier ones' values."""
    return {variable.name: variable.value for _path, variable in assignments_of(env_files)}


def assignments_of(env_files: t.Iterable[str]) -> list[tuple[str, _dotenv.Variable]]:
    """Every assignment of the env files with its file, in the order in which they count."""
    found: list[tuple[str, _dotenv.Variable]] = []
    for path in env_files:
        text = (read_file(path) or b"").decode("utf-8", "surrogateescape")
        earlier = {variable.name: variable.value for _path, variable in found}
        found += [(path, variable) for variable in _dotenv.read(text, allowed_environment(), path, earlier)]
    return found


def texts_of(project: _project.Project) -> dict[str, str]:
    """The layers and the texts that they mention and that may use variables: includes and env files of services.

    No others, for these are shown: a ``$`` in a password, which lies behind ``secrets:``, would look like a variable.
    """
    found: dict[str, str] = {}
    waiting = [*project.layers]
    while waiting:
        path = waiting.pop(0)
        if path in found or not is_file(path) or size(path) > 1 << 20:
            continue
        content = read_file(path) or b""
        if b"\0" in content:
            continue
        text = content.decode("utf-8", "replace")
        if path not in project.layers and not _may_use_variables(path, text):
            continue
        found[path] = text
        if _is_compose_file(path, project):
            waiting.extend(sorted(_mentioned(path, found[path], project)))
    return found


def _may_use_variables(path: str, text: str) -> bool:
    """Whether a text looks like a Compose file or, by its name, like an env file."""
    if path.endswith((".yml", ".yaml", ".json")):
        return SECTION.search(text) is not None
    return "env" in os.path.basename(path).lower()


def _is_compose_file(path: str, project: _project.Project) -> bool:
    return path in project.layers or path.endswith((".yml", ".yaml", ".json"))


def _mentioned(path: str, text: str, project: _project.Project) -> set[str]:
    folder = os.path.dirname(path)
    implied = {os.path.join(folder, ".env")} if path not in project.layers else set()
    return implied | _inputs.mentioned_paths(text, folder) | _inputs.mentioned_paths(text, project.base_directory)


def digests_of_inputs(project: _project.Project) -> dict[str, str | None]:
    """Digests of all files that the resolution may have read; of an absent one too, for it may appear.

    Layers that draw in what cannot be known from their text get an input that never holds.
    """
    texts = texts_of(project)
    compose_files = {path: text for path, text in texts.items() if _is_compose_file(path, project)}
    paths = {*project.layers, *project.env_files}
    for path, text in compose_files.items():
        paths |= _mentioned(path, text, project)
        if not _inputs.is_selfcontained(text):
            return {path: "unknown: it includes what only Compose can find"}
    return {path: digest(path) for path in sorted(paths) if not is_folder(path)}


def ask_compose(project: _project.Project, cli: Cli, *arguments: str, **options: t.Any) -> Completed:
    """What Compose says of the layers; options as for `Cli.run`.

    Where files are laid over those of the host, it reads the mirror, and every path that it tells is the host's again.
    """
    place = mirror()
    if not place:
        return cli.compose(*compose.from_layers(project), *arguments, **options)
    base = place + project.base_directory
    layers, env_files = (tuple(place + path for path in paths) for paths in (project.layers, project.env_files))
    mirrored = replace(project, directory=place + project.directory, layers=layers, env_files=env_files)
    told = cli.compose(*compose.from_layers(mirrored), *arguments, variables={"PWD": base}, **options)
    shown = (each.replace(os.fsencode(place), b"") for each in (told.output, told.errors))
    return Completed(told.argv, told.rc, *shown)
