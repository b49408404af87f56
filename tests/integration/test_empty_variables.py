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

from tests.integration.conftest import REPOSITORY, Environment, ansible_playbook, process, service
from tests.integration.databases import postgres
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
    "exec_service",
    "exec_command",
    "exec_one_off",
    "clone_never_into",
    "clone_masking",
    "clone_assertions",
}
OF_PLAYBOOKS = {path.stem for path in (REPOSITORY / "playbooks").glob("*.yml")}
EMPTY = (of_modules() | of_roles() | PLAYBOOKS) - {
    "compose_env_project_dir",
    "compose_env_environment",
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


def answers(environment: Environment, **given: Any) -> str:
    """All variables empty, but for those without which nothing is known."""
    own = {
        "compose_env_project_dir": str(environment.folder),
        "compose_env_environment": environment.name,
        "compose_env_state_dir": str(environment.state_dir),
    }
    return json.dumps({**dict.fromkeys(sorted(EMPTY), ""), **own, **given})


@pytest.mark.parametrize(
    "playbooks",
    [
        ("logs", "exec", "remove"),
        pytest.param(
            (
                "ps",
                "top",
                "releases",
                "build",
                "pull",
                "init",
                "restart",
                "stop",
                "start",
                "rollback",
                "unlock",
                "down",
            ),
            marks=pytest.mark.thorough,
        ),
    ],
    ids=["short", "others"],
)
def test_other_playbooks_take_empty_answers_for_none(environment: Environment, playbooks: tuple[str, ...]) -> None:
    given = {
        "exec": {"exec_service": "web", "exec_command": "echo it is done"},
        "remove": {"compose_env_confirm": "dev"},
    }
    for level in ("info", "debug"):
        web = service(environment={"LEVEL": level}, pull_policy="never")
        environment.write("compose.yml", {"services": {"web": web}})
        environment.deploy()
    for playbook in playbooks:
        done = ansible_playbook(f"playbooks/{playbook}.yml", "-e", answers(environment, **given.get(playbook, {})))
        assert done.returncode == 0, f"{playbook}: {done.stdout}{done.stderr}"
        assert playbook != "exec" or "it is done" in done.stdout
    assert environment.containers() == []


@pytest.mark.parametrize("missing", ["exec_service", "exec_command"])
def test_exec_says_what_it_needs(environment: Environment, missing: str) -> None:
    given = {"exec_service": "web", "exec_command": "true", missing: ""}
    done = ansible_playbook("playbooks/exec.yml", "-e", answers(environment, **given))
    assert done.returncode != 0
    assert "Say -e exec_service=<service> and -e exec_command='<command>'" in done.stdout


def test_playbooks_of_databases_take_empty_answers_for_none(environment: Environment, tmp_path: Path) -> None:
    """One server with two environments' databases is enough: a clone goes from one to the other."""
    other = Environment(environment.folder, environment.state_dir, environment.engine, "staging")
    for each in (environment, other):
        each.write("compose.yml", {"services": {"postgres": postgres(tmpfs=["/var/lib/postgresql/data"])}})
    migration = "-- migrate:up\nCREATE TABLE a (id int);\n-- migrate:down\nDROP TABLE a;\n"
    environment.write("migrations/001_a.sql", migration)
    needed = {
        "migrate_down": {"postgres_migrate_confirm": "dev"},
        "restore": {"postgres_restore_confirm": "dev", "postgres_restore_replace": "true"},
    }
    common = {"postgres_database": "shop", "postgres_backup_dir": str(tmp_path / "backups")}
    try:
        for each in (environment, other):
            each.deploy(wait_timeout=60)
            assert not process("postgres_env", each.options("postgres_env", {"database": "shop"})).failed
        for playbook in ("psql", "migrate", "backup", "verify_backups", "restore", "migrate_down"):
            given = {**common, **needed.get(playbook, {})}
            done = ansible_playbook(f"playbooks/{playbook}.yml", "-e", answers(environment, **given))
            assert done.returncode == 0, f"{playbook}: {done.stdout}{done.stderr}"
        done = clone(environment, other, tmp_path, common)
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        other.clean_up()


def clone(source: Environment, target: Environment, folder: Path, common: dict[str, str]) -> Any:
    hosts = {
        each.name: {"ansible_connection": "local", "compose_env_environment": each.name} for each in (source, target)
    }
    inventory = folder / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    given = json.loads(answers(source, **common, clone_from=source.name, clone_into=target.name))
    del given["compose_env_environment"]
    return ansible_playbook("-i", inventory, "playbooks/clone.yml", "-e", json.dumps(given))


def test_every_playbook_is_among_them() -> None:
    text = Path(__file__).read_text()
    assert {
        each
        for each in OF_PLAYBOOKS
        if f'"{each}"' not in text and f"/{each}.yml" not in text and each not in text.split()
    } == set()


def test_every_variable_of_the_playbooks_is_among_them() -> None:
    texts = [path.read_text() for path in Path(REPOSITORY, "playbooks").rglob("*.yml")]
    named = {
        name for text in texts for name in re.findall(r"\{\{[^}]*\}\}|when: .*", text) for name in NAMED.findall(name)
    }
    assert named & of_roles() <= EMPTY | {"compose_env_project_dir", "compose_env_environment"}
    surveyed = {name for name in named if any(f"{name} | default(" in text for text in texts)}
    assert {name for name in surveyed if not NO_SURVEY.match(name)} <= EMPTY | MADE


MADE = {"deploy_files", "init_seen", "compose_env_incoming", "plan_of_host", "backup_migrations"}
"""By the playbooks themselves."""
