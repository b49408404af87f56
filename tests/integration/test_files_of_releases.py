"""A release keeps no mounted files: what comes back gets them as they are then, and that is what is recorded of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.conftest import Environment, service
from tests.integration.test_settling import cut_off
from tests.integration.test_transactions import BAD, require_consistent

MOUNT = ["./site.conf:/etc/site.conf:ro"]


def release(number: str, **web: Any) -> dict[str, Any]:
    """Services of a release: two have the file mounted, one has nothing to do with it."""
    changed = service(environment={"RELEASE": number}, volumes=MOUNT, **web)
    return {"web": changed, "page": service(volumes=MOUNT), "idle": service()}


def write(environment: Environment, services: dict[str, Any], file: str) -> None:
    environment.write("compose.yml", {"services": services})
    environment.write("site.conf", file)


@pytest.fixture
def serving(environment: Environment) -> Environment:
    """Release 1 serves, with file one."""
    write(environment, release("one"), "one")
    environment.deploy()
    return environment


def require_file(environment: Environment, content: str) -> None:
    assert [environment.inside(name, "cat", "/etc/site.conf") for name in ("web", "page")] == [content, content]


@pytest.fixture
def rolled_back(serving: Environment) -> Environment:
    """Release 2 with file two has failed, and release 1 serves with that file."""
    write(serving, {**release("two"), "web": release("two", **BAD["exits at once"])["web"]}, "two")
    assert serving.run().result["state"] == "rolled_back"
    require_file(serving, "two")
    return serving


def test_the_old_file_reaches_what_went_back_without_it(rolled_back: Environment) -> None:
    write(rolled_back, release("one"), "one")
    assert rolled_back.plan().actions == {("web", "recreate"), ("page", "recreate")}
    assert rolled_back.deploy().actions == {("web", "recreate"), ("page", "recreate")}
    require_file(rolled_back, "one")
    assert not rolled_back.deploy().changed
    require_consistent(rolled_back)


def test_what_went_back_with_the_new_file_keeps_it(rolled_back: Environment) -> None:
    write(rolled_back, release("three"), "two")
    assert rolled_back.deploy().actions == {("web", "recreate")}
    require_file(rolled_back, "two")
    assert not rolled_back.deploy().changed


def test_a_deliberate_roll_back_recreates_what_differs_and_tells_the_files_that_it_got(serving: Environment) -> None:
    write(serving, release("two"), "two")
    serving.deploy()
    page = serving.ids()["page"]
    assert serving.plan(state="rolled_back").actions == {("web", "recreate")}
    assert serving.deploy(state="rolled_back").actions == {("web", "recreate")}
    assert serving.ids()["page"] == page, "it has the file as it is now"
    require_file(serving, "two")
    assert serving.run("compose_env_info", gather=["drift"]).result["drift"] == []
    write(serving, release("one"), "one")
    assert serving.deploy().actions == {("web", "recreate"), ("page", "recreate")}
    require_file(serving, "one")
    assert not serving.deploy().changed


def test_a_one_shot_that_has_run_does_not_run_again_for_another_file(environment: Environment) -> None:
    job = service(command=["cat", "/etc/site.conf"], volumes=MOUNT)
    write(environment, {**release("one"), "job": job}, "one")
    environment.deploy()
    write(environment, {**release("two"), "job": job}, "two")
    environment.deploy()
    assert environment.deploy(state="rolled_back").actions == {("web", "recreate"), ("job", "remove")}


def test_a_release_that_is_recovered_has_the_files_that_it_was_made_from(serving: Environment) -> None:
    services = {**release("two"), "more": service(volumes=MOUNT)}
    write(serving, services, "two")
    cut_off(serving, services, stable_for=4)
    outcome = serving.deploy()
    assert "is the current release now" in outcome.result["settled"]
    assert outcome.actions == set(), "all of it was made with this file"
    require_file(serving, "two")
    serving.write("site.conf", "one")
    assert serving.deploy().actions == {("web", "recreate"), ("page", "recreate"), ("more", "recreate")}
    assert not serving.deploy().changed


def test_a_container_that_recovery_starts_again_has_the_file_of_now(serving: Environment) -> None:
    write(serving, release("two"), "two")
    cut_off(serving, release("two"), stable_for=4)
    serving.container("page").stop(timeout=1)
    serving.write("site.conf", "three")
    assert "is the current release now" in serving.deploy(state="started").result["settled"]
    assert serving.inside("page", "cat", "/etc/site.conf") == "three"
    assert serving.plan().actions == {("web", "recreate")}, "it was made with file two and runs on"
    serving.write("site.conf", "two")
    assert serving.deploy().actions == {("page", "recreate")}
    require_file(serving, "two")


def test_a_missing_file_does_not_stop_the_way_back(serving: Environment) -> None:
    write(serving, release("two"), "two")
    cut_off(serving, release("two", **BAD["unhealthy"]))
    path = serving.folder / "site.conf"
    path.unlink()
    assert "release 1 serves again" in serving.deploy(state="started").result["settled"]
    assert serving.variable("web", "RELEASE") == "one"
    path.rmdir()  # The engine has made a folder of it.
    write(serving, release("one"), "one")
    assert serving.deploy().actions == {("web", "recreate"), ("page", "recreate")}
    require_file(serving, "one")
    assert not serving.deploy().changed
