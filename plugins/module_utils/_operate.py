# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop, start and remove what exists, by the engine's labels: the project's files may be gone.

Private to strata.compose.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _plan, _report
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._deploy import manner_of
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._plan import Step
from ansible_collections.strata.compose.plugins.module_utils._project import find_env_files
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor, secrets_of
from ansible_collections.strata.compose.plugins.module_utils._release import Release, ReleaseStore
from ansible_collections.strata.compose.plugins.module_utils._resolve import name_of, require_services, variables_of
from ansible_collections.strata.compose.plugins.module_utils._scene import Options, scene_of, state_dir_of
from ansible_collections.strata.compose.plugins.module_utils._secrets import learn_secrets
from ansible_collections.strata.compose.plugins.module_utils._snapshot import LABEL, Snapshot, observe
from ansible_collections.strata.compose.plugins.module_utils._switch import bring_up
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

Result = dict[str, t.Any]


def stop(options: Options, redactor: Redactor, check: bool, diff: bool) -> Result:
    """Stop the environment's containers and keep them."""
    name, cli, store = by_name(options, redactor)
    before = _selected(observe(cli, name), options)
    steps = _plan.plan_stop(before)
    if steps and not check:
        services = sorted({step.service for step in steps})
        timeout = ("--timeout", str(options["timeout"])) if options["timeout"] is not None else ()
        cli.compose("--project-name", name, "stop", *timeout, "--", *services)
    return _told(options, name, cli, store, before, steps, check, diff)


def start(options: Options, redactor: Redactor, check: bool, diff: bool) -> Result:
    """Start containers that exist and stand still, as they are; nothing is created, no pending change applied."""
    name, cli, store = by_name(options, redactor)
    before = _selected(observe(cli, name), options)
    release = store.current() or scene_of(options, redactor).release
    learn_secrets(redactor, release, ())
    _require_containers(before, release, options)
    steps = _plan.plan_start(release.model, before, release.made)
    if steps and not check:
        _start(release, steps, options, cli)
    return _told(options, name, cli, store, before, steps, check, diff)


def remove(options: Options, redactor: Redactor, check: bool, diff: bool) -> Result:
    """Remove the environment's containers and networks; volumes and images only when told."""
    _require_confirmation(options)
    name, cli, store = by_name(options, redactor)
    before = _selected(observe(cli, name), options)
    steps = [*_plan.plan_remove(before), *_removable(options, name, before, cli)]
    if steps and not check:
        _remove(options, name, before, steps, cli)
    told = _told(options, name, cli, store, before, steps, check, diff)
    others = [step.told() for step in steps if " " in step.service]
    return told if check else {**told, "changed": bool(steps), "actions": [*told["actions"], *others]}


def by_name(options: Options, redactor: Redactor) -> tuple[str, Cli, ReleaseStore]:
    """Project name, CLI and releases of an environment whose files may be gone."""
    directory = os.path.abspath(options["project_dir"])
    env_files = find_env_files(directory, options["environment"], None, os.path.isfile)
    variables = variables_of(env_files)
    redactor.learn(secrets_of(variables))
    name = name_of(options, variables)
    cli = Cli(directory, options["docker_host"], options["command_timeout"])
    return name, cli, ReleaseStore(state_dir_of(options), name)


def _selected(snapshot: Snapshot, options: Options) -> Snapshot:
    services = options["services"]
    if services is None:
        return snapshot
    require_services(snapshot.services, services)
    return Snapshot(tuple(each for each in snapshot.containers if each.service in services))


def _require_containers(before: Snapshot, release: Release, options: Options) -> None:
    names = options["services"] or [name for name, part in release.parts.items() if part.replicas]
    missing = sorted(name for name in names if not before.of(name))
    if missing:
        raise ComposeFailure(
            f"there is no container to start for service {', '.join(missing)}: state=present creates it. "
            f"Nothing was changed."
        )


def _start(release: Release, steps: t.Sequence[Step], options: Options, cli: Cli) -> None:
    for step in steps:
        if step.action == _plan.UNPAUSE:
            cli.docker("unpause", *step.containers)
    to_start = {step.service for step in steps if step.action == _plan.START}
    bring_up(release, to_start, {step.service for step in steps}, manner_of(options), cli)


def _require_confirmation(options: Options) -> None:
    if options["volumes"] and options["confirm"] != options["environment"]:
        raise ComposeFailure(
            f"removing the volumes of environment {options['environment']} loses their data for good: "
            f"say so with confirm={options['environment']}. Nothing was changed."
        )


def _removable(options: Options, name: str, before: Snapshot, cli: Cli) -> t.Iterator[Step]:
    """What belongs to the project besides containers, and is to go with them; nothing when only services are meant."""
    if options["services"] is not None:
        return
    kinds = ("network", "volume") if options["volumes"] else ("network",)
    for kind in kinds:
        listed = cli.docker(kind, "ls", "--filter", f"label={LABEL}project={name}", "--format", "{{.Name}}")
        yield from (Step(f"{kind} {each}", _plan.REMOVE, "belongs to the project") for each in listed.text.split())
    for image in sorted({each.image_name for each in before.containers}):
        if options["images"] == "all" or (options["images"] == "local" and _is_local(image, name)):
            yield Step(f"image {image}", _plan.REMOVE, f"images is {options['images']}")


def _is_local(image: str, project: str) -> bool:
    """Whether Compose named the image itself, for want of an ``image:`` (compose, `down --rmi local`)."""
    return image.startswith(f"{project}-")


def _remove(options: Options, name: str, before: Snapshot, steps: t.Sequence[Step], cli: Cli) -> None:
    if options["services"] is None:
        cli.compose("--project-name", name, *compose.down(options["timeout"], options["volumes"]))
        images = [step.service.partition(" ")[2] for step in steps if step.service.startswith("image ")]
        if images:
            cli.docker("image", "rm", *images)
    elif before.containers:
        ids = [each.id for each in before.containers]
        cli.docker(*compose.stop(ids, options["timeout"]))
        cli.docker("rm", *ids)


def _told(
    options: Options,
    name: str,
    cli: Cli,
    store: ReleaseStore,
    before: Snapshot,
    steps: t.Sequence[Step],
    check: bool,
    diff: bool,
) -> Result:
    whole = observe(cli, name)
    after = _selected_loosely(whole, options)
    between = [step.told() for step in steps] if check else _report.actions_between(before, after, steps)
    release = store.current()
    plan = "".join(f"{step.action} {step.service}: {step.reason}\n" for step in steps)
    return {
        "changed": bool(between),
        "project": name,
        "environment": options["environment"],
        "release": release.number if release else None,
        "actions": between,
        "services": _report.services_told(whole),
        **({"diff": {"prepared": plan}} if diff else {}),
    }


def _selected_loosely(snapshot: Snapshot, options: Options) -> Snapshot:
    services = options["services"]
    return Snapshot(tuple(each for each in snapshot.containers if services is None or each.service in services))
