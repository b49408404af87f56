# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How env files are read and written: the table is cases/dotenv.yml."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.strata.compose.plugins.module_utils import _dotenv
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "dotenv.yml").read_text(encoding="utf-8"))
AROUND = {"lookup": {"OUTER": "outside", "EMPTY": ""}, "source": "prod.env", "earlier": {"EARLIER": "before"}}


def each(cases: list[dict]):
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["it"]) for case in cases])


@each(CASES["read"])
def test_reading(case):
    variables = _dotenv.read(case["file"], **AROUND)
    assert {variable.name: variable.value for variable in variables} == case["values"]
    assert {each.name: list(each.undefined) for each in variables if each.undefined} == case.get("undefined", {})
    assert _dotenv.values(case["file"], **AROUND) == case["values"]


def test_reading_tells_lines():
    found = _dotenv.read(CASES["lines"]["file"], **AROUND)
    assert {variable.name: variable.line for variable in found} == CASES["lines"]["lines"]


def test_reading_keeps_replaced_assignments():
    assert _dotenv.read("A=1\nA=2") == [_dotenv.Variable("A", "1", 1), _dotenv.Variable("A", "2", 2)]


@each(CASES["refused"])
def test_refusing_to_read(case):
    with pytest.raises(ComposeFailure) as failure:
        _dotenv.read(case["file"], **AROUND)
    assert failure.value.message.startswith(case["says"])
    assert "hidden" not in failure.value.message


@each(CASES["written"])
def test_writing(case):
    assert _dotenv.write(case["values"]) == case["file"]
    assert _dotenv.values(case["file"]) == case["values"]


def test_writing_a_header():
    assert _dotenv.write({"A": "1"}, header="Made by\n\nus") == "# Made by\n#\n# us\nA='1'\n"


@pytest.mark.parametrize("name", ["", "1A", "A B", "A=B", "A\nB", ".a", "-a", "é", "A:", "A\n"])
def test_refusing_to_write_a_name(name):
    with pytest.raises(ComposeFailure, match="cannot be the name of a variable"):
        _dotenv.write({name: "hidden"})


@pytest.mark.parametrize(
    ("value", "kind"), [("hidden\0", "a NUL character"), ("hidden\udcff", "bytes that are not UTF-8")]
)
def test_refusing_to_write_a_value(value, kind):
    with pytest.raises(ComposeFailure) as failure:
        _dotenv.write({"FINE": "1", "CERTIFICATE": value})
    assert failure.value.message.startswith(f"The value of CERTIFICATE contains {kind}")
    assert "hidden" not in failure.value.message


class CountingText(str):
    """A text that knows how many of its characters were searched for line breaks."""

    searched = 0

    def removeprefix(self, _prefix):
        return self

    def count(self, sub, start=0, end=None):
        CountingText.searched += (len(self) if end is None else end) - start
        return super().count(sub, start, end)


def test_reading_looks_at_each_character_once_however_long_the_file():
    text = CountingText("".join(f"NAME_{number}=value\n" for number in range(2000)))
    assert _dotenv.read(text)[-1].line == 2000
    assert CountingText.searched <= len(text)


def test_reading_a_value_with_thousands_of_substitutions():
    assert _dotenv.values("A=1\nB=" + "${A}" * 3000)["B"] == "1" * 3000
