"""A network of the environment that somebody has removed by hand: planned, or refused before anything is changed."""

from __future__ import annotations

import docker
import pytest

from tests.integration.conftest import Environment, service


@pytest.fixture
def standing(environment: Environment, engine: docker.DockerClient) -> Environment:
    """A web service that stands still and whose network is gone, a job that is done, and a bystander."""
    layers = {
        "services": {
            "web": service(networks=["inner"], depends_on=["job"]),
            "job": service(networks=["inner"], command=["true"], init=False),
            "idle": service(),
        },
        "networks": {"inner": {}},
    }
    environment.write("compose.yml", layers)
    environment.deploy()
    environment.container("web").stop()
    engine.networks.get(f"{environment.project}_inner").remove()
    return environment


def attached(environment: Environment) -> str:
    """The id of the network that the web service is in."""
    return str(environment.container("web").attrs["NetworkSettings"]["Networks"][inner(environment)]["NetworkID"])


def inner(environment: Environment) -> str:
    return f"{environment.project}_inner"


@pytest.mark.parametrize("state", ["present", "restarted"])
def test_container_is_recreated_for_a_network_that_is_gone(standing: Environment, state: str) -> None:
    before, ids = standing.plan(), standing.ids()
    (planned,) = before.result["actions"]
    assert planned == {"service": "web", "action": "recreate", "reason": f"network {inner(standing)} is gone"}
    outcome = standing.deploy(state=state)
    assert ("web", "recreate") in outcome.actions
    assert not outcome.result.get("warnings")
    assert attached(standing) == standing.engine.networks.get(inner(standing)).id
    assert {name for name, each in standing.ids().items() if each != ids[name]} == {"web"}
    assert not standing.deploy().changed


def test_container_is_recreated_for_a_network_that_was_created_anew(standing: Environment) -> None:
    labels = {"com.docker.compose.project": standing.project, "com.docker.compose.network": "inner"}
    network = standing.engine.networks.create(inner(standing), labels=labels)
    (planned,) = standing.plan().result["actions"]
    assert planned["reason"] == f"network {network.name} is another one now"
    assert standing.deploy().actions == {("web", "recreate")}
    assert attached(standing) == network.id
    assert not standing.deploy().changed


def test_running_container_that_was_cut_off_first(environment: Environment, engine: docker.DockerClient) -> None:
    environment.write("compose.yml", {"services": {"web": service()}})
    environment.deploy()
    network = engine.networks.get(f"{environment.project}_default")
    network.disconnect(environment.container("web"))
    network.remove()
    assert environment.plan().actions == {("web", "recreate")}
    assert environment.deploy().actions == {("web", "recreate")}
    assert not environment.deploy().changed


@pytest.mark.parametrize("options", [{"state": "started"}, {"recreate": "never"}])
def test_what_may_not_recreate_is_refused_before_any_change(standing: Environment, options: dict[str, str]) -> None:
    standing.container("idle").stop()
    for outcome in (standing.plan(**options), standing.run(**options)):
        assert outcome.failed
        assert not outcome.changed
        assert f"network {inner(standing)} is gone" in outcome.message
        assert "state=present" in outcome.message
        assert outcome.message.endswith("Nothing was changed.")
    assert standing.container("idle").status == "exited"
    assert standing.deploy().actions == {("web", "recreate"), ("idle", "start")}


def test_init_step_whose_server_lost_its_network(environment: Environment, engine: docker.DockerClient) -> None:
    layers = {"services": {"db": service(), "migrate": service(command=["true"], depends_on=["db"], profiles=["init"])}}
    environment.write("compose.yml", layers)
    environment.deploy()
    environment.container("db").stop()
    engine.networks.get(f"{environment.project}_default").remove()
    outcome = environment.run("compose_init", steps=["migrate"])
    assert outcome.failed
    assert not outcome.changed
    assert "is gone" in outcome.message
    environment.deploy()
    assert not environment.run("compose_init", steps=["migrate"]).failed
