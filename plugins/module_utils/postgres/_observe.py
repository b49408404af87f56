# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server asked what it has of a database. Private to strata.compose."""

from __future__ import annotations

import contextlib
import typing as t

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


@contextlib.contextmanager
def changes_told(server: Server, wish: Wish, before: Observed) -> t.Iterator[None]:
    """A failure inside tells whether the database or its roles are other ones than before."""
    try:
        yield
    except ComposeFailure as failure:
        facts = {**failure.facts, "changed": _is_changed(server, wish, before)}
        raise ComposeFailure(failure.message, **facts) from failure


def _is_changed(server: Server, wish: Wish, before: Observed) -> bool:
    """A server that cannot be asked any more may have changed anything."""
    try:
        return observe_database(server, wish) != before
    except ComposeFailure:
        return True
