"""What a failure says to have changed is what the engine shows: nothing less, and nothing that did not happen."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.conftest import IMAGE, Environment, service

GOOD = {"web": service(environment={"RELEASE": "1"}), "idle": service()}
BROKEN = {"command": ["sh", "-c", "exit 3"], "init": False}
REFUSED = {"cap_add": ["NO_SUCH_CAPABILITY"]}
"""What the engine refuses when it creates a container."""


@pytest.fixture
def serving(environment: Environment) -> Environment:
    environment.write("compose.yml", {"services": GOOD})
    environment.deploy()
    return environment


def runs(environment: Environment) -> dict[str, tuple[str, str]]:
    """Each container with when it was started."""
    return {each.id: (each.status, each.attrs["State"]["StartedAt"]) for each in environment.containers()}


def web(environment: Environment, **keys: object) -> None:
    environment.write("compose.yml", {"services": {**GOOD, "web": {**GOOD["web"], **keys}}})


def test_container_that_was_replaced_and_came_back_has_changed(serving: Environment) -> None:
    before = serving.ids()
    web(serving, **BROKEN)
    outcome = serving.run()
    assert outcome.result["state"] == "rolled_back"
    assert outcome.changed
    assert outcome.actions == {("web", "recreate")}
    assert serving.ids()["web"] != before["web"]
    assert (serving.state_dir / serving.project / "audit.log").read_text().count("recreate web") == 1


def test_same_containers_that_ran_all_along_have_not_changed(serving: Environment) -> None:
    before = runs(serving)
    web(serving, **REFUSED)
    outcome = serving.run()
    assert outcome.failed
    assert runs(serving) == before
    assert not outcome.changed
    assert outcome.result["actions"] == []


def test_network_that_a_failed_release_left_has_changed(serving: Environment) -> None:
    before = runs(serving)
    refused = {**GOOD["web"], **REFUSED, "networks": ["more"]}
    serving.write("compose.yml", {"services": {**GOOD, "web": refused}, "networks": {"more": {}}})
    outcome = serving.run()
    assert outcome.failed
    assert runs(serving) == before
    assert serving.engine.networks.list(names=[f"{serving.project}_more"])
    assert outcome.changed
    assert outcome.actions == {(f"network {serving.project}_more", "create")}


def test_first_release_that_the_engine_refuses(environment: Environment) -> None:
    environment.write("compose.yml", {"services": {"web": service(network_mode="none", **REFUSED)}})
    outcome = environment.run()
    assert outcome.failed
    assert not environment.containers()
    assert not outcome.changed
    environment.write("compose.yml", {"services": {"web": service(**BROKEN)}})
    outcome = environment.run()
    assert outcome.changed
    assert {("web", "create"), (f"network {environment.project}_default", "create")} == outcome.actions


def test_image_that_was_built_before_the_failure(serving: Environment) -> None:
    (serving.folder / "app").mkdir()
    serving.write("app/Dockerfile", f"FROM {IMAGE}\nLABEL own={serving.project}\n")
    image = f"{serving.folder.name}-own:1"
    before = runs(serving)
    try:
        web(serving, **REFUSED, build="./app", image=image)
        outcome = serving.run()
        assert outcome.failed
        assert runs(serving) == before
        assert outcome.changed
        assert outcome.actions == {("web", "build")}
        again = serving.run()
        assert again.failed
        assert not again.changed, "the image is here, and the containers ran all along"
    finally:
        serving.engine.images.remove(image, force=True)


def test_one_of_two_images_was_built(serving: Environment) -> None:
    for name, line in (("app", f"FROM {IMAGE}\nLABEL own={serving.project}\n"), ("bad", f"FROM {IMAGE}\nRUN false\n")):
        (serving.folder / name).mkdir()
        serving.write(f"{name}/Dockerfile", line)
    images = {name: f"{serving.folder.name}-{name}:1" for name in ("app", "bad")}
    services = {name: service(build=f"./{name}", image=images[name]) for name in images}
    serving.write("compose.yml", {"services": {**GOOD, **services}})
    outcome = serving.run()
    here = {name for name, image in images.items() if serving.engine.images.list(name=image)}
    for name in here:
        serving.engine.images.remove(images[name], force=True)
    assert outcome.failed
    assert outcome.changed == bool(here)
    assert {(name, "build") for name in here} == outcome.actions


@pytest.mark.parametrize("state", ["stopped", "restarted", "absent"])
def test_state_that_the_engine_lets_nobody_reach(
    serving: Environment, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CLI whose stop and removal do not come through."""
    before = runs(serving)
    broken = tmp_path / "bin" / "docker"
    broken.parent.mkdir()
    tests = 'for word in "$@"; do case "$word" in stop|rm) echo "the engine is busy" >&2; exit 1;; esac; done'
    broken.write_text(f'#!/bin/sh\n{tests}\nexec {shutil.which("docker")} "$@"\n')
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(broken.parent), prepend=":")
    outcome = serving.run(state=state)
    assert outcome.failed
    assert "the engine is busy" in outcome.message
    assert runs(serving) == before
    assert not outcome.changed, outcome.result["actions"]


def test_container_that_cannot_be_started(environment: Environment) -> None:
    """Its mounted folder went away while it stood still."""
    mount = {"type": "bind", "source": "./data", "target": "/data", "bind": {"create_host_path": False}}
    (environment.folder / "data").mkdir()
    environment.write("compose.yml", {"services": {"web": service(volumes=[mount])}})
    environment.deploy()
    environment.deploy(state="stopped")
    (environment.folder / "data").rmdir()
    before = runs(environment)
    outcome = environment.run(state="started")
    assert outcome.failed
    assert runs(environment) == before
    assert not outcome.changed


def test_init_phase_tells_servers_and_steps_that_were_begun(environment: Environment) -> None:
    step = service(depends_on=["db"], command=["sh", "-c", "exit 4"], profiles=["init"], init=False)
    environment.write("compose.yml", {"services": {"db": service(), "migrate": step}})
    outcome = environment.run("compose_init", steps=["migrate"])
    assert outcome.failed
    assert outcome.changed
    assert {("db", "create"), ("migrate", "init")} <= outcome.actions


def test_init_phase_whose_server_does_not_come_up(environment: Environment) -> None:
    ill = {"test": ["CMD", "false"], "interval": "1s", "retries": 1}
    step = service(depends_on={"db": {"condition": "service_healthy"}}, profiles=["init"], command=["true"])
    environment.write("compose.yml", {"services": {"db": service(healthcheck=ill), "migrate": step}})
    outcome = environment.run("compose_init", steps=["migrate"], wait_timeout=10)
    assert outcome.failed
    assert outcome.changed, "its server was created and started"
    assert ("db", "create") in outcome.actions
    environment.clean_up()


def test_init_step_that_the_engine_refuses(serving: Environment) -> None:
    refused = service(profiles=["init"], network_mode="none", **REFUSED)
    serving.write("compose.yml", {"services": {**GOOD, "migrate": refused}})
    outcome = serving.run("compose_init", steps=["migrate"])
    assert outcome.failed
    assert not outcome.changed
    assert outcome.result["actions"] == []


def test_command_that_could_not_be_begun(serving: Environment) -> None:
    outcome = serving.run("compose_exec", service="web", argv=["no-such-program"])
    assert outcome.failed
    assert not outcome.changed
    outcome = serving.run("compose_exec", service="web", argv=["sh", "-c", "exit 3"])
    assert outcome.failed
    assert outcome.changed
