"""Every point of a deployment × every fault: the next plain deployment makes it whole, and nothing is lost before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.places import Place
from tests.faults.points import POINTS, Point
from tests.faults.report import Note
from tests.faults.scenarios import SCENARIOS, containers_of
from tests.faults.strikes import FAULTS, Fault, Target
from tests.faults.trial import Missed, Told, Trial, require_settled, require_wanted, stopped_at, trial_of, wait_for

TRIES = 8
FAST = {
    ("build: middle", "SIGTERM"),
    ("stop: middle", "SIGINT"),
    ("create: old one is gone", "host killed"),
    ("gate: middle", "playbook killed"),
    ("gate: middle", "engine killed"),
    ("roll back: gate", "SIGKILL"),
    ("commit: begins", "ssh lost"),
}


def cells() -> list[object]:
    """All of them, diagonal by diagonal: a run that is ended early has seen every point and every fault."""
    return [
        pytest.param(
            point,
            fault := FAULTS[(row + shift) % len(FAULTS)],
            id=f"{point.name}-{fault.name}",
            marks=marks(point, fault),
        )
        for shift in range(len(FAULTS))
        for row, point in enumerate(POINTS)
    ]


def marks(point: Point, fault: Fault) -> list[pytest.MarkDecorator]:
    return [pytest.mark.fast] if (point.name, fault.name) in FAST else []


@pytest.mark.parametrize(("point", "fault"), cells())
def test_struck_deployment(
    point: Point,
    fault: Fault,
    place_of: Callable[[bool], Place],
    image_of: Callable[[bool, bool], str],
    tmp_path: Path,
    note: Note,
) -> None:
    note(matrix="strikes", row=point.name, column=fault.name, order=POINTS.index(point))
    needs_host = fault.needs_host or point.needs_host
    place, image = place_of(needs_host), image_of(point.scenario == "pull", needs_host)
    for number in range(1, TRIES + 1):
        with trial_of(place, SCENARIOS[point.scenario], image, tmp_path) as trial:
            try:
                return cell(trial, point, fault, note)
            except Missed:
                note(tries=number)
    pytest.fail(f"the point was never caught in {TRIES} tries")


def cell(trial: Trial, point: Point, fault: Fault, note: Note) -> None:
    """Release 1 serves; the deployment of release 2 is struck; the next one makes it whole."""
    before = serving(trial)
    trial.write(trial.scenario.second(trial.names))
    with stopped_at(trial, point.condition(trial.names), point.over) as (attempt, sight):
        touched = sight.has("journal.json") or trial.ids() != before
        note(struck=sight.describe())
        assert not (point.is_before_switch and touched), "the switch begins too early"
        fault.strike(Target(trial.place, attempt, sight.worker))
        told = Told(attempt.wait(), attempt.printed)
        note(told=told.printed[-1500:])
    wait_for(trial.is_free, "the end of all that the deployment started")
    note(steps=[each.attrs["State"] for each in trial.one_off_containers()])
    require_kept(trial, fault, told, before, touched)
    (trial.outside / "ready").touch()
    again = trial.deploy()
    assert again.rc == 0, again.printed
    require_wanted(trial, trial.scenario.wanted(trial.names), "two")
    if point.phase == "init":
        require_run_once(trial, fault, note)


def require_run_once(trial: Trial, fault: Fault, note: Note) -> None:
    """The step ran once; an engine that is killed below it loses its exit code, and then nobody knows that it ended."""
    runs = (trial.outside / "steps").read_text().split()
    note(runs=len(runs))
    assert set(runs) == {"done"}
    assert len(runs) == 1 or (fault.name == "engine killed" and len(runs) == 2), "the step was not run exactly once"


def serving(trial: Trial) -> dict[str, list[str]]:
    """Deploy release 1; its container ids."""
    trial.write(trial.scenario.first(trial.names))
    told = trial.prepare()
    assert told.rc == 0, told.printed
    return trial.ids()


def require_kept(trial: Trial, fault: Fault, told: Told, before: dict[str, list[str]], touched: bool) -> None:
    """What holds before anybody deploys again."""
    if fault.is_asked_to_end:
        require_settled(trial)
        require_whole_release(trial)
        assert touched or trial.ids() == before
    if fault.worker_survives or told.rc == 0:  # a fault may come and go unnoticed
        require_whole_release(trial)
    elif not touched:
        assert trial.ids() == before, told.printed


def require_whole_release(trial: Trial) -> None:
    """The environment runs one release and not parts of two."""
    is_second = json.loads((trial.state / "current").read_text())["release"] == 2
    files = trial.scenario.second if is_second else trial.scenario.first
    require_wanted(trial, containers_of(files(trial.names)), "two" if is_second else "one")
