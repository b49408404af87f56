"""compose_env_info tells what is, and changes nothing."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from tests.integration.conftest import IMAGE, Environment, service


@pytest.fixture
def running(environment: Environment) -> Environment:
    web = service(
        command=["sh", "-c", "echo first; echo token=$$API_TOKEN; exec sleep 3600"],
        environment={"API_TOKEN": "${API_TOKEN}", "LEVEL": "${LEVEL}", "SIZE": "${SIZE:-small}"},
        ports=["127.0.0.1::80"],
    )
    environment.write("compose.yml", {"services": {"web": web, "idle": service(volumes=["./note.txt:/note.txt"])}})
    environment.write(".env.dev", "LEVEL=info\n# a comment\nAPI_TOKEN='very-secret-$token'\nUNUSED=1\n")
    environment.write("note.txt", "first")
    environment.deploy()
    return environment


def gather(environment: Environment, name: str, **options: Any) -> Any:
    outcome = environment.run("compose_env_info", gather=[name], **options)
    assert not outcome.failed, outcome.message
    assert not outcome.changed
    assert "very-secret" not in outcome.printed
    return outcome.result[name]


def test_services(running: Environment) -> None:
    web = next(each for each in gather(running, "services") if each["service"] == "web")
    container = running.container("web")
    assert (web["state"], web["health"], web["image"]) == ("running", "", IMAGE)
    assert web["containers"][0]["id"] == container.id
    port = container.ports["80/tcp"][0]["HostPort"]
    assert web["ports"] == [f"127.0.0.1:{port}->80/tcp"]


def test_services_can_be_limited_and_unknown_ones_are_refused(running: Environment) -> None:
    assert [each["service"] for each in gather(running, "services", services=["idle"])] == ["idle"]
    assert "unknown service: none" in running.run("compose_env_info", services=["none"]).message


def test_processes(running: Environment) -> None:
    processes = {each["service"]: each["processes"] for each in gather(running, "processes")}
    assert any("sleep 3600" in each["command"] for each in processes["web"])
    pids = {row[1] for row in running.container("web").top()["Processes"]}
    assert {each["pid"] for each in processes["web"]} == pids


def test_logs_with_tail_and_since_and_masked(running: Environment) -> None:
    logs = {each["service"]: each["lines"] for each in gather(running, "logs")}
    assert [line.partition(" ")[2] for line in logs["web"]] == ["first", "token=********"]
    (last,) = gather(running, "logs", tail=1, services=["web"])
    assert [line.partition(" ")[2] for line in last["lines"]] == ["token=********"]
    assert gather(running, "logs", since="2099-01-01T00:00:00Z", services=["web"])[0]["lines"] == []


def test_config_is_masked(running: Environment) -> None:
    environment = gather(running, "config")["services"]["web"]["environment"]
    assert environment["LEVEL"] == "info"
    assert environment["API_TOKEN"].startswith("sha256:")


def test_images(running: Environment) -> None:
    images = {each["service"]: each for each in gather(running, "images")}
    image = running.engine.images.get(IMAGE)
    assert (images["web"]["id"], images["web"]["size"]) == (image.id, image.attrs["Size"])
    assert IMAGE in images["web"]["tags"]


def test_variables_tell_file_and_line_of_their_values(running: Environment) -> None:
    variables = {each["name"]: each for each in gather(running, "variables")}
    env_file = f"{running.folder}/.env.dev"
    assert (variables["LEVEL"]["value"], variables["LEVEL"]["origin"]) == ("info", f"{env_file}:1")
    assert variables["API_TOKEN"]["origin"] == f"{env_file}:3"
    assert variables["API_TOKEN"]["value"].startswith("sha256:")
    assert variables["SIZE"]["value"] == "small"
    lines = (running.folder / "compose.yml").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "SIZE" in text)
    assert variables["SIZE"]["origin"] == f"default in {running.folder}/compose.yml:{line}"
    assert variables["UNUSED"]["used_in"] == []


def test_drift_is_what_nobody_deployed(running: Environment) -> None:
    assert gather(running, "drift") == []
    running.write(".env.dev", "LEVEL=debug\nAPI_TOKEN='very-secret-$token'\n")
    assert gather(running, "drift") == [], "a change that waits to be deployed is no drift"
    running.container("web").stop(timeout=1)
    running.write("note.txt", "edited on the host")
    drift = {(each["service"], each["action"]): each["reason"] for each in gather(running, "drift")}
    assert drift == {
        ("web", "start"): "exited (137)"
        if running.container("web").attrs["State"]["ExitCode"] == 137
        else "exited (143)",
        ("idle", "recreate"): f"content of {running.folder}/note.txt changed (it was replaced by another file)",
    }


def test_drift_before_the_first_deployment_is_an_error(environment: Environment) -> None:
    environment.write("compose.yml", {"services": {"web": service()}})
    assert "not deployed by strata.compose yet" in environment.run("compose_env_info", gather=["drift"]).message


def test_all_but_config_and_variables_work_without_the_project_directory(running: Environment) -> None:
    away = running.folder.with_name("away")
    shutil.move(running.folder, away)
    try:
        names = ["services", "processes", "logs", "images", "releases"]
        outcome = running.run("compose_env_info", gather=names)
        assert not outcome.failed, outcome.message
        assert all(outcome.result[name] for name in names)
    finally:
        shutil.move(away, running.folder)


def test_given_options_are_those_of_the_environment(running: Environment) -> None:
    """The options that all modules share, given as they were for the deployment."""
    options = {
        "project_name": running.project,
        "files": ["compose.yml"],
        "env_files": [".env.dev"],
        "profiles": [],
        "docker_host": "unix:///var/run/docker.sock",
        "command_timeout": 30,
    }
    assert gather(running, "config", **options)["name"] == running.project
