# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of a database's migrations, as the server tells it. Private to strata.compose."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils.postgres._history import (
    CHANGE_OWNER,
    DENIED,
    READ,
    History,
    Record,
    begin,
)
from ansible_collections.strata.compose.plugins.module_utils.postgres._server import Server


def read(server: Server, database: str, role: str | None) -> History:
    """The history as it is now; nothing is locked and nothing is made."""
    facts, rows, records = _values(_printed(server, database, role))
    return History(
        role=facts["role"],
        schema=facts["schema"],
        columns=facts["columns"],
        rows=tuple(rows),
        has_records=facts["has_records"],
        records={each["version"]: Record(**each) for each in records},
        invalid_indexes=tuple(facts["invalid_indexes"]),
        is_open=facts["is_open"],
    )


def _printed(server: Server, database: str, role: str | None) -> str:
    """What the database tells; raises `ComposeFailure` with the way out where our role may not read its tables."""
    try:
        return server.psql(begin(role) + READ, database)
    except ComposeFailure as failure:
        if failure.facts.get("sqlstate") != DENIED:
            raise
        way_out = f"SELECT format({CHANGE_OWNER}, :'strata_schema', :'strata_role');\n"
        owner = server.psql(begin(role) + way_out, database)
        raise ComposeFailure(
            f"{failure.message}. Another role made that table: set role to that one, or change the owner: "
            f"{owner.strip()}. Nothing was changed.",
            **failure.facts,
        ) from None


def _values(printed: str) -> list[t.Any]:
    """The JSON values that stand one after the other in a text."""
    found, decoder, rest = [], json.JSONDecoder(), printed.lstrip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].lstrip()
    return found
