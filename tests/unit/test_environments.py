# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files speak of environments, and which versions of Compose are known: the table is cases/environments.yml."""

from __future__ import annotations

import pytest
from ansible_collections.strata.compose.plugins.module_utils._compose_warnings import undefined_in, warnings_in
from ansible_collections.strata.compose.plugins.module_utils._engine_capabilities import Capabilities
from ansible_collections.strata.compose.plugins.module_utils._environments import environments_of
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

from tests.unit.tables import each, table

CASES = table("environments")


@each(CASES["environments"])
def test_environments(case):
    assert list(environments_of({"": case["there"]}, case["wanted"])) == case["environments"]


@each(CASES["warnings"])
def test_warnings(case):
    assert warnings_in(case["printed"]) == case["warnings"]
    assert undefined_in(case["printed"]) == case.get("undefined", [])


@pytest.mark.parametrize(
    ("text", "is_known", "label"),
    [("2.26.1-4", True, "2.26.1"), ("v2.40.3", True, "2.40.3"), ("5.0.1", False, "5.0.1")],
)
def test_versions_of_compose(text, is_known, label):
    found = Capabilities.of(text)
    assert (found.warnings == []) == is_known
    assert found.label == label


def test_refusing_a_compose_that_is_too_old():
    with pytest.raises(ComposeFailure, match="too old"):
        Capabilities.of("2.19.0")
