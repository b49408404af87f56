"""The role backup and the playbooks that back up, verify and restore; the host's own backups, without Ansible."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from tests.integration.conftest import REPOSITORY, Environment, ansible_playbook
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
    done = ansible_playbook("-i", inventory, playbook, "-e", json.dumps(extra))
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


def test_schedule_is_foreseen_and_not_made_in_check_mode(postgres: Postgres) -> None:
    """What it makes on a host is tested on one, in extensions/molecule/ledger."""
    Path("/etc/cron.d").mkdir(exist_ok=True)
    given = {"state": "scheduled", "schedule_verify": True}
    foreseen = postgres.run("postgres_backup", "check", schedule="02:05", **given)
    assert foreseen.changed, foreseen.message
    assert foreseen.result["release"] is None
    assert "every day at 02:05" in foreseen.result["actions"][0]["reason"]
    assert not Path("/usr/local/lib/strata-backup").exists()
    for wrong in ("24:00", "2:5", "nightly", None):
        outcome = postgres.run("postgres_backup", schedule=wrong, **given)
        assert "is no time of day" in outcome.message
    # Where the engine is gone, the backups can be stopped all the same.
    unscheduled = postgres.run("postgres_backup", state="unscheduled", docker_host="unix:///nowhere")
    assert not unscheduled.failed, unscheduled.message
    assert not unscheduled.changed


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
