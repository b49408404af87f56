"""A release that cannot serve: the one before it serves within the gate's time and 30 s, and the failure says why."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.faults.disks import filled, small_disk
from tests.faults.places import Machine, ManagedHost, Place
from tests.faults.report import Note
from tests.faults.scenarios import IDLE, Scenario, Services, containers_of, release
from tests.faults.trial import Told, Trial, require_wanted, trial_of
from tests.integration.conftest import IMAGE, process, service

GRACE = 30
"""Seconds beyond the gate's own within which the earlier release serves again."""
LISTENER_PORT = 18099


def good(**keys: Any) -> Services:
    return {"web": release("one", **keys), "idle": IDLE}


def shell(script: str) -> dict[str, Any]:
    return {"command": ["sh", "-c", script], "init": False}


def check(test: str, **keys: Any) -> dict[str, Any]:
    return {"healthcheck": {"test": ["CMD-SHELL", test], "interval": "1s", "retries": 1, **keys}}


FLAPPING = "n=$$(cat /tmp/n 2>/dev/null || echo 0); echo $$((n + 1)) > /tmp/n; echo beat $$n; [ $$((n % 2)) = 0 ]"
TALKS = shell("echo reads its orders; exec sleep 3600")
VOLUME = {"volumes": ["data:/data"]}


@dataclass(frozen=True)
class Bad:
    """What is wrong with a release."""

    keys: Mapping[str, Any]
    words: tuple[str, ...]
    """what the message has to say besides the service"""
    before: Mapping[str, Any] = field(default_factory=dict)
    """what the service was like when it was good"""
    is_touched: bool = True
    """whether containers are replaced before it shows"""
    gate: int = 15
    stable_for: int = 2
    top: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {})
    """further keys of the layer, of the good and of the bad release"""


MEMORY = {"type": "tmpfs", "device": "tmpfs"}
BAD = {
    "image does not exist": Bad({"image": "127.0.0.1:1/none:1"}, ("127.0.0.1:1/none:1", "refused"), is_touched=False),
    "command does not exist": Bad({"command": ["no-such-program"], "init": False}, ("no-such-program",)),
    "exits at once": Bad(shell("echo broken; exit 3"), ("exited with code 3", "broken")),
    "crash loop after 5 s": Bad(
        {**shell("echo warm; sleep 5; echo lost; exit 3"), "restart": "always"}, ("lost",), gate=25, stable_for=10
    ),
    "never healthy": Bad({**TALKS, **check("echo no pulse; false", retries=99)}, ("no pulse", "orders"), gate=6),
    "health flapping": Bad({**TALKS, **check(FLAPPING)}, ("beat", "orders")),
    "port in use": Bad({"ports": [f"127.0.0.1:{LISTENER_PORT}:80"]}, (str(LISTENER_PORT), "in use"), is_touched=False),
    "wrong env value": Bad(
        {**shell('[ "$$LEVEL" = info ] || { echo "LEVEL $$LEVEL is unknown"; exit 2; }; exec sleep 3600')},
        ("exited with code 2", "LEVEL loud is unknown"),
    ),
    "volume definition changed": Bad(
        VOLUME,
        ("volume", "data"),
        before=VOLUME,
        is_touched=False,
        top=({"volumes": {"data": {}}}, {"volumes": {"data": {"driver_opts": MEMORY}}}),
    ),
}


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    """A project on this machine."""
    nothing = Scenario(lambda _names: {}, lambda _names: {})
    with trial_of(Machine(tmp_path), nothing, "none:none", tmp_path) as made:
        made.environment.folder.mkdir()
        yield made


