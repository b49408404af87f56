# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The states of postgres_backup: which is reached how. Private to strata.compose."""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils.postgres._work import Options, Result, Work, carried_out

NOTED = {"present": "backup", "verified": "verify"}
"""The states of which compose_env_info tells how they ended last."""


def run(options: Options, redactor: Redactor, check: bool) -> Result:
    """Bring the backups of a database to a state; in check mode, tell what that would change."""
    return carried_out(options, redactor, check, "backup", performer(options["state"]), NOTED.get(options["state"]))


def performer(state: str) -> t.Callable[[Work], Result]:
    """What brings the backups to the state."""
    if state in ("scheduled", "unscheduled"):
        from ansible_collections.strata.compose.plugins.module_utils.postgres import _schedule

        return {"scheduled": _schedule.schedule, "unscheduled": _schedule.unschedule}[state]
    from ansible_collections.strata.compose.plugins.module_utils.postgres import _backup, _verify

    return {"present": _backup.back_up, "verified": _verify.verify}[state]
