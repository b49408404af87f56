# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engine a CLI speaks to, whichever way leads to it. Private to strata.compose.

Every engine has an id of its own (``docker info``, field ``ID``). For the socket of this host it is asked once and kept
in the project's state folder: an engine that starts again has a socket that is another file.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _records
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._engine_socket import is_refusal, local_socket, refused
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure


class Engine(t.NamedTuple):
    """An engine that answers, or has answered."""

    identity: str
    group: int | None
    """the group whose members may use it; ``None`` where that is not known, as for an engine on another host"""


def engine_of(cli: Cli, folder: str, keep: bool = True) -> Engine | None:
    """The engine, by what the state folder ``folder`` has of it or by asking; ``None`` for one that does not say.

    With ``keep``, an answer is written there, for the next operation.

    Raises `ComposeFailure` when this user may not use it.
    """
    socket = local_socket(cli.environment)
    status = socket.status if socket else None
    mark = _mark(status) if status else ""
    identity = recorded_identity(folder, mark) if mark else ""
    if not identity:
        identity = _asked(cli)
        if keep and mark and identity:
            # It is only kept for speed, and a full disk is told by what has to be written.
            with contextlib.suppress(ComposeFailure):
                _records.write(_path(folder), {"socket": mark, "id": identity})
    return Engine(identity, status.st_gid if status else None) if identity else None


def recorded_identity(folder: str, mark: str | None = None) -> str:
    """The id that the last operation has found; with ``mark``, only when the socket is still the same file."""
    found = _records.read_record(_path(folder))
    if not isinstance(found, _records.Record) or not found.is_sealed or mark not in (None, found.content.get("socket")):
        return ""
    return str(found.content.get("id", ""))


def _path(folder: str) -> str:
    return os.path.join(folder, "engine.json")


def _mark(status: os.stat_result) -> str:
    return f"{status.st_dev}:{status.st_ino}:{status.st_ctime_ns}"


def _asked(cli: Cli) -> str:
    answer = cli.docker("info", "--format", "{{.ID}}", accept=None)
    if answer.rc == 0:
        return answer.text.strip()
    if is_refusal(answer.error_text):
        raise refused(answer.error_text)
    return ""
