# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What postgres_migrate tells: files that were run, those that are left, and their SQL. Private to strata.compose."""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _report
from ansible_collections.strata.compose.plugins.module_utils._snapshot import observe
from ansible_collections.strata.compose.plugins.module_utils.postgres._history import History
from ansible_collections.strata.compose.plugins.module_utils.postgres._migration_job import Job
from ansible_collections.strata.compose.plugins.module_utils.postgres._migration_plan import (
    ADOPT,
    MIGRATE,
    REVERT,
    Plan,
)
from ansible_collections.strata.compose.plugins.module_utils.postgres._migration_run import Done
from ansible_collections.strata.compose.plugins.module_utils.postgres._migrations import Migration

Result = dict[str, t.Any]

LONGEST_DIFF = 1 << 16
"""Characters of one file that a diff shows."""


def told(
    job: Job,
    plan: Plan,
    history: History,
    done: t.Sequence[Done],
    absent: tuple[str, ...] = (),
    *,
    is_foreseen: bool = False,
) -> Result:
    """The result for the steps that are done, or in check mode would be."""
    changes = [each for each in done if each.step.is_change]
    ended = [] if is_foreseen else done
    result = {
        **_told_as_ever(job, changes),
        "applied": _rows(ended, MIGRATE),
        "reverted": _rows(ended, REVERT),
        "adopted": [each.step.file for each in ended if each.step.action == ADOPT],
        "pending": [{"version": each.version, "file": each.file} for each in _left(job, history, ended)],
        "warnings": [*job.folder.warnings, *plan.warnings, *absent],
    }
    return {**result, "diff": _diff(job, changes)} if job.diff else result


def _told_as_ever(job: Job, changes: t.Sequence[Done]) -> Result:
    """What every module tells."""
    project, service = job.place
    release = job.store.current()
    return {
        "changed": bool(changes),
        "project": job.store.project,
        "environment": job.options["environment"],
        "release": release.number if release else None,
        "actions": [{"service": service, "action": each.step.action, "reason": each.step.file} for each in changes],
        "services": _report.services_told(observe(job.cli, project)),
    }


def _left(job: Job, history: History, ended: t.Sequence[Done]) -> list[Migration]:
    """The migrations that are not run after the steps that came to their end."""
    now = {each.step.migration.version: each.step.action for each in ended}
    return [
        each
        for each in job.folder.migrations
        if now.get(each.version) != MIGRATE
        and (each.version not in history.versions or now.get(each.version) == REVERT)
    ]


def _rows(done: t.Sequence[Done], action: str) -> list[dict[str, t.Any]]:
    return [
        {"version": each.step.migration.version, "file": each.step.file, "seconds": each.seconds}
        for each in done
        if each.step.action == action
    ]


def _diff(job: Job, changes: t.Sequence[Done]) -> list[dict[str, str]]:
    """The SQL of each file that is run."""
    found = []
    for each in changes:
        text = each.step.section.text if each.step.section else ""
        cut = (
            f"{text[:LONGEST_DIFF]}\n-- and {len(text) - LONGEST_DIFF} more characters" if text[LONGEST_DIFF:] else text
        )
        header = f"{each.step.action} {each.step.file}"
        before = f"database {job.database}"
        found.append({"before_header": before, "after_header": header, "before": "", "after": f"{cut}\n"})
    return found
