"""The role backup and the playbooks that back up, verify and restore; the host's own backups, without Ansible."""

from __future__ import annotations

import getpass
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from tests.integration.conftest import ANSIBLE, REPOSITORY, Environment, ansible_environment
from tests.integration.postgres_backups import Postgres


@pytest.fixture(scope="module")
def postgres(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    root = tmp_path_factory.mktemp("pg")
    folder = root / f"t{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    environment = Environment(folder, root / "state", engine)
    found = Postgres(environment)
    try:
        found.begin()
        found.make()
        yield found
    finally:
        environment.clean_up()


def variables_of(postgres: Postgres) -> dict[str, Any]:
    environment = postgres.environment
    return {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "compose_env_project_dir": str(environment.folder),
        "compose_env_environment": environment.name,
        "compose_env_state_dir": str(environment.state_dir),
        "postgres_database": postgres.database,
        "postgres_backup_backup_dir": str(postgres.folder),
        "postgres_restore_backup_dir": str(postgres.folder),
    }


def play(postgres: Postgres, playbook: Path | str, **extra: Any) -> str:
    inventory = postgres.environment.state_dir.with_name("hosts.yml")
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"localhost": variables_of(postgres)}}}))
    argv = [str(ANSIBLE.with_name("ansible-playbook")), "-i", str(inventory), str(playbook), "-e", json.dumps(extra)]
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        env=ansible_environment(),
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_playbooks_back_up_verify_and_restore(postgres: Postgres) -> None:
    before = postgres.checksum()
    assert "changed=2" in play(postgres, "playbooks/backup.yml", backup_verified=True)
    assert "verify     postgres" in play(postgres, "playbooks/verify_backups.yml")
    postgres.sql("DELETE FROM orders")
    consent = {"postgres_restore_replace": True, "postgres_restore_confirm": "dev"}
    told = play(postgres, "playbooks/restore.yml", postgres_restore_backup="latest_verified", **consent)
    assert "restore    postgres" in told
    assert postgres.checksum() == before


def test_host_makes_backups_by_itself(postgres: Postgres, tmp_path: Path) -> None:
    """Where there is no systemd: the line of cron is run as cron would."""
    (tmp_path / "etc" / "cron.d").mkdir(parents=True)
    where = {
        "backup_folder": str(tmp_path / "lib"),
        "backup_etc": str(tmp_path / "etc"),
        "backup_owner": getpass.getuser(),
        "backup_has_systemd": False,
        "backup_schedule": "02:05",
        "backup_scheduled_verify": True,
        "compose_env_actor": "alice",
    }
    role = {"name": "strata.compose.backup"}
    tasks = [{"name": "Back up", "ansible.builtin.include_role": role}]
    playbook = tmp_path / "play.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    play(postgres, playbook, **where)
    assert "changed=1 " in play(postgres, playbook, **where), "only the backup itself is new"
    (line_file,) = (tmp_path / "etc" / "cron.d").iterdir()
    minute, hour, *_days, user, command = line_file.read_text().splitlines()[-1].split(None, 6)
    assert (minute, hour, user) == ("5", "2", "root")
    before = set(postgres.dumps())
    done = subprocess.run(
        ["/bin/sh", "-c", command.replace("> /dev/null", "")],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/root"},
        cwd="/",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (new,) = set(postgres.dumps()) - before
    assert f"backup database shop to {new}" in done.stdout
    manifest = json.loads(new.with_suffix(".json").read_text())
    assert (manifest["actor"], manifest["verified"]) == ("strata-backup", "restore")
    tasks[0]["ansible.builtin.include_role"] = {**role, "tasks_from": "unscheduled"}
    playbook.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    play(postgres, playbook, **where)
    assert list((tmp_path / "etc" / "cron.d").iterdir()) == []


def test_failure_of_the_hosts_own_backup_is_told(postgres: Postgres, tmp_path: Path) -> None:
    options = tmp_path / "options.json"
    given = {"project_dir": str(postgres.environment.folder), "environment": "dev", "database": "nope"}
    options.write_text(json.dumps({**given, "state_dir": str(postgres.environment.state_dir)}))
    program = f"import sys; sys.path.insert(0, {str(REPOSITORY / '.ansible/collections')!r}); " + (
        "from ansible_collections.strata.compose.plugins.module_utils.postgres._scheduled import main; "
        f"sys.exit(main(['backup.py', {str(options)!r}]))"
    )
    done = subprocess.run(["/usr/bin/python3", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "has no database nope" in done.stderr
