# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services that live in the network of another one: they are never left in a network that is gone."""

from __future__ import annotations

import subprocess

import pytest

from tests.integration.conftest import Environment, service

SERVE = ["httpd", "-f", "-p", "8000", "-h", "/etc"]
ASK = "for i in 1 2 3 4 5; do wget -qO /dev/null http://127.0.0.1:8000/hosts && exit; sleep 1; done; exit 1"
NOTE = ["sh", "-c", "echo run >> /out/runs"]
FOLLOWERS = {("app", "restart"), ("front", "restart")}


@pytest.fixture
def tunnel(environment: Environment) -> Environment:
    """An application in the network of a VPN, one with its volumes, and one that asks to be restarted with it."""
    restart = {"condition": "service_started", "restart": True}
    services = {
        "vpn": service(environment={"LEVEL": "${LEVEL:-info}"}, volumes=["/shared"]),
        "app": service(command=SERVE, network_mode="service:vpn"),
        "backup": service(volumes_from=["vpn:ro"]),
        "front": service(depends_on={"vpn": restart}),
        "other": service(),
    }
    environment.write("compose.yml", {"services": services})
    environment.write(".env.dev", "")
    environment.deploy()
    return environment


def require_connected(environment: Environment) -> None:
    """The application's server is reached in the network that the VPN has now."""
    leader = environment.container("vpn")
    assert environment.container("app").attrs["HostConfig"]["NetworkMode"] == f"container:{leader.id}"
    environment.inside("vpn", "sh", "-c", ASK)
    plan = environment.plan()
    assert plan.actions == set(), plan.result["actions"]


def require(environment: Environment, expected: set[tuple[str, str]], **options: object) -> None:
    """The plan foretells the actions, they are taken, and afterwards all is connected."""
    assert environment.plan(**options).actions == expected
    outcome = environment.deploy(**options)
    assert outcome.actions == expected
    assert "warnings" not in outcome.result
    require_connected(environment)


def test_followers_restart_with_their_leader_in_every_state(tunnel: Environment) -> None:
    ids = tunnel.ids()
    require(tunnel, {("vpn", "restart"), *FOLLOWERS}, state="restarted", services=["vpn"])
    tunnel.container("vpn").stop()
    require(tunnel, {("vpn", "start"), ("app", "restart")})
    tunnel.container("vpn").stop()
    require(tunnel, {("vpn", "start"), ("app", "restart")}, state="started", services=["vpn"])
    tunnel.container("vpn").restart()
    require(tunnel, {("app", "restart")})
    assert tunnel.ids() == ids


def test_followers_are_recreated_when_their_leader_is_another_container(tunnel: Environment) -> None:
    everyone = {("app", "recreate"), ("backup", "recreate")}
    tunnel.container("vpn").remove(force=True)
    stopped = tunnel.run(state="started", services=["app"])
    assert not stopped.changed
    require(tunnel, {("vpn", "create"), *everyone})

    tunnel.container("vpn").remove(force=True)
    argv = ["docker", "compose", "--project-name", tunnel.project, "up", "-d", "--", "vpn"]
    subprocess.run(argv, cwd=tunnel.folder, check=True, capture_output=True)
    for name in ("app", "backup"):
        tunnel.container(name).stop()
    refused = tunnel.run(state="started")
    assert "service app cannot be started" in refused.message
    assert "state=present recreates it" in refused.message
    require(tunnel, everyone)

    other = tunnel.ids()["other"]
    tunnel.write(".env.dev", "LEVEL=debug\n")
    require(tunnel, {("vpn", "recreate"), ("front", "restart"), *everyone}, services=["vpn"])
    tunnel.write(".env.dev", "")
    require(tunnel, {("vpn", "recreate"), ("front", "restart"), *everyone}, state="rolled_back")
    assert tunnel.ids()["other"] == other


