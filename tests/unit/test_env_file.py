# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an env file may hold, how it is held against its example, and what a diff shows of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _dotenv, _env_file
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._file_state import FileState

TASK = {
    "project_dir": "/srv/shop",
    "environment": "prod",
    "path": None,
    "variables": {},
    "example": None,
    "check_example": True,
    "owner": None,
    "group": None,
}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "text"),
        ("", ""),
        (" 1 ", " 1 "),
        (8080, "8080"),
        (0, "0"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
    ],
)
def test_values_as_texts(value, text):
    assert _dotenv.as_texts({"NAME": value}) == {"NAME": text}


def test_values_that_are_no_texts_are_named_together():
    with pytest.raises(ComposeFailure) as failure:
        _dotenv.as_texts({"D": {"a": "hidden"}, "L": ["hidden"], "FINE": "hidden", "N": None})
    assert "but D is a mapping, L is a list, N is null." in failure.value.message
    assert "hidden" not in failure.value.message


@pytest.mark.parametrize(
    ("example", "given"),
    [
        pytest.param("A=1\nB=", "AB", id="takes the same names"),
        pytest.param("A\nexport B\n", "AB", id="takes names without a value"),
        pytest.param("A=${NOWHERE:?set it}\nB='more\nC=lines'", "AB", id="ignores what the example's values mean"),
        pytest.param("A=1\n# B=2\n#C=", "AB", id="allows what is commented out"),
        pytest.param("# nothing to set\n", "", id="takes an empty example"),
    ],
)
def test_variables_that_fit(example, given):
    _env_file.compare(given, example, "/srv/shop/.env.example")


@pytest.mark.parametrize(
    ("example", "given", "says"),
    [
        pytest.param("C=1\nA=1\nB=1", "B", "missing A, C (give a value", id="names all missing"),
        pytest.param("B=1", "CAB", "unknown A, C (correct the name", id="names all unknown"),
        pytest.param("A=1", "B", "missing A (give a value", id="names both"),
        pytest.param("# set B=1 for more\nA=1", "AB", "unknown B", id="does not take prose for a variable"),
    ],
)
def test_variables_that_do_not_fit(example, given, says):
    with pytest.raises(ComposeFailure) as failure:
        _env_file.compare(given, example, "/srv/shop/.env.example")
    assert failure.value.message.startswith("The variables do not fit /srv/shop/.env.example: ")
    assert says in failure.value.message
    names = {line.partition("=")[0] for line in example.splitlines() if not line.startswith("#")}
    assert failure.value.facts == {"missing": sorted(names - {*given}), "unknown": sorted({*given} - names)}


def test_an_example_that_is_no_env_file_is_named():
    with pytest.raises(ComposeFailure, match=r"^/srv/shop/.env.example:2: this is not an assignment"):
        _env_file.compare("A", "A=1\nsome words\n", "/srv/shop/.env.example")


@pytest.mark.parametrize(
    ("options", "path", "example"),
    [
        ({}, "/srv/shop/.env.prod", "/srv/shop/.env.example"),
        ({"path": "environments/prod.env"}, "/srv/shop/environments/prod.env", "/srv/shop/.env.example"),
        ({"path": "/etc/shop/env"}, "/etc/shop/env", "/srv/shop/.env.example"),
        ({"example": "docs/env"}, "/srv/shop/.env.prod", "/srv/shop/docs/env"),
        ({"check_example": False}, "/srv/shop/.env.prod", None),
    ],
)
def test_paths(options, path, example):
    wish = _env_file.Wish.from_params({**TASK, **options})
    assert (wish.path, wish.example) == (Path(path), example and Path(example))


def test_a_wish_does_not_show_its_values():
    assert "hidden" not in repr(_env_file.Wish.from_params({**TASK, "variables": {"A": "hidden"}}))


@pytest.mark.parametrize("content", [b"LEVEL='hidden'\nPASSWORD='hidden'\n# hidden\n", b"A='hidden, never closed"])
def test_a_diff_shows_no_value(content):
    shown = _env_file.shown(FileState(content, 0o644, 0, 100))
    assert shown.startswith("# sha256:")
    assert "mode 0644 user 0 group 100\n" in shown
    assert "hidden" not in shown


def test_a_diff_tells_which_values_differ():
    old, new = (_env_file.shown(FileState(text, 0o600, 0, 0)) for text in (b"A=1\nB=1\n", b"A=1\nB=2\n"))
    assert [line.partition("=")[0] for line in new.splitlines()[1:] if line not in old] == ["B"]
