"""Two users of one engine, each with a state folder of its own: one lock and one history for a project."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible
import docker
import pytest
from ansible_collections.strata.compose.plugins.module_utils import _lock_place
from ansible_collections.strata.compose.plugins.module_utils._engine_identity import Engine
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

from tests.integration.conftest import REPOSITORY, Environment, Outcome, service
from tests.integration.test_transactions import in_phase, wait_for

PYTHON = "/usr/bin/python3"
"""One that every user may run."""

SOCKET = Path("/var/run/docker.sock")
ALICE, BOB, STRANGER = "games", "news", "mail"
"""Accounts that every Debian has; the first two get the group of the engine's socket for a process."""

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not os.access(PYTHON, os.X_OK), reason=f"needs root, to be several users, and {PYTHON}"
)


@dataclass
class Users:
    """Users of this machine, who can read the collection and the project, and have homes of their own."""

    top: Path
    python_path: Path
    environment: Environment

    def home(self, user: str) -> Path:
        return self.top / "home" / user

    def state(self, user: str) -> Path:
        """The state folder of the project."""
        return self.home(user) / ".local/state/strata" / self.environment.project

    def started(self, user: str, module: str, **options: Any) -> subprocess.Popen[str]:
        """A module in a process of the user's, with the user's own ``state_dir``."""
        own = {} if module in ("compose_env_info", "compose_env_file", "compose_files") else {"actor": user}
        own |= {"environment": None} if module == "compose_files" else {}
        given = self.environment.options(module, {"state_dir": None, **own, **options})
        account = pwd.getpwnam(user)
        argv = [PYTHON, "-m", f"ansible_collections.strata.compose.plugins.modules.{module}"]
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[] if user == STRANGER else [SOCKET.stat().st_gid],
            env={"PATH": os.environ["PATH"], "HOME": str(self.home(user)), "PYTHONPATH": str(self.python_path)},
        )
        assert process.stdin
        process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": given}))
        process.stdin.close()
        return process

    def run(self, user: str, module: str = "compose_env", **options: Any) -> Outcome:
        with self.started(user, module, **options) as process:
            assert process.stdout
            printed = process.stdout.read()
        assert printed.startswith("\n{"), printed
        return Outcome({"failed": False, **json.loads(printed)}, printed)


@pytest.fixture(scope="module")
def python_path() -> Iterator[Path]:
    """What a module imports, in a place that every user can read, wherever the checkout lies."""
    with tempfile.TemporaryDirectory(prefix="strata-python-") as name:
        Path(name).chmod(0o755)
        copy_collection(Path(name))
        yield Path(name)


