"""Check mode: the plan, without one writing call to the engine and without a write to the host."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import docker
import pytest

from tests.integration.conftest import Environment, service

CHANGES = {
    "present": {},
    "scaled": {"scale": {"web": 2}},
    "restarted": {"state": "restarted"},
    "recreated": {"recreate": "always"},
    "stopped": {"state": "stopped"},
    "started": {"state": "started"},
    "built": {"state": "built"},
    "pulled": {"state": "pulled"},
    "removed": {"state": "absent", "volumes": True, "confirm": "dev", "images": "all"},
}


@pytest.fixture
def pending(environment: Environment) -> Environment:
    """A running environment with changes of several kinds that wait to be deployed."""
    environment.write("compose.yml", {"services": {"web": service(), "old": service(), "paused": service()}})
    environment.deploy()
    environment.container("paused").pause()
    layers = {"services": {"web": service(environment={"NEW": "1"}), "new": service(), "paused": service()}}
    environment.write("compose.yml", layers)
    return environment


def files_below(*folders: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file with its inode, modification time and content."""
    found = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            status = os.lstat(path)
            found[str(path)] = (status.st_ino, status.st_mtime_ns, path.read_bytes() if path.is_file() else b"")
    return found


class Events:
    """What the engine's own event stream tells while it is listened to, of any object."""

    def __init__(self, engine: docker.DockerClient) -> None:
        self.stream = engine.events(decode=True)
        self.seen: list[str] = []
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def _listen(self) -> None:
        for event in self.stream:
            self.seen.append(f"{event['Type']} {event['Action']} {event['Actor']['Attributes'].get('name', '')}")

    def stop(self) -> list[str]:
        self.stream.close()
        self.thread.join()
        return self.seen


@pytest.mark.parametrize("change", CHANGES)
def test_plan_writes_nothing(pending: Environment, engine: docker.DockerClient, change: str) -> None:
    before = files_below(pending.folder, pending.state_dir)
    events = Events(engine)
    try:
        outcome = pending.plan(**CHANGES[change])
    finally:
        seen = events.stop()
    assert not outcome.failed, outcome.message
    of_ours = [event for event in seen if pending.folder.name in event]
    assert of_ours == []
    assert files_below(pending.folder, pending.state_dir) == before


def test_event_stream_would_tell_a_write(pending: Environment, engine: docker.DockerClient) -> None:
    """The proof above is worth something: the same stream tells of a deployment."""
    events = Events(engine)
    pending.deploy()
    assert any(pending.project in event for event in events.stop())


def test_plan_before_the_first_deployment_leaves_no_trace(environment: Environment) -> None:
    environment.write("compose.yml", {"services": {"web": service()}})
    assert environment.plan().actions == {("web", "create")}
    assert not environment.state_dir.exists()
    assert environment.containers() == []


def test_diff_shows_changed_fields_and_reasons_and_no_secret(environment: Environment) -> None:
    variables = {
        "LEVEL": "${LEVEL}",
        "DB_PASSWORD": "${DB_PASSWORD}",
        "DATABASE_URL": "postgres://u:${DB_PASSWORD}@db/x",
    }
    environment.write("compose.yml", {"services": {"web": service(environment=variables), "idle": service()}})
    environment.write(".env.dev", "LEVEL=info\nDB_PASSWORD=first-secret\n")
    environment.deploy()
    environment.write(".env.dev", "LEVEL=debug\nDB_PASSWORD=second-secret\n")
    outcome = environment.adhoc("compose_env", "--check", "--diff")
    assert "-web: environment.LEVEL = info" in outcome.printed
    assert "+web: environment.LEVEL = debug" in outcome.printed
    assert (
        "+# plan: recreate web: environment.DATABASE_URL, environment.DB_PASSWORD, environment.LEVEL changed"
        in outcome.printed
    )
    assert "+web: environment.DB_PASSWORD = sha256:" in outcome.printed
    assert "idle" not in outcome.printed.partition("localhost |")[0]
    assert "first-secret" not in outcome.printed
    assert "second-secret" not in outcome.printed


def test_deployment_shows_the_same_diff_as_its_plan(pending: Environment) -> None:
    planned = pending.adhoc("compose_env", "--check", "--diff").printed.partition("localhost |")[0]
    deployed = pending.adhoc("compose_env", "--diff").printed.partition("localhost |")[0]
    assert "plan: remove old" in planned
    assert planned == deployed


def test_plan_after_a_failed_release_is_what_is_then_done(environment: Environment) -> None:
    """Whether the failed release is tried again, given up, or mended."""

    def layers(command: str, level: str) -> dict[str, object]:
        web = service(command=["sh", "-c", command], environment={"LEVEL": level})
        return {"services": {"web": web, "idle": service(), "job": service(environment={"LEVEL": level})}}

    environment.write("compose.yml", layers("sleep 3600", "1"))
    environment.deploy()
    served = environment.ids()
    environment.write("compose.yml", layers("exit 3", "2"))
    failed = environment.run()
    assert failed.result["state"] == "rolled_back"
    assert environment.plan().actions == {("web", "recreate"), ("job", "recreate")}
    again = environment.run()
    assert again.result["state"] == "rolled_back"
    assert again.actions == {("web", "recreate"), ("job", "recreate")}
    environment.write("compose.yml", layers("sleep 3600", "1"))
    assert environment.plan().actions == environment.deploy().actions == set()
    assert environment.ids()["idle"] == served["idle"]
    environment.write("compose.yml", layers("sleep 3601", "2"))
    planned = environment.plan()
    assert planned.actions == environment.deploy().actions == {("web", "recreate"), ("job", "recreate")}
    assert environment.variable("web", "LEVEL") == "2"
