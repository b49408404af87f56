"""The gate: what is up for good passes, what is not fails with everything a user needs to see why."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.integration.conftest import Environment, service
from tests.integration.test_transactions import wait_for

HEALTHY = {"test": ["CMD", "true"], "interval": "1s"}


def failed_service(environment: Environment, **options: object) -> dict[str, object]:
    """Deploy, and require exactly one failed service."""
    outcome = environment.run(**options)
    assert outcome.failed
    (failed,) = outcome.result["failed_services"]
    assert str(failed["service"]) in outcome.message
    return {**failed, "message": outcome.message}


def thorough(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.thorough)


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


def alternating(retries: int, first: int = 0) -> dict[str, object]:
    """A health check that succeeds every other time, beginning with a success or, from 1, with a failure."""
    count = (
        f"n=$$(cat /count 2>/dev/null || echo {first}); echo $$((n + 1)) > /count; echo check $$n; [ $$((n % 2)) = 0 ]"
    )
    return {"test": ["CMD-SHELL", count], "interval": "1s", "retries": retries}


@pytest.mark.parametrize(("retries", "first"), [thorough(1, 0), thorough(3, 0), (3, 1)])
def test_flapping_health_fails(environment: Environment, retries: int, first: int) -> None:
    environment.write("compose.yml", {"services": {"web": service(healthcheck=alternating(retries, first))}})
    failed = failed_service(environment, wait_timeout=30)
    assert "health flapping" in str(failed["cause"])
    assert "check" in str(failed["health_output"])


def test_one_failure_of_a_health_check_is_forgiven(environment: Environment) -> None:
    """The second run of the check fails and no other: it is our own, and two of the engine's follow."""
    count = "n=$$(cat /count 2>/dev/null || echo 0); echo $$((n + 1)) > /count; [ $$n != 1 ]"
    check = {"test": ["CMD-SHELL", count], "interval": "1s", "retries": 3}
    environment.write("compose.yml", {"services": {"web": service(healthcheck=check)}})
    environment.deploy()
    log = environment.container("web").attrs["State"]["Health"]["Log"]
    assert [each["ExitCode"] for each in log][-2:] == [0, 0], "it was not followed up"


def test_health_check_is_run_once_more_as_the_engine_runs_it(environment: Environment) -> None:
    """In the container, as its user, with its variables and in its folder; and the deployment is no slower for it."""
    told = 'echo "$$(id -u) $$LEVEL $$PWD" >> /tmp/checks'
    check = {"test": ["CMD-SHELL", told], "interval": "3s"}
    web = service(healthcheck=check, user="1000", environment={"LEVEL": "info"}, working_dir="/tmp")
    environment.write("compose.yml", {"services": {"web": web}})
    environment.deploy()
    assert len(environment.container("web").attrs["State"]["Health"]["Log"]) == 1, "it waited for another check"
    assert environment.inside("web", "cat", "/tmp/checks").splitlines() == ["1000 info /tmp"] * 2


def test_unhealthy_again_while_others_are_awaited_fails_at_once(environment: Environment) -> None:
    sick = {
        "test": ["CMD-SHELL", "[ $$(($$(date +%s) - $$(stat -c %Y /proc/1))) -lt 3 ]"],
        "interval": "1s",
        "retries": 1,
    }
    environment.write("compose.yml", {"services": {"web": service(healthcheck=sick), "late": service()}})
    began = time.monotonic()
    failed = failed_service(environment, stable_for=30)
    assert failed["service"] == "web"
    assert "unhealthy after it was healthy" in str(failed["cause"])
    assert time.monotonic() - began < 20


CRASH_AFTER_5_S = ["sh", "-c", "echo up; sleep 5; echo down; exit 3"]


@pytest.mark.parametrize("restart", [thorough("no"), "always"])
def test_crash_after_five_seconds_is_caught_when_stable_for_is_longer(environment: Environment, restart: str) -> None:
    web = service(command=CRASH_AFTER_5_S, restart=restart, init=False)
    environment.write("compose.yml", {"services": {"web": web}})
    failed = failed_service(environment, stable_for=8)
    assert ("crash loop" if restart == "always" else "exited with code 3") in str(failed["cause"])
    assert "down" in str(failed["log"])


@pytest.mark.parametrize("restart", [thorough("no"), "always"])
def test_crash_after_five_seconds_is_caught_while_others_are_awaited(environment: Environment, restart: str) -> None:
    """The service itself has passed long before; what comes after the gate has ended cannot be seen by it."""
    slow = {"test": ["CMD", "test", "-e", "/ready"], "interval": "1s", "retries": 30}
    late = service(command=["sh", "-c", "sleep 9; touch /ready; sleep 3600"], healthcheck=slow)
    web = service(command=CRASH_AFTER_5_S, restart=restart, init=False)
    environment.write("compose.yml", {"services": {"web": web, "late": late}})
    failed = failed_service(environment, stable_for=1)
    expected = "restarted after it had passed" if restart == "always" else "exited with code 3"
    assert expected in str(failed["cause"])


def test_crash_after_the_gate_is_not_caught(environment: Environment) -> None:
    """What stable_for is for: a service that dies later than that passes."""
    web = service(command=CRASH_AFTER_5_S, restart="always", init=False)
    environment.write("compose.yml", {"services": {"web": web}})
    environment.deploy(stable_for=1)


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


def test_what_was_unhealthy_while_it_was_paused_is_no_failure(environment: Environment) -> None:
    environment.write("compose.yml", {"services": {"web": service(healthcheck={**HEALTHY, "retries": 1})}})
    environment.deploy()
    web = environment.container("web")
    web.pause()
    wait_for(lambda: environment.container("web").attrs["State"]["Health"]["Status"] == "unhealthy")
    outcome = environment.deploy()
    assert outcome.actions == {("web", "unpause")}
    assert environment.container("web").id == web.id
    assert environment.container("web").attrs["State"]["Health"]["Status"] == "healthy"


def test_what_stays_unhealthy_after_a_pause_fails_long_before_the_time_is_over(environment: Environment) -> None:
    alive = {"test": ["CMD", "test", "-e", "/tmp/alive"], "interval": "1s", "retries": 1}
    web = service(command=["sh", "-c", "touch /tmp/alive; exec sleep 3600"], healthcheck=alive)
    environment.write("compose.yml", {"services": {"web": web}})
    environment.deploy()
    environment.inside("web", "rm", "/tmp/alive")
    environment.container("web").pause()
    wait_for(lambda: environment.container("web").attrs["State"]["Health"]["Status"] == "unhealthy")
    began = time.monotonic()
    failed = failed_service(environment, wait_timeout=300)
    assert (failed["service"], failed["cause"]) == ("web", "unhealthy")
    assert time.monotonic() - began < 200
