# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command lines of the Docker CLI: the table is cases/compose.yml."""

from __future__ import annotations

import shlex
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils._project import Project
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

from tests.unit.tables import each, release_of, table

CASES = table("compose")


@each(CASES["from layers"])
def test_calls_on_layers(case):
    given = {key: tuple(value) for key, value in case["project"].items()}
    project = Project(directory="/srv/shop", environment="prod", name="shop-prod", **given)
    assert compose.from_layers(project) == shlex.split(case["line"])


@each(CASES["from release"])
def test_calls_on_a_release(case):
    release = replace(release_of({}), resolved_from={"directory": "/srv/shop"})
    assert compose.from_release(release, *case["paths"]) == shlex.split(case["line"])


@each(CASES["lines"])
def test_lines(case):
    function, *arguments = case["call"]
    assert getattr(compose, function)(*arguments) == shlex.split(case["line"])
