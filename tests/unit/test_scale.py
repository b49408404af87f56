# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other numbers of containers than the layers want: the table is cases/scale.yml."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._release import parts_of
from ansible_collections.strata.compose.plugins.module_utils._resolve import require_services, scaled

from tests.unit.tables import each, table

CASES = table("scale")


@each(CASES["scaled"])
def test_scaling(case):
    model = {"name": "shop", "services": case["services"]}
    original = copy.deepcopy(model)
    result = scaled(model, case["scale"])
    assert result == {"name": "shop", "services": case["scaled"]}
    assert model == original
    assert {name: parts_of(result, {})[name].replicas for name in case["scale"]} == {
        name: int(count) for name, count in case["scale"].items()
    }


@each(CASES["refused"])
def test_refusing_to_scale(case):
    with pytest.raises(ComposeFailure) as failure:
        scaled({"services": case["services"]}, case["scale"])
    assert [part for part in case["says"] if part not in failure.value.message] == []


def test_known_services_are_allowed():
    require_services({"web", "db"}, ["web"])
    require_services({"web", "db"}, [])


def test_all_unknown_services_are_named_together():
    with pytest.raises(ComposeFailure, match="unknown service: a, b. .* are db, web.$"):
        require_services({"web", "db"}, ["a", "web", "b"])
