# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a switch that did not end as it was meant to. Private to strata.compose."""

from __future__ import annotations

import contextlib
import shlex
import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _history, _images, _journal, _report
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._journal import Journal, JournalFile
from ansible_collections.strata.compose.plugins.module_utils._scene import Scene
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

Changes = t.Mapping[str, t.Any]
"""What the switch has changed, going back included, as `_changes.facts_of` tells it."""


def rolled_back(
    scene: Scene, cause: ComposeFailure, number: int, differences: t.Sequence[str], changes: Changes
) -> ComposeFailure:
    """The last good release serves again; ``differences`` tell what Compose did on its own on the way."""
    told = f"Rolled back: release {number} serves again."
    warned = {"warnings": list(differences)} if differences else {}
    return _failure(scene, cause, changes, told, "rolled_back", rolled_back_to=number, **warned)


def without_return(scene: Scene, cause: ComposeFailure, has_containers: bool, changes: Changes) -> ComposeFailure:
    """A first release failed; ``has_containers`` tells whether the switch came so far that it has some."""
    kept = "its containers are kept for a look at them, and the next deployment replaces them."
    told = f"There is no earlier release to go back to: {kept}" if has_containers else "No container was created."
    return _failure(scene, cause, changes, told, "failed")


def degraded(scene: Scene, cause: ComposeFailure, second: ComposeFailure, changes: Changes) -> ComposeFailure:
    """Neither release serves: both causes, and the ways out. The scene knows the last good release."""
    number = scene.last.number if scene.last else 0
    begin = compose.from_release(scene.release, *(scene.store.path(number, name) for name in ("compose.json", "env")))
    command = shlex.join(["docker", "compose", *begin, "up", "--detach", "--no-build"])
    told = (
        f"Going back to release {number} failed too: {second.message}\n"
        f"The environment is degraded: compose_env_info with gather=services,logs shows it, and compose_exec works. "
        f"Nothing goes back on its own any more. Deploy a release that works with state=present: its own gate decides. "
        f"state=rolled_back tries release {number} once more{_older(scene, number)}. state=stopped and state=absent "
        f"need no healthy release. By hand, `{command}` starts release {number}."
    )
    failed = second.facts.get("failed_services")
    facts = {"failed_services_of_roll_back": failed} if failed else {}
    return _failure(scene, cause, changes, told, "degraded", **facts)


def _older(scene: Scene, number: int) -> str:
    """A further way out, where an older release is kept."""
    try:
        older = _history.before(scene.store.history(), number)
    except ComposeFailure:  # A damaged record must not hide the causes.
        return ""
    return f", with release={older} an older one" if older else ""


def note_degraded(journal_file: JournalFile, journal: Journal, scene: Scene) -> None:
    """Note that going back has failed, so that the next operation does not try it again before anything else.

    Image names that stand for older images are given back, or stay in the journal until they can be. Where the disk is
    too full to note it, the journal goes: it would make the next operation go back again.
    """
    with contextlib.suppress(ComposeFailure):  # What cannot be read is written anew.
        journal = journal_file.read() or journal
    tags = journal.tags
    with contextlib.suppress(ComposeFailure):  # The engine may be what has failed.
        _images.restore_tags(scene.cli, tags)
        tags = {}
    try:
        journal_file.write(replace(journal, phase=_journal.DEGRADED, tags=tags))
    except ComposeFailure:
        if not tags:
            with contextlib.suppress(ComposeFailure):  # A disk that nothing can be written to is told at the next try.
                journal_file.close()


def unrecorded(scene: Scene, cause: ComposeFailure, changes: Changes) -> ComposeFailure:
    """The failure of a switch that went well and cannot be written down: its journal stays for the next operation."""
    told = (
        f"Release {scene.release.number} passed the gate and serves, but could not be recorded as the current one: the "
        f"next operation does that when the cause is gone."
    )
    return _failure(scene, cause, changes, told, "unrecorded")


def _failure(
    scene: Scene, cause: ComposeFailure, changes: Changes, told: str, state: str, **facts: t.Any
) -> ComposeFailure:
    return ComposeFailure(
        f"{cause.message}\n{told}",
        **{
            "project": scene.release.project,
            "environment": scene.release.environment,
            **cause.facts,
            "state": state,
            "services": _report.services_told(scene.snapshot),
            **changes,
            **facts,
        },
    )
