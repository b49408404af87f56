# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The init phase: one-shot services that must succeed, once for their content, before a switch.

Private to strata.compose.
"""

from __future__ import annotations

import os
import sys
import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import (
    _init_plan,
    _init_report,
    _init_run,
    _init_scene,
    _init_words,
    _operations,
    _plan,
    _report,
)
from ansible_collections.strata.compose.plugins.module_utils._acquire import acquire
from ansible_collections.strata.compose.plugins.module_utils._changes import Seen, facts_of, following
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._externals import create_externals
from ansible_collections.strata.compose.plugins.module_utils._files import replace_file
from ansible_collections.strata.compose.plugins.module_utils._init_plan import Outcome
from ansible_collections.strata.compose.plugins.module_utils._init_profiles import for_servers
from ansible_collections.strata.compose.plugins.module_utils._init_run import Run, carry_out
from ansible_collections.strata.compose.plugins.module_utils._init_scene import InitScene
from ansible_collections.strata.compose.plugins.module_utils._ledger import LedgerFile
from ansible_collections.strata.compose.plugins.module_utils._leftovers import remove_for_good
from ansible_collections.strata.compose.plugins.module_utils._model import as_json, is_done
from ansible_collections.strata.compose.plugins.module_utils._operations import Operation
from ansible_collections.strata.compose.plugins.module_utils._plan_inputs import digests_of
from ansible_collections.strata.compose.plugins.module_utils._plan_service import HALF_REMOVED, awakenings
from ansible_collections.strata.compose.plugins.module_utils._preflight import (
    Findings,
    check_before_change,
    require_networks,
)
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._release import Release
from ansible_collections.strata.compose.plugins.module_utils._scene import COMING
from ansible_collections.strata.compose.plugins.module_utils._step import CREATE, RECREATE, Policy, Step
from ansible_collections.strata.compose.plugins.module_utils._switch import bring_up
from ansible_collections.strata.compose.plugins.module_utils._uncertain import condition_of, warnings_of
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

Result = dict[str, t.Any]

ASSUME = "assume"


def run(options: t.Mapping[str, t.Any], redactor: Redactor, check: bool) -> Result:
    """Run the init phase; what of a deployment is no option of it has no say in it, and no release is dropped."""
    if options["state"] == ASSUME:
        _init_words.require_confirmation(options)
    fixed = {"state": "init", "services": None, "revision": None, "wait": True, "timeout": None}
    keep_all = {"keep_releases": sys.maxsize, "assume": options["state"] == ASSUME}
    return _operations.run(
        {**options, "step_timeout": options["timeout"], **fixed, **keep_all}, redactor, check, False, perform
    )


def perform(operation: Operation) -> Result:
    """Run the steps that have not succeeded for their present content, or take over another host's word for them."""
    options = operation.options
    is_anew = options["assume"] or options["run"] == "always"
    scene = _init_scene.init_scene(options, _init_scene.selection_of(options), operation.redactor, is_anew)
    if options["proven"] is not None:
        return _init_words.taken_over(scene, operation)
    policy = Policy(build=options["build"], pull=options["pull"], external=options["external"])
    due = _due(scene, options)
    images = _images(scene, policy, due)
    if options["assume"]:
        return _assumed(scene, images, operation)
    findings = _checked(scene, due, images, policy)
    if operation.check:
        foreseen = {name: Outcome(name, _init_plan.PENDING) for name in due}
        is_due = bool(due or images) or _init_words.is_selection_new(scene)
        coming = (*findings.steps, *images, *_server_steps(scene, due))
        possible = _possible(scene, images, due)
        actions = [*(each.told() for each in coming), *_actions(due, options), *(each.told() for each in possible)]
        told = _init_report.told(scene, foreseen, actions)
        return {**told, "due": is_due, "inputs": _inputs(scene), "warnings": warnings_of(images, possible)}
    if is_anew:
        LedgerFile(scene.store.folder).begin_anew()
    scene, acquired = _prepared(scene, images)
    with following(acquired):
        created = create_externals(findings.missing, scene.cli)
    before = [*created, *acquired]
    with following(before):
        return _performed(scene, before, operation)


def _assumed(scene: InitScene, images: t.Sequence[Step], operation: Operation) -> Result:
    """Write down that the steps are done, in their images, which are got first; none is run."""
    acquired = [each.told() for each in images]
    if not operation.check:
        acquired = acquire(scene.release, images, scene.snapshot, scene.cli)
    with following(acquired):
        after = scene.looked_at_again() if images and not operation.check else scene
        names = _due(after, operation.options)
        ledger = _init_words.with_assumed(after, names, operation.options["actor"] or "unknown")
        file = LedgerFile(after.store.folder)
        if not operation.check and ledger != file.found():
            file.replace(ledger)
    actions = [*acquired, *({"service": name, "action": "assume", "reason": "said to be done"} for name in names)]
    told = _init_report.told(replace(after, ledger=ledger), {}, actions)
    is_due = bool(actions) or _init_words.is_selection_new(scene)
    return {**told, "due": is_due, "inputs": _inputs(scene)} if operation.check else told


