# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Env files against the real Compose: what is written arrives, and what is read is what Compose reads.

The files are generated; each test's name shows the seed, and ``DOTENV_SEED=...`` repeats a run. Needs a Compose plugin
and no engine; ``DOTENV_COMPOSE=/path/to/docker-compose`` tests another version of it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml
from ansible_collections.strata.compose.plugins.module_utils import _dotenv
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

SEED = int(os.environ["DOTENV_SEED"])
OUTSIDE = {"OUTER": "from outside, 5 $ 'and' $$more", "NOTHING": ""}
UNSET = "<not set>"


@pytest.fixture(scope="module", params=[f"seed {SEED}"], autouse=True)
def run(request) -> str:
    """Shows the seed in every test's name."""
    return request.param


def _compose_command() -> list[str]:
    folders = (
        "~/.docker",
        "/usr/local/lib/docker",
        "/usr/local/libexec/docker",
        "/usr/lib/docker",
        "/usr/libexec/docker",
    )
    plugins = (Path(folder).expanduser() / "cli-plugins" / "docker-compose" for folder in folders)
    given_or_found = [os.environ.get("DOTENV_COMPOSE"), *(str(plugin) for plugin in plugins if plugin.exists())]
    return next(([each] for each in given_or_found if each), ["docker", "compose"])


COMPOSE = _compose_command()


def generated(examples: int):
    """Hypothesis with a printed seed, and a blob that repeats a failure."""
    limits = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    return lambda test: seed(SEED)(limits(test))


