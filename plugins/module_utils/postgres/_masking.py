# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must not be in an environment is taken out of a restored database before anybody can connect to it.

Private to strata.compose.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import read_file
from ansible_collections.strata.compose.plugins.module_utils.postgres._server import Server
from ansible_collections.strata.compose.plugins.module_utils.postgres._sql import Statement

Masks = t.Sequence[tuple[str, str]]
"""Path and SQL of each file, in their order"""


def read(paths: t.Sequence[str], directory: str) -> list[tuple[str, str]]:
    """The files of the option ``masking``; raises `ComposeFailure` naming all that are missing or hold no text."""
    places = [os.path.normpath(os.path.join(os.path.abspath(directory), path)) for path in paths]
    found = {place: read_file(place) for place in places}
    wrong = [place for place, content in found.items() if not _is_text(content)]
    if wrong:
        raise ComposeFailure(
            f"masking: {', '.join(wrong)} cannot be read as SQL: there has to be a file in UTF-8 on the managed host. "
            f"Nothing was changed.",
            error_kind="no_masking",
        )
    return [(place, (found[place] or b"").decode("utf-8-sig")) for place in places]


def mask(server: Server, database: str, owner: str, masks: Masks, timeout: int) -> None:
    """Run each file as one transaction and as the owner; raises `ComposeFailure` that names the file.

    Postgres gets a file as it is, in one message, and psql does not read it, so none of psql's commands runs.
    """
    for path, text in masks:
        statement = Statement("SET LOCAL ROLE %I;\n%s", (owner, text))
        try:
            server.psql(statement.executed(), database, timeout)
        except ComposeFailure as failure:
            raise ComposeFailure(f"masking by {path} failed: {failure.message}", **failure.facts) from failure


def _is_text(content: bytes | None) -> bool:
    try:
        return content is not None and "\0" not in content.decode("utf-8")
    except UnicodeDecodeError:
        return False
