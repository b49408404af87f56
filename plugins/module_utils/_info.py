# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an environment is and does, gathered without changing anything. Private to strata.compose."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _operations, _plan, _report, _step
from ansible_collections.strata.compose.plugins.module_utils._backup_status import outcomes
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli, allowed_environment, parsed_json
from ansible_collections.strata.compose.plugins.module_utils._differences import masked_definition
from ansible_collections.strata.compose.plugins.module_utils._digests import with_files_as_now
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._inputs import Use, uses_of_variables
from ansible_collections.strata.compose.plugins.module_utils._lock_place import known_path
from ansible_collections.strata.compose.plugins.module_utils._lock_state import lock_told
from ansible_collections.strata.compose.plugins.module_utils._mounts import patterns_of
from ansible_collections.strata.compose.plugins.module_utils._records import Damage
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor, fingerprint, is_secret_name
from ansible_collections.strata.compose.plugins.module_utils._release import Release
from ansible_collections.strata.compose.plugins.module_utils._resolve import require_services, resolved
from ansible_collections.strata.compose.plugins.module_utils._scene import Options
from ansible_collections.strata.compose.plugins.module_utils._secrets import learn_secrets
from ansible_collections.strata.compose.plugins.module_utils._snapshot import Snapshot, observe
from ansible_collections.strata.compose.plugins.module_utils._sources import assignments_of, find_project, texts_of

Rows = list[dict[str, t.Any]]


class Subject:
    """The environment that is asked about; what is costly to find out is found when it is asked for."""

    def __init__(self, options: Options, redactor: Redactor) -> None:
        self.options = options
        self.cli, self.store = _operations.find_by_name(options, redactor)
        self.name = self.store.project
        self.current = self.store.current()
        self.redactor = redactor
        if self.current:
            learn_secrets(redactor, self.current, ())

    @functools.cached_property
    def snapshot(self) -> Snapshot:
        """What runs now."""
        return observe(self.cli, self.name, self.current.image_names if self.current else ())

    @functools.cached_property
    def release(self) -> Release:
        """What the layers say now."""
        project = find_project(self.options)
        return resolved(project, self.cli, self.redactor, self.current)

    @property
    def selected(self) -> Snapshot:
        """The containers of the services that are asked about."""
        services = self.options["services"]
        require_services(self.snapshot.services, services or ())
        return self.snapshot.only(services)


def gather(options: Options, redactor: Redactor) -> dict[str, t.Any]:
    """Everything that ``gather`` names, each under its own key."""
    subject = Subject(options, redactor)
    return {
        "changed": False,
        "project": subject.name,
        "environment": options["environment"],
        "release": subject.current.number if subject.current else None,
        "state_folder": subject.store.folder,
        "actions": [],
        "sources": subject.current.about.get("sources", {}) if subject.current else {},
        **{name: GATHERERS[name](subject) for name in options["gather"]},
    }


def _services(subject: Subject) -> Rows:
    return _report.services_told(subject.selected)


def _processes(subject: Subject) -> Rows:
    running = [each for each in subject.selected.containers if each.state in ("running", "paused")]
    return [
        {"service": each.service, "container": each.name, "processes": _top(subject.cli, each.id)} for each in running
    ]


def _top(cli: Cli, container: str) -> Rows:
    """``docker top``: the last column is the command, which may hold spaces."""
    titles, *rows = cli.docker("top", container, "-o", "pid,user,pcpu,rss,etime,args").text.splitlines()
    names = [title.lower().strip("%") for title in titles.split()]
    return [dict(zip(names, row.split(None, len(names) - 1))) for row in rows]


def _logs(subject: Subject) -> Rows:
    options = subject.options
    since = ("--since", options["since"]) if options["since"] else ()
    argv = ("logs", "--timestamps", "--tail", str(options["tail"]), *since)
    return [
        {"service": each.service, "container": each.name, "lines": _lines(subject.cli, (*argv, each.id))}
        for each in subject.selected.containers
    ]


def _lines(cli: Cli, argv: t.Sequence[str]) -> list[str]:
    """Both streams in the order of their time, each line with its time."""
    told = cli.docker(*argv)
    return sorted([*told.text.splitlines(), *told.error_text.splitlines()], key=lambda line: line.partition(" ")[0])


