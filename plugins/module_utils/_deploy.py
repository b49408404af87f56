# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transaction: resolve, observe, plan; then acquire, switch, gate and commit. Check mode ends after the plan.

Private to strata.compose.
"""

from __future__ import annotations

import getpass
import os
import time
import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _plan, _report
from ansible_collections.strata.compose.plugins.module_utils._acquire import acquire
from ansible_collections.strata.compose.plugins.module_utils._plan import Step
from ansible_collections.strata.compose.plugins.module_utils._preflight import check_before_change
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._release import Made, Release
from ansible_collections.strata.compose.plugins.module_utils._scene import Options, Scene, scene_of
from ansible_collections.strata.compose.plugins.module_utils._snapshot import Snapshot
from ansible_collections.strata.compose.plugins.module_utils._switch import Manner, bring_up, switch

Result = dict[str, t.Any]


def deploy(options: Options, redactor: Redactor, check: bool, diff: bool) -> Result:
    """Make the environment what its layers say; for ``restarted``, restart what that did not start anyway."""
    scene = scene_of(options, redactor)
    images = scene.images()
    expected = scene.with_images(images)
    steps = expected.steps()
    if images or steps:
        check_before_change(scene.release, steps, scene.made, expected.snapshot, scene.policy, scene.cli)
    compared = {"diff": _report.diff_of(scene.release, scene.made, (*images, *steps))} if diff else {}
    if check:
        foreseen = [step.told() for step in (*_certain(images), *steps)]
        return {**_told(scene, scene.snapshot, foreseen, scene.last), **compared}
    return {**_carry_out(scene, images, manner_of(options)), **compared}


def get_images(options: Options, redactor: Redactor, check: bool, diff: bool) -> Result:
    """Build or pull the images of the environment and touch no container."""
    scene = scene_of(options, redactor)
    images = scene.images()
    compared = {"diff": _report.diff_of(scene.release, scene.made, images)} if diff else {}
    if check:
        return {**_told(scene, scene.snapshot, [step.told() for step in _certain(images)], scene.last), **compared}
    actions = acquire(scene.release, images, scene.snapshot, scene.cli)
    return {**_told(scene, scene.snapshot, actions, scene.last), **compared}


def manner_of(options: Options) -> Manner:
    """The options that a switch depends on."""
    return Manner(options["wait"], options["wait_timeout"], options["stable_for"], options["timeout"])


def _carry_out(scene: Scene, images: t.Sequence[Step], manner: Manner) -> Result:
    acquired = acquire(scene.release, images, scene.snapshot, scene.cli)
    scene = scene.looked_at_again() if images else scene
    steps = scene.steps()
    if not steps:
        return _settle(scene, acquired, manner)
    release = _stored(scene)
    # The journal is opened before the switch and closed after the commit; a failed switch rolls back here.
    path = scene.store.path
    switch(release, path(release.number, "compose.json"), path(release.number, "env"), steps, manner, scene.cli)
    after = scene.looked_at_again()
    committed = _committed(after, release, steps)
    actions = [*acquired, *_report.actions_between(scene.snapshot, after.snapshot, steps)]
    return _told(after, after.snapshot, actions, committed)


def _settle(scene: Scene, acquired: list[dict[str, str]], manner: Manner) -> Result:
    """Nothing to switch: wait for what is still starting, and keep what was resolved anew."""
    starting = {each.service for each in scene.snapshot.containers if each.health == "starting"} & scene.services
    if starting and manner.wait:
        bring_up(scene.release, (), starting, manner, scene.cli)
        scene = scene.looked_at_again()
    last = scene.last
    is_known = last and (last.model, last.inputs, last.resolved_from) == (
        scene.release.model,
        scene.release.inputs,
        scene.release.resolved_from,
    )
    return _told(scene, scene.snapshot, acquired, last if is_known else _committed(scene, _stored(scene), ()))


def _stored(scene: Scene) -> Release:
    """The release under its number: the last one's when only containers differ, a new one otherwise."""
    release, last = scene.release, scene.last
    same = last is not None and last.model == release.model and _same_contents(scene)
    about = last.about if last and same else {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **_actor()}
    number = last.number if last and same else 0
    return scene.store.save(replace(release, number=number, made=scene.made, about=about))


def _same_contents(scene: Scene) -> bool:
    images = scene.snapshot.images
    return all(
        name in scene.made
        and scene.made[name].files == part.files
        and scene.made[name].image == images.get(part.image_name)
        for name, part in scene.release.parts.items()
        if part.replicas
    )


def _actor() -> dict[str, str]:
    return {"actor": os.environ.get("SUDO_USER") or getpass.getuser()}


def _committed(scene: Scene, release: Release, steps: t.Sequence[Step]) -> Release:
    """The release with the record of what its containers were made from, as the current one."""
    made = {name: each for name, each in scene.made.items() if name in release.parts}
    replaced = {step.service for step in steps if step.action in _plan.REPLACES}
    for name in scene.services:
        containers = scene.snapshot.of(name)
        if containers:
            kept = made.get(name) if name not in replaced else None
            made[name] = _made(release, scene.snapshot, name, kept)
    committed = replace(release, made=made)
    scene.store.commit(committed)
    return committed


def _made(release: Release, snapshot: Snapshot, name: str, kept: Made | None) -> Made:
    part, containers = release.parts[name], snapshot.of(name)
    outcome = {each.id: "completed" if each.has_completed else "running" for each in containers}
    if kept:
        return replace(kept, containers=outcome)
    build = release.model["services"][name].get("build")
    return Made(part.definition, part.files, containers[0].image, outcome, build)


def _certain(images: t.Sequence[Step]) -> list[Step]:
    """An image that is asked for again may turn out to be the one that is here: nothing can be foretold of it."""
    return [step for step in images if step.reason != _plan.ASKED_FOR]


def _told(scene: Scene, snapshot: Snapshot, actions: t.Sequence[dict[str, str]], release: Release | None) -> Result:
    return {
        "changed": bool(actions),
        "project": scene.release.project,
        "environment": scene.release.environment,
        "release": release.number if release else None,
        "actions": list(actions),
        "services": _report.services_told(snapshot),
    }
