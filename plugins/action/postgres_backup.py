# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill the unset options of postgres_backup from inventory variables, run it, and copy its file if so asked."""

from __future__ import annotations

from ansible_collections.strata.compose.plugins.module_utils._spec import POSTGRES_BACKUP
from ansible_collections.strata.compose.plugins.plugin_utils._fetches_backup import FetchesBackup


class ActionModule(FetchesBackup):
    module = "strata.compose.postgres_backup"
    spec = POSTGRES_BACKUP
