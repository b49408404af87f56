# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Going back to an earlier release on purpose. Private to strata.compose."""

from __future__ import annotations

import contextlib
import os
import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _history, _images
from ansible_collections.strata.compose.plugins.module_utils._digests import digest_if_readable, with_files_as_now
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._history import DAMAGED
from ansible_collections.strata.compose.plugins.module_utils._inputs import files_of_service
from ansible_collections.strata.compose.plugins.module_utils._journal import DEGRADED, PREPARE, Journal, JournalFile
from ansible_collections.strata.compose.plugins.module_utils._lock import now
from ansible_collections.strata.compose.plugins.module_utils._model import is_past
from ansible_collections.strata.compose.plugins.module_utils._mounts import patterns_of
from ansible_collections.strata.compose.plugins.module_utils._records import Damage
from ansible_collections.strata.compose.plugins.module_utils._release import Release
from ansible_collections.strata.compose.plugins.module_utils._release_store import ReleaseStore
from ansible_collections.strata.compose.plugins.module_utils._scene import Scene
from ansible_collections.strata.compose.plugins.module_utils._secrets import learn_secrets
from ansible_collections.strata.compose.plugins.module_utils._snapshot import observe
from ansible_collections.strata.compose.plugins.module_utils._step import Policy

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._operations import Operation


@contextlib.contextmanager
def scene(operation: Operation) -> t.Iterator[Scene]:
    """The scene with an earlier release as the wanted one, while image names mean what they meant then.

    Raises `ComposeFailure` when an image or a file of it is missing; nothing is touched then.
    """
    store, cli = operation.store, operation.cli
    last = _current(store)
    journal = JournalFile(store.folder).read()
    target = _target(store, last, operation.options["release"], bool(journal and journal.phase == DEGRADED))
    for each in (last, target):
        learn_secrets(operation.redactor, each, ())
    here = observe(cli, target.project, sorted({*target.image_names, *(made.image for made in target.made.values())}))
    _require_all(target, here.images)
    moved = {} if operation.check else _images.moved_tags(target, here)
    borrowed = {name: today for name, (_earlier, today) in moved.items()}
    then = replace(here, images={**here.images, **target.image_ids})
    patterns = patterns_of(operation.options["data_paths"] or (), target.resolved_from["directory"])
    found = Scene(
        cli,
        store,
        last,
        _as_made_now(target, patterns),
        then,
        Policy(),
        None,
        operation.redactor,
        borrowed_tags=borrowed,
        sources=target.about.get("sources", {}),
    )
    if not moved:
        yield found
        return
    uncut = operation.cancellation.held("Nothing was changed.")
    with _noted(operation, found), _images.tags_as_before(cli, moved, uncut):
        yield found


@contextlib.contextmanager
def _noted(operation: Operation, scene: Scene) -> t.Iterator[None]:
    """The journal tells of the image names from before they are moved, so that a kill leaves none astray."""
    journal_file, actor = JournalFile(scene.store.folder), operation.options["actor"] or "unknown"
    back, earlier = scene.last.number if scene.last else None, journal_file.read()
    journal_file.write(Journal(PREPARE, scene.release.number, back, now(), actor, tags=scene.borrowed_tags))
    try:
        yield
    finally:
        left = journal_file.read()
        if left is not None and left.phase == PREPARE:
            _images.restore_tags(scene.cli, left.tags)
            if earlier:
                journal_file.write(earlier)
            else:
                journal_file.close()


def _current(store: ReleaseStore) -> Release:
    last = store.read_current()
    if isinstance(last, Damage):
        raise last.failure(
            f"So it is not known what release {store.current_number()} left, and nothing goes back from it. "
            f"state=present records anew what runs; then give the number of the release to go back to (release). "
            f"Nothing was changed."
        )
    if last is None and _history.good(store.history()):
        raise ComposeFailure(
            "there is no release to go back from: this environment was removed (state=absent). Deploy it with "
            "state=present. Nothing was changed."
        )
    if last is None:
        raise ComposeFailure("there is no release to go back from: this environment was not deployed yet.")
    return last


def _target(store: ReleaseStore, last: Release, number: int | None, is_degraded: bool) -> Release:
    """The release that was asked for, or the last good one before what is deployed.

    In a degraded environment that is the current one: it does not serve, and what was deployed after it has failed.
    """
    history = store.history()
    if number is None and is_degraded:
        return last
    if number is not None:
        good = _history.good(history)
        if number not in good:
            raise ComposeFailure(f"release {number} is not here or was never good. Good ones: {_listed(good)}.")
        return store.load(number)
    earlier = _history.before(history, last.number)
    lost = [
        each for each in history if each["release"] == last.about.get("replaced") and each.get("outcome") == DAMAGED
    ]
    if lost:
        raise ComposeFailure(
            f"{lost[0]['cause']}. So release {lost[0]['release']}, which served before release {last.number}, cannot "
            f"come back. Give the number of another one (release): {_listed(_history.good(history))}. "
            f"Nothing was changed.",
            error_kind="damaged_state",
        )
    if earlier is None:
        raise ComposeFailure(f"there is no good release before {last.number}, the current one. Nothing was changed.")
    return store.load(earlier)


def _as_made_now(target: Release, patterns: t.Iterable[str]) -> Release:
    """The release with the files that its containers would get now; what had done its work is not made again."""
    parts = with_files_as_now(target, tuple(patterns), digest_if_readable).parts
    return replace(target, parts={name: target.parts[name] if is_past(target, name) else parts[name] for name in parts})


def _require_all(target: Release, images: t.Mapping[str, str]) -> None:
    missing = [
        f"image {each.image} of service {name}" for name, each in target.made.items() if each.image not in images
    ]
    missing += [f"image {name}" for name in target.image_ids if _images.is_pinned(name) and name not in images]
    for name, made in target.made.items():
        known = files_of_service(target.model, name) & set(made.files)
        missing += [f"file {path} of service {name}" for path in sorted(known) if not os.path.exists(path)]
    if missing:
        raise ComposeFailure(
            f"release {target.number} cannot serve: {', '.join(missing)} is missing. Nothing was changed."
        )


def _listed(numbers: t.Iterable[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"
