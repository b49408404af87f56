# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill the unset options of postgres_restore from inventory variables, then run it."""

from __future__ import annotations

from ansible_collections.strata.compose.plugins.module_utils._spec import POSTGRES_RESTORE
from ansible_collections.strata.compose.plugins.plugin_utils._from_variables import FromVariables


class ActionModule(FromVariables):
    module = "strata.compose.postgres_restore"
    spec = POSTGRES_RESTORE
