# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services behind profiles, also as dependencies: the stored model starts what the layers start, and just so."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tests.integration.conftest import Environment, service

LEVEL = {"LEVEL": "${LEVEL:-info}"}
OPTIONAL = {"cache": {"condition": "service_started", "required": False}}


def compose(environment: Environment, profiles: list[str], *argv: str) -> None:
    """Compose as somebody uses it who does not know us."""
    named = [word for each in profiles for word in ("--profile", each)]
    own = ["--project-name", environment.project, "--env-file", ".env.dev", *named]
    subprocess.run(["docker", "compose", *own, *argv], cwd=environment.folder, check=True, capture_output=True)


def states(environment: Environment) -> dict[str, str]:
    return {each.labels["com.docker.compose.service"]: each.status for each in environment.containers()}


def write(environment: Environment, **others: Any) -> None:
    services = {
        "cache": service(profiles=["cache", "extra"], environment=LEVEL, volumes=["data:/data"]),
        "report": service(depends_on=OPTIONAL, environment=LEVEL),
        "tool": service(profiles=["tools"]),
        **others,
    }
    environment.write("compose.yml", {"services": services, "volumes": {"data": {}}})
    environment.write(".env.dev", "")


@pytest.fixture(params=["on", "off"])
def environment_with_profile(environment: Environment, request: pytest.FixtureRequest) -> Environment:
    """A cache behind a profile, which one service needs where the profile is on, and another one can do without."""
    is_on = request.param == "on"
    write(environment, **({"web": service(depends_on=["cache"], profiles=["extra", "cache"])} if is_on else {}))
    environment.variables["profiles"] = ["cache"] if is_on else []
    return environment


def test_every_state_with_a_profile_on_and_off(environment_with_profile: Environment) -> None:
    environment = environment_with_profile
    profiles = environment.variables["profiles"]
    names = {"cache", "web", "report"} if profiles else {"report"}
    assert environment.deploy().actions == {(name, "create") for name in names}
    ids = environment.ids()
    assert set(ids) == names
    assert not environment.deploy().changed
    compose(environment, profiles, "up", "-d")
    assert environment.ids() == ids, "Compose itself would make others"

    assert environment.deploy(state="restarted").actions == {(name, "restart") for name in names}
    assert environment.deploy(state="stopped").actions == {(name, "stop") for name in names}
    assert environment.deploy(state="started").actions == {(name, "start") for name in names}
    assert environment.ids() == ids
    assert environment.deploy(services=["report"], recreate="always").actions == {("report", "recreate")}

    environment.write(".env.dev", "LEVEL=debug\n")
    changed = {("report", "recreate"), *({("cache", "recreate")} if profiles else ())}
    assert environment.deploy().actions == changed
    environment.write("compose.dev.yml", {"services": {"report": {"command": ["false"], "restart": "always"}}})
    failed = environment.run(wait_timeout=20)
    assert failed.result.get("rolled_back_to"), failed.message
    assert set(states(environment).values()) == {"running"}
    environment.write("compose.dev.yml", {"services": {}})
    environment.deploy()
    assert environment.deploy(state="rolled_back", release=1).actions == changed
    assert environment.deploy(state="absent", volumes=True, confirm="dev").changed
    assert environment.containers() == []


def test_a_project_started_by_hand_with_a_profile_is_taken_over_as_it_is(environment_with_profile: Environment) -> None:
    environment = environment_with_profile
    compose(environment, environment.variables["profiles"], "up", "-d")
    ids = environment.ids()
    assert environment.plan().actions == set()
    assert environment.deploy().actions == set()
    assert environment.ids() == ids
    assert environment.deploy(services=["report"]).actions == set()


def test_a_profile_is_turned_on_and_off_again(environment: Environment) -> None:
    write(environment)
    environment.deploy()
    turned_on = environment.plan(profiles=["cache"]).actions
    assert turned_on >= {("cache", "create")}
    assert environment.deploy(profiles=["cache"]).actions == turned_on
    assert states(environment) == {"cache": "running", "report": "running"}
    turned_off = environment.plan().actions
    assert turned_off >= {("cache", "remove")}
    assert environment.deploy().actions == turned_off
    assert states(environment) == {"report": "running"}
    assert not environment.deploy().changed
