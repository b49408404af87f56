"""The seeds of a run, chosen before its processes start."""

from __future__ import annotations

import os

from tests.integration.conftest import engine
from tests.property.cells import chosen

__all__ = ["engine"]


def pytest_report_header() -> str:
    return f"seeds of the property test (SEED=... replays one): {' '.join(map(str, chosen(os.environ)))}"
