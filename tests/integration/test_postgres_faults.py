"""postgres_env killed at random moments, and run twice at once: the next run ends with the same database."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.conftest import REPOSITORY, Environment
from tests.integration.databases import actions, ask, connection, kept, login, project, succeed

TRIES = 8
pytestmark = pytest.mark.thorough
OPTIONS = {"extensions": ["pg_trgm"], "settings": {"work_mem": "5MB"}}


@pytest.fixture(scope="module")
def shop(engine, tmp_path_factory) -> Iterator[Environment]:
    with project(engine, tmp_path_factory.mktemp("faults")) as made:
        succeed(made, database="first")
        yield made


def options_of(name: str) -> dict[str, Any]:
    return {**OPTIONS, "database": name, "readonly_role": f"reader_{name}"}


def started(environment: Environment, **options: Any) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "ansible_collections.strata.compose.plugins.modules.postgres_env"]
    variables = {**os.environ, "PYTHONPATH": str(REPOSITORY / ".ansible/collections")}
    pipe = subprocess.PIPE
    process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=variables)
    assert process.stdin
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": environment.options("postgres_env", options)}))
    process.stdin.close()
    process.stdin = None  # or communicate() would write to it
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda each: each.name)
def test_run_after_a_kill_ends_with_the_same_database(shop: Environment, number: signal.Signals):
    source = random.Random(int(os.environ["CANARY_SEED"]))
    began = time.monotonic()
    succeed(shop, **options_of("whole"))
    whole = time.monotonic() - began
    for at in range(TRIES):
        name = f"{number.name.lower()}_{at}"
        process = started(shop, **options_of(name))
        time.sleep(source.uniform(0.3, 1.0) * whole)
        process.send_signal(number)
        process.wait()
        outcome = succeed(shop, **options_of(name), lock_wait=30)
        assert actions(succeed(shop, **options_of(name))) == [], (at, outcome.result["actions"])
        url = connection(shop, **options_of(name))["DATABASE_URL"]
        assert kept(shop)[f"{shop.project}/postgres"][name] in url
        assert login(shop, url) == [f"{name}_owner"]
    assert ask(shop, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'strata-env-%'") == ["0"]


def test_runs_at_the_same_time_wait_for_each_other_and_make_one_password(shop: Environment):
    processes = [started(shop, **options_of("together"), lock_wait=60) for _each in range(4)]
    results = [json.loads(process.communicate()[0]) for process in processes]
    assert [each.get("failed", False) for each in results] == [False] * 4
    assert sorted(each["changed"] for each in results) == [False, False, False, True]
    assert login(shop, connection(shop, **options_of("together"))["DATABASE_URL"]) == ["together_owner"]
