# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to the engine, which it answers at once or not at all; what it has to do takes as long as it takes.

The docker CLI itself waits for an answer without end (docker/cli has no limit for it). Private to strata.compose.
"""

from __future__ import annotations

import typing as t

LIMIT = 60.0
"""Seconds that an answer may take: a busy engine takes some, one that takes longer is of no use to anybody."""

LAST_LOOK = 5.0
"""Seconds that an answer may take at least, also when the time of a gate is nearly over."""

SECOND_QUESTION = 10.0
"""Seconds for an engine to tell its version, when something that it had to do did not end in time."""

QUESTIONS = frozenset({"ps", "inspect", "version", "info", "top", "events"})
QUESTIONS_OF_KIND = frozenset({"ls", "inspect"})
KINDS = frozenset({"image", "network", "volume", "container"})


def is_question(argv: t.Sequence[str]) -> bool:
    """Whether a command line only asks: ``docker ps``, ``docker image ls`` and the like. Pure."""
    if argv[0] != "docker" or len(argv) < 2:
        return False
    if argv[1] == "logs":
        return "--tail" in argv
    return argv[1] in QUESTIONS or (argv[1] in KINDS and not QUESTIONS_OF_KIND.isdisjoint(argv[2:3]))


def unanswered(address: str, command: str, seconds: float) -> str:
    """What is told of an engine that does not answer. Pure."""
    return (
        f"the engine at {address} does not answer: `{command}` got no answer within {seconds:g} s. Look on its host "
        f"why (`systemctl status docker`, `journalctl -u docker`), restart it, and run the operation again, which "
        f"recovers from what this one has left. compose_env_info with gather=lock needs no engine."
    )