@contextlib.contextmanager
def listener() -> Iterator[None]:
    """A process of this machine that has the port."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", LISTENER_PORT))
        taken.listen()
        yield


def write(trial: Trial, name: str, level: str, services: Services, top: Mapping[str, Any]) -> None:
    for each in services.values():
        each.setdefault("environment", {})
    web = services["web"]
    web["environment"] = {"RELEASE": name, "LEVEL": "${LEVEL}"}
    trial.environment.write(".env.dev", f"LEVEL={level}\n")
    trial.environment.write("compose.yml", {"services": services, **top})


@pytest.mark.parametrize("kind", BAD)
def test_bad_release(trial: Trial, kind: str, note: Note) -> None:
    note(matrix="bad releases", row=kind, column="result")
    bad = BAD[kind]
    write(trial, "one", "info", good(**bad.before), bad.top[0])
    require_done(trial.prepare())
    before = trial.ids()
    write(trial, "two", "loud", {**good(), "web": release("two", **bad.keys)}, bad.top[1])
    began = time.monotonic()
    with listener():
        told = trial.deploy(wait_timeout=bad.gate, stable_for=bad.stable_for)
    seconds = time.monotonic() - began
    note(told=told.result.get("msg", told.printed), column=f"{told.result.get('state', 'untouched')}")
    require_told(told, "web", *bad.words)
    assert seconds < bad.gate + GRACE, f"{seconds:.0f} s"
    require_serving(trial, before, bad.is_touched)


def require_done(told: Told) -> None:
    assert told.rc == 0, told.printed


def require_told(told: Told, *words: str) -> None:
    """An honest failure that names these."""
    assert told.rc != 0, "it was taken for good"
    message = str(told.result["msg"])
    assert all(word in message for word in words), message
    assert "Traceback" not in told.printed


def require_serving(trial: Trial, before: dict[str, list[str]], is_touched: bool = False) -> None:
    """Release 1 serves, and what was not concerned is what it was."""
    require_wanted(trial, containers_of(good()), "one")
    after = trial.ids()
    assert after["idle"] == before["idle"]
    assert (after["web"] != before["web"]) is is_touched


def serve(trial: Trial, name: str = "one", **keys: Any) -> dict[str, list[str]]:
    trial.environment.write("compose.yml", {"services": {**good(), "web": release(name, **keys)}})
    require_done(trial.prepare())
    return trial.ids()


@pytest.mark.parametrize("pages", [0, 1, 2, 3, 4, 5, 6, 8])
def test_disk_full_during_the_record(trial: Trial, pages: int, note: Note) -> None:
    note(matrix="bad releases", row="disk full during the release record", column="result")
    disk = Path(trial.state_dir)
    with small_disk(disk):
        before = serve(trial)
        trial.environment.write("compose.yml", {"services": {**good(), "web": release("two")}})
        with filled(disk, pages):
            told = trial.deploy()
            note(told=told.result.get("msg", told.printed), pages=pages)
            if told.rc:
                require_told(told, "No space left")
                assert trial.ids()["idle"] == before["idle"]
                running = {each.name: each.status for each in trial.environment.containers()}
                assert set(running.values()) == {"running"}, running
        require_done(trial.deploy())
        require_wanted(trial, containers_of(good()), "two")


def test_disk_full_during_the_env_file(trial: Trial, note: Note) -> None:
    note(matrix="bad releases", row="disk full during the env file", column="result")
    before = serve(trial)
    folder = trial.folder / "full"
    with small_disk(folder):
        options = {"project_dir": str(folder), "environment": "dev"}
        assert not process("compose_env_file", {**options, "variables": {"LEVEL": "info"}}).failed
        old = (folder / ".env.dev").read_text()
        with filled(folder, 0):
            outcome = process("compose_env_file", {**options, "variables": {"LEVEL": "x" * 9000}})
            note(told=outcome.message)
            assert outcome.failed
            assert "No space left" in outcome.message
            assert (folder / ".env.dev").read_text() == old
        assert [each.name for each in folder.iterdir()] == [".env.dev"], "something half written is left"
    require_serving(trial, before)


def test_disk_full_during_the_pull(
    place_of: Callable[[bool], Place], image_of: Callable[[bool, bool], str], tmp_path: Path, note: Note
) -> None:
    note(matrix="bad releases", row="disk full during the pull", column="result")
    host, image = place_of(True), image_of(True, True)
    assert isinstance(host, ManagedHost)
    nothing = Scenario(lambda _names: {}, lambda _names: {})
    with trial_of(host, nothing, image, tmp_path) as trial:
        trial.environment.folder.mkdir()
        before = serve(trial)
        trial.environment.write("compose.yml", {"services": {**good(), "web": release("two", image=image)}})
        with host.small_disk("/var/lib/docker/tmp", "1m"):
            told = trial.deploy()
        note(told=told.printed[-1500:])
        assert told.rc != 0
        assert "no space left on device" in told.printed
        assert "no container was touched" in told.printed
        require_serving(trial, before)
        require_done(trial.deploy())
        require_wanted(trial, containers_of(good()), "two")


def test_image_of_the_release_to_go_back_to_is_deleted(trial: Trial, note: Note) -> None:
    note(matrix="bad releases", row="roll back target's image deleted", column="result")
    engine = trial.place.engine
    base = engine.containers.create(IMAGE, ["true"])
    own = str(base.commit(trial.names.project, "built", changes=["LABEL own=1"]).id)
    base.remove()
    serve(trial, image=f"{trial.names.project}:built")
    before = serve(trial, "two")
    for tag in engine.images.get(own).tags:
        engine.images.remove(tag, force=True)
    told = trial.deploy(state="rolled_back")
    note(told=told.result.get("msg"))
    require_told(told, "web", own, "Nothing was changed")
    assert trial.ids() == before
    require_wanted(trial, containers_of(good()), "two")


@pytest.mark.parametrize(
    ("kind", "script", "words"),
    [
        ("init exits 3", "echo table is gone; exit 3", ("exited with code 3", "table is gone")),
        ("init hangs", "echo waits for a lock; exec sleep 3600", ("did not end within 2 s", "waits for a lock")),
    ],
)
def test_init_step_fails(trial: Trial, kind: str, script: str, words: tuple[str, ...], note: Note) -> None:
    note(matrix="bad releases", row=kind, column="result")
    before = serve(trial)
    migrate = service(profiles=["init"], **shell(script))
    trial.environment.write("compose.yml", {"services": {**good(), "web": release("two"), "migrate": migrate}})
    environment = trial.environment
    options = {"project_dir": str(environment.folder), "environment": "dev", "state_dir": trial.state_dir}
    outcome = process("compose_init", {**options, "timeout": 2})
    note(told=outcome.message)
    assert outcome.failed
    assert all(word in outcome.message for word in ("migrate", *words)), outcome.message
    refused = trial.deploy()
    require_told(refused, "migrate", "has not succeeded")
    require_serving(trial, before)
