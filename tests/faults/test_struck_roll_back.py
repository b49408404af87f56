"""Going back on purpose, struck: image names that stand for an older image meanwhile are the user's again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.places import Machine
from tests.faults.report import Note
from tests.faults.scenarios import IDLE, STUBBORN, Scenario, containers_of, release
from tests.faults.sight import both, happened, phase, runs
from tests.faults.strikes import FAULTS, Fault, Target
from tests.faults.trial import Missed, Trial, require_settled, require_wanted, stopped_at, trial_of, wait_for
from tests.integration.conftest import IMAGE

TRIES = 8
POINTS = {
    "go back: names are moved": (both(phase("prepare"), runs("tag")), phase("switch")),
    "go back: middle of create": (happened("create", "web", leftover=True), happened("rename")),
    "go back: names come back": (both(phase("gate"), runs("image", "ls")), lambda sight: not sight.has("journal.json")),
}
NOTHING = Scenario(lambda _names: {}, lambda _names: {})


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    """Release 2 serves, of an image whose name meant another one in release 1."""
    with trial_of(Machine(tmp_path), NOTHING, "none:none", tmp_path) as made:
        for name in ("one", "two"):
            publish(made, name)
            made.write({"web": release(name, image=f"{made.names.project}:built", **STUBBORN), "idle": IDLE})
            assert made.prepare().rc == 0
        yield made


def publish(trial: Trial, label: str) -> None:
    """Let the name mean a new image."""
    base = trial.place.engine.containers.create(IMAGE, ["true"])
    base.commit(trial.names.project, "built", changes=[f"LABEL own={label}"])
    base.remove()


@pytest.mark.parametrize("fault", [each for each in FAULTS if not each.needs_host], ids=lambda each: each.name)
@pytest.mark.parametrize("point", POINTS)
def test_struck_roll_back(trial: Trial, point: str, fault: Fault, note: Note) -> None:
    note(matrix="going back on purpose", row=point, column=fault.name)
    today = trial.place.engine.images.get(f"{trial.names.project}:built").id
    for _try in range(TRIES):
        try:
            strike(trial, point, fault, note)
        except Missed:
            assert trial.deploy().rc == 0
        else:
            break
    else:
        pytest.fail(f"the point was never caught in {TRIES} tries")
    wait_for(trial.is_free, "the end of all that was started")
    if fault.is_asked_to_end:
        require_settled(trial)
        assert trial.place.engine.images.get(f"{trial.names.project}:built").id == today
    again = trial.deploy()
    assert again.rc == 0, again.printed
    assert trial.place.engine.images.get(f"{trial.names.project}:built").id == today
    assert trial.environment.container("web").attrs["Image"] == today
    require_wanted(trial, containers_of({"web": release("two"), "idle": IDLE}), "two")


def strike(trial: Trial, point: str, fault: Fault, note: Note) -> None:
    with stopped_at(trial, *POINTS[point], state="rolled_back") as (attempt, sight):
        note(struck=sight.describe())
        fault.strike(Target(trial.place, attempt, sight.worker))
        attempt.wait()
        note(told=attempt.printed[-1500:])
