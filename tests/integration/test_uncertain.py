"""Images that are got again whatever is here: the plan shows that, and what may follow, and what follows is no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import IMAGE, Environment, Outcome, service
from tests.integration.test_playbook_plan import Pipeline

BUILD, RECREATE, RESTART = ("api", "build"), ("api", "recreate"), ("web", "restart")


@pytest.fixture
def built(environment: Environment) -> Iterator[Environment]:
    """A service whose image is built here, and one that restarts with it."""
    environment.write("app/Dockerfile", f"FROM {IMAGE}\nCOPY text /text\n")
    environment.write("app/text", "one")
    write(environment)
    environment.deploy()
    yield environment
    environment.clean_up()
    if environment.engine.images.list(image_of(environment)):
        environment.engine.images.remove(image_of(environment), force=True)


def image_of(environment: Environment) -> str:
    return f"{environment.folder.name}-api:1"


def write(environment: Environment, **keys: Any) -> None:
    web = service(depends_on={"api": {"condition": "service_started", "restart": True}})
    api = service(build="./app", image=image_of(environment), **keys)
    environment.write("compose.yml", {"services": {"api": api, "web": web, "idle": service()}})


def certain(outcome: Outcome, is_certain: bool) -> set[tuple[str, str]]:
    actions = outcome.result["actions"]
    return {(each["service"], each["action"]) for each in actions if each.get("certain", True) is is_certain}


@pytest.mark.parametrize("way", ["option", "pull_policy"])
def test_build_that_nobody_can_foresee(built: Environment, way: str) -> None:
    options = {"build": "always"} if way == "option" else {}
    if way == "pull_policy":
        write(built, pull_policy="build")
        assert not built.deploy().changed
    planned = built.plan(**options)
    assert certain(planned, False) == {BUILD, RECREATE, RESTART}
    assert not certain(planned, True)
    assert not planned.changed
    told = planned.printed.partition("Only the run itself shows")[2]
    assert "build of api" in told and "recreate api, restart web" in told
    reasons = {each["action"]: each["reason"] for each in planned.result["actions"]}
    assert reasons["build"] == ("build is always" if way == "option" else "pull_policy is build")
    assert reasons["recreate"] == "if the build gives another image"
    assert reasons["restart"] == "if the build gives another image: api, which it is tied to, is recreated"

    same = built.deploy(**options)
    assert not same.changed and same.result["actions"] == []
    assert built.plan(**options).result["actions"] == planned.result["actions"], "the plan is no other one since"
    built.write("app/text", "two")
    other = built.deploy(**options)
    assert other.actions == {BUILD, RECREATE, RESTART}
    assert all("certain" not in each for each in other.result["actions"])
    assert built.inside("api", "cat", "/text") == "two"


def test_what_is_certain_beside_it(built: Environment) -> None:
    built.container("idle").stop()
    planned = built.plan(build="always")
    assert planned.changed
    assert certain(planned, True) == {("idle", "start")}
    assert certain(planned, False) == {BUILD, RECREATE, RESTART}
    assert built.deploy(build="always").actions == {("idle", "start")}


def test_image_that_is_not_here_is_certain(built: Environment) -> None:
    built.deploy(state="absent")
    built.engine.images.remove(image_of(built), force=True)
    planned = built.plan(build="always")
    assert planned.changed
    assert not certain(planned, False)
    assert BUILD in certain(planned, True)


def test_images_only(built: Environment) -> None:
    planned = built.plan(state="built")
    assert certain(planned, False) == {BUILD}
    assert not planned.changed
    assert not built.deploy(state="built").changed
    built.write("app/text", "two")
    ids = built.ids()
    assert built.deploy(state="built").actions == {BUILD}
    assert built.ids() == ids


def test_service_that_is_never_recreated(built: Environment) -> None:
    assert certain(built.plan(build="always", recreate="never"), False) == {BUILD}


def test_init_step_whose_image_is_built_again(built: Environment) -> None:
    write(built)
    layer = {
        "services": {"migrate": service(image=image_of(built), build="./app", profiles=["init"], command=["true"])}
    }
    built.write("compose.dev.yml", layer)
    first = built.run("compose_init", steps=["migrate"])
    assert not first.failed
    assert [each["path"] for each in first.result["sources"]["layers"]] == [
        str(built.folder / name) for name in ("compose.yml", "compose.dev.yml")
    ]
    planned = built.run("compose_init", "--check", steps=["migrate"], build="always")
    assert certain(planned, False) == {BUILD, ("migrate", "init")}
    assert not planned.changed
    assert not built.run("compose_init", steps=["migrate"], build="always").changed
    built.write("app/text", "two")
    assert built.run("compose_init", steps=["migrate"], build="always").actions == {BUILD, ("migrate", "init")}


def test_approved_plan_holds_whatever_the_build_gives(built: Environment, tmp_path: Path) -> None:
    pipeline = Pipeline(built, tmp_path)
    del pipeline.variables["env_file_variables"], pipeline.variables["env_file_secrets"]
    pipeline.variables.update(compose_env_build="always", deploy_source="")
    approved = pipeline.plan()
    assert any(not each.get("certain", True) for each in approved["hosts"]["localhost"]["actions"])
    for text in ("one", "two"):
        built.write("app/text", text)
        code, printed = pipeline.run("deploy", "-e", f"compose_env_expect_plan={approved['digest']}")
        assert code == 0, printed
        assert built.inside("api", "cat", "/text") == text
    assert json.loads(pipeline.plan_file.read_text())["digest"] == approved["digest"]
