"""Two controllers at once: one wins or waits, names never collide, and what was wanted runs."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from tests.faults.places import SECONDS, Machine
from tests.faults.report import Note
from tests.faults.scenarios import IDLE, Scenario, containers_of, release
from tests.faults.seed import SEED
from tests.faults.trial import Told, Trial, ended, require_wanted, trial_of

ROUNDS = 50


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """One project for all rounds of one process."""
    folder = tmp_path_factory.mktemp("controllers")
    nothing = Scenario(lambda _names: {}, lambda _names: {})
    with trial_of(Machine(folder), nothing, "none:none", folder) as made:
        made.write({"web": release("none"), "idle": IDLE})
        assert made.prepare().rc == 0
        yield made


@pytest.mark.parametrize("number", range(ROUNDS))
def test_two_at_once(trial: Trial, number: int, note: Note) -> None:
    """They begin within a second of each other, and each may wait for the other or not."""
    chance = random.Random(f"{SEED} {number}")
    waits = (chance.choice((0, SECONDS)), chance.choice((0, SECONDS)))
    delay = chance.uniform(0, 1)
    note(matrix="two controllers", row="two at once", column="50 rounds", seed=SEED, waits=waits, delay=round(delay, 2))
    trial.write({"web": release(f"round{number}", scale=1 + number % 3), "idle": IDLE})
    first = trial.start(lock_wait=waits[0])
    time.sleep(delay)  # the one thing that is to differ between rounds is when the other one comes
    second = trial.start(lock_wait=waits[1])
    told = [ended(each) for each in (first, second)]
    for each, wait in zip(told, waits, strict=True):
        require_won_or_refused(each, wait)
    assert any(each.rc == 0 for each in told)
    require_wanted(trial, containers_of({"web": release("", scale=1 + number % 3), "idle": IDLE}), f"round{number}")


def require_won_or_refused(told: Told, wait: int) -> None:
    """The only failure is that of one that does not wait, and it names the other."""
    if told.rc:
        assert told.result.get("error_kind") == "locked", told.printed
        assert wait == 0
    assert "Conflict" not in told.printed
