# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the engine of a CLI is: a look at this host's sockets and disks tells nothing of one that is elsewhere.

Private to strata.compose.
"""

from __future__ import annotations

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli


def is_local(cli: Cli) -> bool:
    """Whether the engine listens on a socket of this host, by ``DOCKER_HOST`` or by the CLI's current context.

    A CLI that knows no contexts, as Podman's, is local unless ``DOCKER_HOST`` says otherwise.
    """
    host = _host(cli)
    return not host or host.startswith("unix:")


def address(cli: Cli) -> str:
    """Where the engine listens, for a message."""
    return _host(cli) or "the CLI's own address"


def _host(cli: Cli) -> str:
    """The address by ``DOCKER_HOST`` or by the context, for which no engine is asked; empty where none is known."""
    host = cli.environment.get("DOCKER_HOST", "")
    if host:
        return host
    answer = cli.docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}", accept=None)
    return answer.text.strip() if answer.rc == 0 else ""
