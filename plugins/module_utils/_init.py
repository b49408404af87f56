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
from dataclasses import asdict, replace

from ansible_collections.strata.compose.plugins.module_utils import (
    _init_plan,
    _init_scene,
    _operations,
    _plan,
    _report,
)
from ansible_collections.strata.compose.plugins.module_utils._acquire import acquire
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import replace_file
from ansible_collections.strata.compose.plugins.module_utils._init_plan import Outcome
from ansible_collections.strata.compose.plugins.module_utils._init_run import Run, carry_out
from ansible_collections.strata.compose.plugins.module_utils._init_scene import InitScene
from ansible_collections.strata.compose.plugins.module_utils._ledger import LedgerFile, Success
from ansible_collections.strata.compose.plugins.module_utils._model import as_json, is_done
from ansible_collections.strata.compose.plugins.module_utils._operations import Operation
from ansible_collections.strata.compose.plugins.module_utils._preflight import check_before_change
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._step import CREATE, Policy, Step
from ansible_collections.strata.compose.plugins.module_utils._switch import Manner, bring_up
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

Result = dict[str, t.Any]


def run(options: t.Mapping[str, t.Any], redactor: Redactor, check: bool) -> Result:
    """Run the init phase; what of a deployment is no option of it has no say in it, and no release is dropped."""
    fixed = {"state": "init", "profiles": None, "services": None, "revision": None, "wait": True, "timeout": None}
    keep_all = {"keep_releases": sys.maxsize}
    return _operations.run(
        {**options, "step_timeout": options["timeout"], **fixed, **keep_all}, redactor, check, False, perform
    )


def perform(operation: Operation) -> Result:
    """Run the steps that have not succeeded for their present content, or take over another host's word for them."""
    options = operation.options
    scene = _init_scene.init_scene(options, _init_scene.selection_of(options), operation.redactor)
    if options["proven"] is not None:
        return _taken_over(scene, operation)
    policy = Policy(build=options["build"], pull=options["pull"])
    images = _images(scene, policy, _due(scene, options))
    if operation.check:
        due = _due(scene, options)
        foreseen = {name: Outcome(name, _init_plan.PENDING) for name in due}
        is_due = bool(due or images) or _is_selection_new(scene)
        return {**_told(scene, foreseen, _actions(due, options)), "due": is_due}
    _check(scene, _due(scene, options), images, policy)
    acquire(scene.release, images, scene.snapshot, scene.cli)
    scene = scene.looked_at_again() if images else scene
    _remember_selection(scene)
    due = _due(scene, options)
    outcomes = _carried_out(scene, due, operation) if due else {}
    return _told(scene.looked_at_again() if due else scene, outcomes, _actions(due, options))


def _due(scene: InitScene, options: t.Mapping[str, t.Any]) -> list[str]:
    """The steps to run, in their order."""
    if options["run"] == "always":
        return list(scene.steps)
    proofs = scene.proofs()
    return [name for name in scene.steps if proofs[name] is None]


def _images(scene: InitScene, policy: Policy, due: t.Collection[str]) -> tuple[Step, ...]:
    """The images to get: of the steps to run, of all steps when images are asked for anew, and of missing servers."""
    asked_for = "always" in (policy.build, policy.pull)
    steps = scene.steps if asked_for else tuple(due)
    selected = {*steps, *_absent_servers(scene, due)}
    return _plan.plan_images(scene.release, scene.snapshot, {}, policy, selected)


def _check(scene: InitScene, due: t.Collection[str], images: t.Sequence[Step], policy: Policy) -> None:
    """All that can be known to be in the way before anything is built, pulled or run."""
    if not due:
        return
    coming = {scene.release.parts[each.service].image_name: "coming" for each in images}
    expected = replace(scene.snapshot, images={**scene.snapshot.images, **coming})
    steps = [Step(name, CREATE, "is to be run") for name in (*due, *_absent_servers(scene, due))]
    parts = scene.release.parts
    unpublished = {name: replace(parts[name], definition=_without_ports(parts[name].definition)) for name in due}
    release = replace(scene.release, parts={**parts, **unpublished})
    check_before_change(release, steps, {}, expected, policy, scene.cli, images)


def _absent_servers(scene: InitScene, due: t.Collection[str]) -> list[str]:
    """What the steps depend on and what was never created."""
    parts = scene.release.parts
    servers = sorted(name for name in _init_plan.servers_of(scene.release.model, due) if parts[name].replicas)
    return [name for name in servers if not scene.snapshot.of(name)]


