"""Run commands, time them in interleaved rounds, and hold what was found against a target."""

from __future__ import annotations

import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Sample = dict[str, float]
"""What one run of a side took, by metric: seconds of `wall` and `cpu`, or others of the side's own."""
Samples = dict[str, list[Sample]]
"""The samples of each side, one for each round."""
Side = Callable[[], Sample]

LAST_LINES = 30
END_SECONDS = 30


class CommandError(RuntimeError):
    """A command that did not do what the benchmark needs."""


def run(*command: str | Path, env: Mapping[str, str] | None = None, check: bool = True) -> str:
    """What a command prints; the error of one that fails tells its last lines."""
    words = [str(word) for word in command]
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    ) as process:
        try:
            printed = process.communicate()[0].strip()
        except BaseException:
            end(process)
            raise
    if check and process.returncode != 0:
        last = "\n".join(printed.splitlines()[-LAST_LINES:])
        raise CommandError(f"{' '.join(words)} failed ({process.returncode}):\n{last}")
    return printed


def end(process: subprocess.Popen[str]) -> None:
    """Have a process end what it started itself; kill one that does not."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def timed(action: Callable[[], object]) -> Sample:
    """Seconds that an action takes, and CPU seconds of the processes that it starts and waits for."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    action()
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"wall": wall, "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def interleaved(what: str, sides: Mapping[str, Side], rounds: int, warm: bool = False) -> Samples:
    """One warm-up of each side, then rounds in which each runs once; every second round in the opposite order."""
    for name in () if warm else sides:
        told(f"{what}: warm-up of {name}")
        sides[name]()
    samples: Samples = {name: [] for name in sides}
    for number in range(1, rounds + 1):
        told(f"{what}: round {number} of {rounds}")
        for name in list(sides)[:: 1 if number % 2 else -1]:
            samples[name].append(sides[name]())
    return samples


def told(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)


def median(samples: Samples, side: str, metric: str = "wall") -> float:
    """The median of a side."""
    return statistics.median(each[metric] for each in samples[side])


def median_over(samples: Samples, side: str, base: str, metric: str = "wall") -> float:
    """The median of what a side takes more than another one in the same round."""
    pairs = zip(samples[side], samples[base], strict=True)
    return statistics.median(each[metric] - other[metric] for each, other in pairs)


@dataclass(frozen=True)
class Finding:
    """One line of the table: what both sides need, and the figure that has a limit."""

    what: str
    unit: str
    ours: float
    other: float
    other_name: str
    figure: float
    limit: float
    target: str
    aim: float | None = None
    """a limit that is better than the one that counts"""
    is_ratio: bool = False
    """the figure is how many times as much as the other side we need; else it has the unit"""

    @property
    def verdict(self) -> str:
        if self.figure > self.limit:
            return "missed"
        return "met" if self.aim is None else f"met, aim {'too' if self.figure <= self.aim else 'missed'}"


def ratio(what: str, unit: str, ours: float, other: tuple[str, float], limit: float, target: str) -> Finding:
    """A finding about how many times as much as the other side we need."""
    name, value = other
    times = ours / value if value > 0 else float("inf")
    return Finding(what, unit, ours, value, name, times, limit, target, is_ratio=True)


@dataclass(frozen=True)
class Row:
    """What a row of the benchmark found, or why it found nothing."""

    number: int
    findings: Sequence[Finding] = ()
    samples: Mapping[str, object] | None = None
    error: str = ""
    seconds: float = 0
    load_before: tuple[float, ...] = ()
    load_after: tuple[float, ...] = ()


def load() -> tuple[float, ...]:
    """Processes that ran or wanted to, over 1, 5 and 15 minutes."""
    return tuple(round(each, 2) for each in os.getloadavg())
