# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every regular expression of the collection takes linear time: files, logs and names are what others wrote."""

from __future__ import annotations

import ast
import importlib
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _dotenv, _inputs, _ports
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.plugin_utils import _option_variables

PLUGINS = "ansible_collections.strata.compose.plugins"
FOLDER = Path(__file__).parents[2] / "plugins"
LENGTH, LONG = 60_000, 1_000_000
SECONDS = 5
"""For one text, where 50 ms are usual: what takes quadratic time needs 30 s and more."""

METHODS = {"match", "fullmatch", "search", "finditer", "findall", "sub", "split"}
HANDED_ON = {
    **dict.fromkeys(("_dotenv.GAP", "_dotenv.KEY", "_dotenv.PLAIN", "_dotenv.QUOTED"), {"match"}),
    "_ownership.NAMES_ENVIRONMENT": {"fullmatch"},
    "_compose_warnings.KNOWN": {"search"},
}
"""What is done with patterns that are not used by their names."""

OF_LOGS = ("_redact.[APU]", "_spelling", "_unescape", "_compose_warnings", "_sql", "_test_server", "_command.[CNR]")
"""Those that meet output of any length."""

SIGNS = ("\n", " ", "\t", "#", "-", "\\", "'", '"', "$", "${", "${A:-", "${A:-${B}", "a", "A_", "0", "=", ":", "/", "@")
WORDS = ("${A:-x}", "://a:", "://:@", "a: ", "A=", "password='", "[", ",", "{", "}", "{}", "KEY1", "_EXPIR", '"\\"')
MORE = (
    'time="',
    'time="" level=a msg="\\"\n',
    "a\n",
    " \n",
    "\n#",
    "--",
    "/*",
    "''",
    "E'",
    "''a",
    "$$",
    "%25",
    ":1",
    "1-",
)
ENDS = ("\0", "}\n\0")


class Own(NamedTuple):
    name: str
    pattern: re.Pattern[str]
    method: str


def constants(path: Path, tree: ast.Module) -> Iterator[Own]:
    """The patterns that a file compiles at its top, each with what is done with it."""
    named = {
        target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets if is_name(target)
    }
    if not any(is_compiled(node) for node in tree.body):
        return
    module = importlib.import_module(".".join([PLUGINS, *path.relative_to(FOLDER).with_suffix("").parts]))
    for key in sorted(named):
        value = getattr(module, key)
        values = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else [value]
        for each in values:
            if isinstance(each, re.Pattern) and isinstance(each.pattern, str):
                for method in sorted(HANDED_ON.get(f"{path.stem}.{key}") or used(tree, key)):
                    yield Own(f"{path.stem}.{key}", each, method)


def is_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Name)


def is_compiled(node: ast.stmt) -> bool:
    return any(isinstance(each, ast.Attribute) and each.attr == "compile" for each in ast.walk(node))


def used(tree: ast.Module, key: str) -> set[str]:
    """The methods of a pattern that a file uses."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in METHODS
        and isinstance(node.value, ast.Name) and node.value.id == key
    }  # fmt: skip


def in_place(path: Path, tree: ast.Module) -> Iterator[Own]:
    """``re.search("...", text)``; what is computed for it stands there as a letter."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
            text = literal(node.args[0]) if node.args and ast.unparse(node.func.value) == "re" else None
            if text is not None:
                yield Own(f"{path.stem}:{node.lineno}", re.compile(text), node.func.attr)


def literal(node: ast.expr) -> str | None:
    if isinstance(node, ast.JoinedStr):
        return "".join(literal(each) if isinstance(each, ast.Constant) else "x" for each in node.values)
    return node.value if isinstance(node, ast.Constant) else None


def collected() -> list[Own]:
    trees = {path: ast.parse(path.read_text()) for path in sorted(FOLDER.rglob("*.py"))}
    return [own for path, tree in trees.items() for own in (*constants(path, tree), *in_place(path, tree))]


ALL = collected()


@contextmanager
def at_most(seconds: int, what: str) -> Iterator[None]:
    def end(*_: object) -> None:
        raise AssertionError(f"{what} takes more than {seconds} s")

    previous = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def units(pattern: str) -> list[str]:
    """What a text is made of: signs, and the pattern's own words with signs."""
    own = re.findall(r"[A-Za-z]{2,}", pattern)[:6]
    return sorted({*SIGNS, *WORDS, *MORE, *own, *(f"{each}{sign}" for each in own for sign in (" ", "=", ":", "_"))})


