# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Compose leaves half made when it fails, and trips over at the next try. Private to strata.compose."""

from __future__ import annotations

import re
import time
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._snapshot import LABEL
from ansible_collections.strata.compose.plugins.module_utils._stop import accept_gone

GONE_WITHIN = 30.0
"""Seconds that the engine may need to remove a container."""

POLL = 0.2

LEFTOVER = re.compile(r"[0-9a-f]{12}_")


def remove_leftovers(project: str, cli: Cli) -> None:
    """Remove the containers that Compose has made and not yet put in the place of older ones."""
    label = f"label={LABEL}project={project}"
    listed = cli.docker("ps", "-a", "--filter", label, "--format", "{{.ID}} {{.Names}}").text
    ids = [line.split()[0] for line in listed.splitlines() if _is_leftover(line.split()[1], project)]
    if ids:
        cli.docker("rm", "--force", *ids)


def remove_for_good(ids: t.Collection[str], cli: Cli) -> None:
    """Remove containers whose removal was cut off, and wait for those whose removal is still under way.

    Raises `ComposeFailure` for what the engine cannot remove.
    """
    if not ids:
        return
    try:
        accept_gone(["rm", "--force", *ids], cli)
    except ComposeFailure as failure:
        raise ComposeFailure(
            f"a container whose removal was cut off cannot be removed: {failure.message.rstrip('.')}. Remove the "
            f"cause, which the engine's log may tell (`journalctl -u docker`), and run the operation again.",
            **failure.facts,
        ) from failure
    deadline = time.monotonic() + GONE_WITHIN
    while left := sorted({*ids} & {*cli.docker("ps", "-aq", "--no-trunc").text.split()}):
        if time.monotonic() > deadline:
            names = ", ".join(each[:12] for each in left)
            raise ComposeFailure(
                f"the engine has been removing container {names} for {GONE_WITHIN:g} s and more: look at its log "
                f"(`journalctl -u docker`), restart it, and run the operation again."
            )
        time.sleep(POLL)


def _is_leftover(name: str, project: str) -> bool:
    """Whether a name is one that Compose gives a container before it takes an old one's place.

    It puts twelve hexadecimal digits before the old name (compose pkg/compose/convergence.go), with which a project's
    own name may begin too.
    """
    return bool(LEFTOVER.match(name)) and not name.startswith((f"{project}-", f"{project}_"))
