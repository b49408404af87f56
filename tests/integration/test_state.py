"""Every file of the state folder damaged in every way, under every operation: reported, not believed, and a way out."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from ansible_collections.strata.compose.plugins.module_utils import _records

from tests.integration.conftest import IMAGE, Environment, Outcome, service

OTHER_USER = 1234


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def garbage(path: Path) -> None:
    path.write_bytes(b"\x00\xff{]" * 20)


def bare(path: Path) -> None:
    path.write_text("{}")


def other_type(path: Path) -> None:
    path.write_text("[1]")


def unknown_field(path: Path) -> None:
    try:
        record = json.loads(path.read_text())
    except ValueError:
        path.write_text(path.read_text() + "LATER='1'\n")
        return
    path.write_text(json.dumps({**record, "later": 1}) if isinstance(record, dict) else "1.5")


def newer(path: Path) -> None:
    path.write_text('{"format": 99, "digest": "0", "later": 1}')


def other_owner(path: Path) -> None:
    os.chown(path, OTHER_USER, OTHER_USER)


def gone(path: Path) -> None:
    path.unlink()


DAMAGES: dict[str, Callable[[Path], None]] = {
    each.__name__: each
    for each in (emptied, cut, garbage, bare, other_type, unknown_field, newer, other_owner, gone)
    if each is not other_owner or os.geteuid() == 0
}
UNCHANGED = "the last result"
"""Beside the project's folder: what the last deployment that had nothing to do has kept."""
FILES = (
    UNCHANGED,
    "engine.json",
    "current",
    "owner.json",
    "init.json",
    "secrets.json",
    "journal.json",
    "lock",
    "audit.log",
    "releases/0001/release.json",
    "releases/0001/compose.json",
    "releases/0001/env",
    "releases/0001/init.json",
    "releases/0002/release.json",
    "releases/0002/compose.json",
    "releases/0002/env",
    "releases/0002/init.json",
)
INFO = ("services", "processes", "logs", "config", "images", "variables", "releases", "drift", "lock")
OPERATIONS: dict[str, dict[str, Any]] = {
    "present": {},
    "check": {"_ansible_check_mode": True, "_ansible_diff": True},
    **{name: {"state": name} for name in ("started", "stopped", "restarted", "rolled_back", "absent")},
    "init": {"module": "compose_init"},
    "exec": {"module": "compose_exec", "service": "web", "argv": ["true"]},
}


@dataclass
class Deployed:
    """An environment with two releases and an init step, and what its state folder held then."""

    environment: Environment
    kept: Path
    ids: dict[str, list[str]]

    @property
    def state(self) -> Path:
        return self.environment.state_dir / self.environment.project

    def restore(self) -> None:
        """Have the state folder and the environment as they were deployed."""
        shutil.rmtree(self.state)
        shutil.copytree(self.kept, self.state)
        resting = [each for each in self.environment.containers() if each.status != "running"]
        if resting or self.environment.ids() != self.ids:
            self.environment.deploy()
            shutil.rmtree(self.kept)
            shutil.copytree(self.state, self.kept)
            self.ids = self.environment.ids()

    def runs(self) -> int:
        """How often the migration ran."""
        log = self.environment.folder / "runs" / "log"
        return len(log.read_text().split())

    def operate(self, name: str) -> Outcome:
        options = dict(OPERATIONS[name])
        return self.environment.run(options.pop("module", "compose_env"), **options)


def write_layers(environment: Environment, level: str) -> None:
    step = {"image": IMAGE, "command": ["sh", "-c", "echo ran >> /runs/log"], "profiles": ["init"]}
    services = {
        "web": service(environment={"LEVEL": level}, secrets=["token"]),
        "worker": service(),
        "migrate": {**step, "volumes": ["./runs:/runs"]},
    }
    secrets = {"token": {"environment": "TOKEN"}}
    environment.write("compose.yml", {"services": services, "secrets": secrets})