def apply(own: Own, text: str) -> None:
    arguments = ("", text) if own.method == "sub" else (text,)
    found = getattr(own.pattern, own.method)(*arguments)
    if own.method == "finditer":
        for _each in found:
            pass


def name_of(own: Own) -> str:
    return f"{own.name}-{own.method}"


@pytest.mark.parametrize("own", ALL, ids=name_of)
def test_no_pattern_takes_more_than_linear_time(own):
    for unit, end in zip(units(own.pattern.pattern), cycle(ENDS)):
        with at_most(SECONDS, f"{own.name} on {unit!r}"):
            apply(own, (unit * (LENGTH // len(unit) + 1))[:LENGTH] + end)


@pytest.mark.parametrize("own", [own for own in ALL if re.match("|".join(OF_LOGS), own.name)], ids=name_of)
def test_nor_on_a_megabyte_of_logs(own):
    for unit in units(own.pattern.pattern)[::3]:
        with at_most(SECONDS, f"{own.name} on {unit!r}"):
            apply(own, (unit * (LONG // len(unit) + 1))[:LONG] + "\0")


def test_every_pattern_is_known():
    """Each line that compiles or uses a pattern is among them, or is seen below."""
    lines = [line for path in FOLDER.rglob("*.py") for line in path.read_text().splitlines()]
    compiled = sum(len(re.findall(r"\bre\.compile\((?!USE\.format)", line)) for line in lines)
    assert compiled == len({own.pattern for own in ALL if ":" not in own.name})
    computed = [line.strip() for line in lines if re.search(r"\bre\.(fullmatch|match|search|sub)\((?!r?f?[\"'])", line)]
    assert computed == [
        "return re.fullmatch(pattern, name, re.ASCII) is not None",  # of the name that a file can have
        'wrong = [name for name in given if not re.fullmatch(_inputs.NAME, name) or name == "COMPOSE_PROJECT_NAME"]',
    ]


@pytest.mark.parametrize(
    "unit",
    ["${A:-x}", "${A:-${A:-", "${A:-{x}", "${B:-{x}", "${A:-x", "${B", "$B", "$$", "} ", "{", "\\", " ", "\u2003"],
)
@pytest.mark.parametrize("end", ["", "}", "\n", "}\nC=1", "'", '"'])
@pytest.mark.parametrize("begin", ["A=", "B=1\nA=", 'A="', "A='", "A"])
def test_reading_an_env_file(begin, unit, end):
    text = begin + unit * (LENGTH // len(unit)) + end
    with at_most(SECONDS, "an env file"):
        try:
            _dotenv.read(text)
        except ComposeFailure:
            return


@pytest.mark.parametrize("unit", ["${A:-x}", "${A:-", "${A:-${B}", "$A", "$${A", "{${A?x}}", "'\"", "#$A", " '#"])
def test_finding_the_variables_of_a_layer(unit):
    with at_most(SECONDS, "a layer"):
        _inputs.uses_of_variables("a: " + unit * (LENGTH // len(unit)))


@pytest.mark.parametrize("unit", ["0.0.0.0:80->80/tcp, ", ":", "a", "1", ":1", ", ", "0.0.0.0:80->"])
def test_reading_ports_of_a_container(unit):
    with at_most(SECONDS, "the ports"):
        _ports.parsed_ports(unit * (LENGTH // len(unit)))


@pytest.mark.parametrize(
    "unit", ["confirm=", "confirm='", "confirm=.", "confirm=a", "confirm ", "confirm=a-", "'", "="]
)
def test_looking_for_options_in_a_message(unit):
    with at_most(SECONDS, "a message"):
        _option_variables.with_variables(unit * (LENGTH // len(unit)), {"confirm": "compose_env_confirm"})


def test_reading_an_env_file_of_a_megabyte():
    with at_most(SECONDS, "an env file"):
        values = _dotenv.values("B=1\nA=" + "${B:-x}" * (LONG // 7))
    assert len(values["A"]) == LONG // 7
