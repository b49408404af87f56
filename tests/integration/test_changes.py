"""Each input, changed alone: exactly the services that it concerns change, and they then show the new value."""

from __future__ import annotations

import shutil
import subprocess

import docker
import pytest

from tests.integration.conftest import IMAGE, Environment, service

LAYERS = {
    "services": {
        "web": service(
            environment={"LEVEL": "${LEVEL}", "PLAIN": "one"},
            env_file=["web.env"],
            volumes=["./page.txt:/page.txt:ro"],
        ),
        "settings": service(configs=[{"source": "settings", "target": "/settings"}]),
        "vault": service(secrets=["password"]),
        "bystander": service(deploy={"replicas": 1}),
        "job": service(command=["sh", "-c", "date +%s%N >> /log/runs"], volumes=["log:/log"], init=False),
        "debug": service(profiles=["debug"]),
    },
    "volumes": {"log": {}},
    "configs": {"settings": {"file": "./settings.conf"}},
    "secrets": {"password": {"file": "./password.txt"}},
}


@pytest.fixture
def deployed(environment: Environment) -> Environment:
    """A deployed environment with an input of every kind."""
    environment.write("compose.yml", LAYERS)
    environment.write("compose.dev.yml", {"services": {"web": {"environment": {"LAYER": "dev"}}}})
    environment.write(".env.dev", "LEVEL=info\n")
    environment.write("web.env", "COLOUR=red\n")
    environment.write("page.txt", "first")
    environment.write("settings.conf", "first")
    environment.write("password.txt", "first-password")
    assert environment.deploy().changed
    return environment


def recreated(environment: Environment, before: dict[str, list[str]]) -> set[str]:
    after = environment.ids()
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def require(environment: Environment, expected: set[tuple[str, str]], **options: object) -> None:
    """The plan foretells the actions, the deployment takes them on exactly these services, a second run has none."""
    before = environment.ids()
    assert environment.plan(**options).actions == expected
    assert environment.ids() == before, "a plan changed the engine"
    assert environment.deploy(**options).actions == expected
    replaced = {name for name, action in expected if action in ("create", "recreate", "remove")}
    assert recreated(environment, before) == replaced
    again = environment.deploy(**options)
    assert not again.changed, again.result["actions"]


def test_nothing_happens_when_nothing_changed(deployed: Environment) -> None:
    require(deployed, set())


def test_key_of_a_layer(deployed: Environment) -> None:
    deployed.write("compose.dev.yml", {"services": {"web": {"environment": {"LAYER": "changed"}}}})
    require(deployed, {("web", "recreate")})
    assert deployed.variable("web", "LAYER") == "changed"


def test_value_in_the_env_file(deployed: Environment) -> None:
    deployed.write(".env.dev", "LEVEL=debug\n")
    outcome = deployed.plan()
    assert outcome.result["actions"][0]["reason"] == "environment.LEVEL changed"
    require(deployed, {("web", "recreate")})
    assert deployed.variable("web", "LEVEL") == "debug"


def test_value_in_a_service_env_file(deployed: Environment) -> None:
    deployed.write("web.env", "COLOUR=blue\n")
    require(deployed, {("web", "recreate")})
    assert deployed.variable("web", "COLOUR") == "blue"


def test_content_of_a_mounted_file_replaced_by_rename(deployed: Environment) -> None:
    deployed.write("page.txt", "second")
    require(deployed, {("web", "recreate")})
    assert deployed.inside("web", "cat", "/page.txt") == "second"


def test_content_of_a_mounted_file_written_in_place(deployed: Environment) -> None:
    (deployed.folder / "page.txt").write_text("in place")
    require(deployed, {("web", "recreate")})
    assert deployed.inside("web", "cat", "/page.txt") == "in place"


def test_content_of_a_configs_file(deployed: Environment) -> None:
    deployed.write("settings.conf", "second")
    require(deployed, {("settings", "recreate")})
    assert deployed.inside("settings", "cat", "/settings") == "second"


def test_content_of_a_secrets_file(deployed: Environment) -> None:
    deployed.write("password.txt", "second-password")
    require(deployed, {("vault", "recreate")})
    assert deployed.inside("vault", "cat", "/run/secrets/password") == "second-password"


def test_image_tagged_anew(deployed: Environment, engine: docker.DockerClient) -> None:
    tag = f"{deployed.folder.name}:moving"
    engine.images.get(IMAGE).tag(tag)
    deployed.write("compose.dev.yml", {"services": {"web": {"image": tag}}})
    deployed.deploy()
    base = engine.containers.create(IMAGE, ["true"])
    try:
        base.commit(*tag.split(":"), changes=["LABEL build=second"])
        require(deployed, {("web", "recreate")})
        assert deployed.container("web").image.labels["build"] == "second"
    finally:
        base.remove()
        deployed.clean_up()
        engine.images.remove(tag, force=True)


def test_image_built_anew(deployed: Environment, engine: docker.DockerClient) -> None:
    deployed.write("Dockerfile", f"FROM {IMAGE}\nCOPY page.txt /built.txt\n")
    layers = {**LAYERS, "services": {**LAYERS["services"], "bystander": {**service(), "build": "."}}}
    del layers["services"]["bystander"]["image"]
    deployed.write("compose.yml", layers)
    deployed.write("compose.dev.yml", {"services": {}})
    assert ("bystander", "build") in deployed.deploy().actions
    deployed.write("page.txt", "rebuilt")
    before = deployed.ids()
    outcome = deployed.deploy(build="always")
    assert outcome.actions == {("bystander", "build"), ("bystander", "recreate"), ("web", "recreate")}
    assert recreated(deployed, before) == {"bystander", "web"}
    assert deployed.inside("bystander", "cat", "/built.txt") == "rebuilt"
    assert not deployed.deploy(build="always").changed
    deployed.clean_up()
    engine.images.remove(f"{deployed.project}-bystander", force=True)