@pytest.fixture(scope="module")
def deployed(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("state") / f"t{os.urandom(4).hex()}"
    (folder / "runs").mkdir(parents=True)
    environment = Environment(folder, folder.parent / "state", engine)
    environment.write(".env.dev", "TOKEN=made-up-token\n")
    try:
        for level in ("one", "two"):
            write_layers(environment, level)
            outcome = environment.run("compose_init")
            assert not outcome.failed, outcome.message
            environment.deploy()
        found = Deployed(environment, folder.parent / "kept", environment.ids())
        (found.state / "secrets.json").write_text('{"postgres": {"db": {"shop": "made-up-password"}}}')
        environment.deploy()
        shutil.copytree(found.state, found.kept)
        yield found
    finally:
        environment.clean_up()


def write_journal(state: Path) -> None:
    """That of a switch which was cut off before it touched a container."""
    journal = {"phase": "prepare", "to": 2, "back": 1, "started": "2026-11-27T09:00:00Z", "actor": "bob"}
    (state / "journal.json").write_text(json.dumps(journal))


def damage(deployed: Deployed, file: str, how: str) -> None:
    path = deployed.state / file
    if file == UNCHANGED:
        deployed.environment.deploy()
        (path,) = (deployed.environment.state_dir / ".unchanged").iterdir()
    if file == "journal.json":
        write_journal(deployed.state)
    DAMAGES[how](path)


def require_plain(outcome: Outcome) -> None:
    """No traceback, and no failure that nobody foresaw."""
    told = json.dumps(outcome.result)
    for sign in ("itself failed", "Traceback", "made-up"):
        assert sign not in told + outcome.printed, told


def require_kept(deployed: Deployed, name: str, before: int) -> None:
    """What is not meant by the operation stays as it was: no container is lost, replaced or deployed from a lie."""
    environment = deployed.environment
    assert deployed.runs() == before, "the migration ran again"
    if name == "absent":
        assert environment.ids() == {}
        return
    assert {name: len(ids) for name, ids in environment.ids().items()} == {"web": 1, "worker": 1}
    if name != "rolled_back":
        assert environment.variable("web", "LEVEL") == "two"
        assert environment.ids() == deployed.ids


def find_way_out(deployed: Deployed, outcome: Outcome) -> None:
    """Do what the message of a failure says, after which the environment is deployed as ever."""
    environment = deployed.environment
    if "update the collection" in outcome.message:
        return
    if "state=assume" in outcome.message:
        assumed = environment.run("compose_init", state="assume", confirm="dev")
        assert not assumed.failed, assumed.message
    present = environment.run()
    assert not present.failed, present.message
    assert not environment.run().changed
    assert environment.variable("web", "LEVEL") == "two"


def try_cell(deployed: Deployed, file: str, how: str, name: str) -> None:
    deployed.restore()
    before = deployed.runs()
    damage(deployed, file, how)
    outcome = deployed.operate(name)
    require_plain(outcome)
    if name in ("stopped", "absent"):
        assert not outcome.failed, outcome.message
    require_kept(deployed, name if not outcome.failed else "failed", before)
    if outcome.failed:
        find_way_out(deployed, outcome)
        assert deployed.runs() == before


SAMPLE = [
    (UNCHANGED, "cut", "present"),
    (UNCHANGED, "unknown_field", "present"),
    (UNCHANGED, "newer", "restarted"),
    ("engine.json", "unknown_field", "present"),
    ("engine.json", "garbage", "stopped"),
    ("current", "emptied", "present"),
    ("current", "gone", "rolled_back"),
    ("init.json", "gone", "init"),
    ("init.json", "cut", "init"),
    ("init.json", "newer", "init"),
    ("journal.json", "cut", "present"),
    ("journal.json", "newer", "stopped"),
    ("owner.json", "other_type", "restarted"),
    ("releases/0001/release.json", "garbage", "rolled_back"),
    ("releases/0002/compose.json", "bare", "present"),
    ("releases/0002/compose.json", "gone", "restarted"),
    ("releases/0002/env", "cut", "present"),
    ("releases/0002/release.json", "cut", "present"),
    ("releases/0002/release.json", "newer", "restarted"),
    ("releases/0002/release.json", "gone", "absent"),
    ("releases/0002/release.json", "unknown_field", "stopped"),
    ("secrets.json", "cut", "exec"),
]


@pytest.mark.parametrize(("file", "how", "name"), SAMPLE)
def test_what_does_not_prove_itself_is_not_believed(deployed: Deployed, file: str, how: str, name: str) -> None:
    try_cell(deployed, file, how, name)


@pytest.mark.thorough
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_every_file_damaged_in_every_way_under_every_operation(
    deployed: Deployed, file: str, how: str, name: str
) -> None:
    try_cell(deployed, file, how, name)


@pytest.mark.thorough
@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_every_information_is_told_of_a_damaged_folder(deployed: Deployed, file: str, how: str) -> None:
    deployed.restore()
    damage(deployed, file, how)
    for each in INFO:
        outcome = deployed.environment.run("compose_env_info", gather=[each])
        require_plain(outcome)
        assert not outcome.failed or (each == "drift" and "state=present" in outcome.message), outcome.message


def unsealed(state: Path) -> None:
    """The records as the version before wrote them: without format and digest, and the number as a bare one."""
    for path in state.rglob("*.json"):
        record = json.loads(path.read_text())
        for key in ("format", "digest", "contents", "committed", "retired"):
            record.pop(key, None)
        path.write_text(json.dumps(record, indent=1))
    number = json.loads((state / "current").read_text())["release"]
    (state / "current").write_text(f"{number}\n")


def test_state_of_the_version_before_is_taken_over(deployed: Deployed) -> None:
    deployed.restore()
    unsealed(deployed.state)
    outcome = deployed.environment.deploy()
    assert not outcome.changed
    assert "warnings" not in outcome.result
    assert deployed.environment.ids() == deployed.ids
    for path in deployed.state.rglob("*.json"):
        assert path.name == "compose.json" or "digest" in json.loads(path.read_text()), path
    assert json.loads((deployed.state / "current").read_text())["release"] == 2
    assert not deployed.environment.run("compose_init").changed
    assert deployed.environment.deploy(state="rolled_back").result["release"] == 1
    deployed.environment.deploy()


def test_bad_release_goes_back_also_when_the_current_one_has_no_number(deployed: Deployed) -> None:
    deployed.restore()
    emptied(deployed.state / "current")
    failed = deployed.environment.run(gate_command=["false"], wait_timeout=5, stable_for=0)
    assert failed.failed
    assert deployed.environment.ids() == deployed.ids


def cut_off(state: Path, phase: str, **journal: Any) -> None:
    """A switch from release 1 to 2 that was killed, as a journal that proves itself tells it."""
    (state / "current").write_text(_records.sealed({"release": 1, "commits": 1, "has_ledger": True}))
    told = {"phase": phase, "to": 2, "back": 1, "started": "2026-11-27T09:00:00Z", "actor": "bob", **journal}
    (state / "journal.json").write_text(_records.sealed({"services": ["web"], **told}))


CUT_OFF = [
    ("switch", ["0002/compose.json"]),
    ("gate", ["0002/release.json"]),
    ("gate", ["0001/release.json"]),
    ("gate", ["0001/compose.json", "0002/env"]),
    ("roll back", ["0001/compose.json"]),
    ("roll back", ["0001/release.json", "0002/release.json"]),
    ("degraded", ["0001/compose.json", "0002/compose.json"]),
]


@pytest.mark.parametrize(("phase", "damaged"), [CUT_OFF[0], CUT_OFF[3], CUT_OFF[5]])
def test_journal_that_leads_to_a_damaged_release_stops_no_deployment(
    deployed: Deployed, phase: str, damaged: list[str]
) -> None:
    try_journal(deployed, phase, damaged, "cut", "present")


@pytest.mark.thorough
@pytest.mark.parametrize("how", ["cut", "newer"])
@pytest.mark.parametrize(("phase", "damaged"), CUT_OFF)
@pytest.mark.parametrize("name", ["present", "stopped", "restarted", "started"])
def test_journal_that_leads_to_a_damaged_release_stops_nothing(
    deployed: Deployed, phase: str, damaged: list[str], how: str, name: str
) -> None:
    try_journal(deployed, phase, damaged, how, name)


def try_journal(deployed: Deployed, phase: str, damaged: list[str], how: str, name: str) -> None:
    deployed.restore()
    before = deployed.runs()
    cut_off(deployed.state, phase)
    for file in damaged:
        DAMAGES[how](deployed.state / "releases" / file)
    outcome = deployed.operate(name)
    require_plain(outcome)
    assert not outcome.failed, outcome.message
    # Who stops an environment needs no release, and reads none.
    assert name == "stopped" or damaged[0] in json.dumps(outcome.result), "it is told"
    present = deployed.environment.run()
    assert not present.failed, present.message
    assert deployed.environment.variable("web", "LEVEL") == "two"
    assert not (deployed.state / "journal.json").exists()
    assert not deployed.environment.run().changed
    assert deployed.runs() == before


@pytest.mark.parametrize("file", ["compose.json", "env", "release.json"])
def test_equal_input_changes_only_the_record_of_a_damaged_release(deployed: Deployed, file: str) -> None:
    """Also of a service with an environment secret, of which Compose's own hash tells nothing; a new secret is one."""
    deployed.restore()
    emptied(deployed.state / "releases" / "0002" / file)
    outcome = deployed.environment.run()
    assert not outcome.failed, outcome.message
    assert (outcome.changed, outcome.result["actions"]) == (False, [])
    assert f"0002/{file} " in str(outcome.result["warnings"])
    assert deployed.environment.ids() == deployed.ids
    again = deployed.environment.deploy()
    assert (again.changed, "warnings" in again.result) == (False, False)
    number = again.result["release"]
    emptied(deployed.state / "releases" / f"{number:04d}" / file)
    deployed.environment.write(".env.dev", "TOKEN=made-up-token-2\n")
    try:
        assert deployed.environment.run().actions == {("web", "recreate")}
    finally:
        deployed.environment.write(".env.dev", "TOKEN=made-up-token\n")
        deployed.environment.deploy()


def test_lost_ledger_stops_a_deployment_until_it_is_said_what_to_make_of_it(deployed: Deployed) -> None:
    deployed.restore()
    environment, before = deployed.environment, deployed.runs()
    gone(deployed.state / "init.json")
    write_layers(environment, "three")
    try:
        stopped = environment.run()
        assert stopped.result["error_kind"] == "damaged_state"
        assert "init.json is missing" in stopped.message
        assert environment.ids() == deployed.ids
        unconfirmed = environment.run("compose_init", state="assume")
        assert "confirm=dev" in unconfirmed.message
        foreseen = environment.run("compose_init", "--check", state="assume", confirm="dev")
        assert foreseen.actions == {("migrate", "assume")}
        assert environment.run().failed
        assumed = environment.run("compose_init", state="assume", confirm="dev")
        assert assumed.actions == {("migrate", "assume")}, assumed.message
        assert [each["outcome"] for each in assumed.result["steps"]] == ["assumed"]
        assert not environment.run("compose_init").changed
        assert environment.deploy().actions == {("web", "recreate")}
        assert deployed.runs() == before
        gone(deployed.state / "init.json")
        assert environment.run("compose_init").failed
        assert environment.run("compose_init", run="always").actions == {("migrate", "init")}
        assert deployed.runs() == before + 1
        assert not environment.run("compose_init").changed
    finally:
        write_layers(environment, "two")
        environment.deploy()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
@pytest.mark.parametrize("which", ["state_dir", "project"])
@pytest.mark.parametrize("name", ["present", "absent", "exec", "init"])
def test_folder_of_another_user_is_refused(deployed: Deployed, which: str, name: str) -> None:
    deployed.restore()
    folder = deployed.state if which == "project" else deployed.environment.state_dir
    os.chown(folder, OTHER_USER, -1)
    try:
        outcome = deployed.operate(name)
        assert outcome.result["error_kind"] == "unsafe_state"
        assert f"{folder} belongs to user {OTHER_USER}" in outcome.message
        assert deployed.environment.ids() == deployed.ids
        os.chown(folder, 0, -1)
        folder.chmod(0o777)
        assert "can be written by everybody" in deployed.operate(name).message
    finally:
        os.chown(folder, 0, -1)
        folder.chmod(0o700)
    assert not deployed.operate("present").failed