def _inputs(scene: InitScene) -> dict[str, str]:
    """What the steps would be run with, as digests."""
    contents = scene.contents().items()
    return digests_of({f"init step {name}": [each.fingerprint, each.image] for name, each in contents})


def _possible(scene: InitScene, images: t.Sequence[Step], due: t.Collection[str]) -> list[Step]:
    """The steps that have succeeded, and run again if their image turns out to be another one."""
    again = {scene.release.parts[each.service].image_name for each in images if not each.certain}
    names = [name for name in scene.names if name not in due and scene.images[name] in again]
    return [Step(name, "init", condition_of(images), certain=False) for name in names]


def _prepared(scene: InitScene, images: t.Sequence[Step]) -> tuple[InitScene, list[dict[str, str]]]:
    """The scene with its images, which may be other ones than before, and all steps known to the deployment."""
    _init_words.remember_images(scene)
    acquired = acquire(scene.release, images, scene.snapshot, scene.cli)
    with following(acquired):
        scene = scene.looked_at_again() if images else scene
        _init_words.remember_selection(scene)
    return scene, acquired


def _performed(scene: InitScene, acquired: t.Sequence[dict[str, str]], operation: Operation) -> Result:
    """Run what is due, and tell of it and of what it took to have images and servers."""
    due = _due(scene, operation.options)
    outcomes = _carried_out(scene, due, operation) if due else {}
    after = scene.looked_at_again() if due else scene
    expected = _server_steps(scene, due)
    servers = {step.service for step in expected}
    between = _report.actions_between(scene.snapshot.only(servers), after.snapshot.only(servers), expected)
    actions = [*acquired, *between, *_actions(due, operation.options)]
    return _init_report.told(after, outcomes, actions)


def _server_steps(scene: InitScene, due: t.Collection[str]) -> list[Step]:
    """What has to be done to have what the steps depend on run."""
    steps = [_creation(scene, name) for name in _absent_servers(scene, due)]
    for name in _servers(scene, due):
        steps += awakenings(name, [each for each in scene.snapshot.of(name) if _rests(scene, each)])
    return steps


def _creation(scene: InitScene, name: str) -> Step:
    half_removed = tuple(each.id for each in scene.snapshot.of(name))
    return Step(name, RECREATE, HALF_REMOVED, half_removed) if half_removed else Step(name, CREATE, "no container")


def _due(scene: InitScene, options: t.Mapping[str, t.Any]) -> list[str]:
    """The steps to run, in their order."""
    if options["run"] == "always":
        return list(scene.names)
    proofs = scene.proofs()
    return [name for name in scene.names if proofs[name] is None]


def _images(scene: InitScene, policy: Policy, due: t.Collection[str]) -> tuple[Step, ...]:
    """The images to get: of the steps to run, of all steps when images are asked for anew, and of missing servers."""
    asked_for = "always" in (policy.build, policy.pull)
    again = [each.name for each in scene.steps if asked_for or _is_asked_for(scene, each.service, policy)]
    steps = _services_of(scene, {*due, *again})
    release = _with_one_offs(scene, steps)
    return _plan.plan_images(release, scene.snapshot, {}, policy, {*steps, *_absent_servers(scene, due)})


def _is_asked_for(scene: InitScene, service: str, policy: Policy) -> bool:
    """Whether `pull_policy` of the service asks for its image, whatever is here."""
    builder = service if scene.release.model["services"][service].get("build") else None
    return _plan.image_rule(scene.release, service, builder, scene.snapshot, policy) == "always"


def _checked(scene: InitScene, due: t.Collection[str], images: t.Sequence[Step], policy: Policy) -> Findings:
    """What has to be created first; raises `ComposeFailure` for all that is known to be in the way."""
    if not due:
        return Findings()
    coming = {scene.release.parts[each.service].image_name: COMING for each in images}
    expected = replace(scene.snapshot, images={**scene.snapshot.images, **coming})
    absent, services = _absent_servers(scene, due), _services_of(scene, due)
    steps = [Step(name, CREATE, "is to be run") for name in (*services, *absent)]
    release = _with_one_offs(scene, [name for name in services if name not in absent])
    require_networks(scene.release, scene.snapshot, _server_steps(scene, due), scene.cli)
    return check_before_change(release, steps, {}, expected, policy, scene.cli, images)


def _services_of(scene: InitScene, names: t.Collection[str]) -> list[str]:
    return list(dict.fromkeys(each.service for each in scene.steps if each.name in names))


def _with_one_offs(scene: InitScene, services: t.Iterable[str]) -> Release:
    """The release in which services are run once: published nowhere, named otherwise, and be there no replica of them.

    Compose's `run` does without ``--service-ports``.
    """
    parts = scene.release.parts
    definitions = {name: {**parts[name].definition} for name in services}
    for definition in definitions.values():
        for key in ("ports", "container_name"):
            definition.pop(key, None)
    once = {name: replace(parts[name], definition=each, replicas=1) for name, each in definitions.items()}
    return replace(scene.release, parts={**parts, **once})


