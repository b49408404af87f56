# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From options to a release: discovery, `docker compose config` once, and digests of every input.

Private to strata.compose.
"""

from __future__ import annotations

import hashlib
import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _inputs, _model, _project
from ansible_collections.strata.compose.plugins.module_utils._cli import (
    Cli,
    failure_of,
    identity,
    parsed_json,
)
from ansible_collections.strata.compose.plugins.module_utils._compose_warnings import (
    undefined_in,
    warnings_in,
    without_warnings,
)
from ansible_collections.strata.compose.plugins.module_utils._digests import file_digests
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import digest
from ansible_collections.strata.compose.plugins.module_utils._model import as_json
from ansible_collections.strata.compose.plugins.module_utils._mounts import Mounts, patterns_of
from ansible_collections.strata.compose.plugins.module_utils._mounts_on_host import mounts_of
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor, secrets_of
from ansible_collections.strata.compose.plugins.module_utils._release import Part, Release, parts_of
from ansible_collections.strata.compose.plugins.module_utils._secrets import learn_secrets, learning_of_failures
from ansible_collections.strata.compose.plugins.module_utils._sources import (
    ask_compose,
    digests_of_inputs,
)
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Snapshot

EVERY_PROFILE = ("*",)
CONFIG = ("config", "--format", "json")


def resolve(project: _project.Project, cli: Cli, last: Release | None, scale: t.Mapping[str, t.Any] | None) -> Release:
    """The wanted release; nothing is resolved anew while the digests of all inputs of the last one still hold."""
    program = cli.compose_program()
    key = {**_key(project, program, cli), "compose": _version(cli, program, last), "scale": dict(scale or {})}
    if last and last.resolved_from == key and last.inputs == {path: digest(path) for path in last.inputs}:
        model, inputs, findings = last.model, last.inputs, last.findings
    else:
        # Before Compose reads them: a link that must not be followed is refused, and what changes meanwhile is seen.
        inputs = digests_of_inputs(project)
        model, findings = _asked(project, cli)
    release = _release(project, scaled(_model.without_dangling(model), scale or {}), inputs, key)
    return replace(release, findings=findings)


def resolved(
    project: _project.Project,
    cli: Cli,
    redactor: Redactor,
    last: Release | None = None,
    scale: t.Mapping[str, t.Any] | None = None,
) -> Release:
    """The wanted release, when the redactor knows its secrets, or those that a failure to resolve it may tell."""
    redactor.learn(secrets_of(project.defined))
    with learning_of_failures(redactor, project):
        release = resolve(project, cli, last, scale)
    learn_secrets(redactor, release, ())
    return release


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


def require_services(
    known: t.Collection[str], names: t.Iterable[str], off: t.Callable[[], t.Mapping[str, t.Sequence[str]]] = dict
) -> None:
    """Raise `ComposeFailure` for a name that is no service of the model.

    ``off`` tells the services of profiles that are not on, each with its profiles; it is asked for a failure only.
    """
    unknown = [name for name in names if name not in known]
    if not unknown:
        return
    others = off()
    hidden = [f"service {name} has the profile {' or '.join(others[name])}" for name in unknown if name in others]
    if hidden:
        one = others[next(name for name in unknown if name in others)][0]
        raise ComposeFailure(
            f"{', '.join(hidden)}, which is not on: switch it on with profiles={one} (or COMPOSE_PROFILES={one} in the "
            f"env file)."
        )
    raise ComposeFailure(
        f"unknown service: {', '.join(unknown)}. The services of this environment (with its profiles) are "
        f"{', '.join(sorted(known)) or 'none'}."
    )


def profiles_that_are_off(project: _project.Project, cli: Cli, redactor: Redactor) -> dict[str, list[str]]:
    """The services that only other profiles have, each with its profiles; none where those do not resolve."""
    try:
        model = resolved(replace(project, profiles=EVERY_PROFILE), cli, redactor).model
    except ComposeFailure:
        # Whatever is wrong with services that are off: it is not what went wrong here.
        return {}
    profiles = {name: list(each.get("profiles") or ()) for name, each in (model.get("services") or {}).items()}
    return {name: own for name, own in profiles.items() if own and not {*own} & {*project.profiles}}


def with_config_hashes(release: Release, running: Snapshot, cli: Cli) -> Release:
    """The release with Compose's own hash of each service, to compare it with containers that others made.

    Asked of the resolved model, for the hash of a service with ``env_file`` differs otherwise (docker/compose#14001).
    """
    model = as_json(_with_shared_containers(release.model, running))
    begin = compose.from_release(release)
    argv = (*begin, "config", "--no-normalize", "--hash", "*")
    listed = cli.compose(*argv, stdin=model, variables=release.variables).text
    hashes = dict(line.split()[:2] for line in listed.splitlines() if len(line.split()) == 2)
    parts = {name: replace(part, config_hash=hashes.get(name, "")) for name, part in release.parts.items()}
    return replace(release, parts=parts)


def _with_shared_containers(model: t.Mapping[str, t.Any], running: Snapshot) -> dict[str, t.Any]:
    """The model as Compose hashes it when it makes containers: whose namespaces and volumes they share it tells by id.

    ``volumes_from`` has bare ids, which Compose takes for services; so they have to be some.
    """
    services = dict(model["services"])
    for name in model["services"]:
        shares = dict(running.of(name)[0].shares) if running.of(name) else {}
        joined = [key for key in _model.shared_services(model, name) if key in _model.NAMESPACES]
        modes = {key: f"container:{shares[key]}" for key in joined if key in shares}
        volumes = [container for key, container in shares.items() if key.startswith("volumes_from ")]
        services[name] = {**services[name], **modes, **({"volumes_from": volumes} if volumes else {})}
        services.update({each: {"image": "none"} for each in volumes})
    return {**model, "services": services}


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
        **{name: value for name, value in _unusual(project).items() if value},
    }


def _unusual(project: _project.Project) -> dict[str, t.Any]:
    """What few projects have: left out of a key that is without it, so that older records still hold."""
    return {"variables": dict(project.given_variables), "blank_variables": list(project.blank_variables)}


def _asked(project: _project.Project, cli: Cli) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """The model, and what else there is to know of it: what Compose warned of, and profiles that no service has."""
    completed = ask_compose(project, cli, *CONFIG, accept=None)
    complaints = completed.error_text
    if completed.rc or undefined_in(complaints):
        _require_defined(project, complaints, completed.rc != 0)
    if completed.rc:
        failure = failure_of(replace(completed, errors=without_warnings(complaints).encode()))
        raise ComposeFailure(
            f"the layers of environment {project.environment} do not resolve. {failure}", rc=completed.rc
        )
    model: dict[str, t.Any] = parsed_json(completed)
    unused = sorted(set(project.profiles) - {"*"} - _profiles_in(model))
    if unused and project.requires_profiles:
        raise _unknown_profiles(project, unused, cli)
    warnings = [*cli.capabilities.warnings, *warnings_in(complaints)]
    return model, {"warnings": warnings, "unused_profiles": unused}


def _version(cli: Cli, program: t.Sequence[str], last: Release | None) -> str:
    """The version of Compose as it labels containers with it; raises `ComposeFailure` for one that is too old."""
    if last and last.resolved_from.get("program") == identity(program):
        cli.compose_version = last.resolved_from.get("compose")
    return cli.capabilities.label


def _require_defined(project: _project.Project, complaints: str, has_failed: bool) -> None:
    from ansible_collections.strata.compose.plugins.module_utils._undefined import (
        failure_of_undefined,
        undefined_variables,
    )

    found = undefined_variables(project, complaints, has_failed)
    if found.names:
        raise failure_of_undefined(project, found, complaints if has_failed else "")


def _profiles_in(model: t.Mapping[str, t.Any]) -> set[str]:
    """The profiles of all services that are on: each profile that is on and that some service has is among them."""
    return {name for each in (model.get("services") or {}).values() for name in each.get("profiles") or ()}


def _unknown_profiles(project: _project.Project, names: t.Sequence[str], cli: Cli) -> ComposeFailure:
    known = ask_compose(project, cli, "config", "--profiles").text.split()
    return ComposeFailure(
        f"unknown profile: {', '.join(names)}. The layers know {', '.join(sorted(known)) or 'no profiles'}."
    )


def _release(
    project: _project.Project, model: dict[str, t.Any], inputs: t.Mapping[str, str | None], key: dict[str, t.Any]
) -> Release:
    variables = project.defined
    services = model.get("services") or {}
    carried = {name for service in services for name in _inputs.variables_of_service(model, service)}
    return Release(
        project=project.name,
        environment=project.environment,
        model=model,
        variables={name: value for name, value in variables.items() if name in carried},
        parts=_parts(project, model),
        resolved_from=key,
        inputs=inputs,
    )


def _parts(project: _project.Project, model: dict[str, t.Any]) -> dict[str, Part]:
    digests: dict[str, dict[str, str]] = {}
    mounts: dict[str, Mounts] = {}
    patterns = patterns_of(project.data_paths, project.base_directory)
    for service in model.get("services") or {}:
        mounts[service] = mounts_of(model, service, patterns)
        digests[service] = file_digests(model, service, mounts[service].data)
        for name in _inputs.variables_of_service(model, service):
            digests[service][f"variable {name}"] = _text_digest(project.defined.get(name))
    return {name: replace(part, mounts=mounts[name]) for name, part in parts_of(model, digests).items()}


def _text_digest(value: str | None) -> str:
    return "unset" if value is None else hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