def test_a_project_with_followers_that_was_started_by_hand_is_taken_over_as_it_is(environment: Environment) -> None:
    services = {
        "vpn": service(volumes=["/shared"], ipc="shareable"),
        "app": service(network_mode="service:vpn", pid="service:vpn", ipc="service:vpn"),
        "backup": service(volumes_from=["vpn:ro", "app"]),
    }
    environment.write("compose.yml", {"services": services})
    argv = ["docker", "compose", "--project-name", environment.project, "up", "-d"]
    subprocess.run(argv, cwd=environment.folder, check=True, capture_output=True)
    ids = environment.ids()
    assert environment.deploy().actions == set()
    assert environment.ids() == ids


def test_a_done_job_in_the_network_of_a_changed_service_does_not_run_again(environment: Environment) -> None:
    """Compose would make it anew on the way to what depends on it, so it is removed, and needs no container."""
    level = {"LEVEL": "${LEVEL:-info}"}
    services = {
        "db": service(environment=level),
        "job": service(command=NOTE, network_mode="service:db", volumes=["./out:/out"]),
        "web": service(environment=level, depends_on={"job": {"condition": "service_completed_successfully"}}),
    }
    environment.write("compose.yml", {"services": services})
    environment.write(".env.dev", "")
    environment.deploy()
    environment.write(".env.dev", "LEVEL=debug\n")
    expected = {("db", "recreate"), ("job", "remove"), ("web", "recreate")}
    assert environment.plan().actions == expected
    outcome = environment.deploy()
    assert outcome.actions == expected
    assert "warnings" not in outcome.result
    assert not environment.deploy().changed
    assert (environment.folder / "out" / "runs").read_text() == "run\n"
    services["job"]["environment"] = {"CHANGED": "1"}
    environment.write("compose.yml", {"services": services})
    assert environment.deploy().actions == {("job", "create")}
    assert (environment.folder / "out" / "runs").read_text() == "run\n" * 2


def test_what_follows_a_changed_service_takes_no_done_job_along(environment: Environment) -> None:
    """The job comes before the follower that depends on it, and its service is replaced for that follower only."""
    awaits = {"job": {"condition": "service_completed_successfully"}}
    services = {
        "vpn": service(environment={"LEVEL": "${LEVEL:-info}"}),
        "job": service(command=NOTE, pid="service:vpn", volumes=["./out:/out"]),
        "web": service(network_mode="service:vpn", depends_on=awaits),
    }
    environment.write("compose.yml", {"services": services})
    environment.write(".env.dev", "")
    environment.deploy()
    environment.write(".env.dev", "LEVEL=debug\n")
    expected = {("vpn", "recreate"), ("job", "remove"), ("web", "recreate")}
    assert environment.plan().actions == expected
    outcome = environment.deploy()
    assert outcome.actions == expected
    assert "warnings" not in outcome.result
    assert (environment.folder / "out" / "runs").read_text() == "run\n"
    assert not environment.deploy().changed


def test_containers_among_the_processes_of_another_are_replaced_with_it(environment: Environment) -> None:
    """They end with it, and start again by their own restart policy while Compose replaces both."""

    def layer(level: str) -> dict[str, object]:
        variables = {"environment": {"LEVEL": level}}
        after = {"depends_on": {"db": {"condition": "service_started", "restart": True}}}
        joined = service(**after, pid="service:leader", restart="unless-stopped", deploy={"replicas": 3})
        leader = service(**variables, depends_on=["db"])
        return {"services": {"db": service(**variables, scale=2), "leader": leader, "joined": joined}}

    environment.write("compose.yml", layer("1"))
    environment.deploy()
    for level in ("2", "3", "4"):
        environment.write("compose.yml", layer(level))
        assert environment.deploy().actions == {(name, "recreate") for name in ("db", "leader", "joined")}
        modes = {each.attrs["HostConfig"]["PidMode"] for each in environment.containers("joined")}
        assert modes == {f"container:{environment.container('leader').id}"}
    assert not environment.deploy().changed
