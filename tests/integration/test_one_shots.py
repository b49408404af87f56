"""One-shot services that have done their work: the record tells, whether or not their containers are still there."""

from __future__ import annotations

from typing import Any

import docker
import pytest

from tests.integration.conftest import Environment, service


def job(version: str = "1", **keys: Any) -> dict[str, Any]:
    """A service that notes each of its runs in ``out/runs``."""
    command = ["sh", "-c", f"echo version {version} >> /out/runs"]
    return service(init=False, command=command, volumes=["./out:/out"], **keys)


def runs(environment: Environment) -> list[str]:
    path = environment.folder / "out" / "runs"
    return path.read_text().splitlines() if path.exists() else []


def layers(version: str = "1", level: str = "info") -> dict[str, Any]:
    """A web service that awaits a job, a job that nothing awaits, and a database below both."""
    awaits = {"assets": {"condition": "service_completed_successfully"}, "db": {"condition": "service_started"}}
    return {
        "services": {
            "db": service(),
            "assets": job(version, depends_on=["db"]),
            "seed": job(version),
            "web": service(depends_on=awaits, environment={"LEVEL": level}),
        }
    }


@pytest.fixture
def pruned(environment: Environment) -> Environment:
    """An environment whose finished containers a nightly prune has taken."""
    environment.write("compose.yml", layers())
    environment.deploy()
    for name in ("assets", "seed"):
        environment.container(name).remove()
    assert runs(environment) == ["version 1"] * 2
    return environment


def require(environment: Environment, expected: set[tuple[str, str]], **options: Any) -> None:
    """The plan foretells the actions, they are taken, and no job runs again."""
    before = runs(environment)
    assert environment.plan(**options).actions == expected
    assert environment.deploy(**options).actions == expected
    assert runs(environment) == before
    assert {each.status for each in environment.containers()} <= {"running", "exited"}


def test_every_state_works_on_what_a_prune_has_left(pruned: Environment, engine: docker.DockerClient) -> None:
    require(pruned, set())
    assert pruned.run("compose_env_info", gather=["drift"]).result["drift"] == []
    require(pruned, {("web", "stop"), ("db", "stop")}, state="stopped")
    web, db = (pruned.container(name).attrs["State"]["FinishedAt"] for name in ("web", "db"))
    assert web < db, "what depends on others stops first"
    require(pruned, {("web", "start"), ("db", "start")}, state="started")
    require(pruned, {("web", "restart"), ("db", "restart")}, state="restarted")
    require(pruned, {("web", "stop")}, state="stopped", services=["web", "assets"])
    require(pruned, {("web", "start")})
    require(pruned, {("web", "stop"), ("db", "stop")}, state="stopped")
    require(pruned, {("web", "start"), ("db", "start")}, state="started", services=["web"])
    pruned.write("compose.yml", layers(level="debug"))
    require(pruned, {("web", "recreate")})
    require(pruned, set())
    network = f"network {pruned.project}_default"
    require(pruned, {("web", "remove"), ("db", "remove"), (network, "remove")}, state="absent")
    assert engine.networks.list(names=[f"{pruned.project}_default"]) == []


def test_done_one_shot_runs_again_when_it_changed_or_is_asked_to(pruned: Environment) -> None:
    pruned.write("compose.yml", layers(version="2"))
    assert pruned.plan().actions == {("assets", "create"), ("seed", "create")}
    assert pruned.deploy().actions == {("assets", "create"), ("seed", "create")}
    assert runs(pruned)[2:] == ["version 2"] * 2
    pruned.container("seed").remove()
    assert pruned.deploy(recreate="always", services=["seed"]).actions == {("seed", "create")}
    assert pruned.deploy(state="absent", services=["seed"]).actions == {("seed", "remove")}
    assert not pruned.deploy(state="absent", services=["seed"]).changed
    assert pruned.deploy().actions == {("seed", "create")}
    assert runs(pruned)[4:] == ["version 2"] * 2


def test_container_that_is_gone_without_having_completed_is_made_anew(pruned: Environment) -> None:
    pruned.container("db").remove(force=True)
    require(pruned, {("web", "stop")}, state="stopped")
    assert "for service db: state=present creates it" in pruned.run(state="started").message
    assert "for service db: state=present creates it" in pruned.run(state="started", services=["web"]).message
    require(pruned, {("db", "create"), ("web", "start")})


def test_one_of_several_done_containers_is_gone(environment: Environment) -> None:
    twice = {**job(), "deploy": {"replicas": 2}}
    awaits = {"assets": {"condition": "service_completed_successfully"}}
    environment.write("compose.yml", {"services": {"assets": twice, "web": service(depends_on=awaits)}})
    environment.deploy()
    environment.containers("assets")[0].remove()
    require(environment, set())
    require(environment, {("web", "restart")}, state="restarted")
    require(environment, {("web", "recreate")}, recreate="always", services=["web"])
    assert len(environment.containers("assets")) == 1


def test_roll_back_runs_no_one_shot_that_had_completed_in_that_release(environment: Environment) -> None:
    environment.write("compose.yml", layers("1", "info"))
    environment.deploy()
    environment.write("compose.yml", layers("2", "debug"))
    environment.deploy()
    assert sorted(runs(environment)) == ["version 1"] * 2 + ["version 2"] * 2
    steps = {("web", "recreate"), ("assets", "remove"), ("seed", "remove")}
    require(environment, steps, state="rolled_back")
    assert environment.variable("web", "LEVEL") == "info"
    environment.write("compose.yml", layers("1", "info"))
    require(environment, set())
    environment.write("compose.yml", layers("2", "debug"))
    assert environment.deploy().actions == {("web", "recreate"), ("assets", "create"), ("seed", "create")}
    assert runs(environment)[4:] == ["version 2"] * 2


def test_failed_release_is_taken_back_without_running_a_one_shot_again(environment: Environment) -> None:
    environment.write("compose.yml", layers("1"))
    environment.deploy()
    broken = layers("2")
    broken["services"]["web"]["command"] = ["false"]
    environment.write("compose.yml", broken)
    outcome = environment.run()
    assert outcome.result["state"] == "rolled_back", outcome.message
    assert sorted(runs(environment)) == ["version 1"] * 2 + ["version 2"] * 2
    environment.write("compose.yml", layers("1"))
    require(environment, set())
    assert environment.container("web").status == "running"
