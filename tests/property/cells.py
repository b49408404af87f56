"""Which cells a run plays, and the journal of those that have passed. SEED, SHARD and CELLS choose them."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.property.features import features

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / ".cache" / "property"
ALL = range(1, 301)
FEW = 12


def chosen(environment: Mapping[str, str]) -> list[int]:
    """The seeds to play: ``SEED=123``, ``SHARD=2/6`` of all, so many as ``CELLS`` says, else the few of `make test`."""
    if seed := environment.get("SEED", "").strip():
        return [int(each) for each in seed.split(",")]
    if shard := environment.get("SHARD"):
        number, _slash, count = shard.partition("/")
        return [seed for seed in ALL if seed % int(count) == int(number) % int(count)]
    if environment.get("CELLS") == "all":
        return list(ALL)
    return covering(ALL, int(environment.get("CELLS") or FEW))


def covering(seeds: Iterable[int], count: int) -> list[int]:
    """So many seeds, first those that together have every feature: each next one has most that is still missing."""
    left = {seed: features(seed) for seed in seeds}
    covered: set[str] = set()
    found: list[int] = []
    while left and len(found) < count:
        best = max(left, key=lambda seed: (len(left[seed] - covered), -seed))
        covered |= left.pop(best)
        found.append(best)
    return found


TESTED = ("plugins", "tests/property", "tests/integration/conftest.py", "tests/integration/module_server.py")


@dataclass(frozen=True)
class Journal:
    """The cells that have passed on one state of the code, one engine and one Compose."""

    path: Path

    @classmethod
    def of(cls, engine_version: str) -> Journal:
        return cls(FOLDER / f"{_state_of_repository()}-{engine_version}-compose-{_compose_version()}.jsonl")

    def passed(self) -> set[int]:
        if not self.path.exists():
            return set()
        return {int(json.loads(line)["seed"]) for line in self.path.read_text().splitlines()}

    def note(self, seed: int, seconds: float) -> None:
        """A line in one write, for several processes write."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"seed": seed, "seconds": round(seconds, 1)}) + "\n"
        with self.path.open("ab", buffering=0) as file:
            file.write(line.encode())


def _state_of_repository() -> str:
    """A digest of what is tested and of what tests it, as committed, and another one of what differs from that."""
    committed = _output("git", "ls-tree", "HEAD", "--", *TESTED)
    changed = _output("git", "diff", "HEAD", "--", *TESTED) + _output("git", "status", "--porcelain", "--", *TESTED)
    return "-".join(hashlib.sha256(each.encode()).hexdigest()[:12] for each in (committed, changed) if each)


def _compose_version() -> str:
    return _output("docker", "compose", "version", "--short")


def _output(*argv: str) -> str:
    return subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.strip()
