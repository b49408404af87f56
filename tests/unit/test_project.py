# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which layers, env files, profiles and project name an environment means: the table is cases/project.yml."""

from __future__ import annotations

import posixpath

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _project
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

from tests.unit.tables import each, table

CASES = table("project")
FOLDER = "/srv/shop"


def absolute(paths):
    return tuple(posixpath.normpath(posixpath.join(FOLDER, path)) for path in paths)


def exists_in(case):
    return set(absolute(case["there"])).__contains__


def layers_of(case):
    return _project.find_layers(FOLDER, "prod", case.get("given"), case.get("variables", {}), exists_in(case))


def env_files_of(case):
    return _project.find_env_files(FOLDER, "prod", case.get("given"), exists_in(case))


@each(CASES["layers"])
def test_layers(case):
    assert layers_of(case) == absolute(case["layers"])


@each(CASES["env files"])
def test_env_files(case):
    assert env_files_of(case) == absolute(case["env_files"])


@pytest.mark.parametrize(
    ("find", "case"),
    [
        *(pytest.param(layers_of, case, id=f"layers: {case['it']}") for case in CASES["refused layers"]),
        *(pytest.param(env_files_of, case, id=f"env files: {case['it']}") for case in CASES["refused env files"]),
    ],
)
def test_refusing_files(find, case):
    with pytest.raises(ComposeFailure) as failure:
        find(case)
    assert [part for part in case["says"] if part not in failure.value.message] == []


@each(CASES["profiles"])
def test_profiles(case):
    assert list(_project.profiles_of(case.get("given"), case.get("variables", {}))) == case["profiles"]


@each(CASES["names"])
def test_names(case):
    name = _project.project_name(case["directory"], case["environment"])
    assert name == case["name"]
    assert _project.checked_name(name) == name


@each(CASES["refused names"])
def test_refusing_to_make_a_name(case):
    with pytest.raises(ComposeFailure) as failure:
        _project.project_name(case["directory"], case["environment"])
    assert [part for part in case["says"] if part not in failure.value.message] == []


@each(CASES["given names"])
def test_given_names(case):
    if case["allowed"]:
        assert _project.checked_name(case["name"]) == case["name"]
    else:
        with pytest.raises(ComposeFailure, match="is not allowed by Compose"):
            _project.checked_name(case["name"])


def test_relative_paths_start_from_the_folder_of_the_first_layer():
    layers = ("/srv/shop/docker/compose.yml", "/srv/shop/compose.prod.yml")
    project = _project.Project(FOLDER, "prod", "shop-prod", layers, (), ())
    assert project.base_directory == "/srv/shop/docker"
