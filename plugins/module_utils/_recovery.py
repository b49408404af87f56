# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operation does first about a switch that another one left open, and what becomes of the journal after it.

Recovery goes where it can. A switch that was cut off is brought to its end, forward or back. When going back has failed
once, nothing goes back on its own any more: what is deployed next is judged by its own gate, so that no release which
cannot serve stands in its way. Who stops or removes an environment waits for no release. Private to strata.compose.
"""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _images
from ansible_collections.strata.compose.plugins.module_utils._journal import DEGRADED, Journal, JournalFile
from ansible_collections.strata.compose.plugins.module_utils._leftovers import remove_leftovers

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._operations import Operation

NEED_NO_RELEASE = ("stopped", "absent")
"""The states that every environment can be brought to, whatever it runs."""

DEPLOYMENTS = ("present", "restarted", "rolled_back")
"""The states that end with a release that has passed its gate."""


def recover(operation: Operation, journal: Journal) -> dict[str, str]:
    """Do what has to be done before the operation; told as ``settled`` where that ends what was left open."""
    state = operation.options["state"]
    if state in NEED_NO_RELEASE:
        _tidy(operation, journal)
        # A part that is stopped or removed does not end the switch: the next operation on the whole does.
        is_ended = state == "stopped" and _is_whole(operation)
        return {"settled": f"{_began(journal)} ended here: no release was waited for."} if is_ended else {}
    if journal.phase == DEGRADED:
        _tidy(operation, journal)
        return {"settled": _told_degraded(journal)} if _ends(operation) else {}
    from ansible_collections.strata.compose.plugins.module_utils._settle import settle

    return {"settled": settle(operation, journal)}


def close_after(operation: Operation) -> None:
    """Close a journal that the operation, which has succeeded, has put an end to."""
    journal_file = JournalFile(operation.store.folder)
    journal = journal_file.found()
    is_stopped = operation.options["state"] == "stopped" and _is_whole(operation)
    if isinstance(journal, Journal) and (is_stopped or (journal.phase == DEGRADED and _ends(operation))):
        journal_file.close()


def _is_whole(operation: Operation) -> bool:
    return operation.options.get("services") is None


def _ends(operation: Operation) -> bool:
    """Whether the environment is no longer degraded when the operation succeeds: what serves has passed a gate."""
    state = operation.options["state"]
    return state in DEPLOYMENTS or (state == "started" and _is_whole(operation))


def _tidy(operation: Operation, journal: Journal) -> None:
    """What needs no health: image names mean again what they are to mean, and half-made containers go."""
    remove_leftovers(operation.store.project, operation.cli)
    _images.restore_tags(operation.cli, journal.tags)


def _began(journal: Journal) -> str:
    return f"The switch to release {journal.to} that {journal.actor} began at {journal.started}"


def _told_degraded(journal: Journal) -> str:
    return (
        f"{_began(journal)} had failed, and going back to release {journal.back} too: this operation does not go back "
        f"first, and its own gate decides."
    )
