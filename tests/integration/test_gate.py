"""The gate: what is up for good passes, what is not fails with everything a user needs to see why."""

from __future__ import annotations

import time

import pytest

from tests.integration.conftest import Environment, service

HEALTHY = {"test": ["CMD", "true"], "interval": "1s"}


def failed_service(environment: Environment, **options: object) -> dict[str, object]:
    """Deploy, and require exactly one failed service."""
    outcome = environment.run(**options)
    assert outcome.failed
    (failed,) = outcome.result["failed_services"]
    assert str(failed["service"]) in outcome.message
    return {**failed, "message": outcome.message}


def test_healthy_service_passes(environment: Environment) -> None:
    environment.write("compose.yml", {"services": {"web": service(healthcheck=HEALTHY)}})
    environment.deploy()
    assert environment.container("web").attrs["State"]["Health"]["Status"] == "healthy"


def test_service_without_health_check_passes_after_stable_for(environment: Environment) -> None:
    environment.write("compose.yml", {"services": {"web": service()}})
    began = time.monotonic()
    environment.deploy(stable_for=3)
    assert time.monotonic() - began >= 3


def test_crash_loop_fails(environment: Environment) -> None:
    loop = service(command=["sh", "-c", "echo cannot; exit 3"], restart="always", init=False)
    environment.write("compose.yml", {"services": {"web": loop}})
    failed = failed_service(environment, stable_for=10)
    assert "crash loop" in str(failed["cause"])
    assert "cannot" in str(failed["log"])


def test_exit_fails_with_code_and_the_last_log_lines_masked(environment: Environment) -> None:
    command = ["sh", "-c", "for i in $$(seq 1 30); do echo line $$i; done; echo pass=$$DB_PASSWORD; exit 7"]
    environment.write(".env.dev", "DB_PASSWORD='hunter2-$ecret'\n")
    web = service(command=command, environment={"DB_PASSWORD": "${DB_PASSWORD}"}, init=False)
    environment.write("compose.yml", {"services": {"web": web}})
    failed = failed_service(environment)
    assert failed["exit_code"] == 7
    assert failed["log"] == [f"line {number}" for number in range(12, 31)] + ["pass=********"]
    assert "exited with code 7" in str(failed["message"])
    assert "hunter2" not in str(failed)


def test_unhealthy_fails_with_the_health_output(environment: Environment) -> None:
    sick = {"test": ["CMD-SHELL", "echo no pulse; exit 1"], "interval": "1s", "retries": 1}
    environment.write("compose.yml", {"services": {"web": service(healthcheck=sick)}})
    failed = failed_service(environment)
    assert failed["health_output"] == "no pulse"
    assert "no pulse" in str(failed["message"])


def test_never_healthy_fails_when_the_time_is_up(environment: Environment) -> None:
    slow = {"test": ["CMD", "false"], "interval": "1s", "start_period": "600s"}
    environment.write("compose.yml", {"services": {"web": service(healthcheck=slow)}})
    failed = failed_service(environment, wait_timeout=3)
    assert "still starting after 3 s" in str(failed["cause"])


def test_command_that_does_not_exist_is_told(environment: Environment) -> None:
    environment.write("compose.yml", {"services": {"web": service(command=["no-such-program"], init=False)}})
    failed = failed_service(environment)
    assert "no-such-program" in str(failed["cause"])


def test_service_that_publishes_ports_may_not_complete(environment: Environment) -> None:
    environment.write(
        "compose.yml", {"services": {"web": service(command=["true"], ports=["127.0.0.1::80"], init=False)}}
    )
    assert failed_service(environment)["exit_code"] == 0


@pytest.mark.parametrize("wait", [True, False])
def test_wait_decides_whether_a_failure_is_awaited(environment: Environment, wait: bool) -> None:
    environment.write("compose.yml", {"services": {"web": service(command=["sh", "-c", "sleep 1; exit 1"])}})
    assert environment.run(wait=wait, stable_for=5).failed is wait


def test_one_shot_service_is_awaited_and_done(environment: Environment) -> None:
    job = service(command=["sh", "-c", "sleep 1; echo done"], init=False)
    web = service(depends_on={"job": {"condition": "service_completed_successfully"}})
    environment.write("compose.yml", {"services": {"job": job, "web": web}})
    environment.deploy(stable_for=0)
    assert environment.container("job").attrs["State"]["ExitCode"] == 0
    ended = environment.container("job").attrs["State"]["FinishedAt"]
    assert environment.container("web").attrs["State"]["StartedAt"] > ended
    assert not environment.deploy(stable_for=0).changed


def test_one_shot_service_that_fails_keeps_its_dependents_down(environment: Environment) -> None:
    job = service(command=["sh", "-c", "echo no database; exit 4"], init=False)
    web = service(depends_on={"job": {"condition": "service_completed_successfully"}})
    environment.write("compose.yml", {"services": {"job": job, "web": web}})
    failed = failed_service(environment)
    assert (failed["service"], failed["exit_code"]) == ("job", 4)
    assert environment.container("web").attrs["State"]["Status"] == "created"


def test_service_healthy_is_awaited_before_a_dependent_starts(environment: Environment) -> None:
    late = {"test": ["CMD", "test", "-e", "/ready"], "interval": "1s", "retries": 30}
    database = service(command=["sh", "-c", "sleep 2; touch /ready; sleep 3600"], healthcheck=late)
    web = service(depends_on={"database": {"condition": "service_healthy"}})
    environment.write("compose.yml", {"services": {"database": database, "web": web}})
    environment.deploy()
    first_success = next(
        each["End"]
        for each in environment.container("database").attrs["State"]["Health"]["Log"]
        if each["ExitCode"] == 0
    )
    assert environment.container("web").attrs["State"]["StartedAt"][:19] >= first_success[:19]


def test_starting_service_is_awaited_though_nothing_changed(environment: Environment) -> None:
    check = {"test": ["CMD", "test", "-e", "/ready"], "interval": "1s", "start_period": "60s"}
    web = service(command=["sh", "-c", "sleep 4; touch /ready; sleep 3600"], healthcheck=check)
    environment.write("compose.yml", {"services": {"web": web}})
    environment.deploy(wait=False)
    assert environment.container("web").attrs["State"]["Health"]["Status"] == "starting"
    assert not environment.deploy().changed
    assert environment.container("web").attrs["State"]["Health"]["Status"] == "healthy"
