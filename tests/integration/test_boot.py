"""The program that the role engine installs to settle at boot what a reboot cut off. It runs without systemd here."""

from __future__ import annotations

import getpass
import json
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.integration.conftest import REPOSITORY, Environment, ansible_playbook, service
from tests.integration.test_lock import deploying, wait_for_free_lock
from tests.integration.test_transactions import in_phase, require_consistent, state_of, wait_for


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed program: code of its own in a folder of its own."""
    folder = tmp_path_factory.mktemp("installed")
    variables = {
        "engine_settle_folder": str(folder / "lib"),
        "engine_settle_owner": getpass.getuser(),
        "engine_state_dir": str(folder / "state"),
        "engine_has_systemd": False,
    }
    role = {"name": "strata.compose.engine", "tasks_from": "settle_unit"}
    playbook = folder / "play.yml"
    task = {"name": "Install", "ansible.builtin.include_role": role}
    playbook.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
    for expected in ("changed=3", "changed=0"):
        done = ansible_playbook(playbook, "-e", json.dumps(variables))
        assert done.returncode == 0, done.stdout + done.stderr
        assert expected in done.stdout, done.stdout
    return folder / "lib" / "settle.py"


def settle(program: Path, state_dir: Path) -> subprocess.CompletedProcess[str]:
    """Run it as the unit does: the system's Python, no checkout, no packages."""
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/root"}
    argv = ["/usr/bin/python3", "-s", str(program), str(state_dir)]
    return subprocess.run(argv, capture_output=True, text=True, env=variables, cwd="/", check=False)


def release(name: str, **keys: object) -> dict[str, object]:
    return {"services": {"web": service(environment={"RELEASE": name, "DB_PASSWORD": "very-secret-$$word"}, **keys)}}


def cut_off(environment: Environment, second: dict[str, object], **options: object) -> None:
    """Deploy one release, and have the deployment of the second killed while the gate waits."""
    environment.write("compose.yml", release("one"))
    environment.deploy(**options)
    environment.write("compose.yml", second)
    with deploying(environment, **{"stable_for": 6, **options}) as process:
        wait_for(lambda: in_phase(environment, "gate") and environment.containers("web")[0].status == "running")
        process.send_signal(signal.SIGKILL)
    wait_for_free_lock(environment)
    assert (state_of(environment) / "journal.json").exists()


def test_a_release_that_passes_the_gate_is_made_current(environment: Environment, program: Path) -> None:
    cut_off(environment, release("two"))
    environment.container("web").stop(timeout=1)
    done = settle(program, environment.state_dir)
    assert done.returncode == 0, done.stderr
    assert f"{environment.project}: The switch to release 2 that alice began" in done.stdout
    assert "it is the current release now" in done.stdout
    assert environment.variable("web", "RELEASE") == "two"
    require_consistent(environment)
    last = json.loads((state_of(environment) / "audit.log").read_text().splitlines()[-1])
    assert (last["operation"], last["release"]) == ("settle", 2)
    assert not environment.deploy().changed


@pytest.mark.parametrize("file", ["compose.json", "release.json"])
def test_a_damaged_release_is_told_and_is_not_tried_at_every_boot(
    environment: Environment, program: Path, file: str
) -> None:
    cut_off(environment, release("two"))
    (state_of(environment) / "releases" / "0002" / file).write_text("{}")
    done = settle(program, environment.state_dir)
    assert done.returncode == 0, done.stderr
    assert "release 1 serves again" in done.stdout
    assert f"releases/0002/{file} " in done.stdout
    assert environment.variable("web", "RELEASE") == "one"
    again = settle(program, environment.state_dir)
    assert (again.returncode, again.stdout) == (0, "")
    assert environment.deploy().actions == {("web", "recreate")}


def test_a_release_that_does_not_pass_goes(environment: Environment, program: Path) -> None:
    cut_off(environment, release("two", command=["sh", "-c", "sleep 4; echo $$DB_PASSWORD; exit 5"], init=False))
    done = settle(program, environment.state_dir)
    assert done.returncode == 0, done.stderr
    assert "release 1 serves again" in done.stdout
    assert "very-secret" not in done.stdout + done.stderr
    assert environment.variable("web", "RELEASE") == "one"
    require_consistent(environment)


@pytest.mark.thorough
def test_one_that_cannot_be_settled_does_not_keep_others_from_it(environment: Environment, program: Path) -> None:
    cut_off(environment, release("two"))
    broken = environment.state_dir / "a-broken-one"
    broken.mkdir()
    (broken / "journal.json").write_text('{"phase": "gate"')
    done = settle(program, environment.state_dir)
    assert done.returncode == 1
    assert f"a-broken-one: {broken}/journal.json is no JSON or was cut off" in done.stderr
    assert environment.variable("web", "RELEASE") == "two"
    require_consistent(environment)


@pytest.mark.thorough
def test_one_of_another_engine_is_left_alone(environment: Environment, program: Path) -> None:
    cut_off(environment, release("two"))
    for each in environment.containers():
        each.remove(force=True)
    done = settle(program, environment.state_dir)
    assert done.returncode == 0, done.stderr
    assert "left to the next operation: this engine has no container of it" in done.stdout
    assert environment.containers() == []
    assert (state_of(environment) / "journal.json").exists()


def test_nothing_to_settle(environment: Environment, program: Path) -> None:
    environment.write("compose.yml", release("one"))
    environment.deploy()
    done = settle(program, environment.state_dir)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert settle(program, environment.state_dir / "none").returncode == 2
    assert REPOSITORY not in program.parents
