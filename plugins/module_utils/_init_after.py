# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Init steps that are due once more, within a switch: what they did was in the memory of a container that goes.

They run when what they depend on is ready, and before anything else is started and judged. A release keeps what its
steps are, for it may serve again when the layers are other ones. Private to strata.compose.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils import _init_plan, _records
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure, notice
from ansible_collections.strata.compose.plugins.module_utils._init_data import is_fleeting
from ansible_collections.strata.compose.plugins.module_utils._init_plan import FAILED, Outcome
from ansible_collections.strata.compose.plugins.module_utils._init_run import Run, carry_out
from ansible_collections.strata.compose.plugins.module_utils._init_scene import InitScene, ledger_of
from ansible_collections.strata.compose.plugins.module_utils._init_step import InitStep, as_given, step_of
from ansible_collections.strata.compose.plugins.module_utils._ledger import LedgerFile, is_volume
from ansible_collections.strata.compose.plugins.module_utils._model import selected_with_dependencies
from ansible_collections.strata.compose.plugins.module_utils._records import Damage
from ansible_collections.strata.compose.plugins.module_utils._release import Release, parts_of
from ansible_collections.strata.compose.plugins.module_utils._release_record import checked_init
from ansible_collections.strata.compose.plugins.module_utils._secrets import learn_secrets
from ansible_collections.strata.compose.plugins.module_utils._signals import Cancellation
from ansible_collections.strata.compose.plugins.module_utils._snapshot import observe
from ansible_collections.strata.compose.plugins.module_utils._spec import COMPOSE_INIT
from ansible_collections.strata.compose.plugins.module_utils._step import Step
from ansible_collections.strata.compose.plugins.module_utils._switch import STARTS

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._operations import Operation

FILE = "init.json"
TIMEOUT: float = COMPOSE_INIT["timeout"]["default"]
"""Seconds that each step may take: a database that is empty takes less than one that is not."""


@dataclass(frozen=True)
class Due:
    """The steps to run within a switch, each with the reason."""

    scene: InitScene
    reasons: t.Mapping[str, str]

    @property
    def servers(self) -> set[str]:
        """The services that have to be ready first."""
        due = [each for each in self.scene.steps if each.name in self.reasons]
        return _init_plan.servers_of(self.scene.release.model, due, self.scene.steps)

    def told(self) -> list[dict[str, str]]:
        """The actions of a plan."""
        return [{"service": name, "action": "init", "reason": why} for name, why in self.reasons.items()]

    def run(self, actor: str, cancellation: Cancellation) -> None:
        """Run them one after the other; raises `ComposeFailure` when one fails."""
        run = Run(self.scene.looked_at_again(), list(self.reasons), False, TIMEOUT, actor, cancellation)
        outcomes = carry_out(run)
        if failed := [each for each in outcomes.values() if each.outcome == FAILED]:
            raise ComposeFailure("\n".join(self._failure(each) for each in failed), error_kind="init_failed")
        if cancellation.by:
            raise cancellation.failure("")

    def _failure(self, outcome: Outcome) -> str:
        log = "\n  ".join(outcome.log) or "(it wrote nothing)"
        return (
            f"init step {outcome.service}: {outcome.cause}. It was due, for {self.reasons[outcome.service]}.\n"
            f"Last log lines:\n  {log}"
        )


@dataclass(frozen=True)
class InSwitch:
    """The init steps of an operation's switches: which are due, and to run them."""

    operation: Operation
    cancellation: Cancellation
    """of the operation; one that nobody asks for while an earlier release comes back"""

    def due(self, release: Release, steps: t.Iterable[Step]) -> Due | None:
        """The steps that are due with these steps on containers of a stored release; ``None`` where it has none."""
        scene = scene_of_stored(self.operation, release)
        found = due_with(scene, steps) if scene else None
        return found if found and found.reasons else None

    def run(self, due: Due) -> None:
        due.run(self.operation.options["actor"] or "unknown", self.cancellation)


def due_with(scene: InitScene, steps: t.Iterable[Step]) -> Due:
    """The steps of the init phase that are due when these steps on containers are taken.

    Those that have run on this host for what they are, and live on a service that keeps its data in memory, which is
    started now or has been since they ran. A step of which this host has another one's word lives on that one's data.
    """
    started = {step.service for step in steps if step.action in STARTS}
    reasons = {each.name: _reason(scene, each, started) for each in scene.steps}
    return Due(scene, {name: why for name, why in reasons.items() if why})


def _reason(scene: InitScene, step: InitStep, started: t.Collection[str]) -> str:
    model, fingerprint = scene.release.model, scene.fingerprints[step.name]
    near = sorted(selected_with_dependencies(model, [step.service]) - {step.service})
    fleeting = [name for name in near if is_fleeting(model["services"][name])]
    entries = scene.ledger.succeeded.get(step.name, ())
    runs = [each.lives_on for each in entries if each.fingerprint == fingerprint and each.lives_on is not None]
    if not fleeting or not runs:
        return ""
    reason = f"the data of {', '.join(fleeting)} are in memory, and go with its container"
    if set(fleeting) & set(started):
        return reason
    present = {key: made for key, made in scene.contents()[step.name].lives_on.items() if not is_volume(key)}
    return "" if any({key: each.get(key) for key in present} == present for each in runs) else reason


def keep(scene: InitScene, number: int) -> None:
    """Keep with a release what its init steps are."""
    model, services = scene.release.model, {each.service for each in scene.steps}
    near = selected_with_dependencies(model, services)
    record = {
        "selection": scene.selection,
        "steps": [as_given(each) for each in scene.steps],
        "model": {**model, "services": {name: model["services"][name] for name in sorted(near)}},
        "files": {name: scene.release.parts[name].files for name in sorted(near)},
        "resolved_from": scene.release.resolved_from,
        "variables": scene.release.variables,
    }
    _records.write(scene.store.path(number, FILE), record)


def scene_of_stored(operation: Operation, release: Release) -> InitScene | None:
    """The init steps that a stored release has kept; ``None`` where it has none."""
    record = _kept(operation, release.number) if release.number else None
    if not record or not record["steps"]:
        return None
    model, steps = record["model"], tuple(step_of(each) for each in record["steps"])
    kept = Release(
        project=release.project,
        environment=release.environment,
        model=model,
        variables=record["variables"],
        parts=parts_of(model, record["files"]),
        resolved_from=record["resolved_from"],
        inputs={},
    )
    learn_secrets(operation.redactor, kept, ())
    snapshot = observe(operation.cli, kept.project, kept.image_names)
    ledger = ledger_of(operation.store, {each.name: kept.parts[each.service].image_name for each in steps})
    return InitScene(operation.cli, operation.store, kept, snapshot, record["selection"], steps, ledger)


def _kept(operation: Operation, number: int) -> dict[str, t.Any] | None:
    """What a release has kept of its init steps; ``None`` for what is damaged, and where the ledger is: none is due."""
    found = _records.read(operation.store.path(number, FILE), checked_init)
    damage = found if isinstance(found, Damage) else LedgerFile(operation.store.folder).found()
    if found and isinstance(damage, Damage):
        notice(f"{damage}. No init step is run with this operation, also where a database in memory has lost its data.")
        return None
    return t.cast("dict[str, t.Any] | None", found)
