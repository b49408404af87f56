"""What the cells of the fault matrix run on, and the report of all of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from tests.faults import report
from tests.faults.places import Machine, ManagedHost, Place
from tests.faults.seed import SEED
from tests.integration.conftest import IMAGE
from tests.lab import hosts

LAYER_BYTES = 40_000_000
"""An image of this size takes long enough to pull to be struck meanwhile."""


def pytest_configure() -> None:
    if os.geteuid() != 0:
        raise pytest.UsageError("tests/faults look into managed hosts and kill in them: they have to run as root")


def pytest_report_header() -> str:
    return f"seed of the fault matrix: {SEED}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not hasattr(terminalreporter.config, "workerinput"):
        report.tell(terminalreporter)


@pytest.fixture(scope="session")
def lab(worker_id: str, testrun_uid: str) -> Iterator[hosts.Lab]:
    """One managed host with an engine of its own, and a registry, for each process that runs cells."""
    with hosts.lab_of(f"faults-{testrun_uid[:6]}-{worker_id}", 1, [IMAGE]) as found:
        yield found


@pytest.fixture(scope="session")
def registry(lab: hosts.Lab) -> hosts.Registry:
    """A registry that holds an image which no engine has."""
    found = hosts.registry(lab)
    with contextlib.closing(docker.from_env()) as engine:
        base = engine.containers.create(IMAGE, ["dd", "if=/dev/urandom", "of=/layer", f"bs={LAYER_BYTES}", "count=1"])
        base.start()
        base.wait()
        base.commit(f"{found.here}/faults", "big")
        base.remove()
        assert "error" not in engine.images.push(f"{found.here}/faults", "big")
        engine.images.remove(f"{found.here}/faults:big")
    return found


@pytest.fixture(scope="session")
def host(lab: hosts.Lab, tmp_path_factory: pytest.TempPathFactory) -> ManagedHost:
    return ManagedHost(lab, tmp_path_factory.mktemp("controller"))


@pytest.fixture
def place_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[bool], Place]:
    """This machine, or the managed host, which is brought up only when it is needed."""

    def choose(needs_host: bool) -> Place:
        if not needs_host:
            return Machine(tmp_path)
        managed: ManagedHost = request.getfixturevalue("host")
        return managed

    return choose


@pytest.fixture
def image_of(request: pytest.FixtureRequest) -> Callable[[bool, bool], str]:
    """The name of the image in the registry, as this machine or the managed host has to say it."""

    def choose(needs_registry: bool, needs_host: bool) -> str:
        if not needs_registry:
            return "none:none"
        found: hosts.Registry = request.getfixturevalue("registry")
        return f"{found.on_hosts if needs_host else found.here}/faults:big"

    return choose


@pytest.fixture
def note(request: pytest.FixtureRequest) -> report.Note:
    """Keep something about this cell for the report."""

    def keep(**facts: object) -> None:
        known = [(name, value) for name, value in request.node.user_properties if name not in facts]
        request.node.user_properties[:] = [*known, *facts.items()]

    return keep
