# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception of the collection, and how a module tells it. Private to strata.compose."""

from __future__ import annotations

import contextlib
import typing as t

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule
    from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor


class ComposeFailure(Exception):
    """An operation that cannot be done or was not done.

    ``message`` names the thing, the place and the way out; ``facts`` are further keys of the module's result,
    such as ``failed_services``. Both are masked when they are told, not before.
    """

    def __init__(self, message: str, **facts: t.Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


@contextlib.contextmanager
def told_as_module_result(
    module: AnsibleModule, redactor: Redactor
) -> t.Iterator[t.Callable[[dict[str, t.Any]], None]]:
    """Yield the function that ends the module with a result; a `ComposeFailure` inside ends it as failed.

    Everything that is told passes the redactor here, and nowhere else leaves the host.
    """

    def tell(result: dict[str, t.Any]) -> None:
        masked: dict[str, t.Any] = redactor.mask(result)
        module.exit_json(**masked)

    try:
        yield tell
    except ComposeFailure as failure:
        module.fail_json(**redactor.mask({"changed": False, **failure.facts, "msg": failure.message}))
