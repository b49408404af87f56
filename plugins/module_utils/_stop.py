# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop containers, those first that others do not depend on. Private to strata.compose."""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli, failure_of
from ansible_collections.strata.compose.plugins.module_utils._stop_order import in_stop_order
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container


def stop_in_order(containers: t.Iterable[Container], timeout: int | None, cli: Cli) -> None:
    """Stop the containers that are up, those first that others do not depend on."""
    for group in in_stop_order(each for each in containers if each.is_up):
        accept_gone(compose.stop(group, timeout), cli)


def accept_gone(argv: t.Sequence[str], cli: Cli) -> None:
    """Stop or remove containers, which may remove themselves when they are stopped."""
    completed = cli.docker(*argv, accept=None)
    complaints = [line for line in completed.error_text.lower().splitlines() if "no such container" not in line]
    if completed.rc and not all("already in progress" in line for line in complaints):
        raise failure_of(completed)
