# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook remove.yml: what deploy.yml made is gone, wherever its state is kept."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.integration.conftest import Environment, ansible_playbook, service


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(True, id="a state_dir of one's own"),
        pytest.param(False, id="the user's", marks=pytest.mark.skipif(os.geteuid() == 0, reason="root has another")),
    ],
)
def test_it_leaves_nothing(environment: Environment, tmp_path: Path, given: bool) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "compose.yml").write_text(yaml.safe_dump({"services": {"web": service()}}))
    state = tmp_path / "my own" / "strata"
    place = {"XDG_STATE_HOME": str(state.parent)}
    variables = {
        "compose_env_project_dir": str(environment.folder),
        "compose_env_environment": environment.name,
        **({"compose_env_state_dir": str(state)} if given else {}),
        "compose_env_stable_for": 1,
        "deploy_source": str(source),
        # A secret that is the project's name is masked in results, and must not be in the path that is removed.
        "env_file_variables": {"PASSWORD": environment.project},
    }

    def play(name: str, **extra: str) -> None:
        done = ansible_playbook(f"playbooks/{name}.yml", "-e", json.dumps({**variables, **extra}), variables=place)
        assert done.returncode == 0, done.stdout + done.stderr

    play("deploy")
    assert environment.containers("web")
    assert (state / environment.project / "releases").is_dir()
    assert list((state / "files").iterdir())
    play("remove", compose_env_confirm=environment.name)
    assert environment.containers() == []
    assert not environment.folder.exists()
    assert [path for path in state.rglob("*") if path.name != "files"] == []
    environment.folder.mkdir()  # the fixture removes it


def test_files_that_another_environment_was_deployed_from_stay(environment: Environment, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "compose.yml").write_text(yaml.safe_dump({"services": {"web": service()}}))
    variables = {
        "compose_env_project_dir": str(environment.folder),
        "compose_env_state_dir": str(environment.state_dir),
        "compose_env_stable_for": 1,
        "deploy_source": str(source),
    }

    def play(name: str, **extra: str) -> None:
        done = ansible_playbook(f"playbooks/{name}.yml", "-e", json.dumps({**variables, **extra}))
        assert done.returncode == 0, done.stdout + done.stderr

    other = replace(environment, name="prod")
    try:
        for name in ("dev", "prod"):
            play("deploy", compose_env_environment=name)
        play("remove", compose_env_environment="dev", compose_env_confirm="dev")
        assert environment.containers() == []
        assert (environment.folder / "compose.yml").exists()
        assert [each.status for each in other.containers("web")] == ["running"]
        play("remove", compose_env_environment="prod", compose_env_confirm="prod")
        assert not environment.folder.exists()
    finally:
        other.clean_up()
        environment.folder.mkdir(exist_ok=True)  # the fixture removes it


def test_files_that_were_not_brought_stay(environment: Environment) -> None:
    """They are somebody's own, such as a checkout."""
    environment.write("compose.yml", {"services": {"web": service()}})
    environment.deploy()
    told = environment.options("compose_env", {})
    variables = {f"compose_env_{name}": value for name, value in told.items()}
    done = ansible_playbook("playbooks/remove.yml", "-e", json.dumps({**variables, "compose_env_confirm": "dev"}))
    assert done.returncode == 0, done.stdout + done.stderr
    assert environment.containers() == []
    assert not (environment.state_dir / environment.project).exists()
    assert (environment.folder / "compose.yml").exists()
