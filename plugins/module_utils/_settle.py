# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a killed operation left half done is brought to an end before anything else. Private to strata.compose."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _images, _journal, _plan, _record, _step
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._journal import Journal, JournalFile
from ansible_collections.strata.compose.plugins.module_utils._release import Made, Release
from ansible_collections.strata.compose.plugins.module_utils._scene import Scene
from ansible_collections.strata.compose.plugins.module_utils._secrets import learn_secrets
from ansible_collections.strata.compose.plugins.module_utils._snapshot import LABEL, observe
from ansible_collections.strata.compose.plugins.module_utils._step import Policy
from ansible_collections.strata.compose.plugins.module_utils._switch import start_and_gate
from ansible_collections.strata.compose.plugins.module_utils._transaction import LEFTOVER, Transaction, go_back

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._operations import Operation


def settle(operation: Operation, journal: Journal) -> str:
    """End the switch that the journal tells of: forward if its containers pass the gate, else back. Tells which."""
    with operation.cancellation.held("What an earlier operation left was brought to its end, and no more was done."):
        return _ended(operation, journal)


def _ended(operation: Operation, journal: Journal) -> str:
    journal_file, transaction = JournalFile(operation.store.folder), operation.transaction()
    began = f"The switch to release {journal.to} that {journal.actor} began at {journal.started} was cut off"
    _remove_leftovers(operation)
    _images.restore_tags(operation.cli, journal.tags)
    if journal.phase == _journal.PREPARE:
        journal_file.close()
        return f"{began} before it touched a container."
    current = operation.store.current()
    if current and current.number == journal.to and journal.back != journal.to:
        journal_file.close()
        return f"{began} after it was committed."
    scene = _scene(operation, journal)
    if journal.phase == _journal.GATE and _passes(scene, transaction):
        journal_file.close()
        return f"{began}; its containers pass the gate, so it is the current release now."
    if current is None:
        journal_file.close()
        return f"{began}; there is no earlier release to go back to."
    go_back(scene, current, journal_file, replace(journal, phase=_journal.BACK), transaction)
    journal_file.close()
    return f"{began}; release {current.number} serves again."


def _remove_leftovers(operation: Operation) -> None:
    label = f"label={LABEL}project={operation.store.project}"
    listed = operation.cli.docker("ps", "-a", "--filter", label, "--format", "{{.ID}} {{.Names}}").text
    ids = [line.split()[0] for line in listed.splitlines() if LEFTOVER.match(line.split()[1])]
    if ids:
        operation.cli.docker("rm", "--force", *ids)


def _scene(operation: Operation, journal: Journal) -> Scene:
    release = operation.store.load(journal.to)
    learn_secrets(operation.redactor, release, ())
    snapshot = observe(operation.cli, operation.store.project, release.image_names)
    last = operation.store.current()
    return Scene(operation.cli, operation.store, last, release, snapshot, Policy(), None, operation.redactor)


def _passes(scene: Scene, transaction: Transaction) -> bool:
    """Whether the release's containers are all there and pass the gate, started if need be; commits it then."""
    journal = JournalFile(scene.store.folder).read()
    made = _made(scene, journal) if journal else {}
    steps = _plan.plan(scene.release, scene.snapshot, made, scene.policy, scene.selected)
    if any(step.action in (*_step.REPLACES, _step.REMOVE) for step in steps):
        return False
    try:
        start_and_gate(scene.release, steps, transaction.manner, scene.cli, journal.services if journal else ())
    except ComposeFailure:
        return False
    after = scene.looked_at_again()
    recorded = replace(after, last=replace(scene.release, made=made))
    _record.committed(recorded, scene.release, (), transaction.began, transaction.author)
    return True


def _made(scene: Scene, journal: Journal) -> dict[str, Made]:
    """The record as it is if all that the journal names was made from the new release."""
    before: Release = scene.release
    made = dict(before.made)
    for name in journal.services:
        if name in before.parts and scene.snapshot.of(name):
            noted = set(journal.containers.get(name, ()))
            fresh = _record.made_of(before, scene.snapshot, name, None)
            made[name] = replace(fresh, containers={key: how for key, how in fresh.containers.items() if key in noted})
    return made
