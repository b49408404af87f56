# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was rewritten to take linear time finds what the pattern before found, which is kept here as the rule."""

from __future__ import annotations

import re

from ansible_collections.strata.compose.plugins.module_utils import _dotenv, _inputs, _ports, _redact
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils.postgres import _migrations
from hypothesis import example, given, settings
from hypothesis import strategies as st

SUBSTITUTION = re.compile(
    r"\$(?i:(?P<escaped>\$)|(?P<plain>[_a-z][_a-z0-9]*)|\{(?:(?P<braced>[_a-z][_a-z0-9]*(?::?[-+?].*)?)\}|))"
)
SPACE = "\t\v\f\r \x85\xa0\n\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
INTERPOLATION = re.compile(rf"\$(?:\$|({_inputs.NAME})|\{{({_inputs.NAME})(?=(:?[-?+](?:\$\{{[^{{}}]*\}}|[^}}])*)?))")
PUBLISHED = re.compile(r"(?P<host>\[?[0-9a-f.:]*\]?):(?P<first>\d+)(?:-(?P<last>\d+))?->[\d-]+/(?P<protocol>\w+)")
MIGRATION = re.compile(r"(?P<version>\d+).*?(?:\.(?P<half>up|down))?\.sql", re.ASCII | re.DOTALL)

MANY = settings(max_examples=1000, deadline=None)


def texts(*words: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(words), max_size=14).map("".join)


TEMPLATES = texts(
    *("$", "{", "}", "${", "${A", "${B", "${C", "A", "_", "1", ":", "-", "?", "+", ":-", "x", " "),
    *("\n", "\\", "\u212a", "\u017f", "\u2003", "#"),
)
VALUES = {"A": "1", "B": ""}


def substituted(template: str) -> str | None:
    """By the pattern that took quadratic time; None for a failure."""
    pieces, position = [], 0
    while match := SUBSTITUTION.search(template, position):
        first, end = match, len(match[0])
        if not (match["escaped"] or match["plain"]):
            end = closing_brace(match[0])
            first = SUBSTITUTION.match(match[0][:end])
            if not first["braced"]:
                return None
        value = (
            "$" if match["escaped"] else VALUES.get(match["plain"], "") if match["plain"] else braced(first["braced"])
        )
        if value is None:
            return None
        pieces += [template[position : match.start()], value]
        position = match.start() + end
    return "".join((*pieces, template[position:]))


def braced(expression: str) -> str | None:
    operator = re.search(r"(:?)([-+?])", expression)
    if not operator:
        return VALUES.get(expression, "")
    value = VALUES.get(expression[: operator.start()])
    unset = not value if operator[1] else value is None
    if operator[2] == "?" and unset:
        return None
    uses_argument = {"-": unset, "+": not unset, "?": False}[operator[2]]
    return substituted(expression[operator.end() :]) if uses_argument else value or ""


def closing_brace(expression: str) -> int:
    depth, position = 0, 0
    while position < len(expression):
        char = expression[position]
        depth += {"{": 1, "}": -1}.get(char, 0)
        if char == "}" and depth == 0:
            return position + 1
        position += 2 if char == "{" else 1
    return len(expression)


@MANY
@given(TEMPLATES)
@example("${A-{}:-x1")
@example("${C:-{x}${C:-{x}")
@example("${C:-${C-y}}}\n}")
def test_substitutions(template):
    try:
        found = _dotenv.substituted(template, VALUES, "place")
    except ComposeFailure:
        found = None
    assert found == substituted(template)


@MANY
@given(texts(*"\t\v\f\r \x85\xa0\n\u1680\u2000\u2005\u200a\u200b\u2028\u2029\u202f\u205f\u3000\x1c-a"))
def test_trailing_space(text):
    assert text.rstrip(_dotenv.SPACE) == re.sub(f"[{SPACE}]+\\Z", "", text)


@MANY
@given(TEMPLATES)
def test_interpolations(text):
    found = [match.groups() for match in _inputs.INTERPOLATION.finditer(text)]
    assert found == [match.groups() for match in INTERPOLATION.finditer(text)]


HOSTS = st.sampled_from(["0.0.0.0", ":", "::", "[::]", "127.0.0.1", "[fe80::1]", ""])
PORTS = st.sampled_from(["80", "1-3", "65535"])
ENTRIES = st.one_of(
    st.sampled_from(["80/tcp", "80-81/tcp", ""]),
    st.builds("{}:{}->{}/{}".format, HOSTS, PORTS, PORTS, st.sampled_from(["tcp", "udp", "sctp"])),
)


@MANY
@given(st.lists(ENTRIES, max_size=5).map(", ".join))
def test_ports_of_containers(told):
    expected = [
        (match["host"].strip("[]"), port, match["protocol"])
        for match in PUBLISHED.finditer(told)
        for port in range(int(match["first"]), int(match["last"] or match["first"]) + 1)
    ]
    assert [(each.address, each.port, each.protocol) for each in _ports.parsed_ports(told)] == expected


@MANY
@given(texts("0", "12", ".up", ".down", ".sql", "_a", ".", "\n", "é", "u"))
def test_names_of_migrations(name):
    own, rule = _migrations.NAME.fullmatch(name), MIGRATION.fullmatch(name)
    assert (own and own.groupdict()) == (rule and rule.groupdict())


@MANY
@given(texts("PASSWORD", "_", "EXPIR", "_EXPIRES", "_EXPIRY_DATE", "_FILE", "_TTL", "KEY", "1"))
def test_names_that_describe_a_secret(name):
    ends = r"_(FILE|PREFIX|LENGTH|ALGORITHM|METHOD|ROUNDS|ENABLED|DISABLED|TTL|LIFETIME|EXPIR\w*|TIMEOUT|DAYS)$"
    assert bool(_redact.DESCRIBES_SECRET.search(name)) == bool(re.search(ends, name))


def test_defaults_within_each_other():
    def nested(depth: int) -> str:
        return "${C:-" * depth + "x" + "}" * depth

    assert _dotenv.substituted(nested(_dotenv.DEEPEST), {}, "place") == "x"
    try:
        _dotenv.substituted(nested(_dotenv.DEEPEST + 2), {}, "place")
    except ComposeFailure as failure:
        assert failure.message == "place: place has more than 50 defaults within each other."
    else:
        raise AssertionError("it was read")