def _without_ports(definition: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """One-off containers publish nothing (compose, `run` without ``--service-ports``)."""
    return {key: value for key, value in definition.items() if key != "ports"}


def _remember_selection(scene: InitScene) -> None:
    """Only an environment that has steps gets a ledger; one whose steps are gone must not ask for them any more."""
    if _is_selection_new(scene):
        file = LedgerFile(scene.store.folder)
        file.write(replace(file.read(), selection=scene.selection if scene.steps else {}))


def _is_selection_new(scene: InitScene) -> bool:
    return bool(scene.ledger.selection != (scene.selection if scene.steps else {}))


def _carried_out(scene: InitScene, due: t.Sequence[str], operation: Operation) -> dict[str, Outcome]:
    """Run the steps; raises `ComposeFailure` when one fails."""
    options, manner = operation.options, operation.transaction().manner
    _bring_servers(scene, due, manner)
    phase = Run(
        scene,
        list(due),
        options["parallel"],
        options["step_timeout"],
        options["actor"] or "unknown",
        operation.cancellation,
    )
    outcomes = carry_out(phase)
    if phase.has_failed or operation.cancellation.by:
        scene = scene.looked_at_again()
        everything = _in_order(scene, outcomes)
        facts = {**_facts(scene, everything), "changed": True, "failed_services": _failed_services(everything)}
        raise ComposeFailure(_init_plan.failure_text(everything), **{**facts, "error_kind": "init_failed"})
    return outcomes


def _bring_servers(scene: InitScene, due: t.Sequence[str], manner: Manner) -> None:
    """Have what the steps depend on run: what does not exist is created, what stands still is started.

    What runs is left as it is, for this is not the switch.
    """
    release, model = scene.release, scene.release.model
    servers = sorted(name for name in _init_plan.servers_of(model, due) if release.parts[name].replicas)
    if absent := _absent_servers(scene, due):
        _create(scene, absent)
        scene = scene.looked_at_again()
    resting = {each.service for name in servers for each in scene.snapshot.of(name) if _rests(scene, each)}
    ailing = {name for name in servers for each in scene.snapshot.of(name) if each.health not in ("", "healthy")}
    bring_up(release, resting, resting | ailing, manner, scene.cli)


def _create(scene: InitScene, services: t.Sequence[str]) -> None:
    """Create containers as the deployment would, which then finds nothing to change in them."""
    release = scene.release
    path = os.path.join(scene.store.folder, "init", "compose.json")
    replace_file(path, as_json(release.model, sort_keys=True, default=dict))
    begin = compose.from_release(release, path)
    scene.cli.compose(*begin, *compose.create(services, False, None), variables=release.variables)


def _rests(scene: InitScene, container: t.Any) -> bool:
    return container.state in ("created", "exited") and not is_done(scene.release.model, container, None)


def _taken_over(scene: InitScene, operation: Operation) -> Result:
    """Write down that another host of the environment ran the steps; each must be among what that host proves."""
    proven: t.Mapping[str, t.Any] = operation.options["proven"]
    missing = [name for name in scene.steps if name not in proven]
    if missing and not operation.check:
        raise ComposeFailure(f"no proof was given for init step {', '.join(missing)}. Nothing was changed.")
    proofs, contents, ledger = scene.proofs(), scene.contents(), scene.ledger
    news = [name for name in scene.steps if proofs[name] is None and name in proven]
    for name in news:
        foreign = {**proven[name], "fingerprint": contents[name].fingerprint, "image": None, "lives_on": None}
        ledger = ledger.ended(name, Success(**foreign))
    if not operation.check:
        _remember_selection(scene)
        if news:
            LedgerFile(scene.store.folder).write(replace(ledger, selection=scene.selection))
    actions = [{"service": name, "action": "prove", "reason": f"ran on {proven[name]['host']}"} for name in news]
    return _told(replace(scene, ledger=ledger), {}, actions)


def _actions(due: t.Sequence[str], options: t.Mapping[str, t.Any]) -> list[dict[str, str]]:
    reason = "asked for" if options["run"] == "always" else "has not succeeded for this content"
    return [{"service": name, "action": "init", "reason": reason} for name in due]


def _in_order(scene: InitScene, outcomes: t.Mapping[str, Outcome]) -> list[Outcome]:
    """All steps: those of this operation, and what the ledger knows of the others."""
    return [outcomes.get(each.service, each) for each in _init_scene.known(scene)]


def _told(scene: InitScene, outcomes: t.Mapping[str, Outcome], actions: t.Sequence[dict[str, str]]) -> Result:
    everything = _in_order(scene, outcomes)
    return {**_facts(scene, everything), "changed": bool(actions), "actions": list(actions)}


def _facts(scene: InitScene, outcomes: t.Sequence[Outcome]) -> Result:
    current = scene.store.current()
    proofs = {name: success for name, success in scene.proofs().items() if success}
    return {
        "project": scene.release.project,
        "environment": scene.release.environment,
        "release": current.number if current else None,
        "services": _report.services_told(scene.snapshot),
        "steps": [
            {key: value for key, value in asdict(each).items() if value not in ("", None, ())} for each in outcomes
        ],
        "report": [_init_plan.line(each) for each in outcomes],
        "proof": {name: asdict(success) for name, success in proofs.items()},
        "ran_here": any(each.image is not None for entries in scene.ledger.succeeded.values() for each in entries),
    }


def _failed_services(outcomes: t.Sequence[Outcome]) -> list[dict[str, t.Any]]:
    failed = [each for each in outcomes if each.outcome == _init_plan.FAILED]
    return [
        {"service": each.service, "cause": each.cause, "exit_code": each.exit_code, "log": list(each.log)}
        for each in failed
    ]
