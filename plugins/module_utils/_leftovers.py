# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Compose leaves half made when it fails, and trips over at the next try. Private to strata.compose."""

from __future__ import annotations

import re

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._snapshot import LABEL

LEFTOVER = re.compile(r"[0-9a-f]{12}_")


def remove_leftovers(project: str, cli: Cli) -> None:
    """Remove the containers that Compose has made and not yet put in the place of older ones."""
    label = f"label={LABEL}project={project}"
    listed = cli.docker("ps", "-a", "--filter", label, "--format", "{{.ID}} {{.Names}}").text
    ids = [line.split()[0] for line in listed.splitlines() if _is_leftover(line.split()[1], project)]
    if ids:
        cli.docker("rm", "--force", *ids)


def _is_leftover(name: str, project: str) -> bool:
    """Whether a name is one that Compose gives a container before it takes an old one's place.

    It puts twelve hexadecimal digits before the old name (compose pkg/compose/convergence.go), with which a project's
    own name may begin too.
    """
    return bool(LEFTOVER.match(name)) and not name.startswith((f"{project}-", f"{project}_"))
