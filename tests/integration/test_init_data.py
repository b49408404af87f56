"""The data that steps work on: a step that inserts rows runs once for them, and again when they are gone."""

from __future__ import annotations

import json

from tests.integration.conftest import Environment, as_before, service
from tests.integration.test_compose_init import init, named, outcomes, project, runs, state_of, step, succeed

__all__ = ["project"]

INSERT = "echo row >> /data/rows"
"""What must not be done twice to the same data."""


def write(project: Environment, **keys: object) -> None:
    """A database that changes the topmost folder of its volume when it starts, as Postgres does."""
    command = ["sh", "-c", "touch /data/$$(date +%s%N).pid; exec sleep 3600"]
    database = service(command=command, volumes=["data:/data"], tmpfs=["/tmp"], **keys)
    seed = step(INSERT, volumes=["./runs:/runs", "data:/data"], depends_on=["database"])
    layers = {"services": {"database": database, **named({"seed": seed})}, "volumes": {"data": None}}
    project.write("compose.yml", layers)


def rows(project: Environment) -> int:
    return project.inside("database", "cat", "/data/rows").count("row")


def test_step_that_inserts_runs_once_whatever_becomes_of_its_database(project: Environment) -> None:
    write(project)
    succeed(project, stable_for=0)
    project.container("database").restart()
    assert not succeed(project).changed
    project.deploy()
    project.deploy(state="restarted")
    assert not succeed(project).changed
    write(project, environment={"V": "2"})
    assert project.deploy().actions == {("database", "recreate")}
    assert not succeed(project).changed
    project.run(state="absent")
    assert not succeed(project).changed
    assert runs(project) == ["seed"]
    project.deploy()
    assert rows(project) == 1


def test_step_runs_again_in_a_volume_that_was_made_anew_by_hand(project: Environment) -> None:
    write(project)
    succeed(project, stable_for=0)
    project.deploy()
    project.container("database").remove(force=True)
    volume = project.engine.volumes.get(f"{project.project}_data")
    volume.remove()
    project.engine.volumes.create(volume.name, labels=volume.attrs["Labels"])
    assert outcomes(succeed(project, stable_for=0)) == {"seed": "succeeded"}
    assert rows(project) == 1


def test_ledger_of_the_version_before_does_not_make_a_step_run_again(project: Environment) -> None:
    """It has the time at which the volume's folder was changed last, as engines before 23 told."""
    write(project)
    succeed(project, stable_for=0)
    path = state_of(project) / "init.json"
    ledger = json.loads(path.read_text())
    (entry,) = ledger["succeeded"]["seed"]
    entry["lives_on"] = {f"{project.project}_data": entry["finished"]}
    path.write_text(as_before(ledger))
    assert not init(project, "--check").result["due"]
    assert not succeed(project).changed
    project.run(state="absent", volumes=True, confirm="dev")
    assert init(project, "--check").result["due"]
