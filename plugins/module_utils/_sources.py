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

from ansible_collections.strata.compose.plugins.module_utils import _dotenv, _environments, _inputs, _project
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli, Completed, allowed_environment
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import (
    digest,
    is_file,
    is_folder,
    mirror,
    names_in,
    read_file,
    size,
)
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

SECTION = re.compile(
    r"(?:^|[{,])[ \t]*[\"']?(?:services|include|networks|volumes|configs|secrets)[\"']?[ \t]*:", re.MULTILINE
)
"""What a Compose file has at least one of."""


class Identity(t.NamedTuple):
    """What tells an environment from others, and takes none of its layers to find out."""

    directory: str
    env_files: tuple[str, ...]
    given: t.Mapping[str, str]
    """variables of the option"""
    variables: t.Mapping[str, str]
    """all that env files and option define"""
    name: str


def identify(options: t.Mapping[str, t.Any]) -> Identity:
    """The environment that the options mean."""
    directory, environment = os.path.abspath(options["project_dir"]), options["environment"]
    given_files, lender = options["env_files"], options.get("layers_of")
    found = _project.find_env_files(directory, environment, given_files, is_file, lender)
    given = given_variables(options)
    variables = variables_of(found, given)
    lent = lender and given_files is None and not _is_own(found, environment)
    named = {name: value for name, value in variables.items() if not (lent and name == "COMPOSE_PROJECT_NAME")}
    return Identity(directory, found, given, variables, name_of(options, named))


def _is_own(env_files: t.Iterable[str], environment: str) -> bool:
    """Whether env files belong to the environment itself, and not to the one that lends its layers."""
    own = _project.own_env_files(environment)
    return all(path.endswith(tuple(f"/{name}" for name in own)) for path in env_files)


def given_variables(options: t.Mapping[str, t.Any]) -> dict[str, str]:
    """The option ``variables`` as texts; of a module that has another one of this name, ``compose_variables``."""
    option = "compose_variables" if "compose_variables" in options else "variables"
    given = _dotenv.as_texts(options.get(option) or {})
    wrong = [name for name in given if not re.fullmatch(_inputs.NAME, name) or name == "COMPOSE_PROJECT_NAME"]
    if wrong:
        raise ComposeFailure(
            f"{option} cannot set {', '.join(wrong)}: a name has letters, digits and underscores, and the project's "
            f"name is set by project_name. Nothing was changed."
        )
    return given


def find_project(options: t.Mapping[str, t.Any]) -> _project.Project:
    """The project that the options mean; raises `ComposeFailure` when its files cannot be told."""
    directory, environment = os.path.abspath(options["project_dir"]), options["environment"]
    if not is_folder(directory):
        raise ComposeFailure(f"project_dir {directory} is not a folder on this host: bring the project's files there.")
    identity = identify(options)
    _require_environment(options, identity)
    variables, override = identity.variables, bool(options.get("include_override"))
    source = options.get("layers_of") or environment
    return _project.Project(
        directory=directory,
        environment=environment,
        name=identity.name,
        layers=_project.find_layers(directory, source, options["files"], variables, is_file, override),
        env_files=identity.env_files,
        profiles=_project.profiles_of(options["profiles"], variables),
        given_base_directory=_base_directory(directory, options.get("base_directory")),
        given_variables=identity.given,
        defined=variables,
        requires_profiles=options["profiles"] is not None,
        blank_variables=tuple(options.get("blank_variables") or ()),
        data_paths=tuple(options.get("data_paths") or ()),
    )


def _base_directory(directory: str, given: str | None) -> str | None:
    if given is None:
        return None
    path = os.path.normpath(os.path.join(directory, given))
    if not is_folder(path):
        raise ComposeFailure(f"base_directory {path} is not a folder on this host (project_dir is {directory}).")
    return path


