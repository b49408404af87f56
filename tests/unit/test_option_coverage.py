# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each option of each module is used by at least one test on a real engine."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

from tests.unit.modules import MODULES, SPECS, documented_options

INTEGRATION = Path(__file__).parents[1] / "integration"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(INTEGRATION.rglob("*.py"))}

ANY_MODULE = "conftest.py"
"""What it gives, it gives to all modules."""

USUAL_MODULE = "compose_env"
USUAL_CALL = re.compile(r"\.(?:deploy|plan)\(")
"""Tests that name no module run this one."""

INTERNAL = "Not for use in tasks."

LAYERS = {"service", "write"}
"""Functions whose arguments are layers, with keys that options have too."""
OTHERS = {"subprocess", "containers", "images", "networks", "volumes", "requests"}
"""Things whose functions take arguments that options are named as too."""


@pytest.mark.parametrize("module", MODULES)
def test_each_option_is_tested(module):
    used = {option for name in TEXTS if concerns(name, module) for option in options_used_in(name)}
    used |= {option for text in TEXTS.values() for option in options_in_playbooks(text, module)}
    described = {name: " ".join(option["description"]) for name, option in documented_options(module).items()}
    missing = [name for name in SPECS[module] if name not in used and INTERNAL not in described[name]]
    assert missing == [], f"no test of {module} uses {', '.join(missing)}"


def concerns(name, module):
    """Whether a file of tests concerns a module: the one that it is named after, or else each that its text names."""
    namesakes = [each for each in MODULES if re.fullmatch(rf"test_{each}\d*", Path(name).stem)]
    if namesakes or name == ANY_MODULE:
        return name == ANY_MODULE or module in namesakes
    usual = module == USUAL_MODULE and USUAL_CALL.search(TEXTS[name])
    return bool(usual or re.search(rf"\b{module}\b", TEXTS[name]))


@functools.cache
def options_used_in(name):
    return set(_given(ast.parse(TEXTS[name])))


def _given(node):
    """Names of keyword arguments and keys of mappings, without those of layers and of other libraries."""
    if isinstance(node, ast.Call) and _callee(node) & (LAYERS | OTHERS):
        return
    if isinstance(node, ast.Dict) and _is_layers(node):
        return
    if isinstance(node, ast.keyword) and node.arg:
        yield node.arg
    if isinstance(node, ast.Dict):
        yield from (key.value for key in node.keys if isinstance(key, ast.Constant))
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and isinstance(node.slice, ast.Constant):
        yield node.slice.value
    for child in ast.iter_child_nodes(node):
        yield from _given(child)


def _callee(call):
    """``{"containers", "run"}`` of ``engine.containers.run(...)``."""
    function, names = call.func, set()
    while isinstance(function, ast.Attribute) and len(names) < 2:
        names.add(function.attr)
        function = function.value
    return names | ({function.id} if isinstance(function, ast.Name) and len(names) < 2 else set())


def _is_layers(mapping):
    return any(
        isinstance(key, ast.Constant) and key.value == "services" and not isinstance(value, (ast.List, ast.Name))
        for key, value in zip(mapping.keys, mapping.values)
    )


def options_in_playbooks(text, module):
    """The options of a task in a playbook that a test holds as text."""
    tasks = re.findall(rf"^( *)(?:- )?(?:strata\.compose\.)?{module}:\n((?:\1 +.*\n)+)", text, re.MULTILINE)
    return {option for _indent, lines in tasks for option in re.findall(r"^ +([a-z_]+):", lines, re.MULTILINE)}
