"""A database in memory: when an operation starts it anew, its init steps run before the gate judges what needs it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.conftest import Environment, Outcome, service
from tests.integration.test_compose_init import init, named, project, runs, step, succeed

__all__ = ["project"]

CHECK = {"test": ["CMD-SHELL", "[ -e /shared/listens ]"], "interval": "1s", "retries": 2, "start_period": "60s"}
"""Of an application: whether its database has its table. It looks into a file that stands for a connection."""


def write(project: Environment, web: dict[str, Any] | None = None, version: str = "1", **keys: Any) -> None:
    """A database in memory, a step that makes its table, an application that is ill without it.

    The table is a file beside the database, which removes it when it starts, as all that it has in memory.
    """
    begin = ["sh", "-c", "rm -f /shared/listens; exec sleep 3600"]
    shared = ["./shared:/shared"]
    healthy = {"healthcheck": {"test": ["CMD-SHELL", "true"], "interval": "1s"}}
    database = service(command=begin, tmpfs=["/data"], volumes=shared, **healthy, **keys)
    needs = {"depends_on": {"database": {"condition": "service_healthy"}}}
    migrate = step(f"echo {version} > /shared/listens", volumes=["./runs:/runs", "./shared:/shared"], **needs)
    app = service(volumes=shared, healthcheck=CHECK, **needs, **(web or {}))
    project.write("compose.yml", {"services": {"web": app, "database": database, **named({"migrate": migrate})}})


def table(project: Environment) -> str:
    path = project.folder / "shared" / "listens"
    return path.read_text().strip() if path.exists() else ""


def is_healthy(project: Environment, name: str = "web") -> bool:
    state = project.container(name).attrs["State"]
    return bool(state["Running"] and state["Health"]["Status"] == "healthy")


def check_and_do(project: Environment, **options: Any) -> Outcome:
    """Run an operation; its check has told of all that it does."""
    planned = project.plan(**options)
    done = project.deploy(**options)
    assert done.actions == planned.actions
    return done


def begin(project: Environment) -> None:
    (project.folder / "shared").mkdir()
    write(project)
    succeed(project)
    project.deploy()
    assert runs(project) == ["migrate"]


def test_steps_run_after_a_database_in_memory_that_the_plan_recreates(project: Environment) -> None:
    begin(project)
    before = project.ids()["web"]
    write(project, environment={"V": "2"})
    assert not succeed(project).changed
    done = check_and_do(project)
    assert done.actions == {("database", "recreate"), ("migrate", "init")}
    assert table(project) == "1"
    assert is_healthy(project)
    assert project.ids()["web"] == before
    assert not init(project, "--check").result["due"]
    assert not project.deploy().changed


def test_steps_run_within_every_operation_that_starts_the_database(project: Environment) -> None:
    begin(project)
    restarted = check_and_do(project, state="restarted")
    assert {("database", "restart"), ("migrate", "init")} <= restarted.actions
    assert is_healthy(project)
    project.deploy(state="stopped")
    started = check_and_do(project, state="started")
    assert {("database", "start"), ("migrate", "init")} <= started.actions
    assert is_healthy(project)
    project.container("database").remove(force=True)
    assert ("migrate", "init") in check_and_do(project).actions
    assert is_healthy(project)
    assert len(runs(project)) == 4


def test_release_that_comes_back_runs_the_steps_that_it_had(project: Environment) -> None:
    begin(project)
    write(project, version="2", environment={"V": "2"})
    succeed(project)
    project.deploy()
    assert table(project) == "2"
    assert ("migrate", "init") in check_and_do(project, state="rolled_back").actions
    assert table(project) == "1"
    assert is_healthy(project)
    write(project, version="3", environment={"V": "3"}, web={"command": ["false"]})
    succeed(project)
    failed = project.run()
    assert failed.result["state"] == "rolled_back"
    assert table(project) == "1"
    assert is_healthy(project)


def test_step_that_fails_within_the_switch_takes_the_release_back(project: Environment) -> None:
    begin(project)
    layers = (project.folder / "compose.yml").read_text()
    project.write("compose.yml", layers.replace("echo 1 >", "[ ! -e /shared/fails ] && echo 1 >"))
    succeed(project)
    migrated = (project.folder / "compose.yml").read_text()
    (project.folder / "shared" / "fails").touch()
    project.write("compose.yml", migrated.replace("tmpfs:", "user: '0'\n    tmpfs:"))
    failed = project.run()
    assert failed.result["state"] == "rolled_back", failed.message
    assert "init step migrate" in failed.message
    assert table(project) == "1"
    assert is_healthy(project)


@pytest.mark.parametrize("module", ["compose_env", "compose_init"])
def test_environment_that_was_cut_off_is_recovered_by_its_due_steps(project: Environment, module: str) -> None:
    """The database is up and empty, and what needs it never gets healthy without the step."""
    begin(project)
    project.container("database").restart()
    current = json.loads((project.state_dir / project.project / "current").read_text())["release"]
    journal = {"phase": "gate", "to": current, "back": current, "started": "2026-11-26T08:00:00Z"}
    journal.update({"actor": "alice", "services": ["web"], "containers": project.ids()})
    journal["gate"] = {"wait": True, "wait_timeout": 60, "stable_for": 1}
    (project.state_dir / project.project / "journal.json").write_text(json.dumps(journal))
    recovered = project.run(module)
    assert "pass the gate" in recovered.result["settled"], recovered.message
    assert is_healthy(project)
    assert table(project) == "1"


def test_word_of_another_host_does_not_make_steps_run_in_a_switch(project: Environment) -> None:
    begin(project)
    proof = succeed(project).result["proof"]
    other = project.on_another_host()
    succeed(other, proven=proof)
    other.deploy()
    write(project, environment={"V": "2"})
    assert ("migrate", "init") not in other.plan().actions


def test_old_health_of_an_application_is_not_believed(project: Environment) -> None:
    """It depends on a database that is recreated, and is called healthy until its check has failed twice."""
    (project.folder / "shared").mkdir()
    database = service(command=["sh", "-c", "touch /shared/listens; exec sleep 3600"], volumes=["./shared:/shared"])
    web = service(volumes=["./shared:/shared"], healthcheck={**CHECK, "interval": "2s"}, depends_on=["database"])
    project.write("compose.yml", {"services": {"database": database, "web": web}})
    project.deploy()
    before = project.ids()
    broken = {**database, "command": ["sh", "-c", "rm -f /shared/listens; exec sleep 3600"]}
    project.write("compose.yml", {"services": {"database": broken, "web": web}})
    failed = project.run(wait_timeout=8)
    assert failed.result["state"] == "rolled_back", failed.message
    assert "no health check has succeeded within 8 s (wait_timeout) since database was started" in failed.message
    assert project.ids()["web"] == before["web"]
    assert table(project) == ""
