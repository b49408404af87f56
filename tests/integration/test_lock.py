"""Who holds a project's lock, told without taking it; and the playbook unlock, with real processes."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.conftest import REPOSITORY, Environment, ansible_playbook, service
from tests.integration.test_transactions import in_phase, lock_held, require_consistent, state_of, wait_for

SLOW_STOP = {
    "command": ["sh", "-c", "trap 'echo told to stop' TERM; while :; do sleep 1; done"],
    "stop_grace_period": "300s",
    "init": False,
}


def lock_of(environment: Environment) -> dict[str, Any]:
    outcome = environment.run("compose_env_info", gather=["lock"])
    assert not outcome.failed, outcome.message
    assert not outcome.changed
    found: dict[str, Any] = outcome.result["lock"]
    return found


@contextmanager
def deploying(environment: Environment, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A deployment by a process of its own, which is the one that holds the lock; it has ended afterwards."""
    told = environment.options("compose_env", {"actor": "alice", **options})
    argv = [sys.executable, "-m", "ansible_collections.strata.compose.plugins.modules.compose_env"]
    variables = {**os.environ, "PYTHONPATH": str(REPOSITORY / ".ansible/collections")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen(argv, **pipes, text=True, env=variables, start_new_session=True)
    assert process.stdin
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": told}))
    process.stdin.close()
    try:
        yield process
    finally:
        process.wait(60)
        assert process.stdout
        process.stdout.close()


def wait_for_free_lock(environment: Environment) -> None:
    """Until nobody holds the lock: a CLI that outlives its killed module does so for a moment."""

    def free() -> bool:
        with (state_of(environment) / "lock").open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    wait_for(free)


@contextmanager
def halted(process: subprocess.Popen[str], environment: Environment) -> Iterator[None]:
    """The deployment does not go on from its gate meanwhile, however long the test takes."""
    wait_for(lambda: in_phase(environment, "gate"))
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def unlock(environment: Environment, *flags: str) -> tuple[int, str]:
    """The playbook, as an operator runs it; its code and what it printed."""
    own = {"project_dir": str(environment.folder), "environment": environment.name}
    told = {**own, "state_dir": str(environment.state_dir), **environment.variables}
    variables = {"ansible_connection": "local", **{f"compose_env_{name}": value for name, value in told.items()}}
    inventory = environment.state_dir.with_name("hosts.yml")
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"localhost": variables}}}))
    done = ansible_playbook("-i", inventory, "playbooks/unlock.yml", *flags)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def serving(environment: Environment) -> Environment:
    """Release 1 serves, and takes its time to stop."""
    environment.write("compose.yml", {"services": {"web": service(environment={"RELEASE": "one"}, **SLOW_STOP)}})
    environment.deploy()
    return environment


def write_second_release(environment: Environment) -> None:
    web = service(environment={"RELEASE": "two"})
    environment.write("compose.yml", {"services": {"web": web}})


def test_a_lock_that_nobody_holds(serving: Environment) -> None:
    nobody = {"operation": None, "actor": None, "started": None, "pid": None}
    assert lock_of(serving) == {"held": False, "alive": False, "holders": [], "journal": None, **nobody}
    code, printed = unlock(serving)
    assert code == 0, printed
    assert "is not locked: there is nothing to unlock" in printed
    assert "changed=0" in printed


def test_a_lock_before_the_first_deployment(environment: Environment) -> None:
    environment.write("compose.yml", {"services": {"web": service()}})
    assert not lock_of(environment)["held"]
    assert not environment.state_dir.exists(), "telling made something"


def test_a_lock_whose_owner_is_at_work(environment: Environment) -> None:
    environment.write("compose.yml", {"services": {"web": service()}})
    environment.deploy()
    write_second_release(environment)
    with deploying(environment, stable_for=3) as process, halted(process, environment):
        lock = lock_of(environment)
        assert lock["held"]
        assert lock["alive"]
        assert (lock["pid"], lock["operation"], lock["actor"]) == (process.pid, "present", "alice")
        assert process.pid in [each["pid"] for each in lock["holders"]]
        assert {key: lock["journal"][key] for key in ("phase", "to", "back")} == {"phase": "gate", "to": 2, "back": 1}
        code, printed = unlock(environment)
        assert code != 0
        assert f"present by alice, since {lock['started']}, process {process.pid}" in printed
        assert process.poll() is None, "it ended what is at work"
    require_consistent(environment)


