# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a project is: the table is cases/ownership.yml."""

from __future__ import annotations

import pytest
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._ownership import Claim, Owner, Request, environment_named

from tests.unit.tables import each, table

CASES = table("ownership")


@each(CASES["required"])
def test_a_project(case):
    asked = case["asked"]
    same = asked.get("same", {})
    request = Request(
        project="shop",
        owner=Owner(asked["project_dir"], asked["environment"]),
        folders=tuple(asked.get("folders", ())),
        moved_from=asked.get("moved_from"),
        renamed_from=asked.get("renamed_from"),
    )

    def require():
        request.require(Claim(**case["claim"]), lambda: "project_name names it too", lambda a, b: same.get(a) == b)

    if "refused" not in case:
        require()
        return
    with pytest.raises(ComposeFailure) as refusal:
        require()
    told = refusal.value.message
    assert [each for each in (*case["refused"], "project_name names it too") if each not in told] == [], told


@each(CASES["environments"])
def test_the_environment_of_files(case):
    assert environment_named(case["paths"], case.get("own", ())) == case["found"]
