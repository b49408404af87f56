# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Differences of definitions, as reasons and as a diff: the table is cases/differences.yml."""

from __future__ import annotations

from ansible_collections.strata.compose.plugins.module_utils import _differences

from tests.unit.tables import each, table

CASES = table("differences")


@each(CASES["flattened"])
def test_flattening(case):
    assert _differences.flattened(case["definition"]) == case["fields"]


@each(CASES["changed"])
def test_changed_fields(case):
    assert list(_differences.changed_fields(case["before"], case["after"])) == case["fields"]
    assert set(_differences.changed_fields(case["after"], case["before"])) == set(case["fields"])


@each(CASES["reasons"])
def test_reasons(case):
    assert _differences.as_reason(case["fields"]) == case["reason"]


@each(CASES["shown"])
def test_shown_values(case):
    assert _differences.shown(case["definition"], case["fields"]) == case["shown"]


@each(CASES["masked"])
def test_masked_definitions(case):
    assert _differences.masked_definition(case["definition"]) == case["masked"]
