# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role init waits for another operation as long as the playbooks do."""

from __future__ import annotations

import fcntl
from pathlib import Path

import yaml

from tests.integration.conftest import Environment, ansible_playbook, service


def test_the_role_waits_as_long_as_all_others(environment: Environment, tmp_path: Path) -> None:
    environment.write("compose.yml", {"services": {"migrate": service(command=["true"], profiles=["init"])}})
    variables = {
        "ansible_connection": "local",
        "compose_env_project_dir": str(environment.folder),
        "compose_env_environment": environment.name,
        "compose_env_state_dir": str(environment.state_dir),
        "compose_env_lock_wait": 0,
    }
    inventory, playbook = tmp_path / "hosts.yml", tmp_path / "play.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"localhost": variables}}}))
    playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "roles": ["strata.compose.init"]}]))
    folder = environment.state_dir / environment.project
    folder.mkdir(parents=True, mode=0o700)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = ansible_playbook("-i", inventory, playbook)
        assert done.returncode != 0
        assert f"{environment.project} is locked" in done.stdout + done.stderr
    done = ansible_playbook("-i", inventory, playbook)
    assert done.returncode == 0, done.stdout
