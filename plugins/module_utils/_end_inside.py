# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""End a command in a container that lives on. Private to strata.compose."""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _command
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._cli import Cli


def end_inside(container: str, mark: str, user: str | None, cli: Cli) -> str:
    """Kill the processes that have the variable ``mark``, for the engine lets them run without their client.

    Root with privileges can tell them all. Elsewhere a user can tell only those of its own.
    """
    script = ("sh", "-c", _command.END_ALL, "sh", mark)
    own = compose.manner_of_command(user, None, False)
    ways = ((("--privileged", "--user", "0"), "It was ended."), (own, "It was ended as far as it ran as its own user."))
    for options, told in ways:
        ended = cli.docker(*compose.execute(container, False, options, script), accept=None, timeout=30)
        if ended.rc == 0 and ended.output:
            return told
    return "It was not found in the container, which takes sh and grep there, so it may go on."
