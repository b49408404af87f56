# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A survey whose questions have no answers: the playbooks do what they do without the variables."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.conftest import REPOSITORY, Environment, ansible_playbook, service
from tests.unit.modules import MODULES, SPECS

NAMED = re.compile(r"\b(?:compose_\w+|postgres_\w+|backup_\w+|env_file_\w+|deploy_\w+|init_\w+|plan_file|allow_\w+)\b")
NO_SURVEY = re.compile(
    r"^(?:\w+_(?:result|prepared|connection|written|found|folder|gone|existing|host|memory\w*)|.*_plan\w*)$"
)
"""What tasks register, or the playbooks make of it."""


def of_modules() -> set[str]:
    """All variables of modules, in all three forms, whether an option has that one or not."""
    options = {(module, option) for module in MODULES for option in SPECS[module]}
    forms = {f"{prefix}_{option}" for module, option in options for prefix in ("compose_env", "postgres", module)}
    return forms - {"compose_env_incoming", "compose_env_actor"}


def of_roles() -> set[str]:
    """All options of the roles that the playbooks use."""
    files = [path for path in REPOSITORY.glob("roles/*/meta/argument_specs.yml") if "engine" not in path.parts]
    specs = [yaml.safe_load(path.read_text()) for path in files]
    return {name for spec in specs for part in spec["argument_specs"].values() for name in part["options"]}


PLAYBOOKS = {
    "compose_env_hosts",
    "compose_env_serial",
    "compose_env_expect_plan",
    "plan_file",
    "allow_several_environments",
}
EMPTY = (of_modules() | of_roles() | PLAYBOOKS) - {
    "compose_env_project_dir",
    "compose_env_environment",
    "env_file_check",
}


@pytest.mark.parametrize(("playbook", "flags"), [("plan", []), ("deploy", ["--check"]), ("deploy", [])], ids=str)
def test_playbook_takes_empty_answers_for_none(environment: Environment, playbook: str, flags: list[str]) -> None:
    environment.write("compose.yml", {"services": {"web": service()}})
    given: dict[str, Any] = {
        **dict.fromkeys(sorted(EMPTY), ""),
        "compose_env_project_dir": str(environment.folder),
        "compose_env_environment": environment.name,
        "compose_env_state_dir": str(environment.state_dir),
    }
    done = ansible_playbook(f"playbooks/{playbook}.yml", *flags, "-e", json.dumps(given))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "create     web" in done.stdout
    assert bool(environment.containers("web")) == (playbook == "deploy" and not flags)


def test_every_variable_of_the_playbooks_is_among_them() -> None:
    texts = [path.read_text() for path in Path(REPOSITORY, "playbooks").rglob("*.yml")]
    named = {
        name for text in texts for name in re.findall(r"\{\{[^}]*\}\}|when: .*", text) for name in NAMED.findall(name)
    }
    assert named & of_roles() <= EMPTY | {"compose_env_project_dir", "compose_env_environment", "env_file_check"}
    surveyed = {name for name in named if any(f"{name} | default(" in text for text in texts)}
    assert {name for name in surveyed if not NO_SURVEY.match(name)} <= EMPTY | MADE


MADE = {"deploy_files", "init_seen", "compose_env_incoming", "plan_of_host", "backup_migrations"}
"""By the playbooks themselves."""
