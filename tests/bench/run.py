"""Time the collection beside its rival and beside Compose by hand, on this machine.

    python tests/bench/run.py --rows 1,2 --rounds 3

Prints a table and writes it with every sample to tests/bench/results/<date>.json. A missed target is told and is no
failure: times are worth something on a quiet machine only.
"""

from __future__ import annotations

import argparse
import json
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NoReturn

import hosts
import rows
from controller import Controller, have_venv, machine
from measure import CommandError, Finding, Row, load, told

RESULTS = Path(__file__).parent / "results"
ROWS: dict[int, Callable[[rows.Bench], Row]] = {
    1: rows.no_op,
    2: rows.processes,
    3: rows.deployment,
    4: hosts.deployments,
    5: rows.command,
    6: rows.chains,
}
ROUNDS, QUICK_ROUNDS = 5, 2
HEAD = ("row", "what", "ours", "other", "of", "figure", "target", "verdict")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Time the collection beside its rival and beside Compose by hand.")
    parser.add_argument("--rows", type=numbers, default=sorted(ROWS), help="such as 1,2 (default: all)")
    parser.add_argument(
        "--rounds", type=int, help=f"after a warm-up (default: {ROUNDS}; a median of fewer says little)"
    )
    parser.add_argument("--quick", action="store_true", help="few rounds, short loops, 5 managed hosts instead of 20")
    return parser.parse_args()


def numbers(text: str) -> list[int]:
    """Numbers of rows."""
    found = [int(each) for each in text.split(",")]
    if not set(found) <= set(ROWS):
        raise argparse.ArgumentTypeError(f"rows are {', '.join(map(str, ROWS))}")
    return found


def main() -> None:
    """Run the chosen rows; whatever happens, nothing of them stays."""
    wish = arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    with tempfile.TemporaryDirectory(prefix="strata-bench-") as folder:
        controller = Controller(Path(folder), have_venv())
        controller.install()
        rounds = wish.rounds or (QUICK_ROUNDS if wish.quick else ROUNDS)
        bench = rows.Bench(controller, rounds, loop=3 if wish.quick else 10, hosts=5 if wish.quick else 20)
        about = machine(controller)
        found: list[Row] = []
        try:
            for number in wish.rows:
                found.append(row(number, bench))
        finally:  # what was found before a Ctrl-C is found
            if found:
                report(about, bench, found)


def interrupted(number: int, _frame: object) -> NoReturn:
    """End what is under way and clean up, undisturbed by a second Ctrl-C."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    told(f"{signal.Signals(number).name}: cleaning up")
    raise SystemExit(128 + number)


def row(number: int, bench: rows.Bench) -> Row:
    """A row; one that cannot be measured says why."""
    before, start = load(), time.monotonic()
    try:
        found = ROWS[number](bench)
    except (CommandError, OSError) as error:
        found = Row(number, error=str(error))
    return replace(found, seconds=round(time.monotonic() - start, 1), load_before=before, load_after=load())


def report(about: dict[str, Any], bench: rows.Bench, found: Sequence[Row]) -> None:
    """Print the table and write the file."""
    table = [HEAD, *(cells(each.number, finding) for each in found for finding in each.findings)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    print("\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in table))
    for each in found:
        if each.error:
            print(f"\nrow {each.number} was not measured: {each.error}")
    loads = ", ".join(f"row {each.number} {each.load_before[0]} to {each.load_after[0]}" for each in found)
    print(f"\nmedians of {bench.rounds} rounds after a warm-up; load of the last minute: {loads}")
    print("; ".join(f"{name} {value}" for name, value in about.items() if name != "load"))
    print(f"written to {written(about, bench, found)}")


def cells(number: int, finding: Finding) -> tuple[str, ...]:
    """A line of the table."""
    digits = {"ms": 0, "s": 2, "calls": 0}[finding.unit]
    ours, other, figure = (
        f"{value:.{digits}f} {finding.unit}" for value in (finding.ours, finding.other, finding.figure)
    )
    if finding.is_ratio:
        figure = f"{finding.figure:.2f} x"
    return (str(number), finding.what, ours, other, finding.other_name, figure, finding.target, finding.verdict)


def written(about: dict[str, Any], bench: rows.Bench, found: Sequence[Row]) -> Path:
    """Write all that was found, with every sample."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y-%m-%dT%H-%M-%S')}.json"
    told_rows = [
        {**asdict(each), "findings": [{**asdict(finding), "verdict": finding.verdict} for finding in each.findings]}
        for each in found
    ]
    settings = {"rounds": bench.rounds, "loop": bench.loop, "hosts": bench.hosts}
    path.write_text(json.dumps({"machine": about, "settings": settings, "rows": told_rows}, indent=2) + "\n")
    return path


if __name__ == "__main__":
    main()
