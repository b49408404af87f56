"""What only asks the engine, and how long that may take."""

from __future__ import annotations

import time

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _engine_questions
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure


@pytest.mark.parametrize(
    ("line", "asks"),
    [
        ("docker ps -aq", True),
        ("docker inspect c1", True),
        ("docker version --format x", True),
        ("docker image ls", True),
        ("docker network inspect n", True),
        ("docker container inspect c1", True),
        ("docker logs --tail 20 c1", True),
        ("docker logs c1", False),
        ("docker exec c1 ps", False),
        ("docker image rm i", False),
        ("docker image", False),
        ("docker pull i", False),
        ("docker stop c1", False),
        ("docker", False),
        ("docker-compose up", False),
    ],
)
def test_questions(line, asks):
    assert _engine_questions.is_question(line.split()) is asks


def test_limits():
    cli = Cli("/", None, 1800)
    assert cli._limit(["docker", "ps"]) == _engine_questions.LIMIT
    assert cli._limit(["docker", "pull", "i"]) == 1800
    assert Cli("/", None, 20)._limit(["docker", "ps"]) == 20


def test_limits_within_a_gate():
    cli = Cli("/", None, 1800)
    looking = cli.until(time.monotonic() + 30)
    assert 25 < looking._limit(["docker", "ps"]) <= 30
    assert cli.until(time.monotonic() - 30)._limit(["docker", "ps"]) == _engine_questions.LAST_LOOK
    assert looking._limit(["docker", "start", "c1"]) == 1800
    assert looking.warnings is cli.warnings
    assert cli.deadline is None


@pytest.fixture
def slow_docker(tmp_path, monkeypatch):
    """A docker that answers whatever it is asked, and never at once."""
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\nsleep 0.2\necho unix:///slow.sock\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


@pytest.mark.usefixtures("slow_docker")
@pytest.mark.parametrize("line", ["docker ps", "docker pull i"])
def test_when_the_time_of_the_whole_is_over_the_failure_still_comes_to_its_words(line):
    """What is asked for the words alone has its own time: once it failed for the same reason, without end."""
    cli = Cli("/", None, 1800)
    with cli.bounded(0.01), pytest.raises(ComposeFailure, match=f"`{line}` (got no answer|was ended)") as failure:
        cli.run(line.split())
    assert failure.value.facts["error_kind"] == "timeout"


@pytest.mark.usefixtures("slow_docker")
@pytest.mark.parametrize("line", ["docker ps", "docker pull i", "docker context inspect"])
def test_a_cli_that_always_hangs_is_reported(line, monkeypatch):
    monkeypatch.setattr(_engine_questions, "SECOND_QUESTION", 0.01)
    cli = Cli("/", None, 1800)
    with pytest.raises(ComposeFailure, match="does not answer") as failure:
        cli.run(line.split(), timeout=0.01)
    assert failure.value.facts["error_kind"] == "timeout"
