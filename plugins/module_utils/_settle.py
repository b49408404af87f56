# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a killed operation left half done is brought to an end before anything else. Private to strata.compose."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _images, _journal, _plan, _record, _step
from ansible_collections.strata.compose.plugins.module_utils._changes import Seen, facts_of
from ansible_collections.strata.compose.plugins.module_utils._digests import digest_if_readable, with_files_as_now
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure, as_failure
from ansible_collections.strata.compose.plugins.module_utils._journal import Journal, JournalFile, with_inputs
from ansible_collections.strata.compose.plugins.module_utils._leftovers import remove_leftovers
from ansible_collections.strata.compose.plugins.module_utils._release import Made, Release
from ansible_collections.strata.compose.plugins.module_utils._scene import Scene
from ansible_collections.strata.compose.plugins.module_utils._secrets import learn_secrets
from ansible_collections.strata.compose.plugins.module_utils._snapshot import observe
from ansible_collections.strata.compose.plugins.module_utils._step import Policy
from ansible_collections.strata.compose.plugins.module_utils._switch import settle_down, start_and_gate
from ansible_collections.strata.compose.plugins.module_utils._transaction import Transaction, go_back
from ansible_collections.strata.compose.plugins.module_utils._undone import degraded, note_degraded

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._operations import Operation


def settle(operation: Operation, journal: Journal) -> str:
    """End the switch that the journal tells of: forward if its containers pass the gate, else back. Tells which."""
    with operation.cancellation.held("What an earlier operation left was brought to its end, and no more was done."):
        return _ended(operation, journal)


def _ended(operation: Operation, journal: Journal) -> str:
    journal_file, transaction = JournalFile(operation.store.folder), _transaction_of(operation, journal)
    before = Seen.of(operation.store.project, observe(operation.cli, operation.store.project), operation.cli)
    began = f"The switch to release {journal.to} that {journal.actor} began at {journal.started} was cut off"
    remove_leftovers(operation.store.project, operation.cli)
    _images.restore_tags(operation.cli, journal.tags)
    if journal.phase == _journal.PREPARE:
        journal_file.close()
        return f"{began} before it touched a container."
    current = operation.store.current()
    if current and current.number == journal.to and journal.back != journal.to:
        journal_file.close()
        return f"{began} after it was committed."
    scene, cause = _scene(operation, journal)
    if scene is None:
        journal_file.close()
        return f"{began}; there is no release to go on with or to go back to. {cause}"
    cause = cause or _cause_to_go_back(scene, journal, transaction)
    if cause and current:
        try:
            back = go_back(scene, current, journal_file, replace(journal, phase=_journal.BACK), transaction)
        except Exception as error:  # Whatever it is, the next operation must not meet it again.
            note_degraded(journal_file, journal, scene)
            changes = facts_of(before, (), operation.cli)
            raise degraded(scene, ComposeFailure(f"{began}. {cause}"), as_failure(error), changes) from error
        if back.unrecorded:
            return f"{began}; release {current.number} serves, but could not be recorded: {back.unrecorded} {cause}"
    journal_file.close()
    if not cause:
        return f"{began}; its containers pass the gate, so it is the current release now."
    if not current:
        return f"{began}; there is no earlier release to go back to. {cause}"
    return f"{began}; release {current.number} serves again. {cause}"


def _transaction_of(operation: Operation, journal: Journal) -> Transaction:
    """As the operation that was cut off would have judged its switch."""
    own = operation.transaction()
    return replace(own, manner=replace(own.manner, **journal.gate))


def _scene(operation: Operation, journal: Journal) -> tuple[Scene | None, str]:
    """The scene of the switch, and why its release cannot be used when its record is lost; none without any release."""
    last, unusable = operation.store.current(), ""
    try:
        release = with_inputs(operation.store.load(journal.to), journal)
    except ComposeFailure as failure:
        if last is None:
            return None, failure.message
        release, unusable = last, failure.message
    for each in (release, last):
        if each:
            learn_secrets(operation.redactor, each, ())
    snapshot = observe(operation.cli, operation.store.project, release.image_names)
    scene = Scene(operation.cli, operation.store, last, release, snapshot, Policy(), None, operation.redactor)
    return scene, unusable


def _cause_to_go_back(scene: Scene, journal: Journal, transaction: Transaction) -> str:
    """Why the release cannot serve; empty when all its containers are there and pass the gate: it is committed then."""
    if journal.phase == _journal.BACK:
        return "The way back was under way already."
    if journal.phase != _journal.GATE:
        return "Its containers were not all there yet."
    made = _made(scene, journal)
    steps = _plan.plan(scene.release, scene.snapshot, made, scene.policy, scene.selected)
    missing = sorted({step.service for step in steps if step.action in (*_step.REPLACES, _step.REMOVE)})
    if missing:
        return f"Containers of {', '.join(missing)} are not those that it was to have."
    now_started = with_files_as_now(scene.release, digest_of=digest_if_readable)
    try:
        settle_down(steps, scene.snapshot, transaction.manner, scene.cli)
        start_and_gate(scene.release, steps, transaction.manner, scene.cli, journal.services)
    except ComposeFailure as failure:
        return failure.message
    after = scene.looked_at_again()
    recorded = replace(after, last=replace(scene.release, made=made))
    _record.committed(recorded, now_started, steps, transaction.began, transaction.author)
    return ""


def _made(scene: Scene, journal: Journal) -> dict[str, Made]:
    """The record as it is if all that the journal names was made from the new release."""
    before: Release = scene.release
    made = dict(before.made)
    for name in journal.services:
        if name in before.parts and scene.snapshot.of(name):
            noted = set(journal.containers.get(name, ()))
            fresh = _record.made_of(before, scene.snapshot, name)
            made[name] = replace(fresh, containers={key: how for key, how in fresh.containers.items() if key in noted})
    return made
