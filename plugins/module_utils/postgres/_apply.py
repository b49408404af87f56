# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes brought to a server, of which none is written down in its log. Private to strata.compose."""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils.postgres._converge import Change
from ansible_collections.strata.compose.plugins.module_utils.postgres._observed import MAINTENANCE, TRUSTED
from ansible_collections.strata.compose.plugins.module_utils.postgres._server import Server
from ansible_collections.strata.compose.plugins.module_utils.postgres._sql import script
from ansible_collections.strata.compose.plugins.module_utils.postgres._wish import Wish

UNLOGGED = (
    "SET log_statement TO 'none'; SET log_duration TO off; SET log_min_duration_statement TO -1; "
    "SET log_min_duration_sample TO -1; SET log_transaction_sample_rate TO 0; SET log_min_error_statement TO 'panic'; "
    "SET debug_print_parse TO off; SET pg_stat_statements.track TO 'none'; SET pgaudit.log TO 'none';\n"
)
"""Nothing of a session is written down, for who reads a verifier in a log can try out passwords on it."""


def apply(server: Server, changes: t.Sequence[Change], wish: Wish) -> None:
    """Run the statements: first those for the server, which make the database, then those in it."""
    for database, inside in ((MAINTENANCE, False), (wish.database, True)):
        statements = [each.statement for each in changes if each.inside is inside]
        if statements:
            server.psql(UNLOGGED + TRUSTED + script(statements), database)