def test_telling_does_not_take_the_lock(environment: Environment) -> None:
    """Operations that do not wait go on while others look, over and over."""
    environment.write("compose.yml", {"services": {"web": service()}})
    environment.deploy()
    looking = "import sys\nfrom ansible_collections.strata.compose.plugins.module_utils._lock_state import lock_told\n"
    looking += "while True: lock_told(sys.argv[1])\n"
    variables = {**os.environ, "PYTHONPATH": str(REPOSITORY / ".ansible/collections")}
    with subprocess.Popen([sys.executable, "-c", looking, str(state_of(environment))], env=variables) as looker:
        try:
            assert all(not environment.run(lock_wait=0).failed for _each in range(5))
        finally:
            looker.kill()


def test_a_lock_whose_owner_died_and_left_a_cli_at_work(serving: Environment) -> None:
    write_second_release(serving)
    with deploying(serving) as process:
        wait_for(lambda: in_phase(serving, "switch"))
        # The CLI has nothing to write from then on: it would not outlive a pipe that nobody reads.
        wait_for(lambda: any(b"told to stop" in each.logs() for each in serving.containers("web")))
        process.send_signal(signal.SIGKILL)
        process.wait()
    lock = lock_of(serving)
    assert (lock["held"], lock["alive"], lock["pid"]) == (True, False, process.pid)
    assert all("compose" in each["command"] for each in lock["holders"])
    assert "is locked" in serving.run().message

    code, printed = unlock(serving, "--check")
    assert code == 0, printed
    assert "would end process" in printed
    assert lock_of(serving)["held"]

    code, printed = unlock(serving)
    assert code == 0, printed
    assert f"process {process.pid}" in printed
    for each in lock["holders"]:
        assert f"ended process {each['pid']}" in printed
    assert "The switch to release 2 that alice began" in printed
    assert "settles it" in printed
    after = lock_of(serving)
    assert not after["held"]
    assert after["journal"]["to"] == 2
    code, printed = unlock(serving)
    assert "there is nothing to unlock" in printed
    assert "settles it" in printed

    assert "settled" in serving.deploy(timeout=1).result
    assert serving.variable("web", "RELEASE") == "two"
    require_consistent(serving)


def test_an_engine_that_does_not_answer_does_not_hide_the_owner(serving: Environment) -> None:
    assert serving.run("compose_env_info", gather=["services"], docker_host="unix:///nowhere.sock").failed
    assert not serving.run("compose_env_info", gather=["lock"], docker_host="unix:///nowhere.sock").failed


def test_lock_file_that_was_removed_excludes_nobody(environment: Environment) -> None:
    """Who waited for it takes the one that is there afterwards, as everybody else will."""
    environment.write("compose.yml", {"services": {"web": service()}})
    environment.deploy()
    path = state_of(environment) / "lock"
    environment.write("compose.yml", {"services": {"web": service(environment={"RELEASE": "after"})}})
    with ExitStack() as stack:
        with lock_held(environment):
            process = stack.enter_context(deploying(environment, lock_wait=60, stable_for=20))
            wait_for(lambda: any(os.path.samestat(each, path.stat()) for each in open_files(process.pid)))
            shutil.rmtree(state_of(environment))
        wait_for(lambda: in_phase(environment, "gate"))
        assert json.loads(path.read_text())["pid"] == process.pid
        assert environment.run().result["error_kind"] == "locked"
        process.send_signal(signal.SIGTERM)


def open_files(pid: int) -> list[os.stat_result]:
    """The files that a process has open."""
    found = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(each.stat())
    return found
