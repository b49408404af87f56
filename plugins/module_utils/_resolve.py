# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From options to a release: discovery, `docker compose config` once, and digests of every input.

Private to strata.compose.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _dotenv, _inputs, _project
from ansible_collections.strata.compose.plugins.module_utils._cli import (
    Cli,
    allowed_environment,
    failure_of,
    identity,
    parsed_json,
)
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import digest, read_file
from ansible_collections.strata.compose.plugins.module_utils._release import Part, Release, parts_of
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

OLDEST_COMPOSE = (2, 20)
UNDEFINED = re.compile(r'The \\?"([^"\\]+)\\?" variable is not set')


def find_project(options: t.Mapping[str, t.Any]) -> _project.Project:
    """The project that the options mean; raises `ComposeFailure` when its files cannot be told."""
    directory, environment = os.path.abspath(options["project_dir"]), options["environment"]
    if not os.path.isdir(directory):
        raise ComposeFailure(f"project_dir {directory} is not a folder on this host: bring the project's files there.")
    env_files = _project.find_env_files(directory, environment, options["env_files"], os.path.isfile)
    variables = variables_of(env_files)
    return _project.Project(
        directory=directory,
        environment=environment,
        name=name_of(options, variables),
        layers=_project.find_layers(directory, environment, options["files"], variables, os.path.isfile),
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


def resolve(project: _project.Project, cli: Cli, last: Release | None, scale: t.Mapping[str, t.Any] | None) -> Release:
    """The wanted release; nothing is resolved anew while the digests of all inputs of the last one still hold."""
    program = cli.compose_program()
    key = _key(project, program, cli)
    if last and last.resolved_from == key and last.inputs == {path: digest(path) for path in last.inputs}:
        model, inputs = last.model, last.inputs
    else:
        if not last or last.resolved_from.get("program") != key["program"]:
            _require_version(cli)
        model, inputs = _resolved(project, cli), _inputs_of(project)
    return _release(project, scaled(model, scale or {}), inputs, key)


def scaled(model: t.Mapping[str, t.Any], scale: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The model with other numbers of replicas; raises `ComposeFailure` for an unknown service or no number."""
    services = dict(model.get("services") or {})
    require_services(services, scale)
    for name, count in scale.items():
        if not str(count).isdecimal():
            raise ComposeFailure(f"scale of service {name} is {count!r}: give a number of containers, 0 or more.")
        deploy = services[name].get("deploy") or {}
        replicas = {"deploy": {**deploy, "replicas": int(count)}} if "replicas" in deploy else {}
        services[name] = {**services[name], **replicas, "scale": int(count)}
    return {**model, "services": services}


def require_services(known: t.Collection[str], names: t.Iterable[str]) -> None:
    """Raise `ComposeFailure` for a name that is no service of the model."""
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ComposeFailure(
            f"unknown service: {', '.join(unknown)}. The services of this environment (with its profiles) are "
            f"{', '.join(sorted(known)) or 'none'}."
        )


def with_config_hashes(release: Release, cli: Cli) -> Release:
    """The release with Compose's own hash of each service, to compare it with containers that others made.

    Asked of the resolved model, for the hash of a service with ``env_file`` differs otherwise (docker/compose#14001).
    """
    model = json.dumps(release.model).encode()
    directory = release.resolved_from["directory"]
    begin = compose.from_model(release.project, directory, "-", "/dev/null")
    told = cli.compose(*begin, "config", "--hash", "*", stdin=model, variables=release.variables).text
    hashes = dict(line.split()[:2] for line in told.splitlines() if len(line.split()) == 2)
    parts = {name: replace(part, config_hash=hashes.get(name, "")) for name, part in release.parts.items()}
    return replace(release, parts=parts)


def _key(project: _project.Project, program: t.Sequence[str], cli: Cli) -> dict[str, t.Any]:
    """What a resolution depends on besides the contents of files."""
    return {
        "name": project.name,
        "directory": project.base_directory,
        "layers": list(project.layers),
        "env_files": list(project.env_files),
        "profiles": list(project.profiles),
        "program": identity(program),
        "home": cli.environment.get("HOME", ""),
    }


def _resolved(project: _project.Project, cli: Cli) -> dict[str, t.Any]:
    completed = cli.compose(*compose.from_layers(project), "config", "--format", "json", accept=None)
    undefined = sorted(set(UNDEFINED.findall(completed.error_text)))
    if completed.rc:
        raise ComposeFailure(f"the layers of environment {project.environment} do not resolve. {failure_of(completed)}")
    if undefined:
        raise _undefined_failure(project, undefined)
    if project.profiles:
        _require_profiles(project, cli)
    model: dict[str, t.Any] = parsed_json(completed)
    return model


def _require_profiles(project: _project.Project, cli: Cli) -> None:
    known = cli.compose(*compose.from_layers(project), "config", "--profiles").text.split()
    unknown = [name for name in project.profiles if name not in known and name != "*"]
    if unknown:
        raise ComposeFailure(
            f"unknown profile: {', '.join(unknown)}. The layers know {', '.join(sorted(known)) or 'no profiles'}."
        )


def _require_version(cli: Cli) -> None:
    told = cli.compose("version", "--short").text.strip()
    version = tuple(int(number) for number in re.findall(r"\d+", told)[:2])
    if version < OLDEST_COMPOSE:
        raise ComposeFailure(f"Docker Compose {told} is too old: strata.compose needs 2.20 or newer.")


def _undefined_failure(project: _project.Project, names: t.Sequence[str]) -> ComposeFailure:
    places = ", ".join(f"{name} ({'; '.join(_places_of(project, name)) or 'place unknown'})" for name in names)
    env_file = project.env_files[-1] if project.env_files else f"{project.directory}/.env.{project.environment}"
    return ComposeFailure(
        f"undefined variable: {places}. Define it in {env_file}, or give it a default as in "
        f"${{{names[0]}:-value}}. Nothing was changed.",
        undefined=list(names),
    )


def _places_of(project: _project.Project, name: str) -> list[str]:
    """``file:line`` of each use of a variable without a default."""
    return [
        f"{path}:{use.line}"
        for path, text in texts_of(project).items()
        for use in _inputs.uses_of_variables(text)
        if use.name == name and not use.modifier
    ]


def texts_of(project: _project.Project) -> dict[str, str]:
    """The layers and every text file that they mention, such as includes and env files of services."""
    found: dict[str, str] = {}
    waiting = [*project.layers]
    while waiting:
        path = waiting.pop(0)
        if path in found or not os.path.isfile(path) or os.path.getsize(path) > 1 << 20:
            continue
        content = read_file(path) or b""
        if b"\0" in content:
            continue
        found[path] = content.decode("utf-8", "replace")
        if _is_compose_file(path, project):
            waiting.extend(sorted(_mentioned(path, found[path], project)))
    return found


def _is_compose_file(path: str, project: _project.Project) -> bool:
    return path in project.layers or path.endswith((".yml", ".yaml", ".json"))


def _mentioned(path: str, text: str, project: _project.Project) -> set[str]:
    folder = os.path.dirname(path)
    implied = {os.path.join(folder, ".env")} if path not in project.layers else set()
    return implied | _inputs.mentioned_paths(text, folder) | _inputs.mentioned_paths(text, project.base_directory)


def _inputs_of(project: _project.Project) -> dict[str, str | None]:
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
    return {path: digest(path) for path in sorted(paths) if not os.path.isdir(path)}


def _release(
    project: _project.Project, model: dict[str, t.Any], inputs: t.Mapping[str, str | None], key: dict[str, t.Any]
) -> Release:
    variables = variables_of(project.env_files)
    services = model.get("services") or {}
    carried = {name for service in services for name in _inputs.variables_of_service(model, service)}
    return Release(
        project=project.name,
        environment=project.environment,
        model=model,
        variables={name: value for name, value in variables.items() if name in carried},
        parts=_parts(model, variables),
        resolved_from=key,
        inputs=inputs,
    )


def _parts(model: dict[str, t.Any], variables: t.Mapping[str, str]) -> dict[str, Part]:
    digests = {}
    for service in model.get("services") or {}:
        digests[service] = file_digests(model, service)
        for name in _inputs.variables_of_service(model, service):
            digests[service][f"variable {name}"] = _text_digest(variables.get(name))
    return parts_of(model, digests)


def file_digests(model: t.Mapping[str, t.Any], service: str) -> dict[str, str]:
    """The SHA-256 of each file whose content reaches a service's containers."""
    paths = sorted(_inputs.files_of_service(model, service))
    found = {path: digest(path) for path in paths}
    return {path: value for path, value in found.items() if value is not None}


def _text_digest(value: str | None) -> str:
    return "unset" if value is None else hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
