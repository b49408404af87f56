# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of each module run as they stand: they are tasks, their options fit, and they need no variable."""

from __future__ import annotations

import ast
from typing import Any

import jinja2
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.playbook.task import Task

from tests.unit.modules import COLLECTION, FOLDER, MODULES, SPECS, documents_of

EXPRESSIONS = ("when", "changed_when", "failed_when", "until")
"""Keywords whose values are expressions without braces."""

ALWAYS_THERE = {"lookup", "query", "omit"}

RELATIONS = ("mutually_exclusive", "required_one_of", "required_if", "required_together", "required_by")


@pytest.mark.parametrize("module", MODULES)
class TestExamples:
    def test_are_tasks(self, module):
        for task in documents_of(module)["EXAMPLES"]:
            assert str(task.get("name", "")).strip(), task
            actions = [key for key in task if key not in Task.fattributes]
            assert len(actions) == 1, f"{task['name']}: {actions}"
            assert actions[0].count(".") >= 2, f"{task['name']}: {actions[0]} is no full name"

    def test_give_options_that_fit(self, module):
        for task in documents_of(module)["EXAMPLES"]:
            for each in own_modules(task):
                assert (task["name"], problems_of(each, task[f"{COLLECTION}.{each}"])) == (task["name"], [])

    def test_need_no_variable(self, module):
        registered: set[str] = set()
        for task in documents_of(module)["EXAMPLES"]:
            registered |= {task["register"]} if "register" in task else set()
            known = {*registered, *task.get("vars", ()), *(["item"] if "loop" in task else [])}
            assert (task["name"], variables_in(task) - known - ALWAYS_THERE) == (task["name"], set())


def test_what_does_not_fit_is_found():
    place = {"project_dir": "/opt/shop", "environment": "prod"}
    assert problems_of("compose_env", place) == []
    assert problems_of("compose_env", {**place, "keep_releases": "{{ number }}"}) == []
    assert len(problems_of("compose_env", {"project_dir": "/opt/shop"})) == 1
    for wrong in ({"stat": "present"}, {"state": "up"}, {"keep_releases": "many"}):
        assert len(problems_of("compose_env", {**place, **wrong})) == 1
    command = {**place, "service": "api"}
    assert len(problems_of("compose_exec", command)) == 1
    assert len(problems_of("compose_exec", {**command, "argv": ["a"], "command": "a"})) == 1
    assert variables_in({"x": {"y": ["{{ a | b(c) }}"]}, "when": "d is e", "vars": {"f": "{{ g }}"}}) == {*"acdg"}


def own_modules(task: dict[str, Any]) -> list[str]:
    """The collection's module that a task calls, if it calls one."""
    return [each for each in MODULES if f"{COLLECTION}.{each}" in task]


def problems_of(module: str, options: dict[str, Any]) -> list[str]:
    """What the module would say of these options; of a template, the value is not known yet."""
    templates = {name for name, value in options.items() if isinstance(value, str) and "{{" in value}
    spec = {name: {"type": "raw"} if name in templates else option for name, option in SPECS[module].items()}
    return list(ArgumentSpecValidator(spec, **relations_of(module)).validate(options).error_messages)


def relations_of(module: str) -> dict[str, Any]:
    """What the module says of options that go together or do not."""
    calls = [
        each
        for each in ast.walk(ast.parse((FOLDER / f"{module}.py").read_text(encoding="utf-8")))
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == "AnsibleModule"
    ]
    (call,) = calls
    return {each.arg: ast.literal_eval(each.value) for each in call.keywords if each.arg in RELATIONS}


def variables_in(task: dict[str, Any]) -> set[str]:
    """The variables that the templates and conditions of a task use."""
    conditions = [str(task[key]) for key in EXPRESSIONS if key in task]
    texts = [*_texts(task), *(f"{{{{ {each} }}}}" for each in conditions)]
    parsed = [jinja2.Environment().parse(text) for text in texts]
    return {name.name for template in parsed for name in template.find_all(jinja2.nodes.Name)}


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) and "{" in value else []
