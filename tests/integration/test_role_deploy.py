# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role deploy: a folder on the controller becomes a running environment."""

from __future__ import annotations

import yaml

from tests.integration.conftest import Environment, ansible_playbook, service


def test_the_role_brings_files_and_deploys(environment: Environment, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "compose.yml").write_text(yaml.safe_dump({"services": {"web": service()}}))
    variables = {
        "compose_env_project_dir": str(environment.folder),
        "compose_env_environment": environment.name,
        "compose_env_state_dir": str(environment.state_dir),
        "compose_env_stable_for": 1,
        "deploy_source": "source",
    }
    show = {"ansible.builtin.debug": {"msg": "{{ deploy_files.changed }} {{ deploy_result.changed }}"}}
    playbook = tmp_path / "play.yml"

    def play(**changes) -> str:
        work = {"vars": {**variables, **changes}, "roles": ["strata.compose.deploy"], "post_tasks": [show]}
        playbook.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, **work}]))
        done = ansible_playbook(playbook)
        assert done.returncode == 0, done.stdout
        return done.stdout

    assert "True True" in play()
    assert len(environment.containers("web")) == 1
    assert "False False" in play()
    environment.write("compose.yml", {"services": {"web": service(environment={"A": "1"})}})
    assert "False True" in play(deploy_source="")
