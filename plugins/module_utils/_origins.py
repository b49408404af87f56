# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was taken for an environment and why, and what lies near and was left out. Pure. Private to strata.compose."""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _dotenv, _project
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._redact import fingerprint, is_secret_name

NAME = re.compile(
    r"^(?:name|\"name\"|'name')[ \t]*:[ \t]+(?:\"([^\"\n]+)\"|'([^'\n]+)'|([^\s#\"'][^\n]*))", re.MULTILINE
)
"""The top-level ``name:`` of a Compose file."""

BY_FOLDER = "name of project_dir, and the environment"

Options = t.Mapping[str, t.Any]
Rows = list[dict[str, str]]


def sources_of(
    project: _project.Project, options: Options, own_name: str | None, unused: t.Iterable[str], exists: _project.Exists
) -> dict[str, t.Any]:
    """The result key ``sources``; ``own_name`` is what the layers call the project, ``unused`` profiles of no service.

    Each row has what was taken as ``path`` or ``name``, and ``why``. Values of secrets are beginnings of their digests.
    """
    return {
        "project_name": {"name": project.name, "why": _why_name(project, options)},
        "layers": [{"path": path, "why": _why_layer(path, project, options)} for path in project.layers],
        "env_files": [{"path": path, "why": _why_env_file(path, project, options)} for path in project.env_files],
        "profiles": [{"name": name, "why": _why_profiles(options)} for name in project.profiles],
        "base_directory": {"path": project.base_directory, "why": _why_base_directory(project)},
        "variables": {name: _shown(name, value) for name, value in sorted(project.given_variables.items())},
        "left_out": [
            *_files_left_out(project, options, exists),
            *_names_left_out(project, options, own_name),
            *({"name": name, "why": "profile that no service has"} for name in unused),
        ],
    }


def own_name_of(project: _project.Project, texts: t.Mapping[str, str]) -> str | None:
    """The top-level ``name:`` of the layers, which the last one decides; ``None`` without one."""
    found = [match for path in project.layers for match in NAME.finditer(texts.get(path, ""))]
    if not found:
        return None
    written = str(next(filter(None, found[-1].groups()))).partition(" #")[0].strip()
    try:
        return _dotenv.substituted(written, project.defined, "name")
    except ComposeFailure:
        return written


def is_name_chosen(project: _project.Project, options: Options) -> bool:
    """Whether the user has named the project."""
    return _why_name(project, options) != BY_FOLDER


def warning_of_name(project: _project.Project, own_name: str, is_there: bool) -> str:
    """What to know before a project comes up under another name than its layers give it."""
    beside = f" A project {own_name} is on this engine, and this one would come up beside it." if is_there else ""
    return (
        f"The layers have the top-level name: {own_name}, but this project is called {project.name}, so that "
        f"environments stay apart.{beside} To deploy as {own_name}, set project_name to {own_name}."
    )


def _why_name(project: _project.Project, options: Options) -> str:
    if options["project_name"]:
        return "option project_name"
    written = project.defined.get("COMPOSE_PROJECT_NAME")
    return "COMPOSE_PROJECT_NAME of the env file" if written == project.name else BY_FOLDER


def _why_layer(path: str, project: _project.Project, options: Options) -> str:
    name = posixpath.basename(path)
    if options["files"]:
        return "option files"
    if project.defined.get("COMPOSE_FILE"):
        given = "COMPOSE_FILE" in project.given_variables
        return "COMPOSE_FILE of the option variables" if given else "COMPOSE_FILE of the env file"
    if name in _project.BASE_NAMES:
        return "base"
    if name in _project.OVERRIDE_NAMES:
        return "option include_override"
    return _of_environment("layer", project, options)


def _of_environment(what: str, project: _project.Project, options: Options) -> str:
    lender = options.get("layers_of")
    return f"{what} of environment {lender}, by layers_of" if lender else f"{what} of environment {project.environment}"


def _why_env_file(path: str, project: _project.Project, options: Options) -> str:
    if options["env_files"]:
        return "option env_files"
    if posixpath.basename(path) == ".env":
        return "env file of all environments"
    if path.endswith(tuple(f"/{name}" for name in _project.own_env_files(project.environment))):
        return f"env file of environment {project.environment}"
    return _of_environment("env file", project, options)


def _why_profiles(options: Options) -> str:
    return "option profiles" if options["profiles"] is not None else "COMPOSE_PROFILES of the env file"


def _why_base_directory(project: _project.Project) -> str:
    return "option base_directory" if project.given_base_directory else "folder of the first layer"


def _files_left_out(project: _project.Project, options: Options, exists: _project.Exists) -> Rows:
    """Files that discovery could have taken, each with the reason why it did not."""
    folder, taken = posixpath.dirname(project.layers[0]), {*project.layers, *project.env_files}
    bases = _project.bases_in(folder, exists)
    below = [path for each in _project.FOLDERS for path in _project.bases_in(posixpath.join(folder, each), exists)]
    env_files = _project.env_file_candidates(
        project.directory, project.environment, exists, options.get("layers_of") or None
    )
    others = _why_other_layers(project, options)
    near = {
        **dict.fromkeys(below if folder == project.directory else (), others or "the project directory comes first"),
        **dict.fromkeys(bases, others or "another name of a base comes first"),
        **dict.fromkeys(_project.own_layers_in(folder, project.environment, exists), others or _why_not_own(options)),
        **dict.fromkeys(_project.overrides_in(folder, exists), others or "include_override is not set"),
        **dict.fromkeys(env_files, "env_files names others" if options["env_files"] else "another one comes first"),
    }
    return [{"path": path, "why": why} for path, why in near.items() if path not in taken]


def _why_other_layers(project: _project.Project, options: Options) -> str:
    if options["files"]:
        return "files names others"
    return "COMPOSE_FILE names others" if project.defined.get("COMPOSE_FILE") else ""


def _why_not_own(options: Options) -> str:
    lender = options.get("layers_of")
    return f"layers_of is {lender}" if lender else "it belongs to another base"


def _names_left_out(project: _project.Project, options: Options, own_name: str | None) -> Rows:
    written = project.defined.get("COMPOSE_PROJECT_NAME")
    rows = []
    if own_name and own_name != project.name:
        rows.append({"name": own_name, "why": "top-level name of the layers: project_name takes it"})
    if written and written != project.name:
        why = "project_name names another" if options["project_name"] else "its env file belongs to another environment"
        rows.append({"name": written, "why": f"COMPOSE_PROJECT_NAME of the env file: {why}"})
    return rows


def _shown(name: str, value: str) -> str:
    return fingerprint(value) if is_secret_name(name) and value else value
