# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases written down: stored before a switch, committed after it, pruned later. Private to strata.compose."""

from __future__ import annotations

import errno
import json
import os
import time
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.strata.compose.plugins.module_utils import _history, _images, _step
from ansible_collections.strata.compose.plugins.module_utils._history import DAMAGED, FAILED, GOOD, UNDER_WAY
from ansible_collections.strata.compose.plugins.module_utils._lock import now
from ansible_collections.strata.compose.plugins.module_utils._mounts import has_same_inputs, noted
from ansible_collections.strata.compose.plugins.module_utils._mounts_on_host import mounts_of
from ansible_collections.strata.compose.plugins.module_utils._release import Made, Part, Release
from ansible_collections.strata.compose.plugins.module_utils._release_store import ReleaseStore
from ansible_collections.strata.compose.plugins.module_utils._scene import Options, Scene
from ansible_collections.strata.compose.plugins.module_utils._snapshot import Snapshot
from ansible_collections.strata.compose.plugins.module_utils._step import Step

STARTS = frozenset({*_step.REPLACES, _step.START, _step.RESTART})
"""The actions with which containers get the files that they mount as they are then."""


@dataclass(frozen=True)
class Author:
    """Who makes a release, from what, and how many releases are kept."""

    actor: str
    revision: str | None
    keep: int
    init: t.Sequence[t.Mapping[str, t.Any]] = ()
    """what the history tells of the init steps that the release needed"""

    @classmethod
    def from_options(cls, options: Options) -> Author:
        return cls(options["actor"] or "unknown", options["revision"], options["keep_releases"])


def stored(scene: Scene, author: Author) -> Release:
    """The release under its number: the last one's when only containers differ, a new one otherwise."""
    release, last = scene.release, scene.last
    if release.number:
        return release
    sources = {"sources": scene.sources} if scene.sources else {}
    if last is not None and _is_same(last, release) and _has_same_contents(scene):
        # What is stored is the same, and is not written again: a kill in between would part it from its digest.
        kept = replace(release, number=last.number, made=scene.made, about={**last.about, **sources})
        kept = replace(kept, contents=last.contents, committed=last.committed)
        # It serves and may have to come back: what it is asked changes when it has answered.
        scene.store.save(replace(kept, gate=last.gate))
        return kept
    told = {"created": now(), "actor": author.actor, "revision": author.revision, "outcome": UNDER_WAY}
    replaced = {"replaced": last.number if last else scene.store.current_number() or 0}
    about = {**told, **replaced, **sources, **({"init": list(author.init)} if author.init else {})}
    return scene.store.save(replace(release, made=scene.made, about=about))


def committed(scene: Scene, release: Release, steps: t.Sequence[Step], began: float, author: Author) -> Release:
    """The release as the current one, with the record of what its containers were made from.

    ``began`` is the monotonic time at which the operation began.
    """
    made = made_now(scene, release, steps)
    outcome = {} if release.about.get("outcome") == GOOD else {"outcome": GOOD, "seconds": _seconds(began)}
    final = replace(release, made=made, about={**release.about, **outcome})
    _images.hold(scene.cli, release.project, {each.image for each in made.values()})
    scene.store.commit(final)
    _prune(scene, final, author.keep)
    return final


def failed(scene: Scene, release: Release, began: float, cause: str) -> None:
    """Note in the history that a release did not become the current one."""
    if release.about.get("outcome") != GOOD:
        about = {**release.about, "outcome": FAILED, "seconds": _seconds(began), "cause": scene.redactor.mask(cause)}
        scene.store.save(replace(release, about=about))


def made_now(scene: Scene, release: Release, steps: t.Sequence[Step]) -> dict[str, Made]:
    """What the containers of each service were made from, after the steps; only what is proven is recorded."""
    made = {name: each for name, each in scene.made.items() if name in release.parts}
    replaced = {step.service for step in steps if step.action in _step.REPLACES}
    started = {each for step in steps if step.action in STARTS for each in step.containers}
    removed = {each for step in steps if step.action == _step.REMOVE for each in step.containers}
    touched = {step.service for step in steps if step.action in STARTS}
    for name in (scene.services | touched) & release.parts.keys():
        if scene.snapshot.of(name):
            found = _made_now(scene, release, name, name in replaced, removed, started)
            made[name] = _with_build(found, scene, release, name)
        elif name in release.made:
            # What is removed though it is wanted is done, see `_plan_followers`, and is not made again.
            is_done = release.parts[name].replicas > 0
            made[name] = release.made[name] if is_done else _without(release.made[name], removed)
    return made


