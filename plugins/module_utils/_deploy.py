# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan, and what follows from it: check mode ends with it, a deployment acquires images and makes the switch.

Private to strata.compose.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _report, _step
from ansible_collections.strata.compose.plugins.module_utils._application_gate_change import (
    gate_changed,
    require_answers,
    with_gate_in_diff,
)
from ansible_collections.strata.compose.plugins.module_utils._asked import note_nothing_to_do
from ansible_collections.strata.compose.plugins.module_utils._changes import following
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._mounts import noted
from ansible_collections.strata.compose.plugins.module_utils._pull_policy import depend_on_time
from ansible_collections.strata.compose.plugins.module_utils._release import Release
from ansible_collections.strata.compose.plugins.module_utils._scene import Scene, scene_of
from ansible_collections.strata.compose.plugins.module_utils._step import Step
from ansible_collections.strata.compose.plugins.module_utils._uncertain import (
    is_changed,
    uncertain_steps,
    warnings_of,
)

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._init_proof import Proof
    from ansible_collections.strata.compose.plugins.module_utils._operations import Operation
    from ansible_collections.strata.compose.plugins.module_utils._preflight import Findings
    from ansible_collections.strata.compose.plugins.module_utils._transaction import Transaction

Result = dict[str, t.Any]


def deploy(operation: Operation) -> Result:
    """Make the environment what its layers say; for ``restarted``, restart what that did not start anyway."""
    scene = scene_of(operation.options, operation.redactor)
    return _explained(scene, lambda: made_so(scene, scene.images(), operation))


def get_images(operation: Operation) -> Result:
    """Build or pull the images of the environment and touch no container."""
    scene = scene_of(operation.options, operation.redactor)
    return _explained(scene, lambda: _get_images(scene, operation))


def _get_images(scene: Scene, operation: Operation) -> Result:
    images = scene.images()
    if images:
        checked(scene, scene.with_images(images), images, ())
    compared = {"diff": _report.diff_of(scene.release, scene.made, images)} if operation.diff else {}
    if operation.check:
        warned = {"warnings": warnings_of(images)}
        return {**told(scene, [step.told() for step in images], scene.last), **compared, **warned}
    return {**told(scene, _acquired(scene, images), scene.last), **compared}


def roll_back(operation: Operation) -> Result:
    """Make the environment what an earlier release was, by the steps that any deployment takes."""
    from ansible_collections.strata.compose.plugins.module_utils import _rollback

    with _rollback.scene(operation) as scene:
        return _explained(scene, lambda: made_so(scene, (), operation))


def _explained(scene: Scene, perform: t.Callable[[], Result]) -> Result:
    """A result, or a failure, with what was taken for it and why, and with all that Compose warned of."""
    try:
        result = perform()
    except ComposeFailure as failure:
        raise ComposeFailure(failure.message, **_with_sources(scene, failure.facts)) from failure
    return _with_sources(scene, result)


def _with_sources(scene: Scene, told: Result) -> Result:
    found = (scene.release.findings.get("warnings", ()), scene.warnings, scene.cli.warnings, told.get("warnings", ()))
    warnings = list(dict.fromkeys(each for warned in found for each in warned))
    return {**told, "sources": scene.sources, **({"warnings": warnings} if warnings else {})}


