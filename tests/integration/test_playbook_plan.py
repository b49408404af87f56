# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""plan.yml shows what deploy.yml does, and deploy.yml does what was approved or nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.conftest import Environment, ansible_playbook, service

LINE = re.compile(r'"(\w+) {2,}(\S.{13}) (.+?)",?$', re.MULTILINE)
"""An action as the playbooks show it."""


class Pipeline:
    """The playbooks, as a pipeline runs them for an environment."""

    def __init__(self, environment: Environment, folder: Path) -> None:
        self.source, self.plan_file = folder / "source", folder / "plan.json"
        self.source.mkdir()
        self.variables: dict[str, Any] = {
            "compose_env_project_dir": str(environment.folder),
            "compose_env_environment": environment.name,
            "compose_env_state_dir": str(environment.state_dir),
            "compose_env_stable_for": 1,
            "deploy_source": str(self.source),
            "env_file_variables": {"LEVEL": "low"},
            "env_file_secrets": {"token": "canary-of-a-secret"},
        }

    def write(self, name: str, content: str | dict[str, Any]) -> None:
        path = self.source / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))

    def run(self, playbook: str, *arguments: str) -> tuple[int, str]:
        given = ["-e", json.dumps(self.variables), "-e", f"plan_file={self.plan_file.name}", *arguments]
        done = ansible_playbook(f"playbooks/{playbook}.yml", *given, variables={"PWD": str(self.plan_file.parent)})
        return done.returncode, done.stdout

    def plan(self) -> dict[str, Any]:
        code, printed = self.run("plan")
        assert code == 0, printed
        plan: dict[str, Any] = json.loads(self.plan_file.read_text())
        assert plan["digest"] in printed and "canary" not in printed + self.plan_file.read_text()
        assert lines(printed.rpartition("TASK [Show what was done]")[2]) == [
            told(each) for each in plan["hosts"]["localhost"]["actions"]
        ]
        return plan


def shown_by(printed: str) -> str:
    """What the playbook's last list of actions says."""
    return printed.rpartition("TASK [Show what was done]")[2].partition("TASK [")[0]


def lines(printed: str) -> list[tuple[str, str, str]]:
    return [(action, service.strip(), reason) for action, service, reason in LINE.findall(printed)]


def told(action: dict[str, str]) -> tuple[str, str, str]:
    return action["action"], action["service"], action["reason"]


@pytest.fixture
def pipeline(environment: Environment, tmp_path: Path) -> Pipeline:
    made = Pipeline(environment, tmp_path)
    web = service(environment={"LEVEL": "${LEVEL}"}, secrets=["token"], depends_on=["db"])
    seed = service(command=["true"], profiles=["init"], depends_on=["db"], volumes=["./sql:/sql:ro"])
    layer = {"services": {"web": web, "db": service(), "seed": seed}, "secrets": {"token": {"file": "./secrets/token"}}}
    made.write("compose.yml", layer)
    made.write("sql/001.sql", "SELECT 1;\n")
    made.write(".env.example", "LEVEL=\n")
    return made


def test_what_was_approved_is_what_is_done_or_nothing_is(environment: Environment, pipeline: Pipeline):
    environment.folder.rmdir()
    approved = pipeline.plan()
    assert not environment.folder.exists() and not environment.state_dir.exists()

    pipeline.variables["env_file_variables"]["LEVEL"] = "other"
    for digest in (approved["digest"], ""):
        code, printed = pipeline.run("deploy", "-e", f"compose_env_expect_plan={digest}")
        assert code != 0 and "variable LEVEL is another one" in printed, printed
        assert not environment.folder.exists() and environment.containers() == []

    pipeline.variables["env_file_variables"]["LEVEL"] = "low"
    code, printed = pipeline.run("deploy", "-e", f"compose_env_expect_plan={approved['digest']}")
    assert code == 0, printed
    assert lines(shown_by(printed)) == [told(each) for each in approved["hosts"]["localhost"]["actions"]]
    assert environment.variable("web", "LEVEL") == "low"
