# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release that is asked something else than the one before: how that is told, and asking it.

What knows the questions is imported when there are some: most runs have none. Private to strata.compose.
"""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._scene import Scene
    from ansible_collections.strata.compose.plugins.module_utils._switch import Manner


def gate_changed(scene: Scene) -> list[dict[str, str]]:
    """The action that the application is asked something else from now on."""
    last, gate = scene.last.gate if scene.last else (), scene.release.gate
    if last == gate:
        return []
    from ansible_collections.strata.compose.plugins.module_utils._application_gate import change

    return [{"service": "gate", "action": "change", "reason": change(last, gate)}]


def with_gate_in_diff(diff: dict[str, t.Any], scene: Scene) -> dict[str, t.Any]:
    """A diff with what the application will be asked, and how that differs from what it was asked before."""
    last, gate = scene.last.gate if scene.last else (), scene.release.gate
    if not last and not gate:
        return diff
    from ansible_collections.strata.compose.plugins.module_utils._application_gate import told as told_question

    before, after = ("".join(f"gate: {told_question(each)}\n" for each in asked) for asked in (last, gate))
    return {**diff, "before": before + diff["before"], "after": after + diff["after"]}


def require_answers(scene: Scene, manner: Manner, began: float) -> None:
    """Ask the application what it was not asked before; raises `ComposeFailure` for an answer that does not pass."""
    if not manner.wait or (scene.last and scene.last.gate == scene.release.gate):
        return
    from ansible_collections.strata.compose.plugins.module_utils._switch import ask_application

    try:
        ask_application(scene.release, (), manner, scene.cli, began + manner.wait_timeout)
    except ComposeFailure as failure:
        number = f"Release {scene.last.number} serves on and is" if scene.last else "The containers run on and are"
        told = f"{failure.message}\nNo container was changed. {number} asked what it was before."
        raise ComposeFailure(told, **failure.facts) from failure
