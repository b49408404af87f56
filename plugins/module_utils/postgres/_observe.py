# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server asked what it has of a database. Private to strata.compose."""

from __future__ import annotations

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils.postgres._observed import (
    MAINTENANCE,
    TRUSTED,
    Observed,
    observed,
    query,
)
from ansible_collections.strata.compose.plugins.module_utils.postgres._server import Server
from ansible_collections.strata.compose.plugins.module_utils.postgres._wish import Wish


def observe_database(server: Server, wish: Wish) -> Observed:
    """Ask the server. The database itself is asked, and the maintenance database where there is none yet."""
    text = TRUSTED + query(wish)
    try:
        return observed(server.value(text, wish.database), inside=True)
    except ComposeFailure:
        seen = observed(server.value(text, MAINTENANCE), inside=False)
        if seen.exists:
            raise
        return seen
