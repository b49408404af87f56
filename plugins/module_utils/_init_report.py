# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an init phase tells of its steps. Private to strata.compose."""

from __future__ import annotations

import typing as t
from dataclasses import asdict

from ansible_collections.strata.compose.plugins.module_utils import _init_plan, _init_scene, _report
from ansible_collections.strata.compose.plugins.module_utils._init_plan import Outcome
from ansible_collections.strata.compose.plugins.module_utils._init_scene import InitScene
from ansible_collections.strata.compose.plugins.module_utils._uncertain import is_changed

Result = dict[str, t.Any]


def in_order(scene: InitScene, outcomes: t.Mapping[str, Outcome]) -> list[Outcome]:
    """All steps: those of this operation, and what the ledger knows of the others."""
    return [outcomes.get(each.service, each) for each in _init_scene.known(scene)]


def told(scene: InitScene, outcomes: t.Mapping[str, Outcome], actions: t.Sequence[dict[str, str]]) -> Result:
    """The result of a phase that has not failed."""
    everything = in_order(scene, outcomes)
    return {**facts(scene, everything), "changed": is_changed(actions), "actions": list(actions)}


def _step_told(outcome: Outcome) -> dict[str, t.Any]:
    """What there is to tell; ``finished`` is a name that Ansible keeps for itself."""
    told = {key: value for key, value in asdict(outcome).items() if value not in ("", None, ())}
    return {"finished_at" if key == "finished" else key: value for key, value in told.items()}


def facts(scene: InitScene, outcomes: t.Sequence[Outcome]) -> Result:
    """What every result tells."""
    current = scene.store.current()
    proofs = {name: success for name, success in scene.proofs().items() if success}
    return {
        "project": scene.release.project,
        "environment": scene.release.environment,
        "release": current.number if current else None,
        "services": _report.services_told(scene.snapshot),
        "steps": [_step_told(each) for each in outcomes],
        "report": [_init_plan.line(each) for each in outcomes],
        "proof": {name: asdict(success) for name, success in proofs.items()},
        "runs": [success.run for success in proofs.values()],
        "lacking": [name for name in scene.names if name not in proofs],
        "outdated": sorted(_outdated(scene)),
        "sources": scene.sources,
        "ran_here": any(each.lives_on is not None for entries in scene.ledger.succeeded.values() for each in entries),
    }


def _outdated(scene: InitScene) -> set[str]:
    """The runs that this host needs no word of: it knows them, and its images or data are other ones since."""
    contents = scene.contents()
    return {run for name in scene.names for run in scene.ledger.runs_outdated(name, contents[name])}


def failed_services(outcomes: t.Sequence[Outcome]) -> list[dict[str, t.Any]]:
    failed = [each for each in outcomes if each.outcome == _init_plan.FAILED]
    return [
        {"service": each.service, "cause": each.cause, "exit_code": each.exit_code, "log": list(each.log)}
        for each in failed
    ]
