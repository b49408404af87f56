# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each module documents exactly the options that it has, and its examples use no others."""

from __future__ import annotations

import ast
import importlib
import re

import pytest
import yaml
from ansible_collections.strata.compose.plugins.module_utils._spec import ENVIRONMENT

from tests.unit.modules import (
    COLLECTION,
    FOLDER,
    MODULES,
    SPECS,
    assignments_in,
    documented_attributes,
    documented_options,
    documents_of,
)

FACTS = ("type", "required", "default", "choices", "elements", "aliases")
"""What documentation and spec both say of an option; no_log is for the module alone."""


VERSIONS = ("galaxy.yml", "changelogs/changelog.yaml")
"""The version that is being worked on, and those that were released."""


def facts(options):
    """What is said of each option; that it is not required, or has no default, need not be said."""
    unsaid = (("required", False), *((key, None) for key in FACTS))
    return {
        name: {key: option[key] for key in FACTS if key in option and (key, option[key]) not in unsaid}
        for name, option in options.items()
    }


@pytest.mark.parametrize("module", MODULES)
class TestModule:
    def test_has_a_spec(self, module):
        assert module in SPECS

    def test_documents_the_options_of_its_spec(self, module):
        assert facts(documented_options(module)) == facts(SPECS[module])

    def test_describes_each_option(self, module):
        options = documented_options(module)
        assert [name for name, option in options.items() if not said(option.get("description"))] == []

    def test_tells_what_it_is(self, module):
        documentation = documents_of(module)["DOCUMENTATION"]
        assert documentation["module"] == module
        assert said([documentation["short_description"]])
        assert said(documentation["description"])

    def test_has_examples_of_options_that_it_has(self, module):
        tasks = documents_of(module)["EXAMPLES"]
        own = [task[f"{COLLECTION}.{module}"] for task in tasks if f"{COLLECTION}.{module}" in task]
        assert own, "no example uses the module"
        assert sorted({name for options in own for name in options} - set(SPECS[module])) == []

    def test_describes_each_value_that_it_returns(self, module):
        returned = documents_of(module)["RETURN"]
        assert returned
        assert [name for name, each in returned.items() if not said(each.get("description"))] == []

    def test_fills_unset_options_from_variables(self, module):
        code = ast.parse((FOLDER.parent / "action" / f"{module}.py").read_text(encoding="utf-8")).body
        (action,) = [each for each in code if isinstance(each, ast.ClassDef)]
        assert action.name == "ActionModule"
        assert assignments_in(action.body) == {"module": f"{COLLECTION}.{module}", "spec": module.upper()}

    def test_tells_whether_it_runs_in_the_background(self, module):
        action = importlib.import_module(f"ansible_collections.{COLLECTION}.plugins.action.{module}").ActionModule
        assert documented_attributes(module)["async"]["support"] == ("full" if action._supports_async else "none")


RESERVED = {
    *("changed", "failed", "unreachable", "skipped", "finished", "started", "exception", "warnings", "deprecations"),
    *("msg", "rc", "diff", "ansible_facts", "ansible_stats", "ansible_job_id", "async_result", "results_file"),
    *("attempts", "retries", "skip_reason", "skipped_reason", "false_condition", "notify", "add_host", "add_group"),
    *("changed_when_result", "failed_when_result", "break_when_result", "results", "item", "invocation"),
    *("changed_when_suppressed_exception", "failed_when_suppressed_exception", "break_when_suppressed_exception"),
    *("include", "include_args", "include_file", "include_variables", "module_stdout", "module_stderr", "ansible_loop"),
    *("ansible_loop_var", "ansible_index_var", "stdout_lines", "stderr_lines", "censored"),
}
"""Keys of a result that ansible-core 2.19 to 2.21 reads, converts, replaces or drops (`executor/task_executor.py`,
`executor/task_result.py`, `_internal/_task.py`, class `UnifiedTaskResult`)."""

AS_ANSIBLE_MEANS_THEM = {"rc": "int", "diff": "dict", "changed": "bool", "msg": "str"}
"""Those of them that modules return, with the type that they must have."""


@pytest.mark.parametrize("module", MODULES)
def test_no_result_has_a_key_that_ansible_keeps_for_itself(module):
    found = {name: each["type"] for name, each in documents_of(module)["RETURN"].items() if name in RESERVED}
    assert {name: kind for name, kind in found.items() if AS_ANSIBLE_MEANS_THEM.get(name) != kind} == {}


def test_no_part_of_a_result_is_called_finished():
    """Nothing becomes of it there, but a user who has read one place would expect it in the other."""
    assert [module for module in MODULES if "finished" in names_within(documents_of(module)["RETURN"])] == []


def names_within(returned):
    below = (names_within(each.get("contains") or {}) for each in returned.values())
    return set(returned).union(*below)


def test_each_spec_has_a_module():
    assert sorted(SPECS) == MODULES


def test_modules_with_options_of_an_environment_share_them():
    differ = {
        f"{module}.{name}"
        for module, spec in SPECS.items()
        for name in set(spec) & set(ENVIRONMENT)
        if spec[name] is not ENVIRONMENT[name]
    }
    assert differ == {"compose_env_file.variables", "postgres_env.variables"}, "they mean what they say, and no more"


def test_the_action_group_holds_all_modules():
    runtime = yaml.safe_load((FOLDER.parents[1] / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    (members,) = runtime["action_groups"].values()
    assert sorted(each for each in members if isinstance(each, str)) == MODULES


def test_modules_are_said_to_be_added_in_a_version_that_there_is():
    galaxy, released = (yaml.safe_load((FOLDER.parents[1] / name).read_text("utf-8")) for name in VERSIONS)
    added = {
        each["name"]: version
        for version, release in released["releases"].items()
        for each in release.get("modules", ())
    }
    told = {module: documents_of(module)["DOCUMENTATION"]["version_added"] for module in MODULES}
    assert told == {module: added.get(module, galaxy["version"]) for module in MODULES}


READ_ONLY = {"logs", "plan", "ps", "psql", "releases", "top"}
OF_SEVERAL_ENVIRONMENTS = {"backup", "verify_backups", "clone"}
"""The exceptions that the README names."""


def test_playbooks_that_change_something_refuse_several_environments():
    folder = FOLDER.parents[1] / "playbooks"
    texts = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.yml")}
    checking = {name for name, text in texts.items() if re.search(r"tasks/(one_environment|prepare)\.yml", text)}
    assert set(texts) - checking == READ_ONLY | OF_SEVERAL_ENVIRONMENTS


def said(description):
    """Whether a description is a text, or a list of texts, of which none is empty."""
    texts = [description] if isinstance(description, str) else description or []
    return bool(texts) and all(isinstance(each, str) and each.strip() for each in texts)