@pytest.fixture
def users(engine: docker.DockerClient, python_path: Path) -> Iterator[Users]:
    with tempfile.TemporaryDirectory(prefix="strata-users-") as name:
        top = Path(name)
        top.chmod(0o755)
        folder = Path(tempfile.mkdtemp(prefix="shop", dir=top))
        folder.chmod(0o755)
        lowered = folder.with_name(folder.name.lower().replace("_", "x"))
        folder.rename(lowered)
        for user in (ALICE, BOB, STRANGER):
            home = top / "home" / user
            home.mkdir(parents=True)
            os.chown(home, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
            home.chmod(0o700)
        environment = Environment(lowered, top / "state", engine)
        environment.write("compose.yml", {"services": {"web": service(environment={"RELEASE": "1"}), "db": service()}})
        try:
            yield Users(top, python_path, environment)
        finally:
            environment.clean_up()


def copy_collection(target: Path) -> None:
    library = Path(str(ansible.__file__)).parent
    (target / "ansible").mkdir(parents=True)
    for each in ("__init__.py", "release.py"):
        shutil.copy(library / each, target / "ansible" / each)
    for each in ("module_utils", "_vendor"):
        shutil.copytree(library / each, target / "ansible" / each, ignore=shutil.ignore_patterns("*.pyc"))
    plugins = target / "ansible_collections/strata/compose/plugins"
    for each in ("modules", "module_utils"):
        shutil.copytree(REPOSITORY / "plugins" / each, plugins / each, ignore=shutil.ignore_patterns("*.pyc"))


def write_second(environment: Environment) -> None:
    environment.write("compose.yml", {"services": {"web": service(environment={"RELEASE": "2"}), "db": service()}})


def deployed(users: Users, user: str, **options: Any) -> Outcome:
    outcome = users.run(user, **options)
    assert not outcome.failed, outcome.message
    return outcome


@contextmanager
def at_its_gate(users: Users, user: str) -> Iterator[subprocess.Popen[str]]:
    """A deployment that is stopped at its gate meanwhile, and ends afterwards."""
    process = users.started(user, "compose_env", stable_for=2)
    state = Environment(users.environment.folder, users.state(user).parent, users.environment.engine)
    wait_for(lambda: in_phase(state, "gate"))
    process.send_signal(signal.SIGSTOP)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        assert process.stdout
        process.stdout.read()
        process.wait()
        process.stdout.close()


def test_another_user_waits_for_the_one_at_work(users: Users) -> None:
    with at_its_gate(users, ALICE) as process:
        refused = users.run(BOB)
        seen = users.run(BOB, "compose_env_info", gather=["lock"]).result["lock"]
        by_root = users.run("root", state="restarted", adopt_from=str(users.state(ALICE)))
    for each in (refused, by_root):
        assert each.failed
        assert f"is locked: present by {ALICE} (user {ALICE}), since" in each.message
        assert each.result["error_kind"] == "locked"
    assert (seen["held"], seen["alive"], seen["pid"]) == (True, True, process.pid)
    assert not users.run(BOB, "compose_env_info", gather=["lock"]).result["lock"]["held"]


def test_the_lock_is_for_the_group_of_the_socket_alone(users: Users) -> None:
    deployed(users, ALICE)
    path = Path(known(users))
    found = path.stat()
    assert stat.S_IMODE(found.st_mode) == 0o660
    assert found.st_gid == SOCKET.stat().st_gid
    assert path.read_text() == ""


def known(users: Users) -> str:
    identity = str(users.environment.engine.info()["ID"])
    place = _lock_place.place_for(Engine(identity, None), users.environment.project)
    assert place
    return place.path


def test_a_project_of_another_users_history_is_refused_and_left_alone(users: Users) -> None:
    deployed(users, ALICE)
    before = users.environment.ids()
    write_second(users.environment)
    for user, options in ((BOB, {}), (BOB, {"_ansible_check_mode": True}), ("root", {}), (BOB, {"state": "absent"})):
        confirm = {"confirm": "dev"} if options.get("state") else {}
        refused = users.run(user, **options, **confirm)
        assert refused.failed, options
        assert f"was deployed by user {ALICE}, state in {users.state(ALICE)}" in refused.message
        assert f"become_user={ALICE}" in refused.message
        assert refused.result["error_kind"] == "other_history"
    assert users.environment.ids() == before
    services = users.run(BOB, "compose_env_info", gather=["services"])
    assert not services.failed, services.message


WAYS: dict[str, tuple[str, str, dict[str, str]]] = {
    "become_user": (BOB, ALICE, {}),
    "state_dir": (ALICE, ALICE, {"state_dir": "{first}"}),
    "adopt_from": (BOB, BOB, {"adopt_from": "{first}/{project}"}),
}
"""Who is refused, who comes next instead, and with which option."""


@pytest.mark.parametrize("way", WAYS)
def test_each_way_out_that_the_message_names(users: Users, way: str) -> None:
    refused_user, user, options = WAYS[way]
    deployed(users, ALICE)
    write_second(users.environment)
    before = users.environment.ids()
    refused = users.run(refused_user, state_dir=str(users.home(refused_user) / "state"))
    assert way in refused.message
    about = {"first": users.state(ALICE).parent, "project": users.environment.project}
    outcome = deployed(users, user, **{name: value.format(**about) for name, value in options.items()})
    assert users.environment.variable("web", "RELEASE") == "2"
    assert users.environment.ids()["db"] == before["db"], "recreated for nothing"
    assert outcome.result["release"] == (1 if way == "adopt_from" else 2)


def test_a_project_that_was_taken_over_is_refused_to_its_former_user(users: Users) -> None:
    deployed(users, ALICE)
    write_second(users.environment)
    deployed(users, BOB, adopt_from=str(users.state(ALICE)))
    assert not deployed(users, BOB).changed, "the option is needed once"
    refused = users.run(ALICE)
    assert f"was deployed by user {BOB}" in refused.message
    assert users.environment.variable("web", "RELEASE") == "2"


def test_a_history_that_is_gone_is_in_nobodys_way(users: Users) -> None:
    deployed(users, ALICE)
    shutil.rmtree(users.home(ALICE) / ".local")
    outcome = users.run("root")
    assert not outcome.failed, outcome.message


def test_a_user_who_may_not_use_the_engine_is_told_so(users: Users) -> None:
    asked: list[tuple[str, dict[str, Any]]] = [
        ("compose_env", {}),
        ("compose_env", {"_ansible_check_mode": True}),
        ("compose_env_info", {"gather": ["services"]}),
    ]
    for module, options in asked:
        refused = users.run(STRANGER, module, **options)
        assert refused.failed
        assert f"user {STRANGER} may not use the engine at unix:///var/run/docker.sock." in refused.message
        assert "become" in refused.message
        assert f"usermod -aG docker {STRANGER}" in refused.message
    assert not users.environment.containers()


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ("compose_env_file", {"variables": {"PASSWORD": "correct horse"}}),
        ("compose_files", {"src": "/nowhere", "manifest": {}}),
    ],
)
def test_nothing_is_written_for_a_user_who_may_not_use_the_engine(
    users: Users, module: str, options: dict[str, Any]
) -> None:
    account = pwd.getpwnam(STRANGER)
    os.chown(users.environment.folder, account.pw_uid, account.pw_gid)
    before = sorted(users.environment.folder.iterdir())
    refused = users.run(STRANGER, module, **options)
    assert f"user {STRANGER} may not use the engine at unix:///var/run/docker.sock" in refused.message
    assert sorted(users.environment.folder.iterdir()) == before
    assert not (users.home(STRANGER) / ".local").exists()