def _made_now(
    scene: Scene,
    release: Release,
    name: str,
    is_replaced: bool,
    removed: t.Collection[str],
    started: t.Collection[str],
) -> Made:
    kept, now_there, part = scene.made.get(name), outcomes(scene.snapshot, name), release.parts[name]
    known = kept.containers if kept else {}
    anew = made_of(release, scene.snapshot, name)
    fresh = {each for each in now_there if each in started or each not in known}
    if kept and not is_replaced and now_there.keys() <= known.keys():
        past = {each: how for each, how in known.items() if how == "completed" and each not in removed}
        made = replace(kept, containers={**past, **now_there}, **noted(part, kept))
        return _with_their_files(made, kept, anew, fresh, part)
    if now_there.keys().isdisjoint(scene.left):
        return _with_their_files(anew, kept, anew, fresh, part)
    proven = {each: how for each, how in now_there.items() if each in known}
    meant = scene.snapshot.images.get(part.image_name, anew.image)
    return replace(kept or replace(anew, image=meant), containers=proven)


def _with_their_files(made: Made, kept: Made | None, anew: Made, fresh: t.Collection[str], part: Part) -> Made:
    """The record with the files that its containers have; the ``fresh`` ones were made or started now.

    They have other ones than the others, when an earlier release has come back and its files have not: one record
    cannot say both, so the fresh containers are left out of it, and not proven.
    """
    if kept is None or made.containers.keys() <= set(fresh):
        return replace(made, files=anew.files, links=anew.links, inodes=anew.inodes)
    if has_same_inputs(part, kept):
        return made
    return replace(kept, containers={each: how for each, how in made.containers.items() if each not in fresh})


def _with_build(made: Made, scene: Scene, release: Release, name: str) -> Made:
    """The record with what the image was built from, which stays what it was where it was not built now."""
    mounts, kept = release.parts[name].mounts, scene.made.get(name)
    if name in scene.built:
        made = replace(made, build=release.model["services"][name].get("build"))
    elif kept and kept.contexts is not None:
        return replace(made, contexts=kept.contexts)
    return replace(made, contexts=mounts.contexts) if mounts else made


def _without(made: Made, removed: t.Collection[str]) -> Made:
    return replace(made, containers={each: how for each, how in made.containers.items() if each not in removed})


def outcomes(snapshot: Snapshot, name: str) -> dict[str, str]:
    """How the containers of a service are now, by id."""
    return {each.id: "completed" if each.has_completed else "running" for each in snapshot.of(name)}


def made_of(release: Release, snapshot: Snapshot, name: str) -> Made:
    """The record that all containers of a service were made from this release."""
    part, build = release.parts[name], release.model["services"][name].get("build")
    mounts = part.mounts or mounts_of(release.model, name)
    image, containers = snapshot.of(name)[0].image, outcomes(snapshot, name)
    return Made(part.definition, part.files, image, containers, build, mounts.links, mounts.inodes)


def audited(folder: str, entry: t.Mapping[str, t.Any], result: dict[str, t.Any]) -> dict[str, t.Any]:
    """The result of an operation, of which a line is in the project's audit log if it changed anything.

    What is done is done: a log that cannot be written makes no failure of it, but a warning.
    """
    if not result["changed"]:
        return result
    try:
        _append(folder, entry)
    except OSError as error:
        told = f"The audit log of {os.path.basename(folder)} lacks this: {error.strerror}."
        return {**result, "warnings": [*result.get("warnings", ()), told]}
    return result


def _append(folder: str, entry: t.Mapping[str, t.Any]) -> None:
    """Append a line; one write, so that lines never mix."""
    line = json.dumps({"time": now(), **entry}, sort_keys=True) + "\n"
    handle = os.open(os.path.join(folder, "audit.log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        length = os.lseek(handle, 0, os.SEEK_END)
        if os.write(handle, line.encode()) < len(line.encode()):
            os.ftruncate(handle, length)  # A part of a line would spoil the next one.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(handle)


def _is_same(last: Release, release: Release) -> bool:
    return last.model == release.model and last.variables == release.variables


def _has_same_contents(scene: Scene) -> bool:
    images = scene.snapshot.images
    return all(
        name in scene.made
        and has_same_inputs(part, scene.made[name])
        and scene.made[name].image == images.get(part.image_name)
        for name, part in scene.release.parts.items()
        if part.replicas
    )


def _seconds(began: float) -> float:
    return round(time.monotonic() - began, 1)


def _note_end(release: Release, store: ReleaseStore) -> None:
    """Note of a release that is no longer under way, for we hold the lock and it is not the current one."""
    store.save(replace(release, about={**release.about, "outcome": FAILED, "cause": "the deployment was cut off"}))


def _prune(scene: Scene, current: Release, keep: int) -> None:
    """Drop the releases that are not to be kept, and our hold on images that no kept release has."""
    history = scene.store.history()
    kept = _history.kept(history, current.number, keep)
    for number in {each["release"] for each in history} - kept:
        scene.store.drop(number)
    for number in [each["release"] for each in history if each.get("outcome") == UNDER_WAY and each["release"] in kept]:
        _note_end(scene.store.load(number), scene.store)
    if any(each.get("outcome") == DAMAGED for each in history if each["release"] in kept):
        # Nobody knows which images that one needs.
        return
    needed = {each.image for number in kept for each in scene.store.made(number).values()}
    _images.release(scene.cli, scene.release.project, needed)
