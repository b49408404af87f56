# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""External networks and volumes as desired state: made when they are missing, and never removed.

Private to strata.compose.
"""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._networks_and_volumes import externals_to_create
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._networks_and_volumes import Used

CREATION = {"network": compose.create_network, "volume": compose.create_volume}


def create_externals(missing: t.Sequence[Used], cli: Cli) -> list[dict[str, str]]:
    """Create them with the driver and options that the layers give, without labels; tell the actions.

    Raises `ComposeFailure` when the engine refuses one; those before it stay.
    """
    for number, each in enumerate(missing):
        try:
            cli.docker(*CREATION[each.kind](each.definition))
        except ComposeFailure as failure:
            message = f"external {each} cannot be created, and no container was touched. {failure}"
            made = _actions(missing[:number])
            raise ComposeFailure(message, **{**failure.facts, "changed": bool(made), "actions": made}) from failure
    return _actions(missing)


def _actions(created: t.Iterable[Used]) -> list[dict[str, str]]:
    return [step.told() for step in externals_to_create(created)]
