"""A project of its own for one cell: deployed, struck, deployed again, and looked at in between."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from docker.models.containers import Container

from tests import processes
from tests.faults.places import SECONDS, Attempt, Place
from tests.faults.scenarios import Names, Scenario, Services
from tests.faults.sight import LEFTOVER, Condition, Sight, watched
from tests.integration.conftest import Environment

NAMES = random.SystemRandom()
ENVIRONMENT = "dev"


class Missed(Exception):
    """The deployment was past the point before it could be stopped there."""


@dataclass
class Told:
    """How a deployment ended."""

    rc: int
    printed: str

    @property
    def result(self) -> dict[str, Any]:
        """What the module told, where it ran by itself."""
        start = self.printed.find('{"')
        return json.JSONDecoder().raw_decode(self.printed[start:])[0] if start >= 0 else {}


def ended(attempt: Attempt) -> Told:
    """How an attempt ends that nobody strikes."""
    try:
        return Told(attempt.wait(), attempt.printed)
    finally:
        attempt.end()


@dataclass
class Trial:
    """A project on a place."""

    place: Place
    names: Names
    scenario: Scenario
    folder: Path
    """what the controller has: the project's files in a folder of its name, and the output of its deployments"""
    deployments: int = 0

    @property
    def environment(self) -> Environment:
        """The project as the tests on the local engine know it, on this place's engine."""
        return Environment(self.folder / self.names.project, Path(self.state_dir), self.place.engine, ENVIRONMENT)

    @property
    def state_dir(self) -> str:
        return f"{self.place.projects}/{self.names.project}.state"

    @property
    def state(self) -> Path:
        """The state folder as it is seen from here."""
        return self.place.root / self.state_dir.lstrip("/") / self.environment.project

    @property
    def outside(self) -> Path:
        return self.place.root / self.names.outside.lstrip("/")

    def write(self, services: Services) -> None:
        environment = self.environment
        environment.folder.mkdir(exist_ok=True)
        for name, content in self.scenario.files(self.names).items():
            environment.write(name, content)
        environment.write("compose.yml", yaml.safe_dump({"services": services}))

    def start(self, **options: Any) -> Attempt:
        """Begin a deployment of the files, as a user does."""
        return self._begin(self.place.start, options)

    def deploy(self, **options: Any) -> Told:
        """Deploy the files, as a user does."""
        return ended(self.start(**options))

    def prepare(self) -> Told:
        """Deploy the files without a wait; this is not what the cell is about."""
        return ended(self._begin(self.place.prepare, {"stable_for": 0}))

    def _begin(self, how: Callable[[Path, dict[str, Any], Path], Attempt], options: dict[str, Any]) -> Attempt:
        self.deployments += 1
        own = {
            "project_dir": f"{self.place.projects}/{self.names.project}",
            "environment": ENVIRONMENT,
            "state_dir": self.state_dir,
            "stable_for": 1,
            "lock_wait": SECONDS,
        }
        source = self.folder / self.names.project
        return how(source, {**own, **options}, self.folder / f"{self.names.project}.{self.deployments}")

    def is_free(self) -> bool:
        """Whether nobody holds the project's lock."""
        return Sight(self.place, self.state, self.environment.project).is_free()

    def ids(self) -> dict[str, list[str]]:
        return self.environment.ids()

    def one_off_containers(self) -> list[Container]:
        """What init steps run in."""
        labels = [f"com.docker.compose.project={self.environment.project}", "com.docker.compose.oneoff=True"]
        found: list[Container] = self.place.engine.containers.list(all=True, filters={"label": labels})
        return found

    def clean_up(self) -> None:
        self.environment.clean_up()
        for image in (f"{self.names.project}:built", self.names.image):
            with contextlib.suppress(Exception):
                self.place.engine.images.remove(image, force=True)
        folder = self.place.root / self.place.projects.lstrip("/") / self.names.project
        for path in (folder, self.state.parent, self.outside):
            shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def trial_of(place: Place, scenario: Scenario, image: str, folder: Path) -> Iterator[Trial]:
    """A new project, removed when the block ends."""
    project = f"faults{NAMES.randrange(16**8):08x}"
    trial = Trial(place, Names(project, f"{place.projects}/{project}.outside", image), scenario, folder)
    trial.outside.mkdir(parents=True)
    try:
        yield trial
    finally:
        trial.clean_up()


@contextlib.contextmanager
def stopped_at(trial: Trial, reached: Condition, over: Condition, **options: Any) -> Iterator[tuple[Attempt, Sight]]:
    """A deployment whose worker is stopped where the condition holds."""
    with watched(trial.place, trial.state, trial.environment.project) as sight:
        attempt = trial.start(**options)
        try:
            await_point(sight, attempt, reached)
            os.kill(sight.worker, signal.SIGSTOP)
            wait_for(lambda: processes.is_stopped(sight.worker), "the worker to stand still")
            if over(sight) or not processes.exists(sight.worker):
                raise Missed
            yield attempt, sight
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(sight.worker, signal.SIGCONT)
            attempt.end()


def await_point(sight: Sight, attempt: Attempt, reached: Condition) -> None:
    """Look nearly without a pause: what is looked for may last a few milliseconds."""
    deadline = time.monotonic() + SECONDS
    while not (sight.find_worker() and reached(sight)):
        if attempt.process.poll() is not None:
            raise Missed(attempt.printed)
        assert time.monotonic() < deadline, f"the point was not reached: {sight.describe()}\n{attempt.printed}"
        time.sleep(0.0005)


def wait_for(condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.005)


def require_wanted(trial: Trial, wanted: dict[str, int], release: str) -> None:
    """Exactly the wanted containers run, all of the release; no half-done work is left."""
    containers = trial.environment.containers()
    names = sorted(str(each.name) for each in containers)
    assert not any(LEFTOVER.match(name) for name in names), names
    assert {name: len(ids) for name, ids in trial.ids().items()} == wanted, names
    assert {each.status for each in containers} == {"running"}, [(each.name, each.status) for each in containers]
    told = {variable for each in containers for variable in each.attrs["Config"]["Env"] if "RELEASE=" in variable}
    assert told == {f"RELEASE={release}"}
    require_settled(trial)


def require_settled(trial: Trial) -> None:
    """No journal, and a free lock."""
    assert not (trial.state / "journal.json").exists(), (trial.state / "journal.json").read_text()
    assert trial.is_free(), "the lock is held"
