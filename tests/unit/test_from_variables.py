# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An empty answer of a survey is no value, for each option of each module."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail

from tests.unit.modules import COLLECTION, MODULES, SPECS

OPTIONS = [(module, option) for module in MODULES for option in SPECS[module]]
EMPTY = ["", " ", "\n"]


def action_of(module, **given):
    """The action of a module for a task with these options; templates are texts that mean themselves."""
    kind = importlib.import_module(f"ansible_collections.{COLLECTION}.plugins.action.{module}").ActionModule
    action = object.__new__(kind)
    action._task = SimpleNamespace(args=given, check_mode=True)
    action._templar = SimpleNamespace(template=lambda value: value)
    return action


@pytest.mark.parametrize(("module", "option"), OPTIONS, ids=".".join)
class TestOption:
    @pytest.mark.parametrize("empty", EMPTY, ids=repr)
    def test_empty_variable_is_not_set(self, module, option, empty):
        action = action_of(module)
        assert action._from_variables({action._variable(option): empty}) == {}

    def test_variable_with_a_value_is_set(self, module, option):
        action = action_of(module)
        for value in ("x", 0, False, [], {}):
            assert action._from_variables({action._variable(option): value}) == {option: value}

    def test_empty_option_of_a_task_is_a_value_for_texts_alone(self, module, option):
        is_text = SPECS[module][option].get("type", "str") in ("str", "path")
        action = action_of(module, **{option: ""})
        assert action._given() == ({option: ""} if is_text else {})
        filled = action._from_variables({action._variable(option): "x"})
        assert filled == ({} if is_text else {option: "x"})


@pytest.mark.parametrize("module", MODULES)
def test_empty_required_option_is_told_with_its_variable(module):
    action = action_of(module)
    for option, details in SPECS[module].items():
        if details.get("required"):
            others = {name: "x" for name in SPECS[module] if name != option}
            with pytest.raises(AnsibleActionFail, match=f"set the variable {action._variable(option)} "):
                action._require({**others, option: ""}, {})
