"""The init phase on a real engine: each step once for its content, and never at the cost of what runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import IMAGE, REPOSITORY, Environment, Outcome, process, service


def step(script: str = "true", **keys: Any) -> dict[str, Any]:
    """A one-shot service with the profile init that writes down each of its runs."""
    command = ["sh", "-c", f"echo $$NAME >> /runs/log; {script}"]
    return {"image": IMAGE, "command": command, "profiles": ["init"], "volumes": ["./runs:/runs"], **keys}


def named(steps: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        name: {**each, "environment": {"NAME": name, **each.get("environment", {})}} for name, each in steps.items()
    }


@pytest.fixture
def project(environment: Environment) -> Iterator[Environment]:
    (environment.folder / "runs").mkdir()
    yield environment
    for each in one_offs(environment):
        each.remove(force=True)


def write(project: Environment, steps: dict[str, dict[str, Any]], **services: dict[str, Any]) -> None:
    project.write("compose.yml", {"services": {"web": service(), **services, **named(steps)}})


def init(project: Environment, *flags: str, **options: Any) -> Outcome:
    modes = {f"_ansible_{flag.strip('-')}_mode": True for flag in flags}
    return process("compose_init", {**project.options("compose_init", options), **modes})


def succeed(project: Environment, **options: Any) -> Outcome:
    outcome = init(project, **options)
    assert not outcome.failed, outcome.message
    return outcome


def runs(project: Environment) -> list[str]:
    """The steps that ran, in their order."""
    log = project.folder / "runs" / "log"
    return log.read_text().split() if log.exists() else []


def outcomes(outcome: Outcome) -> dict[str, str]:
    return {each["service"]: each["outcome"] for each in outcome.result["steps"]}


def one_offs(project: Environment) -> list[Any]:
    labels = [f"com.docker.compose.project={project.project}", "com.docker.compose.oneoff=True"]
    return list(project.engine.containers.list(all=True, filters={"label": labels}))


def state_of(project: Environment) -> Path:
    return project.state_dir / project.project


def test_steps_run_once_in_the_order_of_their_dependencies(project: Environment) -> None:
    after = {"depends_on": {"zeta": {"condition": "service_completed_successfully"}}}
    write(project, {"alpha": step(**after), "beta": step(), "zeta": step()})
    first = succeed(project)
    assert runs(project) == ["zeta", "alpha", "beta"]
    assert first.changed
    assert first.result["report"][0].startswith("✔ zeta (exit 0, ")
    assert one_offs(project) == []
    second = succeed(project)
    assert not second.changed
    assert outcomes(second) == dict.fromkeys(("alpha", "beta", "zeta"), "done before")
    assert len(runs(project)) == 3


def test_environment_without_steps_has_no_init_phase(project: Environment) -> None:
    project.write("compose.yml", {"services": {"web": service()}})
    outcome = succeed(project)
    assert not outcome.changed
    assert outcome.result["steps"] == []
    assert project.deploy().changed


CHANGES: dict[str, dict[str, Any]] = {
    "command": {"command": ["sh", "-c", "echo other >> /runs/log"]},
    "variable": {"environment": {"LEVEL": "2"}},
    "image": {"image": "busybox:latest"},
}


@pytest.mark.parametrize("what", ["command", "variable", "content of a file"])
def test_step_runs_again_for_another_content_and_the_others_do_not(project: Environment, what: str) -> None:
    project.write("seed.sql", "1")
    seed = step(volumes=["./runs:/runs", "./seed.sql:/seed.sql"])
    write(project, {"migrate": step(), "seed": seed})
    succeed(project)
    if what == "content of a file":
        project.write("seed.sql", "2")
    else:
        write(project, {"migrate": step(), "seed": {**seed, **CHANGES[what]}})
    assert outcomes(succeed(project)) == {"migrate": "done before", "seed": "succeeded"}
    project.write("compose.yml", "# a comment\n" + (project.folder / "compose.yml").read_text())
    assert not succeed(project).changed
    project.write("seed.sql", "1")
    write(project, {"migrate": step(), "seed": seed})
    assert not succeed(project).changed, "the first content has succeeded before"


def test_step_runs_again_for_a_new_file_in_a_folder_that_it_mounts_read_only(project: Environment) -> None:
    project.write("sql/001.sql", "1")
    write(project, {"migrate": step(volumes=["./runs:/runs", "./sql:/sql:ro"])})
    succeed(project)
    assert not succeed(project).changed, "what the step writes is no content of it"
    project.deploy()
    project.write("sql/002.sql", "2")
    write(project, {"migrate": step(volumes=["./runs:/runs", "./sql:/sql:ro"])}, web=service(environment={"A": "1"}))
    assert project.run().result["error_kind"] == "init_missing"
    assert outcomes(succeed(project)) == {"migrate": "succeeded"}
    assert project.deploy().actions == {("web", "recreate")}


def test_step_runs_again_in_a_rebuilt_image_and_before_the_switch(project: Environment) -> None:
    project.write("Dockerfile", f"FROM {IMAGE}\nRUN echo 1 > /version\n")
    image = f"{project.folder.name}:built"
    migrate = step("cat /version >> /runs/log", image=image, build=".")
    write(project, {"migrate": migrate}, api=service(image=image, build="."))
    try:
        succeed(project, build="missing")
        project.deploy()
        project.write("Dockerfile", f"FROM {IMAGE}\nRUN echo 2 > /version\n")
        assert not succeed(project).changed
        before = project.ids()
        assert outcomes(succeed(project, build="always")) == {"migrate": "succeeded"}
        assert runs(project) == ["migrate", "1", "migrate", "2"]
        assert project.ids() == before
        assert project.deploy(build="always").actions == {("api", "recreate")}
    finally:
        project.clean_up()
        project.engine.images.remove(image, force=True)


def test_failed_step_stops_the_phase_and_touches_nothing(project: Environment) -> None:
    write(project, {"a-first": step(), "b-broken": step("echo cannot seed; exit 3"), "c-later": step()})
    project.write(".env.dev", "DB_PASSWORD=topsecret-init\n")
    project.deploy()
    before = {each.id: each.attrs["State"]["StartedAt"] for each in project.containers()}
    outcome = init(project)
    assert outcome.failed
    assert outcomes(outcome) == {"a-first": "succeeded", "b-broken": "failed", "c-later": "not run"}
    for part in (
        "✘ b-broken (exit 3, ",
        "Init phase failed. Deployment aborted.",
        "cannot seed",
        "docker logs",
        "Retry",
    ):
        assert part in outcome.message
    assert {each.id: each.attrs["State"]["StartedAt"] for each in project.containers()} == before
    (kept,) = one_offs(project)
    assert kept.name == f"{project.project}-b-broken-init"
    assert "exited" in kept.status
    (told,) = [each for each in outcome.result["steps"] if each["outcome"] == "failed"]
    log = Path(told["log_file"])
    assert log.read_text() == "cannot seed\n"
    assert log.stat().st_mode & 0o777 == 0o600
    write(project, {"a-first": step(), "b-broken": step(), "c-later": step()})
    assert outcomes(succeed(project)) == {"a-first": "done before", "b-broken": "succeeded", "c-later": "succeeded"}
    assert runs(project) == ["a-first", "b-broken", "b-broken", "c-later"]
    assert one_offs(project) == []


def test_secrets_are_masked_in_the_log_tail(project: Environment) -> None:
    project.write(".env.dev", "DB_PASSWORD=topsecret-init\n")
    write(project, {"migrate": step("echo using $$DB_PASSWORD; exit 1", environment={"DB_PASSWORD": "${DB_PASSWORD}"})})
    outcome = init(project)
    assert outcome.failed
    assert "topsecret-init" not in outcome.printed
    assert "using " in outcome.message


def test_step_whose_command_does_not_exist_has_failed(project: Environment) -> None:
    write(project, {"migrate": {**step(), "command": ["/no/such/program"]}})
    outcome = init(project)
    assert outcome.failed
    assert "did not start" in outcome.message
    assert "/no/such/program" in outcome.message


def test_step_that_hangs_is_stopped_when_its_time_is_over(project: Environment) -> None:
    write(project, {"migrate": step("sleep 600", init=True, stop_grace_period="1s")})
    began = time.monotonic()
    outcome = init(project, timeout=2)
    assert outcome.failed
    assert time.monotonic() - began < 20
    assert "did not end within 2 s (timeout)" in outcome.message
    assert [each.status for each in one_offs(project)] == ["exited"]


def test_parallel_steps_run_side_by_side_and_wait_for_what_they_depend_on(project: Environment) -> None:
    meet = "touch /runs/$$NAME; i=0; until [ -e /runs/{} ]; do i=$$((i+1)); [ $$i -lt 100 ] || exit 9; sleep 0.1; done"
    last = {"depends_on": {"left": {"condition": "service_started"}, "right": {"condition": "service_started"}}}
    write(project, {"left": step(meet.format("right")), "right": step(meet.format("left")), "after": step(**last)})
    assert init(project, timeout=30).failed, "one after the other they never meet"
    succeed(project, parallel=True, timeout=30)
    assert runs(project)[-1] == "after"


def test_steps_of_a_file_of_their_own(project: Environment) -> None:
    project.write("compose.yml", {"services": {"web": service()}})
    own = {key: value for key, value in step().items() if key != "profiles"}
    needs = {**own, "depends_on": {"web": {"condition": "service_started"}}}
    project.write("deploy/init-compose.yml", {"services": named({"create": own, "seed": needs})})
    succeed(project, file="deploy/init-compose.yml", stable_for=1)
    assert runs(project) == ["create", "seed"]
    missing = init(project, file="deploy/other.yml")
    assert missing.failed
    assert "deploy/other.yml" in missing.message
    assert not project.deploy().failed


def test_named_steps_run_in_the_order_given(project: Environment) -> None:
    write(project, {"a": step(), "b": step(profiles=["tools"]), "c": step()})
    succeed(project, steps=["c", "b"])
    assert runs(project) == ["c", "b"]
    unknown = init(project, steps=["c", "nobody"])
    assert unknown.failed
    assert "unknown service among the steps: nobody" in unknown.message
    succeed(project, profile="tools")
    assert runs(project) == ["c", "b"], "done before, however it is picked"


HEALTHY = {"healthcheck": {"test": ["CMD", "true"], "interval": "1s"}}


def test_server_is_started_for_the_steps_and_kept_by_the_deployment(project: Environment) -> None:
    migrate = step(depends_on={"database": {"condition": "service_healthy"}})
    write(project, {"migrate": migrate}, database=service(**HEALTHY))
    succeed(project)
    before = project.ids()
    assert set(before) == {"database"}
    assert project.container("database").attrs["State"]["Health"]["Status"] == "healthy"
    project.deploy()
    assert project.ids()["database"] == before["database"]


def test_running_server_with_a_pending_change_is_left_alone(project: Environment) -> None:
    migrate = step(depends_on={"database": {"condition": "service_healthy"}})
    write(project, {"migrate": migrate}, database=service(**HEALTHY))
    succeed(project)
    project.deploy()
    before = project.ids()
    write(
        project,
        {"migrate": {**migrate, "environment": {"V": "2"}}},
        database=service(**HEALTHY, environment={"V": "2"}),
    )
    assert outcomes(succeed(project)) == {"migrate": "succeeded"}
    assert project.ids() == before
    assert project.deploy().actions == {("database", "recreate")}


def test_network_with_another_definition_is_left_to_the_switch(project: Environment) -> None:
    layers = {"services": {"web": service(), **named({"migrate": step()})}}
    project.write("compose.yml", layers)
    succeed(project)
    project.deploy()
    before = {each.id: each.attrs["NetworkSettings"]["Networks"] for each in project.containers()}
    changed = {**layers["services"], **named({"migrate": step(environment={"V": "2"})})}
    project.write("compose.yml", {"services": changed, "networks": {"default": {"driver_opts": {"x": "y"}}}})
    assert outcomes(succeed(project)) == {"migrate": "succeeded"}
    assert {each.id: each.attrs["NetworkSettings"]["Networks"] for each in project.containers()} == before


def test_server_that_does_not_come_up_fails_the_phase(project: Environment) -> None:
    sick = service(healthcheck={"test": ["CMD", "false"], "interval": "1s", "start_period": "600s"})
    write(project, {"migrate": step(depends_on={"database": {"condition": "service_healthy"}})}, database=sick)
    outcome = init(project, wait_timeout=3)
    assert outcome.failed
    assert "service database" in outcome.message
    assert runs(project) == []


def test_check_mode_tells_what_would_run_and_writes_nothing(project: Environment) -> None:
    write(project, {"migrate": step()})
    outcome = init(project, "--check")
    assert outcome.changed
    assert outcome.actions == {("migrate", "init")}
    assert outcome.result["due"]
    assert runs(project) == []
    assert not project.state_dir.exists()
    succeed(project)
    assert not init(project, "--check").result["due"]


def test_run_always_runs_each_time(project: Environment) -> None:
    write(project, {"migrate": step()})
    for _time in range(2):
        assert succeed(project, run="always").changed
    assert runs(project) == ["migrate", "migrate"]


def test_step_runs_again_when_its_volume_was_removed(project: Environment) -> None:
    migrate = step(depends_on={"database": {"condition": "service_started"}})
    layers = {"services": {"database": service(volumes=["data:/data"]), **named({"migrate": migrate})}}
    project.write("compose.yml", {**layers, "volumes": {"data": None}})
    succeed(project, stable_for=1)
    assert not succeed(project).changed
    project.deploy()
    project.run(state="absent")
    assert not succeed(project).changed, "the data is still there"
    project.run(state="absent", volumes=True, confirm="dev")
    time.sleep(1 - time.time() % 1)  # the engine tells the making of a volume to the second
    assert outcomes(succeed(project, stable_for=1)) == {"migrate": "succeeded"}


def test_step_runs_again_when_the_data_was_in_memory_only(project: Environment) -> None:
    migrate = step(depends_on={"database": {"condition": "service_started"}})
    write(project, {"migrate": migrate}, database=service(tmpfs=["/data"]))
    succeed(project, stable_for=1)
    assert not succeed(project).changed
    project.container("database").restart()
    assert outcomes(succeed(project)) == {"migrate": "succeeded"}


def test_word_of_another_host_is_taken(project: Environment) -> None:
    write(project, {"migrate": step()})
    proof = succeed(project).result["proof"]
    other = project.on_another_host()
    taken = succeed(other, proven=proof)
    assert taken.actions == {("migrate", "prove")}
    assert not taken.result["ran_here"]
    assert not succeed(other, proven=proof).changed
    assert not succeed(other).changed
    assert runs(project) == ["migrate"]
    write(project, {"migrate": step(), "seed": step()})
    lacking = init(other, proven=proof)
    assert lacking.failed
    assert "no proof was given for init step seed" in lacking.message


def started(project: Environment, **options: Any) -> subprocess.Popen[str]:
    """The module in a process of its own that is not waited for."""
    argv = [sys.executable, "-m", "ansible_collections.strata.compose.plugins.modules.compose_init"]
    arguments = json.dumps({"ANSIBLE_MODULE_ARGS": project.options("compose_init", options)})
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / ".ansible/collections")}
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    assert process.stdin
    process.stdin.write(arguments)
    process.stdin.close()
    return process


def wait_for_run(project: Environment, count: int = 1) -> None:
    deadline = time.monotonic() + 120
    while len(runs(project)) < count:
        assert time.monotonic() < deadline, "the step did not start"
        time.sleep(0.02)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_cancelled_phase_stops_its_step(project: Environment, name: str) -> None:
    write(project, {"migrate": step("sleep 600", init=True), "seed": step()})
    process = started(project)
    wait_for_run(project)
    process.send_signal(getattr(signal, name))
    assert process.stdout
    printed = process.stdout.read()
    assert process.wait() == 1
    assert f"cancelled by {name}" in printed
    assert [each.status for each in one_offs(project)] == ["exited"]
    write(project, {"migrate": step(), "seed": step()})
    succeed(project)
    assert runs(project) == ["migrate", "migrate", "seed"]


@pytest.mark.parametrize("moment", ["while it runs", "after it ended"])
def test_killed_phase_is_continued_and_no_step_runs_twice(project: Environment, moment: str) -> None:
    write(project, {"migrate": step("sleep 4; exit 0", init=True), "seed": step()})
    process = started(project)
    wait_for_run(project)
    process.kill()
    process.wait()
    if moment == "after it ended":
        (left,) = one_offs(project)
        assert left.wait()["StatusCode"] == 0
    assert outcomes(succeed(project, lock_wait=30)) == {"migrate": "succeeded", "seed": "succeeded"}
    assert runs(project) == ["migrate", "seed"]
    assert one_offs(project) == []


def test_step_that_was_killed_with_its_host_runs_again(project: Environment) -> None:
    write(project, {"migrate": step("[ -e /runs/second ] || { touch /runs/second; sleep 600; }", init=True)})
    process = started(project)
    wait_for_run(project)
    process.kill()
    process.wait()
    for each in one_offs(project):
        each.kill()
    assert outcomes(succeed(project, lock_wait=30)) == {"migrate": "succeeded"}
    assert runs(project) == ["migrate", "migrate"]


def test_two_at_once_run_each_step_once(project: Environment) -> None:
    write(project, {"migrate": step("sleep 1"), "seed": step()})
    processes = [started(project, lock_wait=60) for _number in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert runs(project) == ["migrate", "seed"]


def test_second_phase_fails_at_once_and_names_the_first(project: Environment) -> None:
    write(project, {"migrate": step("sleep 8", init=True)})
    process = started(project, actor="bob@tower")
    wait_for_run(project)
    refused = init(project)
    assert refused.failed
    assert "init by bob@tower" in refused.message
    assert process.wait() == 0


def test_image_that_may_not_be_pulled_is_an_error_before_anything_runs(
    project: Environment,
) -> None:
    write(project, {"a-first": step(), "migrate": step(image="strata.invalid/nothing:1")})
    for pull in ("never", "missing"):
        outcome = init(project, pull=pull)
        assert outcome.failed
        assert "strata.invalid" in outcome.message
    assert runs(project) == []


def test_options_come_from_inventory_variables(project: Environment) -> None:
    write(project, {"migrate": step(), "other": step(profiles=["later"])})
    outcome = project.adhoc("compose_init", "-e", "compose_init_profile=later", "-e", "compose_init_run=always")
    assert not outcome.failed, outcome.printed
    assert runs(project) == ["other"]


def test_shared_options_mean_what_they_mean_for_all_modules(project: Environment) -> None:
    say = step("echo $$WORD >> /runs/log", environment={"WORD": "${WORD}"}, volumes=[f"{project.folder}/runs:/runs"])
    project.write("layers/own.yml", {"services": named({"migrate": say})})
    project.write("own.env", "WORD=hello\n")
    outcome = succeed(
        project,
        project_name=f"{project.project}-renamed",
        files=["layers/own.yml"],
        env_files=["own.env"],
        docker_host="unix:///var/run/docker.sock",
        command_timeout=60,
    )
    assert runs(project) == ["migrate", "hello"]
    assert outcome.result["project"] == f"{project.project}-renamed"
    assert not project.run(state="absent", project_name=f"{project.project}-renamed").failed
