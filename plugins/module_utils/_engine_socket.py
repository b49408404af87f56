# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's socket on this host, and whether this user may use it. No process is started for it.

Private to strata.compose.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import stat
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

USUAL_SOCKET = "/var/run/docker.sock"
SCHEME = "unix://"
REFUSED = "permission denied while trying to connect"
"""What docker/cli says where the socket is there and may not be written to."""

Variables = t.Mapping[str, str]


class Socket(t.NamedTuple):
    """A socket of this host that an engine listens on."""

    path: str
    status: os.stat_result


def local_socket(environment: Variables) -> Socket | None:
    """The socket that the CLI speaks to by ``DOCKER_HOST`` or by default; ``None`` where there is none or a context."""
    host = environment.get("DOCKER_HOST", "")
    if (host and not host.startswith(SCHEME)) or (not host and _has_context(environment)):
        return None
    path = host[len(SCHEME) :] or USUAL_SOCKET
    try:
        status = os.stat(path)
    except OSError:
        return None
    return Socket(path, status) if stat.S_ISSOCK(status.st_mode) else None


def _has_context(environment: Variables) -> bool:
    """Whether a context names the engine (docker/cli: ``DOCKER_CONTEXT``, then ``currentContext``)."""
    named = environment.get("DOCKER_CONTEXT", "")
    folder = environment.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
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


def require_access() -> None:
    """Raise `ComposeFailure` where there is an engine on this host that this user may not use.

    What is written for it, as an env file with its passwords, would be of no use.
    """
    socket = local_socket(os.environ)
    if socket and not os.access(socket.path, os.W_OK):
        raise refused(SCHEME + socket.path)


def is_refusal(text: str) -> bool:
    """Whether a CLI says that its user may not use the engine. Pure."""
    return REFUSED in text.lower()


def refused(text: str) -> ComposeFailure:
    """The failure of a user who may not use an engine; ``text`` has its address in it."""
    user, address = user_name(), re.search(r"unix://[^\s:]+", text)
    engine = f"the engine at {address[0]}" if address else "the engine"
    return ComposeFailure(
        f"user {user} may not use {engine}. Run with become, or let the user use it with "
        f"`usermod -aG docker {user}` and log in again (the group makes it as good as root). Nothing was changed.",
        error_kind="no_access",
    )


def user_name() -> str:
    """The name of the user of this process, or the number of one that has none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
