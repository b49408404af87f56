"""A second fault while what the first one left is settled: nothing is dropped in the middle, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.places import Machine
from tests.faults.report import Note
from tests.faults.scenarios import SCENARIOS, containers_of
from tests.faults.sight import Condition, both, happened, never, phase, runs
from tests.faults.strikes import FAULTS, Fault, Target
from tests.faults.trial import Missed, Trial, require_settled, require_wanted, stopped_at, trial_of, wait_for

TRIES = 8
FIRST = happened("create", "web", leftover=True)
"""Where the first fault strikes: the new container is there, and the old one stops."""
BACK = phase("roll back")
POINTS = {
    "settle: begins to go back": BACK,
    "settle: middle of create": both(BACK, runs("up", "--no-start")),
    "settle: gate": both(BACK, happened("start", "web")),
    "settle: commit": both(BACK, runs("image", "ls")),
}
(KILLED,) = (each for each in FAULTS if each.name == "SIGKILL")


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    with trial_of(Machine(tmp_path), SCENARIOS["replace"], "none:none", tmp_path) as made:
        yield made


@pytest.mark.parametrize("fault", [each for each in FAULTS if not each.needs_host], ids=lambda each: each.name)
@pytest.mark.parametrize("point", POINTS)
def test_struck_settling(trial: Trial, point: str, fault: Fault, note: Note) -> None:
    note(matrix="settling struck again", row=point, column=fault.name)
    for _try in range(TRIES):
        trial.write(trial.scenario.first(trial.names))
        assert trial.prepare().rc == 0
        trial.write(trial.scenario.second(trial.names))
        try:
            strike(trial, "replace", FIRST, KILLED, note)
            strike(trial, point, POINTS[point], fault, note)
        except Missed:
            assert trial.deploy().rc == 0
        else:
            break
    else:
        pytest.fail(f"the point was never caught in {TRIES} tries")
    if fault.is_asked_to_end:
        require_settled(trial)
        require_wanted(trial, containers_of(trial.scenario.first(trial.names)), "one")
    again = trial.deploy()
    assert again.rc == 0, again.printed
    require_wanted(trial, trial.scenario.wanted(trial.names), "two")


def strike(trial: Trial, point: str, reached: Condition, fault: Fault, note: Note) -> None:
    """Strike a deployment, and await the end of all that it started."""
    with stopped_at(trial, reached, never) as (attempt, sight):
        note(struck=f"{point}: {sight.describe()}")
        fault.strike(Target(trial.place, attempt, sight.worker))
        attempt.wait()
        note(told=attempt.printed[-1500:])
    wait_for(trial.is_free, "the end of all that was started")
