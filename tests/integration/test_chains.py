# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains of dependencies whose ends change and whose middle does not: nothing but the ends is touched."""

from __future__ import annotations

import subprocess

import pytest

from tests.integration.conftest import Environment, service

LEVEL = {"LEVEL": "${LEVEL}"}
HEALTHY = {"test": ["CMD", "true"], "interval": "1s"}
ENDS = {("db", "recreate"), ("web", "recreate"), ("report", "recreate")}


def plain_up(environment: Environment) -> dict[str, list[str]]:
    """The containers after a ``docker compose up -d`` of somebody who does not know us."""
    own = ["--project-name", environment.project, "--env-file", ".env.dev"]
    subprocess.run(["docker", "compose", *own, "up", "-d"], cwd=environment.folder, check=True, capture_output=True)
    return environment.ids()


@pytest.fixture
def chains(environment: Environment) -> Environment:
    """One chain over a completed one-shot service and one over a running service, from one database."""
    after_migration = {"migrate": {"condition": "service_completed_successfully"}}
    layers = {
        "services": {
            "db": service(environment=LEVEL, healthcheck=HEALTHY),
            "migrate": service(command=["true"], init=False, depends_on={"db": {"condition": "service_healthy"}}),
            "web": service(environment=LEVEL, depends_on=after_migration),
            "api": service(depends_on=["db"]),
            "report": service(environment=LEVEL, depends_on=["api"]),
            "alone": service(),
        },
    }
    environment.write("compose.yml", layers)
    environment.write(".env.dev", "LEVEL=info\n")
    environment.deploy()
    return environment


def started(environment: Environment, *names: str) -> dict[str, str]:
    return {name: str(environment.container(name).attrs["State"]["StartedAt"]) for name in names}


def test_both_ends_of_a_chain_change_and_its_middle_stays(chains: Environment) -> None:
    before, since = chains.ids(), started(chains, "migrate", "api", "alone")
    chains.write(".env.dev", "LEVEL=debug\n")
    assert chains.plan().actions == ENDS
    outcome = chains.deploy()
    assert outcome.actions == ENDS
    assert "warnings" not in outcome.result
    assert chains.variable("db", "LEVEL") == chains.variable("web", "LEVEL") == "debug"
    after = chains.ids()
    assert {name for name in before if before[name] != after[name]} == {"db", "web", "report"}
    assert started(chains, *since) == since, "what lies between was started again"
    assert not chains.deploy().changed
    assert plain_up(chains) == after

    since = started(chains, *since)
    assert chains.deploy(state="rolled_back").actions == ENDS
    assert chains.variable("web", "LEVEL") == "info"
    assert started(chains, *since) == since


def test_a_chain_whose_ends_changed_goes_back_when_the_gate_fails(chains: Environment) -> None:
    since = started(chains, "migrate", "api", "alone")
    chains.write(".env.dev", "LEVEL=debug\n")
    chains.write("compose.dev.yml", {"services": {"report": {"command": ["sh", "-c", "exit 3"]}}})
    outcome = chains.run()
    assert outcome.failed
    assert outcome.result["rolled_back_to"] == 1
    assert "warnings" not in outcome.result
    assert chains.variable("db", "LEVEL") == chains.variable("report", "LEVEL") == "info"
    assert {each.status for each in chains.containers() if "migrate" not in str(each.name)} == {"running"}
    assert started(chains, *since) == since
    chains.write("compose.dev.yml", {"services": {}})
    assert chains.deploy().actions == ENDS


def test_a_paused_middle_goes_on_before_what_depends_on_it_is_made(chains: Environment) -> None:
    chains.container("api").pause()
    chains.write(".env.dev", "LEVEL=debug\n")
    assert chains.deploy().actions == {*ENDS, ("api", "unpause")}
    assert chains.container("api").status == "running"
