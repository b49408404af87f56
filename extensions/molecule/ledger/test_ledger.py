"""The ledger: deployed from nothing, migrated, backed up, broken and restored, cloned, and removed."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

SCENARIO = Path(__file__).parent
REPOSITORY = SCENARIO.parents[2]
LEDGER = REPOSITORY / "examples" / "ledger"
INVENTORIES = (SCENARIO / "inventory", REPOSITORY / ".cache" / "lab" / "molecule" / "hosts.yml")
PORTS = {"staging": 8201, "production": 8202}
BACKUPS = "/var/backups/strata/ledger-production"
SCHEDULED = "state=scheduled schedule=02:05 schedule_verify=true"
NEW_MIGRATION = """\
-- migrate:up
ALTER TABLE entries ADD COLUMN checked boolean NOT NULL DEFAULT false;
-- migrate:down
ALTER TABLE entries DROP COLUMN checked;
"""


class Ledger:
    """One environment of the ledger."""

    def __init__(self, environment: str, host: Any) -> None:
        self.environment, self.host, self.port = environment, host, PORTS[environment]

    def play(self, playbook: str, *arguments: str, **variables: Any) -> str:
        return play(playbook, "-l", self.environment, *arguments, **variables)

    def book(self, memo: str, amount: str = "12.50") -> None:
        entry = {"debit": "cash", "credit": "sales", "amount": amount, "memo": memo}
        assert self.host.post(self.port, "/entries", entry)["id"]

    def memos(self) -> list[str]:
        return [each["memo"] for each in json.loads(self.host.get(self.port, "/entries"))]

    def sql(self, text: str) -> str:
        container = self.host.containers(f"ledger-{self.environment}-postgres")["postgres"]
        code, output = container.exec_run(["psql", "-U", "postgres", "-d", "ledger", "-XAtc", text])
        assert code == 0, output
        return str(output.decode().strip())

    def backups(self) -> set[str]:
        return set(self.host.shell(f"mkdir -p {BACKUPS} && find {BACKUPS} -name '*.dump'").split())


def play(playbook: str, *arguments: str, code: int = 0, **variables: Any) -> str:
    """What a playbook prints."""
    return ansible("ansible-playbook", f"playbooks/{playbook}.yml", *arguments, "-e", json.dumps(variables), code=code)


def module(ledger: Ledger, arguments: str) -> str:
    """What postgres_backup tells, ad hoc."""
    return ansible("ansible", ledger.environment, "-b", "-m", "strata.compose.postgres_backup", "-a", arguments)


def ansible(command: str, *arguments: str, code: int = 0) -> str:
    inventories = [word for path in INVENTORIES for word in ("-i", str(path))]
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORCE_COLOR": "0",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    argv = [command, *inventories, *arguments]
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    done = subprocess.run(argv, cwd=REPOSITORY, env=environment, check=False, **streams)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def staging(fleet: list[Any]) -> Iterator[Ledger]:
    yield from removed_afterwards(Ledger("staging", fleet[0]))


@pytest.fixture(scope="module")
def production(fleet: list[Any]) -> Iterator[Ledger]:
    yield from removed_afterwards(Ledger("production", fleet[1]))


def removed_afterwards(ledger: Ledger) -> Iterator[Ledger]:
    """Further scenarios have the hosts without it; no trace of it but its backups is left."""
    yield ledger
    ledger.play("remove", compose_env_confirm=ledger.environment)
    labelled = ledger.host.engine.containers.list(all=True)
    assert not [each.name for each in labelled if each.name.startswith("ledger")]
    volumes = ledger.host.engine.volumes.list()
    assert not [each.name for each in volumes if each.name.startswith("ledger")]
    assert ledger.host.shell("ls -d /opt/ledger /var/lib/strata/ledger* 2>/dev/null || true") == ""


def test_ledger_serves_with_its_own_database(staging: Ledger, production: Ledger) -> None:
    for each in (staging, production):
        assert json.loads(each.host.get(each.port, "/health")) == {"status": "ok", "database": "ok"}
        assert set(json.loads(each.host.get(each.port, "/balances"))) == {"bank", "cash", "equipment", "rent", "sales"}
        assert each.sql("SELECT string_agg(version, ' ' ORDER BY version) FROM schema_migrations") == "001 002 003"
    assert connection(staging) != connection(production)


def test_generated_password_is_in_no_file_that_others_can_read(staging: Ledger) -> None:
    password = connection(staging).partition("://ledger:")[2].partition("@")[0]
    assert len(password) == 32
    found = staging.host.shell(
        f"grep -rlF {password} /opt /etc /root /home /var/lib/strata /var/backups 2>/dev/null || true"
    )
    modes = staging.host.shell(f"stat --format %a {found.replace(chr(10), ' ')}").split()
    assert set(modes) == {"600"}
    assert ".env.staging" in found


def test_application_is_no_superuser(staging: Ledger) -> None:
    query = "SELECT bool_or(rolsuper OR rolcreatedb OR rolcreaterole) FROM pg_roles WHERE rolname LIKE 'ledger%'"
    assert staging.sql(query) == "f"


def test_production_is_backed_up_before_a_migration(production: Ledger, tmp_path: Path) -> None:
    production.book("before the migration")
    before = production.backups()
    source = tmp_path / "ledger"
    shutil.copytree(LEDGER, source)
    (source / "migrations" / "004_check_entries.sql").write_text(NEW_MIGRATION)
    planned = production.play("plan", deploy_source=str(source))
    assert "004_check_entries.sql" in planned
    assert production.backups() == before
    printed = production.play("deploy", deploy_source=str(source))
    assert "004_check_entries.sql" in printed
    (new,) = production.backups() - before
    manifest = json.loads(production.host.shell(f"cat {new.replace('.dump', '.json')}"))
    assert manifest["migrations"] == {"public.schema_migrations": "003"}
    assert production.sql("SELECT count(*) FROM entries WHERE NOT checked") == "1"
    printed = production.play("migrate_down", postgres_migrate_confirm="production")
    assert "004_check_entries.sql" in printed
    assert production.sql("SELECT max(version) FROM schema_migrations") == "003"


def test_broken_database_is_restored(production: Ledger) -> None:
    production.book("must not be lost")
    printed = production.play("backup", backup_verified=True, backup_schedule="")
    assert "backup" in printed
    production.sql("DROP VIEW balances; DROP TABLE entries")
    assert status(production) == 503
    refused = production.play("restore", code=2)
    assert "confirm=production" in refused
    production.play(
        "restore",
        postgres_restore_backup="latest_verified",
        postgres_restore_replace=True,
        postgres_restore_confirm="production",
    )
    assert "must not be lost" in production.memos()
    assert status(production) == 200


def test_host_makes_backups_by_itself(production: Ledger) -> None:
    """There is no systemd: the line of cron is run as cron would, without Ansible."""
    production.host.shell("mkdir -p /etc/cron.d")
    assert "action: schedule" in module(production, SCHEDULED)
    assert "changed: false" in module(production, SCHEDULED)
    line = production.host.shell("cat /etc/cron.d/strata-backup-ledger-production-*").splitlines()[-1]
    minute, hour, *_days, user, command = line.split(None, 6)
    assert (minute, hour, user) == ("5", "2", "root")
    before = production.backups()
    production.host.shell(
        f"cd / && env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/root /bin/sh -c {shlex.quote(command)}"
    )
    (new,) = production.backups() - before
    manifest = json.loads(production.host.shell(f"cat {new.replace('.dump', '.json')}"))
    assert (manifest["actor"], manifest["verified"]) == ("strata-backup", "restore")
    assert "changed: true" in module(production, "state=unscheduled")
    left = production.host.shell(
        "ls -d /etc/cron.d/strata* /etc/strata/* /usr/local/lib/strata-backup 2>/dev/null || true"
    )
    assert left == ""
    assert "changed: true" in module(production, SCHEDULED)
    production.host.shell("rm -r /usr/local/lib/strata-backup")
    assert "changed: true" in module(production, "state=unscheduled"), "also when its code was removed by hand"


def test_clone_brings_data_without_what_is_personal(staging: Ledger, production: Ledger) -> None:
    production.book("for Mr X", "77.77")
    play("clone", clone_from="production", clone_into="staging")
    assert set(staging.memos()) == {""}
    assert "77.77" in staging.host.get(staging.port, "/entries")
    assert "for Mr X" in production.memos()
    for host in (staging.host, production.host):
        assert host.shell("ls -d /tmp/*strata-clone-* 2>/dev/null || true") == ""
    refused = play("clone", code=2, clone_from="staging", clone_into="production")
    assert "none of prod, production" in refused
    assert "for Mr X" in production.memos()


def test_psql_is_told_as_a_command_for_the_controller(staging: Ledger) -> None:
    printed = " ".join(staging.play("psql").split())
    assert "ssh -t" in printed
    assert f"{staging.host.address} " in printed
    assert "docker exec --interactive --tty ledger-staging-postgres-postgres-1" in printed


def connection(ledger: Ledger) -> str:
    return str(ledger.host.shell(f"grep ^DATABASE_URL= /opt/ledger/.env.{ledger.environment}"))


def status(ledger: Ledger) -> int:
    """The HTTP status of its health."""
    try:
        ledger.host.get(ledger.port, "/health")
    except HTTPError as error:
        return error.code
    return 200
