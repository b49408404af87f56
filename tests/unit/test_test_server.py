# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a failed test is the trouble of the server that tests, and what is the backup's."""

from __future__ import annotations

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils.postgres._test_server import host_trouble

from tests.unit.tables import each, table

CASES = table("test_server")


@each(CASES["troubles"])
def test_trouble_of_the_host(case):
    failure = ComposeFailure(case.get("message", "pg_restore failed"), **case.get("facts", {}))
    assert host_trouble(failure, case.get("log", "")) == case["trouble"]