def _require_environment(options: t.Mapping[str, t.Any], identity: Identity) -> None:
    """Raise `ComposeFailure` when nothing is of this environment and there are others: a slip makes no new project."""
    lender = options.get("layers_of")
    if options["files"] or (not lender and (options["env_files"] or identity.variables.get("COMPOSE_FILE"))):
        return
    directory, wanted = identity.directory, lender or options["environment"]
    folders = [os.path.join(directory, each) for each in ("", *_project.FOLDERS)]
    own = [path for folder in folders for path in _project.own_layers_in(folder, wanted, is_file)]
    candidates = _project.env_file_candidates(directory, wanted, is_file)
    if own or (candidates and _is_own(candidates[:1], wanted)):
        return
    names = {each: names_in(os.path.join(directory, each)) for each in ("", *_project.FOLDERS, "environments")}
    others = _environments.environments_of(names, wanted)
    if others:
        raise _environments.unknown_environment(directory, wanted, others)
    if lender:
        raise ComposeFailure(
            f"layers_of={lender}: environment {lender} has neither a layer nor an env file of its own in {directory}. "
            f"Leave layers_of out to use the Compose files that are for all. Nothing was changed."
        )


def name_of(options: t.Mapping[str, t.Any], variables: t.Mapping[str, str]) -> str:
    """The project name: the option, or ``COMPOSE_PROJECT_NAME`` of the env file, or folder and environment."""
    given = options["project_name"] or variables.get("COMPOSE_PROJECT_NAME")
    directory = os.path.abspath(options["project_dir"])
    return _project.checked_name(given) if given else _project.project_name(directory, options["environment"])


def variables_of(env_files: t.Iterable[str], given: t.Mapping[str, str] | None = None) -> dict[str, str]:
    """All variables of the env files and of the option, which wins; later files win and may use the earlier ones'."""
    assigned = assignments_of(env_files, given)
    return {**{variable.name: variable.value for _path, variable in assigned}, **(given or {})}


def assignments_of(
    env_files: t.Iterable[str], given: t.Mapping[str, str] | None = None
) -> list[tuple[str, _dotenv.Variable]]:
    """Every assignment of the env files with its file, in the order in which they count."""
    texts = {path: (read_file(path) or b"").decode("utf-8", "surrogateescape") for path in env_files}
    outside = {**allowed_environment(), **(given or {})}
    first = _assigned(texts, outside)
    beaten = {each.name: each.value for _path, each in first if each.name in outside and each.name not in (given or {})}
    if not beaten:
        return first
    # What an env file defines is handed to Compose in place of what the session has of this name.
    again = _assigned(texts, {**outside, **beaten})
    return [(path, replace(each, value=beaten.get(each.name, each.value))) for path, each in again]


def _assigned(texts: t.Mapping[str, str], lookup: t.Mapping[str, str]) -> list[tuple[str, _dotenv.Variable]]:
    found: list[tuple[str, _dotenv.Variable]] = []
    for path, text in texts.items():
        earlier = {variable.name: variable.value for _path, variable in found}
        found += [(path, variable) for variable in _dotenv.read(text, lookup, path, earlier)]
    return found


def process_variables(project: _project.Project, environment: t.Mapping[str, str]) -> dict[str, str]:
    """What Compose is to see in its process environment besides what the CLI has in ``environment``.

    Compose lets that win over env files. So the variables of the option come this way, out of sight of all other
    processes, and what an env file defines replaces what the session has of the same name.
    """
    beaten = {name: value for name, value in project.defined.items() if name in environment}
    return {**beaten, **project.given_variables}


def texts_of(project: _project.Project, only_layers: bool = False) -> dict[str, str]:
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
        if not only_layers and _is_compose_file(path, project):
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
    """What Compose says of the layers, with the variables that are the project's; options as for `Cli.run`.

    Where files are laid over those of the host, it reads the mirror, and every path that it tells is the host's again.
    """
    place, variables = mirror(), process_variables(project, cli.environment)
    if not place:
        return cli.compose(*compose.from_layers(project), *arguments, variables=variables, **options)
    base = place + project.base_directory
    layers, env_files = (tuple(place + path for path in paths) for paths in (project.layers, project.env_files))
    mirrored = replace(project, layers=layers, env_files=env_files, given_base_directory=base)
    variables = {"PWD": base, **variables}
    told = cli.compose(*compose.from_layers(mirrored), *arguments, variables=variables, **options)
    shown = (each.replace(os.fsencode(place), b"") for each in (told.output, told.errors))
    return Completed(told.argv, told.rc, *shown)