def _servers(scene: InitScene, due: t.Collection[str]) -> list[str]:
    """What the due steps depend on and is no step."""
    steps = [each for each in scene.steps if each.name in due]
    servers = _init_plan.servers_of(scene.release.model, steps, scene.steps)
    return sorted(name for name in servers if scene.release.parts[name].replicas)


def _absent_servers(scene: InitScene, due: t.Collection[str]) -> list[str]:
    """What the steps depend on and what was never created, or has nothing left that the engine would start."""
    there = {each.service for each in scene.snapshot.containers if not each.is_half_removed}
    return [name for name in _servers(scene, due) if name not in there]


def _carried_out(scene: InitScene, due: t.Sequence[str], operation: Operation) -> dict[str, Outcome]:
    """Run the steps; raises `ComposeFailure` when one fails."""
    options, cancellation = operation.options, operation.cancellation
    cancellation.touch()
    before = Seen.of(scene.release.project, replace(scene.snapshot, images={}), scene.cli, _servers(scene, due))
    steps = _server_steps(scene, due)
    try:
        _bring_servers(scene, due, operation)
    except ComposeFailure as failure:
        raise ComposeFailure(failure.message, **{**failure.facts, **facts_of(before, steps, scene.cli)}) from failure
    actor = options["actor"] or "unknown"
    phase = Run(scene, list(due), options["parallel"], options["step_timeout"], actor, cancellation)
    outcomes = carry_out(phase)
    if phase.has_failed or cancellation.by:
        changed = facts_of(before, steps, scene.cli)
        begun = [each for each in _actions(due, options) if each["service"] in phase.begun]
        facts = {"changed": bool(changed["changed"] or begun), "actions": [*changed.get("actions", ()), *begun]}
        raise _failure(scene.looked_at_again(), outcomes, cancellation.by, facts)
    return outcomes


def _failure(
    scene: InitScene, outcomes: t.Mapping[str, Outcome], cancelled_by: str, changes: t.Mapping[str, t.Any]
) -> ComposeFailure:
    everything = _init_report.in_order(scene, outcomes)
    facts = {**_init_report.facts(scene, everything), **changes, "error_kind": "init_failed"}
    facts["failed_services"] = _init_report.failed_services(everything)
    return ComposeFailure(_init_plan.failure_text(everything, cancelled_by), **facts)


def _bring_servers(scene: InitScene, due: t.Sequence[str], operation: Operation) -> None:
    """Have what the steps depend on run: what does not exist is created, what stands still is started.

    What runs is left as it is, for this is not the switch.
    """
    servers = _servers(scene, due)
    release = replace(scene.release, model=for_servers(scene.release.model, servers))
    if absent := _absent_servers(scene, due):
        remove_for_good([each.id for name in absent for each in scene.snapshot.of(name)], scene.cli)
        _create(scene, release.model, absent)
        scene = scene.looked_at_again()
    resting = {each.service for name in servers for each in scene.snapshot.of(name) if _rests(scene, each)}
    ailing = {name for name in servers for each in scene.snapshot.of(name) if each.health not in ("", "healthy")}
    cancelled = _cancelled(operation, resting)
    manner = replace(operation.transaction().manner, cancelled=cancelled)
    bring_up(release, resting, resting | ailing, manner, scene.cli)


def _cancelled(operation: Operation, servers: t.Collection[str]) -> t.Callable[[], ComposeFailure | None]:
    """The failure of a phase that somebody has cancelled while it brought up what its steps depend on."""
    cancellation = operation.cancellation
    started = f"Services that they depend on were created or started: {', '.join(sorted(servers))}." if servers else ""

    def failure() -> ComposeFailure | None:
        return cancellation.failure(f"No init step was run. {started}".strip()) if cancellation.by else None

    return failure


def _create(scene: InitScene, model: t.Mapping[str, t.Any], services: t.Sequence[str]) -> None:
    """Create containers as the deployment would, which then finds nothing to change in them."""
    path = os.path.join(scene.store.folder, "init", "compose.json")
    beside = _init_plan.as_they_are(model, *_init_run.networks_and_volumes(scene.cli))
    replace_file(path, as_json(beside, sort_keys=True, default=dict))
    begin, create = compose.from_release(scene.release, path), compose.create(services, replace=False, timeout=None)
    scene.cli.compose(*begin, *create, variables=scene.release.variables)


def _rests(scene: InitScene, container: t.Any) -> bool:
    return container.state in ("created", "exited") and not is_done(scene.release.model, container, None)


def _actions(due: t.Sequence[str], options: t.Mapping[str, t.Any]) -> list[dict[str, str]]:
    reason = "asked for" if options["run"] == "always" else "has not succeeded for this content"
    return [{"service": name, "action": "init", "reason": reason} for name in due]