def test_profile_switched_on_and_off(deployed: Environment) -> None:
    require(deployed, {("debug", "create")}, profiles=["debug"])
    require(deployed, {("debug", "remove")})


def test_profile_of_the_env_file(deployed: Environment) -> None:
    deployed.write(".env.dev", "LEVEL=info\nCOMPOSE_PROFILES=debug\n")
    require(deployed, {("debug", "create")})


def test_replicas_up_and_down(deployed: Environment) -> None:
    kept = deployed.ids()["bystander"]
    more = {"bystander": {"deploy": {"replicas": 3}}}
    deployed.write("compose.dev.yml", {"services": {"web": {"environment": {"LAYER": "dev"}}, **more}})
    require(deployed, {("bystander", "create")})
    assert len(deployed.containers("bystander")) == 3
    deployed.write("compose.dev.yml", {"services": {"web": {"environment": {"LAYER": "dev"}}}})
    require(deployed, {("bystander", "remove")})
    assert deployed.ids()["bystander"] == kept


def test_scale_option(deployed: Environment) -> None:
    kept = deployed.ids()["web"]
    require(deployed, {("bystander", "create"), ("web", "create")}, scale={"bystander": 2, "web": 2})
    assert len(deployed.containers("bystander")) == 2
    assert set(kept) < set(deployed.ids()["web"])
    require(deployed, {("bystander", "remove"), ("web", "remove")})
    assert deployed.ids()["web"] == kept


def test_scale_option_of_none_holds_for_its_run(deployed: Environment) -> None:
    require(deployed, {("web", "remove")}, scale={"web": 0})
    require(deployed, {("web", "create")})


def test_service_removed_from_the_files(deployed: Environment) -> None:
    layers = {**LAYERS, "services": {name: each for name, each in LAYERS["services"].items() if name != "bystander"}}
    deployed.write("compose.yml", layers)
    kept = deployed.deploy(remove_orphans=False)
    assert not kept.changed
    require(deployed, {("bystander", "remove")})


def test_container_stopped_by_hand(deployed: Environment) -> None:
    deployed.container("web").stop()
    require(deployed, {("web", "start")})


def test_container_removed_by_hand(deployed: Environment) -> None:
    deployed.container("web").remove(force=True)
    require(deployed, {("web", "create")})


def test_container_paused_by_hand(deployed: Environment) -> None:
    deployed.container("web").pause()
    require(deployed, {("web", "unpause")})
    assert deployed.container("web").status == "running"


def test_network_disconnected_by_hand(deployed: Environment, engine: docker.DockerClient) -> None:
    network = engine.networks.get(f"{deployed.project}_default")
    network.disconnect(deployed.container("web"))
    require(deployed, {("web", "connect")})
    attached = deployed.container("web").attrs["NetworkSettings"]["Networks"]
    assert "web" in attached[network.name]["Aliases"]


def test_definition_of_a_network(environment: Environment, engine: docker.DockerClient) -> None:
    def layers(label: str) -> dict[str, object]:
        web = service(networks=["inner"])
        return {"services": {"web": web, "idle": service()}, "networks": {"inner": {"labels": {"a": label}}}}

    environment.write("compose.yml", layers("1"))
    environment.deploy()
    environment.write("compose.yml", layers("2"))
    require(environment, {("web", "recreate")})
    assert engine.networks.get(f"{environment.project}_inner").attrs["Labels"]["a"] == "2"


def test_comments_key_order_and_white_space_mean_nothing(deployed: Environment) -> None:
    path = deployed.folder / "compose.yml"
    services = dict(reversed(list(LAYERS["services"].items())))
    deployed.write("compose.yml", {**LAYERS, "services": services})
    deployed.write("compose.yml", f"# a comment\n\n{path.read_text()}\n\n# another\n")
    require(deployed, set())


def test_path_of_the_env_file_means_nothing(deployed: Environment) -> None:
    (deployed.folder / ".env.dev").rename(deployed.folder / "dev.env")
    require(deployed, set())


def test_completed_service_is_not_run_again(deployed: Environment) -> None:
    deployed.write("compose.dev.yml", {"services": {"web": {"environment": {"LAYER": "changed"}}}})
    require(deployed, {("web", "recreate")})
    assert deployed.deploy(state="restarted").actions == {
        (name, "restart") for name in ("web", "settings", "vault", "bystander")
    }
    log = deployed.engine.containers.run(
        IMAGE, ["cat", "/log/runs"], volumes={f"{deployed.project}_log": {"bind": "/log"}}, remove=True
    )
    assert len(log.splitlines()) == 1


def test_compose_by_hand_afterwards_recreates_nothing(deployed: Environment) -> None:
    before = deployed.ids()
    argv = ["docker", "compose", "-p", deployed.project, "-f", "compose.yml", "-f", "compose.dev.yml"]
    subprocess.run([*argv, "--env-file", ".env.dev", "up", "-d"], cwd=deployed.folder, check=True, capture_output=True)
    assert deployed.ids() == before


def test_project_that_runs_already_is_adopted_without_a_change(deployed: Environment) -> None:
    shutil.rmtree(deployed.state_dir)
    planned = deployed.plan()
    unproven = {("web", "recreate"), ("settings", "recreate"), ("vault", "recreate")}
    assert planned.actions == unproven, "what mounts files cannot be proven to be unchanged, all else can"
    (warning,) = planned.result["warnings"]
    assert "settings, vault, web were not deployed by strata.compose" in str(warning)
