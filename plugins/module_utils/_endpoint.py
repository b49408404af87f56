# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the engine of a CLI is: a look at this host's sockets and disks tells nothing of one that is elsewhere.

Private to strata.compose.
"""

from __future__ import annotations

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli, Completed

CONTEXT = ("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
"""Asks the CLI, and no engine, for the address of its current context."""


def is_local(cli: Cli) -> bool:
    """Whether the engine listens on a socket of this host, by ``DOCKER_HOST`` or by the CLI's current context.

    A CLI that knows no contexts, as Podman's, is local unless ``DOCKER_HOST`` says otherwise.
    """
    host = cli.environment.get("DOCKER_HOST") or _stated(cli.docker(*CONTEXT, accept=None))
    return not host or host.startswith("unix:")


def address(cli: Cli) -> str:
    """Where the engine listens, for a message."""
    host = cli.environment.get("DOCKER_HOST")
    answer = None if host else cli.answer(("docker", *CONTEXT))
    return host or (_stated(answer) if answer else "") or "the CLI's own address"


def _stated(answer: Completed) -> str:
    return answer.text.strip() if answer.rc == 0 else ""
