"""Containers whose removal was cut off, as by an engine that was killed: nothing starts them again.

They are made here by a file that the engine may not remove for a moment.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker.errors
import pytest
from docker.models.containers import Container

from tests.integration.conftest import Environment, service

CONTAINERS = Path("/var/lib/docker/containers")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to keep the engine from removing a file")


@contextmanager
def kept_from_removal(container: Container) -> Iterator[None]:
    kept = CONTAINERS / str(container.id) / "hostname"
    subprocess.run(["chattr", "+i", str(kept)], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", str(kept)], check=True)


def half_remove(environment: Environment, name: str) -> str:
    container = environment.containers(name)[0]
    with kept_from_removal(container), pytest.raises(docker.errors.APIError):
        container.remove(force=True)
    container.reload()
    assert container.status in ("removing", "dead")
    return str(container.id)


def write(environment: Environment, level: str = "1", replicas: int = 1) -> None:
    web = service(environment={"LEVEL": level}, depends_on=["db"], deploy={"replicas": replicas})
    job = {**service(command=["true"]), "restart": "no"}
    done = {"job": {"condition": "service_completed_successfully"}}
    environment.write("compose.yml", {"services": {"db": service(depends_on=done), "web": web, "job": job}})


@pytest.fixture
def deployed(environment: Environment) -> Environment:
    write(environment)
    environment.deploy()
    return environment


@pytest.mark.parametrize("change", ["nothing", "level", "restarted", "never"])
def test_it_is_replaced(deployed: Environment, change: str) -> None:
    gone, others = half_remove(deployed, "web"), deployed.ids()
    if change == "level":
        write(deployed, "2")
    options = {"restarted": {"state": "restarted", "services": ["web"]}, "never": {"recreate": "never"}}.get(change, {})
    planned = deployed.plan(**options)
    outcome = deployed.deploy(**options)
    assert outcome.actions == planned.actions
    assert ("web", "recreate") in outcome.actions
    assert deployed.container("web").status == "running"
    assert deployed.container("web").id != gone
    assert deployed.ids()["job"] == others["job"], "a job that is done is not run again"
    assert not deployed.deploy().changed


def test_the_release_that_comes_back_has_another_one(deployed: Environment) -> None:
    half_remove(deployed, "db")
    web = service(command=["sh", "-c", "exit 3"], depends_on=["db"])
    deployed.write("compose.yml", {"services": {"db": service(), "web": web}})
    outcome = deployed.run()
    assert outcome.result["state"] == "rolled_back"
    assert {name: each.status for name in ("db", "web") for each in deployed.containers(name)} == {
        "db": "running",
        "web": "running",
    }


def test_one_of_several(deployed: Environment) -> None:
    write(deployed, replicas=2)
    deployed.deploy()
    half_remove(deployed, "web")
    assert ("web", "recreate") in deployed.deploy().actions
    assert [each.status for each in deployed.containers("web")] == ["running", "running"]
    half_remove(deployed, "web")
    write(deployed, replicas=1)
    assert deployed.deploy().actions == {("web", "remove")}
    assert [each.status for each in deployed.containers("web")] == ["running"]


def test_a_job_that_is_done_goes_and_is_not_run_again(deployed: Environment) -> None:
    half_remove(deployed, "job")
    outcome = deployed.deploy()
    assert outcome.actions == {("job", "remove")}
    assert deployed.containers("job") == []
    assert not deployed.deploy().changed


def test_of_a_service_that_is_no_longer_wanted(deployed: Environment) -> None:
    half_remove(deployed, "web")
    deployed.write("compose.yml", {"services": {"db": service()}})
    deployed.deploy()
    assert deployed.containers("web") == []


def test_started_says_what_makes_it_anew(deployed: Environment) -> None:
    half_remove(deployed, "web")
    deployed.deploy(state="stopped")
    outcome = deployed.run(state="started")
    assert "no container to start for service web: state=present creates it" in outcome.message
    deployed.deploy()
    assert deployed.container("web").status == "running"


def test_one_that_cannot_be_removed_is_told_with_the_way_out(deployed: Environment) -> None:
    half_remove(deployed, "web")
    with kept_from_removal(deployed.containers("web")[0]):
        outcome = deployed.run()
    assert "cannot be removed" in outcome.message
    assert "Remove the cause" in outcome.message
    assert deployed.container("db").status == "running"
    assert ("web", "recreate") in deployed.deploy().actions
    assert deployed.container("web").status == "running"


def test_it_goes_with_its_environment(deployed: Environment) -> None:
    half_remove(deployed, "web")
    deployed.deploy(state="absent")
    assert deployed.containers() == []


def test_it_is_shown_as_what_it_is(deployed: Environment) -> None:
    half_remove(deployed, "web")
    told = deployed.run("compose_env_info", gather=["services", "drift"]).result
    assert next(each["state"] for each in told["services"] if each["service"] == "web") in ("removing", "dead")
    assert "its removal was cut off" in str(told["drift"])


def test_init_phase_has_its_server_made_anew(environment: Environment) -> None:
    migrate = {**service(command=["true"]), "depends_on": ["db"], "profiles": ["init"]}
    environment.write("compose.yml", {"services": {"db": service(), "migrate": migrate}})
    assert not environment.run("compose_init").failed
    environment.deploy()
    gone = half_remove(environment, "db")
    outcome = environment.run("compose_init", run="always")
    assert not outcome.failed, outcome.message
    assert environment.container("db").status == "running"
    assert environment.container("db").id != gone
    assert not environment.deploy().changed