def _config(subject: Subject) -> dict[str, t.Any]:
    return {key: masked_definition(value) for key, value in subject.release.model.items()}


def _images(subject: Subject) -> Rows:
    """The images that the services run, told by the engine."""
    by_service = {each.service: each.image for each in subject.selected.containers}
    names = {each.service: each.image_name for each in subject.selected.containers}
    ids = sorted(set(by_service.values()))
    told = parsed_json(subject.cli.docker("image", "inspect", *ids)) if ids else []
    found = {each["Id"]: each for each in told}
    return [
        {
            "service": service,
            "image": names[service],
            "id": image,
            "tags": sorted(found[image].get("RepoTags") or ()),
            "digests": sorted(found[image].get("RepoDigests") or ()),
            "created": found[image]["Created"],
            "size": found[image]["Size"],
        }
        for service, image in sorted(by_service.items())
    ]


def _variables(subject: Subject) -> Rows:
    """Each variable that a layer uses or an env file defines, with the place that its value comes from."""
    project = find_project(subject.options)
    subject.release  # noqa: B018 - resolves, so that undefined variables are an error and secrets are known
    uses = [(path, use) for path, text in texts_of(project).items() for use in uses_of_variables(text)]
    defined = {
        variable.name: (variable.value, f"{path}:{variable.line}")
        for path, variable in assignments_of(project.env_files, project.given_variables)
    }
    session = {name: value for name, value in allowed_environment().items() if name not in defined}
    defined.update({name: (value, "environment of the CLI") for name, value in session.items()})
    defined.update({name: (value, "option variables") for name, value in project.given_variables.items()})
    names = {use.name for _path, use in uses} | (defined.keys() - session.keys())
    return [_variable(name, defined, [(path, use) for path, use in uses if use.name == name]) for name in sorted(names)]


def _variable(name: str, defined: t.Mapping[str, tuple[str, str]], uses: list[tuple[str, Use]]) -> dict[str, t.Any]:
    defaults = [(use.modifier, f"default in {path}:{use.line}") for path, use in uses if use.modifier[:2] in (":-",)]
    defaults += [(use.modifier, f"default in {path}:{use.line}") for path, use in uses if use.modifier[:1] == "-"]
    if name in defined:
        value, origin = defined[name]
    elif defaults:
        value, origin = defaults[0][0].partition("-")[2], defaults[0][1]
    else:
        value, origin = "", "undefined"
    return {
        "name": name,
        "value": fingerprint(value) if is_secret_name(name) and value else value,
        "origin": origin,
        "used_in": [f"{path}:{use.line}" for path, use in uses],
    }


def _releases(subject: Subject) -> Rows:
    current = subject.current.number if subject.current else None
    return [{**each, "current": each["release"] == current} for each in reversed(subject.store.history())]


def _drift(subject: Subject) -> Rows:
    """What differs from the current release although nobody deployed it."""
    release = subject.current
    if release is None and isinstance(lost := subject.store.read_current(), Damage):
        raise lost.failure("So there is no drift to tell: state=present records anew what runs.")
    if release is None:
        raise ComposeFailure(
            f"project {subject.name} was not deployed by strata.compose yet: there is no drift to tell."
        )
    patterns = patterns_of(subject.options["data_paths"] or (), release.resolved_from["directory"])
    steps = _plan.plan(with_files_as_now(release, patterns), subject.snapshot, release.made, _step.Policy())
    services = subject.options["services"]
    return [step.told() for step in steps if services is None or step.service in services]


def _lock(subject: Subject) -> dict[str, t.Any]:
    """Needs no engine where one was used before: it may be one that does not answer that keeps the lock held."""
    return lock_told(subject.store.folder, lambda: known_path(subject.cli, subject.store.folder))


def _backups(subject: Subject) -> Rows:
    """Needs no engine either."""
    return outcomes(subject.store.folder)


GATHERERS: dict[str, t.Callable[[Subject], t.Any]] = {
    "services": _services,
    "processes": _processes,
    "logs": _logs,
    "config": _config,
    "images": _images,
    "variables": _variables,
    "releases": _releases,
    "drift": _drift,
    "lock": _lock,
    "backups": _backups,
}
