"""The table that the fault matrix prints, and the file with all that it found."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

RESULTS = Path(__file__).resolve().parents[2] / ".cache" / "faults"

Note = Callable[..., None]
Cell = dict[str, Any]


def cells_of(reporter: pytest.TerminalReporter) -> list[Cell]:
    """What each test noted of itself, with its outcome."""
    found: dict[str, Cell] = {}
    for outcome in ("passed", "failed", "error"):
        for each in reporter.stats.get(outcome, []):
            noted: Cell = dict(getattr(each, "user_properties", []))
            if noted:
                cell = found.setdefault(each.nodeid, {**noted, "passed": True, "seconds": 0.0})
                cell["seconds"] = round(cell["seconds"] + each.duration, 1)
                if outcome != "passed":
                    cell.update(passed=False, error=str(each.longreprtext)[-6000:])
    return list(found.values())


def tell(reporter: pytest.TerminalReporter) -> None:
    """Print the table of each matrix, and write the file."""
    cells = cells_of(reporter)
    if not cells:
        return
    for matrix in dict.fromkeys(cell["matrix"] for cell in cells):
        own = [cell for cell in cells if cell["matrix"] == matrix]
        passed, seconds = sum(cell["passed"] for cell in own), sum(cell["seconds"] for cell in own)
        reporter.write_sep("=", f"{matrix}: {passed} of {len(own)} cells, {seconds:.0f} s of work")
        for line in table(own):
            reporter.write_line(line)
    reporter.write_line(f"written to {written(cells)}")


def table(cells: list[Cell]) -> Iterable[str]:
    """A line for each row, a column for each fault; seconds where it passed."""
    columns = list(dict.fromkeys(cell["column"] for cell in cells))
    rows = list(dict.fromkeys(cell["row"] for cell in sorted(cells, key=lambda cell: int(cell.get("order", 0)))))
    shown: dict[tuple[str, str], list[Cell]] = {(row, column): [] for row in rows for column in columns}
    for cell in cells:
        shown[cell["row"], cell["column"]].append(cell)
    lines = [["", *columns], *([row, *(mark(shown[row, column]) for column in columns)] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def mark(cells: list[Cell]) -> str:
    """What stands in a field of the table."""
    if not cells:
        return "-"
    passed, seconds = sum(cell["passed"] for cell in cells), sum(cell["seconds"] for cell in cells)
    count = f"{passed}/{len(cells)} " if len(cells) > 1 else ""
    return f"{'ok' if passed == len(cells) else 'FAILED'} {count}{seconds:.0f} s"


def written(cells: list[Cell]) -> Path:
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y-%m-%dT%H-%M-%S')}.json"
    path.write_text(json.dumps({"cells": cells}, indent=2) + "\n")
    return path
