"""What somebody who runs a playbook reads: variables for options, both streams of a command, numbers of containers."""

from __future__ import annotations

import json

import pytest

from tests.integration.conftest import Environment, ansible_playbook, service


def run(environment: Environment, playbook: str, *flags: str, **variables: object) -> tuple[int, str]:
    own = {
        "compose_env_project_dir": str(environment.folder),
        "compose_env_environment": environment.name,
        "compose_env_state_dir": str(environment.state_dir),
    }
    done = ansible_playbook(f"playbooks/{playbook}.yml", *flags, "-e", json.dumps({**own, **variables}))
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def deployed(environment: Environment) -> Environment:
    runner = service(profiles=["tests"], command=["sh", "-c", "echo 3 passed; echo slow >&2"])
    environment.write("compose.yml", {"services": {"web": service(scale=2), "test-runner": runner}})
    environment.deploy()
    return environment


def test_a_refusal_names_the_variable_that_a_playbook_takes(deployed: Environment) -> None:
    code, printed = run(deployed, "remove")
    assert code == 2
    assert "confirm=dev" in printed
    assert "(To a playbook: `-e compose_env_confirm=dev`)" in printed
    assert len(deployed.containers("web")) == 2
    code, printed = run(deployed, "remove", compose_env_confirm="dev")
    assert code == 0, printed
    assert not deployed.containers()


def test_a_service_that_is_off_is_named_with_its_profile(deployed: Environment) -> None:
    code, printed = run(deployed, "deploy", compose_env_services=["test-runner"])
    assert code == 2
    assert "service test-runner has the profile tests, which is not on" in printed
    assert "-e compose_env_profiles=tests" in printed
    code, printed = run(deployed, "deploy", compose_env_services=["test-runner"], compose_env_profiles="tests")
    assert code == 0, printed
    assert deployed.containers("test-runner")


def test_exec_shows_both_streams_and_the_exit_code(deployed: Environment) -> None:
    code, printed = run(deployed, "exec", exec_service="web", exec_command="sh -c 'echo out; echo err >&2'")
    assert code == 0, printed
    for line in ('"out"', '"It wrote to its standard error:"', '"err"', '"It ended with exit code 0."'):
        assert line in printed
    code, printed = run(deployed, "exec", exec_service="test-runner", exec_one_off=True)
    assert code == 0, printed
    assert '"3 passed"' in printed
    assert '"slow"' in printed


def test_ps_counts_the_containers_that_run(deployed: Environment) -> None:
    deployed.containers("web")[0].stop(timeout=1)
    code, printed = run(deployed, "ps")
    assert code == 0, printed
    assert "RUNNING" in printed
    assert "1 of 2" in printed
