# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles wait for another operation as long as the playbooks do."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

from tests import processes
from tests.integration.conftest import Environment, ansible_playbook, service
from tests.integration.test_transactions import wait_for

Play = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def play(environment: Environment, tmp_path: Path) -> Play:
    """Run a role on the environment, with further variables of its host."""
    migrate = service(command=["true"], profiles=["init"])
    environment.write("compose.yml", {"services": {"migrate": migrate, "web": service()}})
    own = {
        "ansible_connection": "local",
        "compose_env_project_dir": str(environment.folder),
        "compose_env_environment": environment.name,
        "compose_env_state_dir": str(environment.state_dir),
        "compose_env_stable_for": 1,
    }

    def run(role: str, **variables: Any) -> CompletedProcess[str]:
        inventory, playbook = tmp_path / "hosts.yml", tmp_path / "play.yml"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {"localhost": {**own, **variables}}}}))
        roles = [f"strata.compose.{role}"]
        playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "roles": roles}]))
        return ansible_playbook("-i", inventory, playbook)

    return run


@contextmanager
def locked(environment: Environment) -> Iterator[Path]:
    folder = environment.state_dir / environment.project
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder / "lock"


@pytest.mark.parametrize("role", ["init", "deploy"])
def test_the_role_waits_as_long_as_all_others(environment: Environment, play: Play, role: str) -> None:
    with locked(environment):
        refused = play(role, compose_env_lock_wait=0)
        assert refused.returncode != 0
        assert f"{environment.project} is locked" in refused.stdout + refused.stderr
    assert environment.ids() == {}


def test_the_role_waits_unless_told_otherwise(environment: Environment, play: Play) -> None:
    with ThreadPoolExecutor() as pool:
        with locked(environment) as path:
            waiting = pool.submit(play, "deploy")
            wait_for(lambda: len(processes.users_of(path)) > 1)
        assert waiting.result().returncode == 0, waiting.result().stdout
    assert set(environment.ids()) == {"web"}
