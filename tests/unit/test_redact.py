# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is a secret, and where it is masked: the table is cases/redact.yml."""

from __future__ import annotations

import json
import time

import pytest
from ansible_collections.strata.compose.plugins.module_utils._redact import (
    Redactor,
    fingerprint,
    is_secret_name,
    secrets_of,
)

from tests.unit.tables import each, table

CASES = table("redact")


@pytest.mark.parametrize("kind", CASES["secret names"])
def test_secret_names(kind):
    assert [name for name in CASES["secret names"][kind] if not is_secret_name(name)] == []


@pytest.mark.parametrize("kind", CASES["harmless names"])
def test_harmless_names(kind):
    assert [name for name in CASES["harmless names"][kind] if is_secret_name(name)] == []


@each(CASES["secrets of variables"])
def test_secrets_of_variables(case):
    assert set(secrets_of(case["variables"])) == set(case["secrets"])


@each(CASES["masked"])
def test_masking(case):
    redactor = Redactor()
    redactor.learn(case["secrets"])
    assert redactor.mask(case["told"]) == case["masked"]


def test_masking_leaves_the_original_alone():
    redactor, result = Redactor(), {"a": ["hunter2"]}
    redactor.learn(["hunter2"])
    redactor.mask(result)
    assert result == {"a": ["hunter2"]}


def test_learning_adds_to_what_is_known():
    redactor = Redactor()
    redactor.learn(["hunter2"])
    redactor.learn(["hunter3"])
    assert redactor.mask("hunter2 hunter3") == "******** ********"


def test_tuples_are_told_as_lists():
    redactor = Redactor()
    redactor.learn(["hunter2"])
    assert redactor.mask(("hunter2", 1)) == ["********", 1]


def test_a_masked_result_is_still_json():
    redactor = Redactor()
    redactor.learn(['hunter2\n"x"\n', "hunter2\\"])
    printed = json.dumps({"key": 'hunter2\n"x"\n', "other": "hunter2\\"})
    assert "hunter2" not in json.dumps(json.loads(redactor.mask(printed)))


def test_a_fingerprint_tells_secrets_apart_and_nothing_else():
    assert fingerprint("hunter2") == fingerprint("hunter2") == "sha256:f52fbd32"
    assert fingerprint("hunter3") != fingerprint("hunter2")
    assert fingerprint("hunter2\udcff").startswith("sha256:")


def test_a_secret_that_is_cut_at_the_end_of_a_long_text():
    redactor, line = Redactor(), "the health check said a lot of things; " * 6
    redactor.learn(["hunter2 and more"])
    assert redactor.mask(f"{line}hunter2 an") == f"{line}********"
    assert redactor.mask("hunter2 an") == "hunter2 an"


def test_a_large_secret_is_known_by_its_lines():
    redactor = Redactor()
    lines = [f"hunter2 {number:06}" for number in range(3000)]
    redactor.learn(["\n".join(lines)])
    assert redactor.mask(["x " + lines[2999], lines[0]]) == ["x ********", "********"]


@pytest.mark.parametrize(
    "text", ["\\" * 5000, "$" * 5000, "'" * 5000, "a" * 200_000, '"\\' * 3000, "\n" * 5000, "%25" * 3000]
)
def test_no_text_makes_it_slow(text):
    redactor = Redactor()
    redactor.learn(["\\" * 8 + '"' + "$" * 8 + "'" * 8, "'\\" * 6, '\n\n\\\n""', "%%%25", "  a$$$$"])
    began = time.perf_counter()
    redactor.mask({"a": text, "b": [text + "x"]})
    assert time.perf_counter() - began < 2
