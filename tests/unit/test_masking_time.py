# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Masking takes linear time, whatever secrets and texts are, and finds secrets in every form."""

from __future__ import annotations

import time

import pytest
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.canaries import canaries, forms

LONG = 1_000_000
SECONDS = 30
"""For a megabyte on a loaded machine, where it takes about one; the patterns that were here took years."""

ALPHABETS = (
    "ab",
    "\\\"'",
    "?é",
    "$\\",
    "%25",
    "&amp;",
    "\\u005c",
    "é漢😀?",
    "\r\n \t",
    "+ ",
    "a",
    "=:@/",
    "\\n\"'$?%é",
)


def seconds(secrets: list[str], text: str) -> float:
    redactor = Redactor()
    redactor.learn(secrets)
    began = time.perf_counter()
    redactor.mask({"msg": text})
    return time.perf_counter() - began


@st.composite
def inputs(draw):
    """Secrets, and a text of what secrets and their escapes are made of, repeated to a megabyte."""
    alphabet = draw(st.sampled_from(ALPHABETS))
    letters = st.text(alphabet, min_size=1, max_size=40)
    secrets = [
        each * draw(st.integers(1, 4000 // len(each))) for each in draw(st.lists(letters, min_size=1, max_size=3))
    ]
    unit = (
        draw(st.one_of(letters, st.sampled_from([*secrets, secrets[0][:-1] + "x", secrets[0].replace("é", "?")])))
        or "x"
    )
    return secrets, (unit * (LONG // len(unit) + 1))[:LONG]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(inputs())
def test_no_text_makes_it_slow(case):
    secrets, text = case
    assert seconds(secrets, text) < SECONDS


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("äöüäöüäöüäöüäöüäöü", "log " + "?" * 60 + " end"),
        ("äöüäöüäöüäöüäöüäöü", "?" * LONG),
        ('\\"' * 12, '\\\\\\"' * 11 + "x"),
        ("\\" * 4000, "\\" * LONG),
        ("a" * 3999 + "b", "a" * LONG),
        ("ab" * 2000, "ab" * (LONG // 2)),
        ("%25" * 9, "%25" * (LONG // 3)),
        ("&amp;" * 5, "&amp;" * (LONG // 5)),
        ("'\"" * 9, "'\\" * (LONG // 2)),
        ("\n\n\nabc\n\n", "\n " * (LONG // 2)),
    ],
)
def test_texts_that_take_a_pattern_years(secret, text):
    assert seconds([secret], text) < SECONDS


@pytest.mark.parametrize("seed", range(40))
def test_every_form_of_every_secret(seed):
    """What the long test of secrets lets programs print, without programs."""
    for kind, secret in canaries(seed).items():
        redactor = Redactor()
        redactor.learn([secret])
        for form in forms(secret):
            told = redactor.mask(f"it is: {form} and so on")
            assert form not in told, (kind, form, told)


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("äöüäöüäöüäöüäöüäöü", "x " + "?" * 18 + " y"),
        ("äöüäöü", "x " + "\ufffd" * 12 + " y"),
        ("é漢-pass-é漢", "x é??-pass-é?? y"),
        ("é漢-pass-é漢", "x ??-pass-?? y"),
    ],
)
def test_lost_letters(secret, text):
    redactor = Redactor()
    redactor.learn([secret])
    assert redactor.mask(text) == "x ******** y"


@pytest.mark.parametrize("text", ["what? why? so?", "?????", "a $ b $$ c", 'it\'s "so"', "\\\\server\\share"])
def test_a_secret_of_signs_leaves_texts_alone(text):
    redactor = Redactor()
    redactor.learn(["äöüäöüäöü", "$$$$$$", "''''''", "\\\\\\\\\\\\"])
    assert redactor.mask(text) == text
