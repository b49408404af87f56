# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files and variables a model depends on: the table is cases/inputs.yml."""

from __future__ import annotations

from ansible_collections.strata.compose.plugins.module_utils import _inputs

from tests.unit.tables import each, table

CASES = table("inputs")


@each(CASES["mentioned paths"])
def test_mentioned_paths(case):
    assert set(case["mentions"]) - _inputs.mentioned_paths(case["layer"], "/srv/shop") == set()


@each(CASES["not mentioned paths"])
def test_not_mentioned_paths(case):
    found = _inputs.mentioned_paths(case["layer"], "/srv/shop")
    assert [path for path in found if path in case["not"]] == []


def test_a_word_that_is_too_long_for_a_file_is_no_path():
    found = _inputs.mentioned_paths(f"a: {'x' * 255}\nb: {'y' * 256}\n", "/srv")
    assert f"/srv/{'x' * 255}" in found
    assert f"/srv/{'y' * 256}" not in found


def test_a_word_with_a_nul_character_is_no_path():
    assert not any("\0" in path for path in _inputs.mentioned_paths("a: b\0c", "/srv"))


@each(CASES["self-contained"])
def test_whether_a_layer_is_selfcontained(case):
    assert _inputs.is_selfcontained(case["layer"]) is case["is"]


@each(CASES["uses of variables"])
def test_uses_of_variables(case):
    assert [list(use) for use in _inputs.uses_of_variables(case["layer"])] == case["uses"]


@each(CASES["files of a service"])
def test_files_and_variables_of_a_service(case):
    assert _inputs.files_of_service(case["model"], "web") == set(case["files"])
    assert _inputs.variables_of_service(case["model"], "web") == set(case["variables"])
