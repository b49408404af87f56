# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which service keeps others from starting: the table is cases/conditions.yml."""

from __future__ import annotations

from ansible_collections.strata.compose.plugins.module_utils import _conditions

from tests.unit.tables import each, release_of, snapshot_of, table


def release_with(services):
    return release_of(
        {
            name: {"depends_on": {other: {"condition": condition} for other, condition in below.items()}}
            for name, below in services.items()
        }
    )


@each(table("conditions"))
def test_blockers(case):
    found = _conditions.blockers(release_with(case["services"]), case["waiting"], snapshot_of(case["running"]))
    assert found == case["blockers"]


def test_a_service_without_replicas_keeps_nobody_waiting():
    release = release_of({"web": {"depends_on": {"db": {"condition": "service_healthy"}}}, "db": {"scale": 0}})
    assert _conditions.may_start(release, "web", snapshot_of({}))
