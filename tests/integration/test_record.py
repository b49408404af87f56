"""What is recorded is what was proven, and what was removed is nothing to go back to."""

from __future__ import annotations

import subprocess

from tests.integration.conftest import Environment, service


def test_what_ran_in_the_last_release_and_ends_now_has_failed(environment: Environment) -> None:
    web = service(restart="always")
    environment.write("compose.yml", {"services": {"web": web, "worker": service(), "retried": service()}})
    environment.deploy()
    ends = {"command": ["true"], "init": False}
    environment.write("compose.yml", {"services": {"web": web, "worker": service(**ends), "retried": service()}})
    outcome = environment.run()
    assert outcome.result["state"] == "rolled_back"
    assert "exited with code 0, although it ran on in the last release" in outcome.message
    assert environment.container("worker").status == "running"
    retried = service(**ends, restart="on-failure")
    environment.write("compose.yml", {"services": {"web": web, "worker": service(), "retried": retried}})
    assert environment.run().result["failed_services"][0]["service"] == "retried"
    environment.deploy(state="absent", services=["retried"])
    assert environment.deploy().actions == {("retried", "create")}
    assert not environment.deploy().changed


def test_end_of_what_another_service_awaits_is_no_failure(environment: Environment) -> None:
    environment.write("compose.yml", {"services": {"web": service(), "worker": service()}})
    environment.deploy()
    awaits = {"worker": {"condition": "service_completed_successfully"}}
    worker = service(command=["true"], init=False)
    environment.write("compose.yml", {"services": {"web": service(depends_on=awaits), "worker": worker}})
    environment.deploy()
    assert not environment.deploy().changed


def test_recreate_never_leaves_the_change_of_foreign_containers_pending(environment: Environment) -> None:
    layer = {"services": {"web": service(environment={"LEVEL": "1"}), "idle": service()}}
    path = environment.write("compose.yml", layer)
    argv = ["docker", "compose", "-p", environment.project, "-f", str(path), "up", "-d"]
    subprocess.run(argv, check=True, capture_output=True)
    layer["services"]["web"]["environment"] = {"LEVEL": "2"}
    environment.write("compose.yml", layer)
    assert not environment.deploy(recreate="never").changed
    assert environment.plan().actions == {("web", "recreate")}
    (drift,) = environment.run("compose_env_info", gather=["drift"]).result["drift"]
    assert drift["service"] == "web"
    environment.deploy()
    assert environment.variable("web", "LEVEL") == "2"
    by_hand = environment.write("by-hand.yml", {"services": {"web": {"environment": {"LEVEL": "9"}}}})
    subprocess.run([*argv[:6], "-f", str(by_hand), *argv[6:], "web"], check=True, capture_output=True)
    environment.deploy(recreate="never", scale={"idle": 2})
    assert ("web", "recreate") in environment.plan().actions


def test_absent_leaves_nothing_to_go_back_to(environment: Environment) -> None:
    environment.write("compose.yml", {"services": {"web": service()}})
    environment.deploy()
    environment.deploy(state="absent")
    assert "was removed (state=absent)" in environment.run(state="rolled_back").message
    environment.write("compose.yml", {"services": {"web": service(command=["false"])}})
    outcome = environment.run()
    assert outcome.result["state"] == "failed", outcome.message
    assert "no earlier release to go back to" in outcome.message
    assert environment.container("web").attrs["Config"]["Cmd"] == ["false"]
    environment.write("compose.yml", {"services": {"web": service()}})
    environment.deploy()
    assert "no good release before" in environment.run(state="rolled_back").message
