"""A deployment ends with the wanted release serving, or with the last good one and a failure that says so."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._deploy import roll_back
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._operations import Operation
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._scene import Scene, scene_of
from ansible_collections.strata.compose.plugins.module_utils._signals import Cancellation
from ansible_collections.strata.compose.plugins.module_utils._spec import COMPOSE_ENV
from ansible_collections.strata.compose.plugins.module_utils._transaction import carry_out

from tests.integration.conftest import ANSIBLE, IMAGE, Environment, Outcome, adhoc, ansible_environment, service

GOOD = {"web": service(environment={"RELEASE": "one"}), "idle": service()}


@pytest.fixture
def serving(environment: Environment) -> Environment:
    """Release 1 serves."""
    environment.write("compose.yml", {"services": GOOD})
    environment.deploy()
    return environment


def prepared(environment: Environment) -> tuple[Scene, Operation]:
    """A deployment in this process, ready to be carried out."""
    defaults = {name: option.get("default") for name, option in COMPOSE_ENV.items()}
    options = {**defaults, **environment.options("compose_env", {})}
    scene = scene_of(options, Redactor())
    return scene, Operation(options, Redactor(), False, False, scene.cli, scene.store, Cancellation())


def state_of(environment: Environment) -> Path:
    return environment.state_dir / environment.project


def require_consistent(environment: Environment) -> None:
    """No journal, a free lock, no half-renamed container, none that only exists; and a deployment changes nothing."""
    state = state_of(environment)
    assert not (state / "journal.json").exists()
    with (state / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    names = [str(each.name) for each in environment.containers()]
    assert all(name.startswith(environment.project) for name in names), names
    assert all(each.status != "created" for each in environment.containers())


def require_rolled_back(environment: Environment, outcome: Outcome) -> None:
    assert outcome.failed
    assert outcome.result["state"] == "rolled_back", outcome.message
    assert outcome.result["rolled_back_to"] == 1
    assert "Rolled back: release 1 serves again" in outcome.message
    assert environment.variable("web", "RELEASE") == "one"
    require_consistent(environment)


BAD = {
    "exits at once": {"command": ["sh", "-c", "echo broken; exit 3"]},
    "command does not exist": {"command": ["no-such-program"], "init": False},
    "crash loop": {"command": ["sh", "-c", "exit 3"], "restart": "always"},
    "unhealthy": {"healthcheck": {"test": ["CMD", "false"], "interval": "1s", "retries": 1}},
    "never healthy": {"healthcheck": {"test": ["CMD", "false"], "interval": "1s", "start_period": "600s"}},
}

FEW = ("exits at once", "never healthy")
"""Kinds that are always tried; tests/faults has many more."""


@pytest.mark.parametrize(
    "kind", [pytest.param(each, marks=() if each in FEW else pytest.mark.thorough) for each in BAD]
)
def test_bad_release_is_rolled_back(serving: Environment, kind: str) -> None:
    idle = serving.ids()["idle"]
    bad = {**GOOD["web"], "environment": {"RELEASE": "two"}, **BAD[kind]}
    serving.write("compose.yml", {"services": {**GOOD, "web": bad}})
    outcome = serving.run(wait_timeout=10)
    require_rolled_back(serving, outcome)
    assert [each["service"] for each in outcome.result["failed_services"]] == ["web"]
    assert serving.ids()["idle"] == idle, "a service that was not concerned was touched"
    serving.write("compose.yml", {"services": GOOD})
    assert not serving.deploy().changed, "the files of release 1 are deployed, and it runs"


def test_services_that_a_deployment_left_out_come_back_as_they_ran(serving: Environment) -> None:
    """What the layers say of them was never tried out, so no roll back may take it for good."""
    idle = serving.ids()["idle"]
    web = {**GOOD["web"], "environment": {"RELEASE": "two"}}
    serving.write("compose.yml", {"services": {"web": web, "idle": {**GOOD["idle"], **BAD["exits at once"]}}})
    assert serving.deploy(services=["web"]).actions == {("web", "recreate")}
    assert not serving.deploy(services=["web"]).changed
    assert serving.plan().actions == {("idle", "recreate")}
    outcome = serving.run(wait_timeout=10)
    assert outcome.result["state"] == "rolled_back", outcome.message
    assert outcome.result["rolled_back_to"] == 2
    assert serving.variable("web", "RELEASE") == "two"
    assert {each.status for each in serving.containers("idle")} == {"running"}
    require_consistent(serving)
    assert serving.run(state="rolled_back").result["release"] == 1
    assert serving.variable("web", "RELEASE") == "one"
    assert len(serving.ids()["idle"]) == len(idle)


def test_services_that_were_never_to_be_recreated_come_back_as_they_ran(serving: Environment) -> None:
    """What `recreate: never` left pending was never tried out either."""
    web = {**GOOD["web"], "environment": {"RELEASE": "two"}}
    serving.write("compose.yml", {"services": {"web": {**web, **BAD["exits at once"]}, "more": service()}})
    ids = serving.ids()
    assert serving.deploy(recreate="never").actions == {("more", "create"), ("idle", "remove")}
    assert not serving.deploy(recreate="never").changed
    assert serving.ids()["web"] == ids["web"]
    serving.write("compose.yml", {"services": {"web": web}})
    assert serving.deploy().actions == {("web", "recreate"), ("more", "remove")}
    assert serving.deploy(state="rolled_back").result["release"] == 2
    assert serving.variable("web", "RELEASE") == "one"
    assert set(serving.ids()) == {"web", "more"}
    require_consistent(serving)


def test_roll_back_restores_removed_and_drops_added_services(serving: Environment) -> None:
    web = {**GOOD["web"], "command": ["sh", "-c", "exit 1"]}
    serving.write("compose.yml", {"services": {"web": web, "added": service()}})
    require_rolled_back(serving, serving.run())
    assert set(serving.ids()) == {"web", "idle"}


def test_roll_back_brings_back_the_image_and_leaves_the_tag(serving: Environment, engine: docker.DockerClient) -> None:
    tag = f"{serving.folder.name}:moving"
    engine.images.get(IMAGE).tag(tag)
    tagged = {**GOOD, "web": {**GOOD["web"], "image": tag}}
    serving.write("compose.yml", {"services": tagged})
    serving.deploy()
    old = serving.container("web").image.id
    base = engine.containers.create(IMAGE, ["true"])
    try:
        new = base.commit(*tag.split(":"), changes=['ENTRYPOINT ["/bin/false"]']).id
        outcome = serving.run()
        assert outcome.failed
        assert serving.container("web").image.id == old
        assert engine.images.get(tag).id == new, "the tag is the user's"
        assert serving.plan().actions == {("web", "recreate")}, "the new image is still waiting"
    finally:
        base.remove()
        serving.clean_up()
        engine.images.remove(tag, force=True)


def test_roll_back_leaves_the_tag_of_another_image_name(serving: Environment, engine: docker.DockerClient) -> None:
    """The name of the old image means another one by now, and the new release has another name."""
    tag = f"{serving.folder.name}:one"
    engine.images.get(IMAGE).tag(tag)
    serving.write("compose.yml", {"services": {**GOOD, "web": {**GOOD["web"], "image": tag}}})
    serving.deploy()
    old = serving.container("web").image.id
    base = engine.containers.create(IMAGE, ["true"])
    new = base.commit(*tag.split(":"), changes=["LABEL own=1"]).id
    base.remove()
    serving.write("compose.yml", {"services": {**GOOD, "web": {**GOOD["web"], "command": ["false"]}}})
    assert serving.run().result["state"] == "rolled_back"
    assert serving.container("web").image.id == old
    assert engine.images.get(tag).id == new, "the tag is the user's"
    serving.clean_up()
    engine.images.remove(tag, force=True)


class WithoutThreads(Cli):
    """A CLI of a machine that has no thread left when containers are to be created for the first time."""

    has_failed = False

    def compose(self, *arguments: str, **options: Any) -> Any:
        if "up" in arguments and not self.has_failed:
            self.has_failed = True
            raise RuntimeError("can't start new thread")
        return super().compose(*arguments, **options)


def test_failure_that_nobody_foresaw_is_rolled_back_too(serving: Environment) -> None:
    serving.write("compose.yml", {"services": {**GOOD, "web": {**GOOD["web"], "environment": {"RELEASE": "two"}}}})
    scene, operation = prepared(serving)
    broken = WithoutThreads(str(serving.folder), None, 60)
    with pytest.raises(ComposeFailure, match=r"(?s)can't start new thread.*release 1 serves again"):
        carry_out(replace(scene, cli=broken), scene.steps(), operation.transaction())
    assert serving.variable("web", "RELEASE") == "one"
    require_consistent(serving)


def test_first_deployment_that_fails_says_that_nothing_can_come_back(environment: Environment) -> None:
    environment.write("compose.yml", {"services": {"web": service(command=["sh", "-c", "exit 1"])}})
    outcome = environment.run()
    assert outcome.failed
    assert "no earlier release" in outcome.message
    environment.write("compose.yml", {"services": {"web": service()}})
    assert environment.deploy().actions == {("web", "recreate")}
    require_consistent(environment)


def test_roll_back_that_fails_too_is_degraded_and_tells_both_causes(serving: Environment) -> None:
    serving.write("flag.txt", "good")
    need_flag = ["sh", "-c", "grep -q good /flag && exec sleep 3600; echo flag is bad; exit 5"]
    layer = {
        "services": {"web": service(command=need_flag, volumes=["./flag.txt:/flag"], environment={"RELEASE": "1"})}
    }
    serving.write("compose.yml", layer)
    serving.deploy()
    layer["services"]["web"]["environment"]["RELEASE"] = "2"
    serving.write("compose.yml", layer)
    serving.write("flag.txt", "bad")
    outcome = serving.run()
    assert outcome.failed
    assert outcome.result["state"] == "degraded"
    assert outcome.message.count("exited with code 5") == 2
    assert outcome.result["failed_services"]
    assert outcome.result["failed_services_of_roll_back"]
    serving.write("flag.txt", "good")
    assert "settled" in serving.deploy().result
    require_consistent(serving)


def deploy_releases(environment: Environment, *names: str, **options: Any) -> None:
    for name in names:
        layer = {"services": {**GOOD, "web": {**GOOD["web"], "environment": {"RELEASE": name}}}}
        environment.write("compose.yml", layer)
        environment.deploy(**options)


def test_rolled_back_goes_to_the_last_good_release_or_to_the_one_given(serving: Environment) -> None:
    deploy_releases(serving, "two", "three")
    assert serving.plan(state="rolled_back").actions == {("web", "recreate")}
    assert serving.variable("web", "RELEASE") == "three"
    assert serving.deploy(state="rolled_back").result["release"] == 2
    assert serving.variable("web", "RELEASE") == "two"
    assert serving.deploy(state="rolled_back", release=3).result["release"] == 3
    assert serving.deploy(state="rolled_back", release=1).result["release"] == 1
    assert serving.variable("web", "RELEASE") == "one"
    require_consistent(serving)
    assert serving.deploy().actions == {("web", "recreate")}, "the files still say release 3"


@pytest.mark.thorough
def test_rolled_back_skips_releases_that_failed(serving: Environment) -> None:
    serving.write("compose.yml", {"services": {**GOOD, "web": {**GOOD["web"], "command": ["false"]}}})
    assert serving.run().failed
    deploy_releases(serving, "three")
    assert serving.deploy(state="rolled_back").result["release"] == 1


def test_failed_releases_never_push_out_those_that_served(serving: Environment) -> None:
    """A pipeline that tries a bad release again and again must not use up the history."""
    deploy_releases(serving, "two", keep_releases=2)
    for level in "abc":
        bad = {**GOOD["web"], "command": ["false"], "environment": {"RELEASE": level}}
        serving.write("compose.yml", {"services": {**GOOD, "web": bad}})
        assert serving.run(keep_releases=2).result["rolled_back_to"] == 2
    listed = serving.run("compose_env_info", gather=["releases"]).result["releases"]
    assert [(each["release"], each["outcome"]) for each in listed] == [
        (5, "failed"),
        (4, "failed"),
        (2, "good"),
        (1, "good"),
    ]
    assert serving.deploy(state="rolled_back", keep_releases=2).result["release"] == 1
    deploy_releases(serving, "six", keep_releases=1)
    require_consistent(serving)
    assert serving.variable("web", "RELEASE") == "six"


@pytest.mark.thorough
def test_rolled_back_never_returns_to_a_release_that_was_left_by_a_roll_back(serving: Environment) -> None:
    deploy_releases(serving, "two", "three")
    assert serving.deploy(state="rolled_back").result["release"] == 2
    deploy_releases(serving, "four")
    assert serving.deploy(state="rolled_back").result["release"] == 2, "three is what was rolled back"
    assert serving.variable("web", "RELEASE") == "two"
    assert serving.deploy(state="rolled_back").result["release"] == 1


def test_rolled_back_is_refused_without_target_image_or_file(serving: Environment, engine: docker.DockerClient) -> None:
    assert "no good release before 1" in serving.run(state="rolled_back").message
    assert "release 9 is not here" in serving.run(state="rolled_back", release=9).message
    base = engine.containers.create(IMAGE, ["true"])
    tag = f"{serving.folder.name}:own"
    base.commit(*tag.split(":"), changes=["LABEL own=1"])
    base.remove()
    own = {**GOOD, "web": {**GOOD["web"], "image": tag}}
    serving.write("compose.yml", {"services": own})
    serving.deploy()
    deploy_releases(serving, "three")
    image = engine.images.get(tag)
    for each in image.tags:
        engine.images.remove(each, force=True)
    before = serving.ids()
    outcome = serving.run(state="rolled_back")
    assert outcome.failed
    assert f"image {image.id} of service web" in outcome.message
    assert serving.ids() == before


def test_rolled_back_needs_no_tag_of_the_old_image(serving: Environment, engine: docker.DockerClient) -> None:
    """The image of a kept release stays although its own tag is gone, as after a rebuild."""
    base = engine.containers.create(IMAGE, ["true"])
    tag = f"{serving.folder.name}:own"
    old = base.commit(*tag.split(":"), changes=["LABEL own=1"]).id
    base.remove()
    serving.write("compose.yml", {"services": {**GOOD, "web": {**GOOD["web"], "image": tag}}})
    serving.deploy()
    deploy_releases(serving, "three")
    engine.images.remove(tag)
    serving.deploy(state="rolled_back", pull="never")
    assert serving.container("web").image.id == old
    serving.clean_up()


def test_history_is_kept_and_pruned(serving: Environment, engine: docker.DockerClient) -> None:
    deploy_releases(serving, *"abcd", keep_releases=3, revision="c0ffee", actor="alice (AWX job 7)")
    releases = serving.run("compose_env_info", gather=["releases"]).result["releases"]
    assert [each["release"] for each in releases] == [5, 4, 3]
    assert releases[0]["current"]
    newest = {key: releases[0][key] for key in ("actor", "revision", "outcome")}
    assert newest == {"actor": "alice (AWX job 7)", "revision": "c0ffee", "outcome": "good"}
    assert releases[0]["seconds"] > 0
    assert releases[0]["images"] == {name: serving.container(name).image.id for name in GOOD}
    layer = serving.folder / "compose.yml"
    assert releases[0]["inputs"][str(layer)] == hashlib.sha256(layer.read_bytes()).hexdigest()
    held = [tag for image in engine.images.list(name=f"strata.invalid/{serving.project}") for tag in image.tags]
    ours = [tag for tag in held if tag.startswith(f"strata.invalid/{serving.project}:")]
    assert len(ours) == 1, "one image serves all kept releases"
    audit = [json.loads(line) for line in (state_of(serving) / "audit.log").read_text().splitlines()]
    assert [each["release"] for each in audit] == [1, 2, 3, 4, 5]


def test_image_that_a_foreign_container_has_outlives_its_release(
    serving: Environment, engine: docker.DockerClient
) -> None:
    base = engine.containers.create(IMAGE, ["true"])
    tag = f"{serving.folder.name}:own"
    image = base.commit(*tag.split(":"), changes=["LABEL own=1"]).id
    base.remove()
    serving.write("compose.yml", {"services": {**GOOD, "web": {**GOOD["web"], "image": tag}}})
    serving.deploy(keep_releases=1)
    engine.images.remove(tag)
    foreign = engine.containers.create(image, ["true"])
    try:
        deploy_releases(serving, "three", keep_releases=1)
        assert engine.images.get(image)
    finally:
        foreign.remove()
    deploy_releases(serving, "four", keep_releases=1)
    with pytest.raises(docker.errors.ImageNotFound):
        engine.images.get(image)


def test_user_and_number_of_an_awx_job_are_the_actor(environment: Environment) -> None:
    """AWX hands them to every job as extra variables (awx/main/models/mixins.py, get_extra_vars)."""
    environment.write("compose.yml", {"services": GOOD})
    awx = ("-e", "awx_user_name=alice", "-e", "awx_job_id=4711")
    assert not environment.adhoc("compose_env", *awx).failed
    actor = f"alice@{socket.gethostname()} (AWX job 4711)"
    (release,) = environment.run("compose_env_info", gather=["releases"]).result["releases"]
    assert release["actor"] == actor
    (line,) = (state_of(environment) / "audit.log").read_text().splitlines()
    assert json.loads(line)["actor"] == actor


def test_state_files_are_the_owners_only(serving: Environment) -> None:
    for path in [state_of(serving), *state_of(serving).rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


@contextmanager
def lock_held(environment: Environment) -> Iterator[None]:
    with (state_of(environment) / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(json.dumps({"pid": 4711, "operation": "present", "actor": "bob@tower", "started": "now"}))
        lock.flush()
        yield


def test_second_operation_fails_at_once_and_names_the_first(serving: Environment) -> None:
    with lock_held(serving):
        outcome = serving.run()
        assert outcome.failed
        assert outcome.result["error_kind"] == "locked"
        for word in ("present", "bob@tower", "since now", "process 4711", "lock_wait"):
            assert word in outcome.message
        assert not serving.run("compose_env_info").failed
        assert not serving.plan().failed


def test_second_operation_waits_for_the_first(serving: Environment) -> None:
    with lock_held(serving):
        timer = threading.Timer(3, lambda: None)
        waiting: list[Outcome] = []
        thread = threading.Thread(target=lambda: waiting.append(serving.run(lock_wait=60)))
        thread.start()
        timer.start()
        timer.join()
        assert waiting == []
    thread.join()
    assert not waiting[0].failed


def start_module(environment: Environment, **options: Any) -> subprocess.Popen[str]:
    """Start a deployment in a session of its own, without waiting for it."""
    given = {"project_dir": str(environment.folder), "environment": "dev", "state_dir": str(environment.state_dir)}
    argv = [str(ANSIBLE), "localhost", "-i", "localhost,", "-c", "local", "-m", "strata.compose.compose_env"]
    argv += [
        "-e",
        f"ansible_python_interpreter={sys.executable}",
        "-a",
        json.dumps({**given, "stable_for": 1, **options}),
    ]
    return subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ansible_environment(),
        start_new_session=True,
    )


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


def module_process(environment: Environment) -> int:
    """The process that holds the lock and does the work."""

    def owner() -> int | None:
        text = (state_of(environment) / "lock").read_text()
        return int(json.loads(text)["pid"]) if text else None

    return int(wait_for(owner))


def in_phase(environment: Environment, phase: str) -> bool:
    path = state_of(environment) / "journal.json"
    return path.exists() and json.loads(path.read_text())["phase"] == phase


SLOW_STOP = {
    "command": ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"],
    "stop_grace_period": "3s",
    "init": False,
}


@pytest.mark.thorough
@pytest.mark.parametrize("phase", ["switch", "gate"])
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"])
def test_killed_operation_leaves_nothing_half_done(environment: Environment, phase: str, name: str) -> None:
    web = service(environment={"RELEASE": "one"}, **({} if phase == "gate" else SLOW_STOP))
    if phase == "switch":
        web = {**service(environment={"RELEASE": "one"}), **SLOW_STOP}
    environment.write("compose.yml", {"services": {"web": web, "idle": service()}})
    environment.deploy()
    environment.write(
        "compose.yml", {"services": {"web": {**web, "environment": {"RELEASE": "two"}}, "idle": service()}}
    )
    process = start_module(environment, stable_for=4)
    worker = module_process(environment)
    wait_for(lambda: in_phase(environment, phase))
    os.kill(worker, getattr(signal, name))
    printed = process.communicate(timeout=60)[0]
    if name == "SIGHUP":
        assert "CHANGED" in printed
        assert environment.variable("web", "RELEASE") == "two"
    elif name != "SIGKILL":
        assert f"cancelled by {name}" in printed
        assert "release 1 serves again" in printed
        assert environment.variable("web", "RELEASE") == "one"
    outcome = environment.deploy(lock_wait=60, stable_for=4)
    assert ("settled" in outcome.result) is (name == "SIGKILL")
    assert environment.variable("web", "RELEASE") == "two"
    require_consistent(environment)
    assert {name: len(ids) for name, ids in environment.ids().items()} == {"web": 1, "idle": 1}
    assert not environment.deploy().changed


def test_cancelled_before_the_switch_changes_nothing(serving: Environment) -> None:
    serving.write("Dockerfile", f"FROM {IMAGE}\nRUN sleep 30\n")
    built = {key: value for key, value in GOOD["web"].items() if key != "image"}
    serving.write("compose.yml", {"services": {**GOOD, "web": {**built, "build": "."}}})
    before = serving.ids()
    process = start_module(serving)
    os.kill(module_process(serving), signal.SIGTERM)
    printed = process.communicate(timeout=30)[0]
    assert "cancelled by SIGTERM. Nothing was changed" in printed
    assert serving.ids() == before
    require_consistent(serving)


def test_cancelled_when_all_is_ready_touches_no_container(serving: Environment) -> None:
    """The moment between the record and the first container is too short to be met by a signal from outside."""
    before = serving.ids()
    serving.write("compose.yml", {"services": {**GOOD, "web": {**GOOD["web"], "environment": {"RELEASE": "two"}}}})
    scene, operation = prepared(serving)
    operation.cancellation.touch()
    operation.cancellation.told(signal.SIGTERM, None)
    with pytest.raises(ComposeFailure, match=r"cancelled by SIGTERM\. Nothing was changed"):
        carry_out(scene, scene.steps(), operation.transaction())
    assert serving.ids() == before
    assert scene.store.history()[-1]["outcome"] == "failed"
    require_consistent(serving)


class Interrupted(Cli):
    """A CLI whose user is told to end, by SIGTERM, each time it is about to give an image a name."""

    def __init__(self, cancellation: Cancellation) -> None:
        super().__init__("/", None, 60)
        self.cancellation = cancellation
        self.given: list[str] = []

    def docker(self, *arguments: str, **options: Any) -> Any:
        if arguments[0] == "tag" and not self.cancellation.by:
            self.cancellation.told(signal.SIGTERM, None)
        told = super().docker(*arguments, **options)
        self.given += [arguments[1]] if arguments[0] == "tag" else []
        return told


def test_roll_back_that_is_cancelled_while_names_move_gives_them_back_in_order(
    serving: Environment, engine: docker.DockerClient
) -> None:
    """A CLI that is ended may leave the engine a request which is carried out after the one that takes it back."""
    tag = f"{serving.folder.name}:moving"
    images = []
    for label in ("one", "two"):
        base = engine.containers.create(IMAGE, ["true"])
        images.append(base.commit(*tag.split(":"), changes=[f"LABEL own={label}"]).id)
        base.remove()
        serving.write("compose.yml", {"services": {**GOOD, "web": {**GOOD["web"], "image": tag}}})
        serving.deploy()
    operation = prepared(serving)[1]
    cli = Interrupted(operation.cancellation)
    operation = replace(operation, cli=cli, options={**operation.options, "state": "rolled_back"})
    with pytest.raises(ComposeFailure, match=r"cancelled by SIGTERM\. Nothing was changed"):
        roll_back(operation)
    assert cli.given[0] == images[0]
    assert set(cli.given[1:]) == {images[1]}
    assert engine.images.get(tag).id == images[1]
    require_consistent(serving)
    serving.clean_up()
    engine.images.remove(tag, force=True)


def test_two_at_once_never_collide(serving: Environment) -> None:
    deploy_releases(serving, "two")
    layer = {"services": {**GOOD, "web": {**GOOD["web"], "environment": {"RELEASE": "three"}}}}
    serving.write("compose.yml", layer)
    processes = [start_module(serving, lock_wait=60 + number) for number in range(3)]
    printed = [each.communicate(timeout=90)[0] for each in processes]
    assert sorted(text.count("CHANGED") for text in printed) == [0, 0, 1], printed
    assert all("FAILED" not in text for text in printed)
    require_consistent(serving)


def test_adhoc_runs_the_module_by_its_full_name() -> None:
    assert "project_dir" in adhoc("compose_env", {"environment": "dev"}).message


def test_what_compose_left_half_made_is_not_in_the_way_back(environment: Environment) -> None:
    """Compose gives a new container the old one's id and name until it takes its place; a failure leaves that name."""
    environment.write("compose.yml", {"services": {"web": service(environment={"LEVEL": "1"})}})
    environment.deploy()
    old = environment.container("web")
    labels = {"com.docker.compose.project": environment.project}
    environment.engine.containers.create(IMAGE, name=f"{str(old.id)[:12]}_{old.name}", labels=labels)
    environment.write("compose.yml", {"services": {"web": service(environment={"LEVEL": "2"})}})
    outcome = environment.run()
    assert outcome.result["state"] == "rolled_back", outcome.message
    assert environment.variable("web", "LEVEL") == "1"
    environment.deploy()
    assert environment.variable("web", "LEVEL") == "2"
