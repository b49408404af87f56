# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order containers stop: the table is cases/stop_order.yml."""

from __future__ import annotations

from ansible_collections.strata.compose.plugins.module_utils._stop_order import in_stop_order

from tests.unit.tables import containers, each, table


@each(table("stop_order")["orders"])
def test_stop_order(case):
    rows = {name: [{"depends_on": needs}] * case.get("each", 1) for name, needs in case["depends on"].items()}
    assert in_stop_order(containers(rows)) == case["groups"]
