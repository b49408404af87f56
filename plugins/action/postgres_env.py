# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill the unset options of postgres_env from inventory variables, then run it."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.strata.compose.plugins.module_utils._spec import POSTGRES_ENV
from ansible_collections.strata.compose.plugins.plugin_utils._from_variables import FromVariables


class ActionModule(FromVariables):
    module = "strata.compose.postgres_env"
    spec = POSTGRES_ENV

    def _require(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> None:
        super()._require(arguments, variables)
        if boolean(arguments.get("reveal") or False, strict=False) and not self._task.no_log:
            raise AnsibleActionFail(
                "reveal tells passwords as they are: set no_log to true for this task, so that Ansible and AWX hide "
                "its result, and register it. Nothing was changed."
            )
