"""The points of a deployment that are struck: every boundary of its phases, and the middle of each that takes time.

A point is reached when its condition holds; the worker is stopped then, so that the fault strikes there and not later.
One that is over by then was too short to be caught, and is tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests import processes
from tests.faults.scenarios import Names
from tests.faults.sight import Condition, Sight, both, current, happened, never, phase, runs, stored

SECOND = "releases/0002"
JOURNAL = stored("journal.json")
BEFORE_SWITCH = ("resolve", "build", "pull", "init", "record")


@dataclass(frozen=True)
class Point:
    """A moment of a deployment."""

    name: str
    scenario: str
    reached: Condition | Callable[[Names], Condition]
    over: Condition = never
    by_names: bool = False
    """whether `reached` has to be told the names of the cell"""

    @property
    def phase(self) -> str:
        return self.name.partition(":")[0]

    @property
    def needs_host(self) -> bool:
        """The init phase comes before the deployment in deploy.yml, so it is struck where that runs."""
        return self.phase == "init"

    @property
    def is_before_switch(self) -> bool:
        return self.phase in BEFORE_SWITCH

    def condition(self, names: Names) -> Condition:
        return self.reached(names) if self.by_names else self.reached  # type: ignore[arg-type,return-value]


def in_build_step(names: Names) -> Condition:
    return both(runs("build"), lambda _sight: processes.is_there("sleep", names.build_seconds))


def image_is_here(name: Callable[[Names], str]) -> Callable[[Names], Condition]:
    return lambda names: lambda sight: bool(sight.place.engine.images.list(name=name(names)))


def downloads(sight: Sight) -> bool:
    """The engine writes a layer to its temporary folder."""
    root = sight.place.root / sight.docker_root.lstrip("/") / "tmp"
    return any(each.stat().st_size for each in root.glob("GetImageBlob*"))


def noted_outcome(outcome: str, number: int = 2) -> Condition:
    """The history tells this outcome of a release."""
    return lambda sight: sight.json(f"releases/{number:04d}/release.json").get("about", {}).get("outcome") == outcome


def succeeded(step: str) -> Condition:
    """The ledger of the init phase has a success of a step."""
    return lambda sight: step in sight.json("init.json").get("succeeded", {})


BACK = phase("roll back")
GATE = phase("gate")
CREATES = runs("up", "--no-start")

POINTS = (
    Point("resolve: the lock is taken", "replace", lambda sight: sight.worker > 0, over=JOURNAL),
    Point("resolve: layers are read", "replace", runs("config"), over=JOURNAL),
    Point("resolve: the engine is observed", "replace", runs("inspect"), over=JOURNAL),
    Point("build: begins", "build", runs("build", "--")),
    Point("build: middle", "build", in_build_step, by_names=True),
    Point("build: image is here", "build", image_is_here(lambda names: f"{names.project}:built"), JOURNAL, True),
    Point("pull: begins", "pull", runs("pull", "--")),
    Point("pull: middle", "pull", both(runs("pull", "--"), downloads)),
    Point("pull: image is here", "pull", image_is_here(lambda names: names.image), JOURNAL, True),
    Point("init: begins", "init", runs("run")),
    Point("init: middle", "init", happened("start", "migrate"), over=happened("die", "migrate")),
    Point("init: step ended", "init", happened("die", "migrate"), over=succeeded("migrate")),
    Point("init: success noted", "init", succeeded("migrate"), over=JOURNAL),
    Point("record: half written", "replace", stored(f"{SECOND}/compose.json"), stored(f"{SECOND}/release.json")),
    Point("record: written", "replace", stored(f"{SECOND}/release.json"), over=JOURNAL),
    Point("switch: journal opened", "replace", JOURNAL, over=happened("create")),
    Point("stop: begins", "remove", both(JOURNAL, runs("stop")), over=happened("die", "old")),
    Point("stop: middle", "remove", happened("kill", "old"), over=happened("die", "old")),
    Point("stop: stopped", "remove", happened("die", "old"), over=CREATES),
    Point("stop: removed", "remove", happened("destroy", "old"), over=happened("create")),
    Point("create: begins", "replace", CREATES, over=happened("create")),
    Point("create: middle, old one stops", "replace", happened("create", "web", leftover=True), happened("rename")),
    Point("create: old one is gone", "replace", happened("destroy", "web"), over=GATE),
    Point("create: one of two replaced", "chain", happened("rename", "db"), over=happened("rename", "web")),
    Point("create: done", "chain", GATE, over=happened("start")),
    Point("start: begins", "chain", both(GATE, runs("start")), over=happened("start", "db")),
    Point("start: one of two started", "chain", happened("start", "db"), over=happened("start", "web")),
    Point("gate: begins", "chain", happened("start", "web"), over=current(2)),
    Point("gate: middle", "chain", happened("health_status: healthy", "db"), over=happened("start", "web")),
    Point("roll back: failure noted", "bad", noted_outcome("failed"), over=runs("tag")),
    Point("roll back: begins", "bad", BACK, over=both(BACK, CREATES)),
    Point("roll back: create", "bad", both(BACK, CREATES)),
    Point(
        "roll back: middle of create", "bad", both(BACK, happened("create", "db", 2)), over=happened("rename", "db", 2)
    ),
    Point("roll back: create done", "bad", both(noted_outcome("failed"), happened("rename", "db", 2)), runs("logs")),
    Point("roll back: start", "bad", both(noted_outcome("failed"), runs("start"))),
    Point("roll back: gate", "bad", both(noted_outcome("failed"), happened("start", "web", 2))),
    Point("roll back: commit", "bad", both(noted_outcome("failed"), runs("image", "ls"))),
    Point("commit: begins", "chain", both(GATE, runs("image", "ls")), over=current(2)),
    Point("commit: noted as good", "chain", noted_outcome("good"), over=current(2)),
    Point("commit: current, journal open", "chain", both(JOURNAL, current(2)), over=lambda sight: not JOURNAL(sight)),
)