def made_so(scene: Scene, images: tuple[Step, ...], operation: Operation) -> Result:
    """Plan, and unless this is a check, carry the plan out."""
    expected = scene.with_images(images).narrowed()
    steps = expected.steps()
    findings = checked(scene, expected, images, steps) if images or steps else None
    externals = findings.steps if findings else ()
    proof = _require_init(scene, images, operation) if images or steps else None
    followers = _followers(scene, images, steps)
    planned = (*externals, *images, *steps, *followers)
    compared: Result = {}
    if operation.diff:
        compared["diff"] = with_gate_in_diff(_report.diff_of(scene.release, scene.made, planned), scene)
    compared.update(_warned(expected, steps, findings))
    if operation.check:
        foreseen = [step.told() for step in planned]
        due = _init_foreseen(scene.release, steps, followers, proof, operation)
        warned = {"warnings": [*compared.pop("warnings", ()), *warnings_of(images, followers)]}
        return {
            **told(scene, [*foreseen, *due, *gate_changed(scene)], scene.last),
            **compared,
            **warned,
            **_inputs(scene, operation),
        }
    if not images and not steps and _is_settled(expected):
        if not depend_on_time(scene.release.model):
            note_nothing_to_do()
        return {**told(scene, (), scene.last), **compared}
    acquired = _acquired(scene, images)
    with following(acquired):
        ready = expected.looked_at_again() if images else expected
        if images:
            ready = replace(ready, built=frozenset(step.service for step in images if step.action == _step.BUILD))
            # The images may be other ones now, with other steps to take, and with or without a health check.
            findings = checked(ready, ready, (), ready.steps(), acquired)
        externals_made = _externals_created(ready, findings)
    before = [*acquired, *externals_made]
    with following(before):
        result = _carry_out(ready, before, operation)
    warnings = [*compared.pop("warnings", ()), *result.pop("warnings", ())]
    return {**result, **compared, **({"warnings": warnings} if warnings else {})}


def _externals_created(scene: Scene, findings: Findings | None) -> list[dict[str, str]]:
    if findings is None or not findings.missing:
        return []
    from ansible_collections.strata.compose.plugins.module_utils._externals import create_externals

    return create_externals(findings.missing, scene.cli)


def _inputs(scene: Scene, operation: Operation) -> dict[str, t.Any]:
    """What the plan was made from, for one that is to be approved."""
    from ansible_collections.strata.compose.plugins.module_utils._plan_inputs import inputs_of

    incoming = operation.options.get("incoming")
    return {"inputs": inputs_of(scene.release, scene.snapshot.images, incoming)}


def _warned(scene: Scene, steps: t.Sequence[Step], findings: Findings | None) -> dict[str, t.Any]:
    """What the preflight has to say, and what to know before containers are replaced."""
    warnings = [*(findings.warnings if findings else ()), *_without_return(scene, steps), *scene.data_warnings(steps)]
    return {"warnings": warnings} if warnings else {}


def _without_return(scene: Scene, steps: t.Sequence[Step]) -> list[str]:
    """What to know of containers that have no release of ours to come back to."""
    replaced = sorted({step.service for step in steps if step.action in (_step.RECREATE, _step.REMOVE)})
    if scene.last or not replaced:
        return []
    if number := scene.store.current_number():
        told = f"The record of release {number} is damaged: should this deployment fail, it does not go back to it."
        return [told]
    told = (
        f"The containers of {', '.join(replaced)} were not deployed by strata.compose: should this first release fail, "
        f"there is no earlier one to go back to."
    )
    return [told]


def checked(
    scene: Scene,
    expected: Scene,
    images: t.Sequence[Step],
    steps: t.Sequence[Step],
    acquired: t.Sequence[t.Mapping[str, str]] = (),
) -> Findings:
    """What has to be done and said before; raises `ComposeFailure` for all that stands in the way."""
    from ansible_collections.strata.compose.plugins.module_utils._preflight import check_before_change

    release = expected.release if steps else scene.release
    made, snapshot, policy = scene.made, expected.snapshot, scene.policy
    return check_before_change(release, steps, made, snapshot, policy, scene.cli, images, acquired)


def _require_init(scene: Scene, images: t.Sequence[Step], operation: Operation) -> Proof | None:
    """The proof of the init phase, where there is one; raises `ComposeFailure` when it is still to come."""
    options = operation.options
    if options["state"] == "rolled_back" or not options["require_init"]:
        return None
    from ansible_collections.strata.compose.plugins.module_utils._ledger import LedgerFile

    if not LedgerFile(scene.store.folder).read().selection:
        return None
    from ansible_collections.strata.compose.plugins.module_utils._init_proof import require_proof

    coming = {scene.release.parts[each.service].image_name for each in images}
    here = {name: image for name, image in scene.snapshot.images.items() if name not in coming}
    return require_proof(operation, here)


def _init_due(
    release: Release, steps: t.Sequence[Step], proof: Proof | None, operation: Operation
) -> list[dict[str, str]]:
    """The init steps that run within the switch, for what they did goes with a container."""
    if proof:
        from ansible_collections.strata.compose.plugins.module_utils._init_after import due_with

        return due_with(proof.scene, steps).told()
    in_switch = operation.init_in_switch() if steps else None
    due = in_switch.due(release, steps) if in_switch else None
    return due.told() if due else []


