# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A switch as a transaction: it ends with the wanted release serving, or with the last good one and a failure.

Private to strata.compose.
"""

from __future__ import annotations

import contextlib
import time
import typing as t
from dataclasses import dataclass, replace
from functools import partial

from ansible_collections.strata.compose.plugins.module_utils import (
    _creation,
    _deed,
    _images,
    _journal,
    _plan,
    _record,
    _step,
    _undone,
)
from ansible_collections.strata.compose.plugins.module_utils._changes import Seen, facts_of
from ansible_collections.strata.compose.plugins.module_utils._digests import as_made_now
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure, as_failure
from ansible_collections.strata.compose.plugins.module_utils._journal import Journal, JournalFile, inputs_of
from ansible_collections.strata.compose.plugins.module_utils._leftovers import remove_leftovers
from ansible_collections.strata.compose.plugins.module_utils._lock import now
from ansible_collections.strata.compose.plugins.module_utils._network_removal import (
    drop_networks,
    drop_networks_of_failed,
)
from ansible_collections.strata.compose.plugins.module_utils._record import Author
from ansible_collections.strata.compose.plugins.module_utils._release import Release
from ansible_collections.strata.compose.plugins.module_utils._scene import Scene
from ansible_collections.strata.compose.plugins.module_utils._signals import Cancellation
from ansible_collections.strata.compose.plugins.module_utils._snapshot import Snapshot
from ansible_collections.strata.compose.plugins.module_utils._step import Policy, Step
from ansible_collections.strata.compose.plugins.module_utils._switch import (
    Manner,
    create,
    settle_down,
    start_and_gate,
)

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._init_scene import InitScene


@dataclass(frozen=True)
class Transaction:
    """What a switch needs besides its scene and steps."""

    manner: Manner
    author: Author
    cancellation: Cancellation
    began: float
    init: InitScene | None = None
    """the init steps of the release, where it has some"""

    @classmethod
    def begin(cls, manner: Manner, author: Author, cancellation: Cancellation) -> Transaction:
        return cls(manner, author, cancellation, time.monotonic())

    def with_staying(self, scene: Scene) -> Transaction:
        """The same for a scene before its switch: its gate knows what ran on until then."""
        stays = _plan.staying(scene.made, scene.snapshot)
        return replace(self, manner=replace(self.manner, stays=stays))


@dataclass(frozen=True)
class Switched:
    """What a switch led to."""

    scene: Scene
    """the release that serves, and its containers"""
    steps: tuple[Step, ...]
    """those that were taken: with what Compose did besides"""
    differences: tuple[str, ...]
    """in what way that is not the plan, a sentence each"""
    unrecorded: str = ""
    """why a release that came back could not be written down; it serves all the same"""


def carry_out(scene: Scene, steps: t.Sequence[Step], transaction: Transaction) -> Switched:
    """Take the steps and commit; the release of the scene that it led to is the current one then.

    Raises `ComposeFailure` when the release does not pass the gate, after the last good one was brought back.
    """
    release = _record.stored(scene, transaction.author)
    keep_init(release, transaction)
    transaction = transaction.with_staying(scene)
    scene = replace(scene, release=release)
    journal_file = JournalFile(scene.store.folder)
    transaction.cancellation.touch()
    earlier = journal_file.read()
    # What image names mean is not compared: those that are borrowed for older images are given back later.
    before = Seen.of(release.project, replace(scene.snapshot, images={}), scene.cli)
    journal = journal_file.write(_opened(scene, steps, transaction))
    if transaction.cancellation.by:
        raise _not_begun(scene, journal_file, earlier, transaction)
    try:
        switched = _switched(scene, steps, journal_file, journal, transaction.manner)
    except Exception as error:  # Whatever it is, the last good release has to serve again.
        cause = _taken_back(scene, steps, as_failure(error), journal_file, journal, transaction)
        raise cause(facts_of(before, steps, scene.cli)) from error
    try:
        made = switched.scene.release
        final = _record.committed(switched.scene, made, switched.steps, transaction.began, transaction.author)
        journal_file.close()
    except ComposeFailure as failure:
        raise _undone.unrecorded(switched.scene, failure, facts_of(before, steps, scene.cli)) from failure
    return replace(switched, scene=replace(switched.scene, release=final))


def keep_init(release: Release, transaction: Transaction) -> None:
    """Keep with a stored release what its init steps are: it may have to run them when it comes back."""
    if transaction.init:
        from ansible_collections.strata.compose.plugins.module_utils._init_after import keep

        keep(transaction.init, release.number)


def _opened(scene: Scene, steps: t.Sequence[Step], transaction: Transaction) -> Journal:
    replaced = _replaced(steps)
    return Journal(
        phase=_journal.SWITCH,
        to=scene.release.number,
        back=scene.last.number if scene.last else None,
        started=now(),
        actor=transaction.author.actor,
        services=replaced,
        tags=scene.borrowed_tags,
        added=tuple(name for name in replaced if not scene.snapshot.of(name)),
        gate=transaction.manner.gate,
    )


def _switched(
    scene: Scene,
    steps: t.Sequence[Step],
    journal_file: JournalFile,
    journal: Journal,
    manner: Manner,
    others: t.Collection[str] = (),
) -> Switched:
    """Replace containers, note which, start them and wait for the gate.

    A way back stays one in the journal: its containers are not those of the release that the journal leads to.
    """
    scene = replace(scene, release=as_made_now(scene.release))
    settle_down(steps, scene.snapshot, manner, scene.cli)
    drop_networks(scene.release, scene.made, scene.cli)
    snapshot = _created(scene, steps, manner)
    taken = (*steps, *_deed.unplanned_replacements(scene.snapshot, snapshot, steps))
    replaced = {*journal.services, *_replaced(taken)}
    phase = _journal.BACK if journal.phase == _journal.BACK else _journal.GATE
    ids = {name: [each.id for each in snapshot.of(name)] for name in snapshot.services}
    inputs = {name: inputs_of(part) for name, part in scene.release.parts.items() if name in replaced}
    journal_file.advance(journal, phase=phase, containers=ids, inputs=inputs, services=tuple(sorted(replaced)))
    start_and_gate(scene.release, taken, manner, scene.cli, others)
    after = scene.looked_at_again()
    return Switched(after, taken, tuple(_deed.differences(scene.snapshot, after.snapshot, steps)))


def _created(scene: Scene, steps: t.Sequence[Step], manner: Manner) -> Snapshot:
    """What there is when the containers of all steps are made and none of them is started."""
    release = scene.release
    paths = (scene.store.path(release.number, "compose.json"), scene.store.path(release.number, "env"))
    calls = _creation.calls(release.model, steps, scene.snapshot.services)
    create(release, paths, calls, _plan.needing_none(release, scene.snapshot, steps), manner, scene.cli)
    snapshot = scene.looked_at_again().snapshot
    if needless := _plan.created_needlessly(release, scene.snapshot, snapshot, steps):
        scene.cli.docker("rm", *needless)
        return scene.looked_at_again().snapshot
    return snapshot


def _replaced(steps: t.Iterable[Step]) -> tuple[str, ...]:
    return tuple(sorted({step.service for step in steps if step.action in _step.REPLACES}))


def _not_begun(
    scene: Scene, journal_file: JournalFile, earlier: Journal | None, transaction: Transaction
) -> ComposeFailure:
    """The failure of a switch that was cancelled when all was ready and no container was touched yet."""
    failure = transaction.cancellation.failure("Nothing was changed.")
    _note(scene, failure, transaction)
    if earlier:
        journal_file.write(earlier)
    else:
        journal_file.close()
    return failure


def _note(scene: Scene, cause: ComposeFailure, transaction: Transaction) -> None:
    """Tell in the history why a release did not become the current one."""
    with contextlib.suppress(ComposeFailure):  # a disk too full for the history must not keep us from going back
        _record.failed(scene, scene.release, transaction.began, cause.message.partition("\n")[0])


def _taken_back(
    scene: Scene,
    steps: t.Sequence[Step],
    cause: ComposeFailure,
    journal_file: JournalFile,
    journal: Journal,
    transaction: Transaction,
) -> t.Callable[[t.Mapping[str, t.Any]], ComposeFailure]:
    """What makes the failure to tell of what has changed, after the last good release was brought back or not."""
    _note(scene, cause, transaction)
    if scene.last is None:
        journal_file.close()
        return partial(_without_return, scene, cause)
    journal, number = journal_file.advance(journal, phase=_journal.BACK), scene.last.number
    try:
        back = go_back(scene, scene.last, journal_file, journal, transaction, {step.service for step in steps})
    except Exception as error:  # Told beside the first cause; the journal stays for the next operation.
        _undone.note_degraded(journal_file, journal, scene)
        return partial(_undone.degraded, scene, cause, as_failure(error))
    if not back.unrecorded:
        journal_file.close()
    return partial(_undone.rolled_back, back.scene, cause, number, (*back.differences, *_warned(back, number)))


def _warned(back: Switched, number: int) -> list[str]:
    if not back.unrecorded:
        return []
    return [f"Release {number} serves, but could not be recorded ({back.unrecorded}): the next operation does that."]


def _without_return(scene: Scene, cause: ComposeFailure, changes: t.Mapping[str, t.Any]) -> ComposeFailure:
    after = scene
    with contextlib.suppress(ComposeFailure):  # an engine that does not answer must not hide the cause
        after = scene.looked_at_again()
    created = {each.id for each in after.snapshot.containers} - {each.id for each in scene.snapshot.containers}
    return _undone.without_return(after, cause, bool(created), changes)


def go_back(
    scene: Scene,
    last: Release,
    journal_file: JournalFile,
    journal: Journal,
    transaction: Transaction,
    touched: t.Collection[str] = (),
) -> Switched:
    """Bring the last good release back by the same steps that bring any other.

    Its files may be those of the release that failed: what its containers get now is what is recorded of them. What the
    switch has ``touched``, such as restarted, passes the gate too, also where it is what the last good release made.
    """
    remove_leftovers(last.project, scene.cli)
    now_running = replace(scene, release=last).looked_at_again()
    earlier = scene_of_earlier(now_running, last)
    steps = [step for step in earlier.steps() if not _is_foreign(step, journal, last)]
    moved = _images.moved_tags(last, now_running.snapshot)
    # What a name belonged to when the journal was opened goes before what it was borrowed for since.
    tags = {**{name: today for name, (_earlier, today) in moved.items()}, **journal.tags}
    journal = journal_file.advance(journal, tags=tags)
    uncut = transaction.manner.init and replace(transaction.manner.init, cancellation=Cancellation())
    manner = replace(transaction.manner, cancelled=lambda: None, init=uncut)
    with _images.tags_as_before(scene.cli, moved, contextlib.nullcontext()):
        _drop_networks_of_failed(scene, journal, last, steps)
        switched = _switched(earlier, steps, journal_file, journal, manner, set(touched) & set(last.parts))
    after = scene_of_earlier(switched.scene, switched.scene.release)
    try:
        _record.committed(after, after.release, switched.steps, transaction.began, transaction.author)
    except ComposeFailure as failure:  # It serves: a full disk makes no second failure of that.
        return replace(switched, scene=after, unrecorded=failure.message)
    return replace(switched, scene=after)


def _drop_networks_of_failed(scene: Scene, journal: Journal, last: Release, steps: t.Sequence[Step]) -> None:
    try:
        failed = scene.store.load(journal.to)
    except ComposeFailure:  # Without its record, the networks are taken for the old ones.
        return
    drop_networks_of_failed(failed, last, steps, scene.cli)


def scene_of_earlier(scene: Scene, earlier: Release) -> Scene:
    """The scene with an earlier release as the wanted one: its image names mean the images that it had."""
    snapshot = replace(scene.snapshot, images=earlier.image_ids)
    return replace(
        scene, release=earlier, last=earlier, snapshot=snapshot, policy=Policy(), selected=None, built=frozenset()
    )


def _is_foreign(step: Step, journal: Journal, last: Release) -> bool:
    """Whether a step would remove what was there before the switch without being part of any release."""
    return step.action == _step.REMOVE and step.service not in last.parts and step.service not in journal.added
