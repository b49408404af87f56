"""What a deployment under way is seen doing: by its files, its processes and the engine's events, never by itself."""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

from tests import processes
from tests.faults.places import Place

LEFTOVER = re.compile(r"[0-9a-f]{12}_")
"""How names begin that Compose gives to containers which are about to take another one's place."""


@dataclass
class Sight:
    """A project on a place, watched."""

    place: Place
    state: Path
    project: str
    events: list[tuple[str, str, str]] = field(default_factory=list)
    """action, service and container name, as they happen"""
    worker: int = 0
    """the process that does the work, once it has the lock"""
    owner: int = 0
    """its number where it runs"""
    docker_root: str = "/var/lib/docker"

    def find_worker(self) -> bool:
        """Whether there is a process that holds the lock."""
        owner = int(self.json("lock").get("pid", 0))
        if owner and owner != self.owner:
            self.worker, self.owner = self.place.process(owner) or 0, owner
        return bool(self.worker)

    def json(self, name: str) -> dict[str, Any]:
        """A file of the state folder, empty when there is none."""
        try:
            found: dict[str, Any] = json.loads((self.state / name).read_text())
        except (OSError, ValueError):
            return {}
        return found

    def has(self, name: str) -> bool:
        return (self.state / name).exists()

    def is_free(self) -> bool:
        """Whether nobody holds the lock."""
        with (self.state / "lock").open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    def describe(self) -> str:
        """Where the deployment is, for the report."""
        phase = self.json("journal.json").get("phase", "none")
        doing = " & ".join(shown(words) for words in processes.children(self.worker))
        return f"journal {phase}, {doing or 'no process'}"


def shown(words: list[str]) -> str:
    """A command, short."""
    kept = [word for word in words if not word.startswith(("/", "-", "sha256"))]
    return " ".join([Path(words[0]).name, *kept[1:]])[:60] if words else ""


@contextlib.contextmanager
def watched(place: Place, state: Path, project: str) -> Iterator[Sight]:
    """Sight of a project, with the engine's events from now on."""
    sight = Sight(place, state, project, docker_root=place.engine.info()["DockerRootDir"])
    label = f"com.docker.compose.project={project}"
    stream = place.engine.events(decode=True, filters={"type": "container", "label": label})
    thread = threading.Thread(target=listen, args=(stream, sight.events), daemon=True)
    thread.start()
    try:
        yield sight
    finally:
        with contextlib.suppress(Exception):
            stream.close()
        thread.join(5)


def listen(stream: Any, events: list[tuple[str, str, str]]) -> None:
    """Note events until the stream ends, which it does when its engine is killed."""
    with contextlib.suppress(docker.errors.DockerException, OSError, ValueError, AttributeError):
        for event in stream:
            told = event["Actor"]["Attributes"]
            events.append((event["Action"], told.get("com.docker.compose.service", ""), told.get("name", "")))


Condition = Callable[[Sight], bool]


def runs(*words: str) -> Condition:
    """The worker has a child process that has all these words."""
    return lambda sight: any(set(words) <= set(each) for each in processes.children(sight.worker))


def happened(action: str, service: str = "", count: int = 1, leftover: bool | None = None) -> Condition:
    """The engine told of an action on so many containers, of one service or of any."""

    def condition(sight: Sight) -> bool:
        found = [
            name
            for did, whose, name in list(sight.events)
            if did == action and service in ("", whose) and leftover in (None, bool(LEFTOVER.match(name)))
        ]
        return len(found) >= count

    return condition


def stored(name: str) -> Condition:
    """A file of the state folder exists."""
    return lambda sight: sight.has(name)


def phase(name: str) -> Condition:
    """The journal tells this phase."""
    return lambda sight: sight.json("journal.json").get("phase") == name


def current(number: int) -> Condition:
    """This release is the current one."""
    return lambda sight: _number(sight) == number


def _number(sight: Sight) -> int:
    try:
        return int(sight.json("current").get("release") or 0)
    except (OSError, ValueError):
        return 0


def both(*conditions: Condition) -> Condition:
    return lambda sight: all(each(sight) for each in conditions)


def either(*conditions: Condition) -> Condition:
    return lambda sight: any(each(sight) for each in conditions)


def never(_sight: Sight) -> bool:
    return False
