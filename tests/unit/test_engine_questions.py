"""What only asks the engine, and how long that may take."""

from __future__ import annotations

import time

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _engine_questions
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli


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
