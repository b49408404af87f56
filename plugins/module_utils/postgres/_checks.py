# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a restored database is what was backed up. Private to strata.compose."""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils.postgres import _counts
from ansible_collections.strata.compose.plugins.module_utils.postgres._server import Server
from ansible_collections.strata.compose.plugins.module_utils.postgres._sql import Statement

SHOWN = 5
"""So many differences are told; the others are counted."""


def require_copy(server: Server, name: str, rows: t.Mapping[str, int]) -> None:
    """Raise `ComposeFailure` unless a database has the tables and rows that were counted, and no broken index."""
    found, _heads = _counts.counted(server.psql(_counts.UNHURRIED + _counts.ROWS, name))
    wrong = _counts.differences(rows, found)
    invalid = server.value(_counts.INVALID, name)
    wrong += [f"index {each} is not valid" for each in invalid]
    if wrong:
        more = f", and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise ComposeFailure(
            f"the restored database is not what was backed up: {'; '.join(wrong[:SHOWN])}{more}.",
            error_kind="not_a_copy",
        )


def run_assertions(server: Server, name: str, assertions: t.Sequence[str]) -> None:
    """Run queries, each of which has to return one true value; raises `ComposeFailure` with the first that does not.

    Postgres gets them as they are and psql does not read them, so none of its commands runs in the container.
    """
    for each in assertions:
        text = "BEGIN READ ONLY;\n" + Statement("%s", (each.strip().rstrip(";"),)).executed()
        try:
            printed = server.psql(text, name).strip()
        except ComposeFailure as failure:
            kind = {"error_kind": "assertion_failed"} if "sqlstate" in failure.facts else {}
            text = f"the assertion `{each}` could not be asked: {failure.message}"
            raise ComposeFailure(text, **failure.facts, **kind) from failure
        if printed != "t":
            raise ComposeFailure(
                f"the assertion `{each}` does not hold: it returned {printed or 'nothing'!r}.",
                error_kind="assertion_failed",
            )