@pytest.mark.parametrize("kind", ["link", "pipe", "hard link", "folder"])
def test_what_a_stranger_puts_in_the_place_of_the_lock_is_refused(users: Users, kind: str) -> None:
    path, victim = Path(known(users)), users.top / "victim"
    victim.write_text("of root")
    make = {
        "link": lambda: path.symlink_to(victim),
        "pipe": lambda: os.mkfifo(path),
        "hard link": lambda: (shutil.copy(victim, f"{path}.other"), os.link(f"{path}.other", path)),
        "folder": path.mkdir,
    }
    make[kind]()
    try:
        refused = users.run("root")
        assert refused.failed
        assert str(path) in refused.message
        assert "remove" in refused.message.lower()
        for file in filter(Path.exists, (victim, Path(f"{path}.other"))):
            assert file.read_text() == "of root"
        assert not users.environment.containers()
    finally:
        path.rmdir() if kind == "folder" else path.unlink()
        Path(f"{path}.other").unlink(missing_ok=True)
    deployed(users, "root")


def test_a_lock_that_is_closed_to_this_user_is_named(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    place = _lock_place.Place(known(users), None)
    Path(place.path).touch(0o600)
    monkeypatch.setattr(_lock_place, "BEING_MADE", 0.1)
    os.seteuid(pwd.getpwnam(STRANGER).pw_uid)
    try:
        with pytest.raises(ComposeFailure, match=f"{place.path}, which user 0 has made, cannot be opened"):
            _lock_place.opened(place)
    finally:
        os.seteuid(0)
        Path(place.path).unlink()


OTHERS = {
    "compose_init": {"steps": [{"name": "look", "service": "db", "command": ["true"]}]},
    "postgres_env": {"service": "db", "database": "shop", "wait_timeout": 1},
    "postgres_backup": {"service": "db", "database": "shop"},
    "postgres_restore": {"service": "db", "database": "shop", "confirm": "dev"},
    "postgres_migrate": {"service": "db", "database": "shop"},
}
"""What changes a project, beside compose_env; none of it can succeed here without a database."""


def test_every_module_refuses_the_history_of_another_user(users: Users) -> None:
    users.environment.write("migrations/1_first.sql", "SELECT 1;")
    deployed(users, ALICE)
    for module, options in OTHERS.items():
        refused = users.run("root", module, **options)
        assert refused.result.get("error_kind") == "other_history", (module, refused.message)
        accepted = users.run(
            "root", module, adopt_from=str(users.state(ALICE).parent), _ansible_check_mode=True, **options
        )
        assert "was deployed by" not in accepted.message, module