def _followers(scene: Scene, images: t.Sequence[Step], steps: t.Sequence[Step]) -> list[Step]:
    """The steps that will be taken if an image that is got again turns out to be another one."""
    if all(step.certain for step in images):
        return []
    return uncertain_steps(images, steps, scene.with_other_images(images).narrowed().steps())


def _init_foreseen(
    release: Release, steps: t.Sequence[Step], followers: t.Sequence[Step], proof: Proof | None, operation: Operation
) -> list[dict[str, t.Any]]:
    """The init steps that the switch runs, and those that it may have to run."""
    due = _init_due(release, steps, proof, operation)
    if not followers:
        return due
    possible = _init_due(release, [*steps, *followers], proof, operation)
    return [*due, *({**each, "certain": False} for each in possible if each not in due)]


def _is_settled(scene: Scene) -> bool:
    """Whether nothing has to be awaited or written: the case that has to be fast, for most runs change nothing."""
    last, release = scene.last, scene.release
    is_known = last is not None and (last.model, last.inputs, last.resolved_from, last.gate) == (
        release.model,
        release.inputs,
        release.resolved_from,
        release.gate,
    )
    is_starting = any(each.health == "starting" for each in scene.snapshot.containers)
    return is_known and not is_starting and not _is_record_incomplete(scene)


def _is_record_incomplete(scene: Scene) -> bool:
    """Whether a version before this one has recorded less of the containers than this one goes by."""
    kept = [name for name in scene.services & scene.made.keys() if scene.snapshot.of(name)]
    return any(noted(scene.release.parts[name], scene.made[name]) for name in kept)


def _carry_out(scene: Scene, acquired: t.Sequence[dict[str, str]], operation: Operation) -> Result:
    """Plan again with the images that are here now, and make the switch."""
    from ansible_collections.strata.compose.plugins.module_utils import _transaction

    steps = scene.steps()
    proof = _require_init(scene, (), operation)
    transaction = operation.transaction(proof)
    if not steps:
        after, release = _kept(scene, transaction)
        between = _report.actions_between(scene.snapshot, after.snapshot, steps)
        return told(after, [*acquired, *between, *gate_changed(scene)], release)
    due = _init_due(scene.release, steps, proof, operation)
    switched = _transaction.carry_out(scene, steps, transaction)
    after = switched.scene
    between = _report.actions_between(scene.snapshot, after.snapshot, steps)
    warned = {"warnings": list(switched.differences)} if switched.differences else {}
    return {**told(after, [*acquired, *between, *due, *gate_changed(scene)], after.release), **warned}


def _kept(scene: Scene, transaction: Transaction) -> tuple[Scene, Release]:
    """Nothing to switch: wait for what is still starting, and write down what was resolved anew."""
    from ansible_collections.strata.compose.plugins.module_utils import _record, _transaction
    from ansible_collections.strata.compose.plugins.module_utils._switch import bring_up

    starting = {each.service for each in scene.snapshot.containers if each.health == "starting"} & scene.services
    if starting and transaction.manner.wait:
        bring_up(scene.release, (), starting, transaction.manner, scene.cli)
        scene = scene.looked_at_again()
    require_answers(scene, transaction.manner, transaction.began)
    release = _record.stored(scene, transaction.author)
    _transaction.keep_init(release, transaction)
    return scene, _record.committed(scene, release, (), transaction.began, transaction.author)


def _acquired(scene: Scene, images: t.Sequence[Step]) -> list[dict[str, str]]:
    if not images:
        return []
    from ansible_collections.strata.compose.plugins.module_utils._acquire import acquire

    return acquire(scene.release, images, scene.snapshot, scene.cli, scene.policy.no_cache)


def told(scene: Scene, actions: t.Sequence[dict[str, str]], release: Release | None) -> Result:
    """The result that every deployment has."""
    return {
        "changed": is_changed(actions),
        "project": scene.release.project,
        "environment": scene.release.environment,
        "release": release.number if release else None,
        "actions": list(actions),
        "services": _report.services_told(scene.snapshot),
    }
