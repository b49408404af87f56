"""Each test begins as a run of a module does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _errors


@pytest.fixture(autouse=True)
def without_notices() -> Iterator[None]:
    yield
    _errors._noticed.clear()