def compose_config(folder: Path, services: dict, *options: str) -> dict[str, dict[str, str]] | None:
    """The environment of every service as Compose resolves it; None when it refuses, or if an engine would.

    Compose 2.40 hands on variables without a name, which no engine accepts.
    """
    layer = folder / "layer.json"
    layer.write_text(json.dumps({"services": {name: {"image": "x", **rest} for name, rest in services.items()}}))
    argv = [*COMPOSE, "-p", "fidelity", *options, "-f", str(layer), "config", "--format", "json"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **OUTSIDE}
    done = subprocess.run(
        argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return None
    found = {name: service.get("environment") or {} for name, service in json.loads(done.stdout)["services"].items()}
    if any("" in environment for environment in found.values()):
        return None
    return {
        name: {key: each.replace("$$", "$") for key, each in environment.items()} for name, environment in found.items()
    }


def as_env_file_option(text: str, names: list[str]) -> dict[str, str] | None:
    """What ``--env-file`` defines, seen through the substitution of a layer."""
    with tempfile.TemporaryDirectory() as folder:
        path = _file(Path(folder), "env", text)
        services = {"s": {"environment": {name: f"${{{name}-{UNSET}}}" for name in names}}}
        found = compose_config(Path(folder), services, "--env-file", path)
        return None if found is None else {name: each for name, each in found["s"].items() if each != UNSET}


def as_service_env_files(texts: list[str]) -> list[dict[str, str]] | None:
    """What a service's ``env_file:`` defines, for many files in one call."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [_file(Path(folder), f"env{index}", text) for index, text in enumerate(texts)]
        found = compose_config(Path(folder), {f"s{i}": {"env_file": [path]} for i, path in enumerate(paths)})
        return None if found is None else [found[f"s{index}"] for index in range(len(texts))]


def _file(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_bytes(text.encode())
    return str(path)


def ours(text: str) -> dict[str, str] | None:
    try:
        return _dotenv.values(text, OUTSIDE)
    except ComposeFailure:
        return None


# What is special to some parser between here and the container, among ordinary text.
special = st.sampled_from(
    [*"'\"\\$#{}=:`!%&;|~ \t\n\r\v\f\x85\xa0\u2028\ufeff\x01\x7f", "$$", "${A}", " #", "\\'", '\\"', "\\n"]
)
anything = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
value = st.lists(st.one_of(special, special, anything, st.sampled_from("aZ09_")), max_size=12).map("".join)
name = st.from_regex(r"[A-Z_][A-Z0-9_]{0,6}", fullmatch=True).map("V_{}".format)


@generated(40)
@given(variables=st.dictionaries(name, value, min_size=1, max_size=30))
def test_what_is_written_arrives(variables):
    text = _dotenv.write(variables, header="written by a test")
    assert as_env_file_option(text, list(variables)) == variables
    assert as_service_env_files([text]) == [variables]
    assert _dotenv.values(text) == variables


def test_very_long_values_arrive():
    variables = {"PLAIN": "x" * 100_000, "SPECIAL": "a'$\\\n\"" * 20_000, "EMPTY": "", "BACKSLASHES": "\\" * 1001}
    text = _dotenv.write(variables)
    assert as_env_file_option(text, list(variables)) == variables


# Files as people write them: few names, so that substitutions meet definitions, redefinitions and unknown names.
known = st.sampled_from(["A", "B", "C_1", "OUTER", "NOTHING", "UNKNOWN"])
blank = st.sampled_from(["", "", "", " ", "\t", "  "])
harmless = [
    "a",
    "1",
    "pa#ss",
    "x y",
    "#",
    "$",
    "$$",
    "$1",
    "}",
    "\\",
    "\\$",
    "\\t",
    "\\0101",
    "\\07",
    "é",
    "=",
    ":",
    "-",
    "it's",
    '"',
]
reference = st.one_of(known.map("${}".format), known.map("${{{}}}".format))


def words(*more: str):
    return st.lists(st.one_of(st.sampled_from([*harmless, *more]), reference), max_size=4).map("".join)


# What is malformed or required stands outside of defaults: before 5.1.2 Compose fails on it even in an unused one.
# A line break, which \\n is in double quotes, makes braces malformed.
default = st.recursive(
    words(), lambda inner: st.builds("${{{}{}{}}}".format, known, st.sampled_from([":-", "-", ":+", "+"]), inner)
)
required = st.builds("${{{}{}{}}}".format, known, st.sampled_from([":?", "?"]), words())
text_with_references = st.builds(
    "{}{}{}".format, words("{", "\\n"), st.one_of(default, default, default, required), words("\\n")
)
unquoted = text_with_references.filter(lambda text: text.lstrip()[:1] not in ("'", '"'))
single = st.one_of(text_with_references, value).map(lambda text: "'" + text.rstrip("\\").replace("'", "\\'") + "'")
double = st.one_of(text_with_references, words()).map(lambda text: '"' + text.rstrip("\\").replace('"', '\\"') + '"')
multiline = st.sampled_from(["'a\n b\n'", '"one\ntwo $A"', '"x\\\ny"', "'#not a comment\n'"])
assignment = st.builds(
    "{}{}{}{}{}{}{}".format,
    st.sampled_from(["", "", "", "export ", "export\t"]),
    known.filter(lambda each: each not in OUTSIDE),
    blank,
    st.sampled_from(["=", "=", "=", "=", ": "]),
    blank,
    st.one_of(unquoted, single, double, multiline),
    st.sampled_from(["", "", "", " ", " # comment", "\t", "\r", " #it's"]),
)
other_line = st.sampled_from(
    ["", "# comment", "   # it's $A ${", "\t", "OUTER", "NOTHING", "UNKNOWN", "export OUTER", "\r"]
)
env_file = st.builds(
    lambda mark, lines: mark + "\n".join(lines) + "\n",
    st.sampled_from(["", "", "", "\ufeff"]),
    st.lists(st.one_of(assignment, assignment, assignment, other_line), max_size=6),
)


noise = st.lists(st.one_of(special, st.sampled_from(["A", "B=", "=", "\n", "export ", "${B", ":-", "'"])), max_size=14)


@generated(40)
@given(texts=st.lists(env_file, min_size=1, max_size=30))
def test_what_is_read_is_what_compose_reads_for_a_service(texts):
    readable = [text for text in texts if ours(text) is not None]
    refused = [text for text in texts if ours(text) is None][:2]
    assert as_service_env_files(readable) == [ours(text) for text in readable]
    assert [as_service_env_files([text]) for text in refused] == [None] * len(refused)


@generated(50)
@given(text=env_file)
def test_what_is_read_is_what_compose_reads_for_the_project(text):
    names = ["A", "B", "C_1", "UNKNOWN"]
    expected = ours(text)
    if expected is not None:
        expected = {name: expected[name] for name in names if name in expected}
    assert as_env_file_option(text, names) == expected


@generated(100)
@given(text=noise.map(lambda parts: "N='x'\n" + "".join(parts)))
def test_noise_is_read_or_refused_as_compose_does(text):
    expected = ours(text)
    assert as_service_env_files([text]) == (None if expected is None else [expected])


def compose_version() -> tuple[int, ...]:
    told = subprocess.run([*COMPOSE, "version", "--short"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in re.findall(r"\d+", told)[:2])


def test_files_after_each_other(tmp_path):
    first, second = "A=1\nONLY_FIRST=x\n", "A=2\nB=$ONLY_FIRST\nC=$A\nA\n"
    before = _dotenv.values(first)
    options = [
        part for index, text in enumerate([first, second]) for part in ("--env-file", _file(tmp_path, str(index), text))
    ]
    found = compose_config(tmp_path, {"s": {"environment": {each: f"${{{each}}}" for each in "ABC"}}}, *options)
    newer = compose_version() >= (2, 39)
    assert found == {"s": _dotenv.values(second, earlier=before) if newer else _dotenv.values(second, lookup=before)}


def test_the_table_of_the_unit_tests_is_true(tmp_path, monkeypatch):
    monkeypatch.setitem(OUTSIDE, "OUTER", "outside")
    monkeypatch.setitem(OUTSIDE, "EMPTY", "")
    table = yaml.safe_load((Path(__file__).parents[1] / "unit" / "cases" / "dotenv.yml").read_text(encoding="utf-8"))
    read = [case for case in table["read"] if compose_version() >= tuple(case.get("since", ()))]
    earlier = _file(tmp_path, "earlier", "EARLIER=before\n")
    services = {
        f"s{i}": {"env_file": [earlier, _file(tmp_path, f"env{i}", case["file"])]} for i, case in enumerate(read)
    }
    assert compose_config(tmp_path, services) == {
        f"s{i}": {"EARLIER": "before", **case["values"]} for i, case in enumerate(read)
    }
    assert [case["it"] for case in table["refused"] if as_service_env_files([case["file"]]) is not None] == []
