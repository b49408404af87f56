"""The plan is the deed: random environments, changes and operations on the real engine, and the cases found so."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.property.case import Case, as_yaml, parsed
from tests.property.cell import Verdict, played
from tests.property.cells import Journal, chosen
from tests.property.generate import case_of
from tests.property.shrink import shrunk

CASES = Path(__file__).with_name("cases")
TRIES = int(os.environ.get("SHRINK_TRIES", "40"))
"""So many smaller cases are played at most when one has failed."""


@pytest.fixture(scope="session")
def journal(engine: docker.DockerClient) -> Journal:
    return Journal.of(engine.version()["Version"])


@pytest.mark.parametrize("seed", chosen(os.environ))
def test_the_plan_is_the_deed(seed: int, engine: docker.DockerClient, journal: Journal, tmp_path: Path) -> None:
    if not os.environ.get("SEED") and seed in journal.passed():
        pytest.skip("has passed on this commit and this engine")
    began = time.monotonic()
    case = case_of(seed)
    verdict = played(case, engine, tmp_path)
    if verdict.violations:
        pytest.fail(f"SEED={seed}\n{verdict}\n{_kept(case, verdict, engine, tmp_path)}", pytrace=False)
    journal.note(seed, time.monotonic() - began)


def _kept(case: Case, first: Verdict, engine: docker.DockerClient, folder: Path) -> str:
    """Shrink what failed and keep it as a test, to be named by the behaviour that it shows."""

    def fails(candidate: Case) -> bool:
        return bool(first.kinds & played(candidate, engine, folder).kinds)

    small = shrunk(case, fails, TRIES)
    path = CASES / f"seed-{case.seed}.yml"
    text = as_yaml(replace(small, it=first.violations[0]))
    path.write_text(text)
    return f"shrunk to {path}, which is a test from now on:\n{text}"


def kept_cases() -> list[Any]:
    """The cases that were found; those in ``open`` still fail, and say so when they no longer do."""
    open_still = pytest.mark.xfail(strict=True, reason="not mended yet")
    return [
        *(pytest.param(path, id=path.stem) for path in sorted(CASES.glob("*.yml"))),
        *(pytest.param(path, id=path.stem, marks=open_still) for path in sorted(CASES.glob("open/*.yml"))),
    ]


@pytest.mark.parametrize("path", kept_cases())
def test_case_found_once(path: Path, engine: docker.DockerClient, tmp_path: Path) -> None:
    verdict = played(parsed(path.read_text()), engine, tmp_path)
    assert not verdict.violations, str(verdict)
