# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engine a CLI speaks to, whichever way leads to it. Private to strata.compose.

Every engine has an id of its own (``docker info``, field ``ID``). For the socket of this host it is asked once and kept
in the project's state folder: an engine that starts again has a socket that is another file.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import stat
import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _records
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._endpoint import address
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

USUAL_SOCKET = "/var/run/docker.sock"
REFUSED = "permission denied while trying to connect"
"""What docker/cli says where the socket is there and may not be written to."""


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
    status = _socket(cli)
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
    found = _records.read(_path(folder), _fields)
    if not isinstance(found, dict) or mark not in (None, found["socket"]):
        return ""
    return str(found["id"])


def _fields(content: dict[str, t.Any]) -> dict[str, t.Any]:
    return _records.checked(content, {"socket": str, "id": str}, {})


def _path(folder: str) -> str:
    return os.path.join(folder, "engine.json")


def _mark(status: os.stat_result) -> str:
    return f"{status.st_dev}:{status.st_ino}:{status.st_ctime_ns}"


def _socket(cli: Cli) -> os.stat_result | None:
    """The local socket that the CLI speaks to, by ``DOCKER_HOST`` or by default; ``None`` where a context decides."""
    host = cli.environment.get("DOCKER_HOST", "")
    if host and not host.startswith("unix://") or not host and _has_context(cli):
        return None
    try:
        found = os.stat(host[len("unix://") :] or USUAL_SOCKET)
    except OSError:
        return None
    return found if stat.S_ISSOCK(found.st_mode) else None


def _has_context(cli: Cli) -> bool:
    """Whether a context names the engine (docker/cli: ``DOCKER_CONTEXT``, then ``currentContext``)."""
    named = cli.environment.get("DOCKER_CONTEXT", "")
    folder = cli.environment.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    if not named:
        try:
            with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
                named = json.load(file).get("currentContext", "")
        except FileNotFoundError:
            return False
        except (OSError, ValueError, AttributeError):
            # The CLI tells what is wrong with it.
            return True
    return named not in ("", "default")


def _asked(cli: Cli) -> str:
    answer = cli.docker("info", "--format", "{{.ID}}", accept=None)
    if answer.rc == 0:
        return answer.text.strip()
    if REFUSED in answer.error_text.lower():
        raise ComposeFailure(refusal(address(cli), user_name()), error_kind="no_access")
    return ""


def user_name() -> str:
    """The name of the user of this process, or the number of one that has none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def refusal(engine: str, user: str) -> str:
    """What is told of an engine that a user may not use. Pure."""
    return (
        f"user {user} may not use the engine at {engine}. Run with become, or let the user use it with "
        f"`usermod -aG docker {user}` and log in again (the group makes it as good as root). Nothing was changed."
    )
