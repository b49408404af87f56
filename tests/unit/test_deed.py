# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How what was done differs from the plan: the table is cases/deed.yml."""

from __future__ import annotations

from ansible_collections.strata.compose.plugins.module_utils import _deed
from ansible_collections.strata.compose.plugins.module_utils._step import Step

from tests.unit.tables import each, snapshot_of, table


def steps_of(lines):
    return [Step(*line.split(), reason="") for line in lines]


@each(table("deed"))
def test_differences(case):
    before, after = snapshot_of(case["before"]), snapshot_of(case["after"])
    assert _deed.differences(before, after, steps_of(case["plan"])) == case["says"]


def test_what_compose_replaced_unasked_becomes_a_step():
    before = snapshot_of({"db": [{}], "migrate": [{}], "web": [{}], "leave": [{}]})
    after = snapshot_of({"db": [{"id": "b"}], "migrate": [{"id": "b"}], "web": [{"id": "b"}], "leave": [{}]})
    (step,) = _deed.unplanned_replacements(before, after, steps_of(["db recreate", "web recreate"]))
    assert (step.service, step.action) == ("migrate", "recreate")
