# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The states of compose_env: which is reached how. Private to strata.compose."""

from __future__ import annotations

from ansible_collections.strata.compose.plugins.module_utils._operations import Perform


def performer(state: str) -> Perform:
    """What brings an environment to the state."""
    if state == "absent":
        from ansible_collections.strata.compose.plugins.module_utils._remove import remove

        return remove
    if state in ("started", "stopped"):
        from ansible_collections.strata.compose.plugins.module_utils import _operate

        return {"started": _operate.start, "stopped": _operate.stop}[state]
    from ansible_collections.strata.compose.plugins.module_utils import _deploy

    others = {"built": _deploy.get_images, "pulled": _deploy.get_images, "rolled_back": _deploy.roll_back}
    return others.get(state, _deploy.deploy)
