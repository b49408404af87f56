"""postgres_env with a Postgres of the environment's own; volumes of other versions; what is taken away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Environment, service
from tests.integration.databases import (
    OLDER,
    actions,
    ask,
    connection,
    have,
    kept,
    log,
    login,
    postgres,
    project,
    refused,
    server,
    succeed,
)


@pytest.fixture
def ledger(engine, tmp_path) -> Iterator[Environment]:
    """A project whose layers have no database, and name the network of one beside them."""
    with project(engine, tmp_path) as made:
        network = {"database": {"external": True, "name": "${COMPOSE_PROJECT_NAME}-postgres"}}
        web = service(networks=["database"], environment={"URL": "${DATABASE_URL}"})
        made.write("compose.yml", {"services": {"web": web}, "networks": network})
        made.variables = {"dedicated": True, "database": "ledger"}
        yield made


def test_postgres_of_its_own_from_nothing_to_an_application(ledger: Environment):
    told = connection(ledger)
    assert f"@{ledger.project}-postgres:5432/ledger" in told["DATABASE_URL"]
    options = {"readonly_role": "reports", "shm_size": "128mb", "volume": f"{ledger.project}-data"}
    foretold = succeed(ledger, "check_mode", "diff", **options)
    assert not (ledger.state_dir / f"{ledger.project}-postgres" / "layer").exists()
    first = succeed(ledger, **options)
    assert actions(foretold) == actions(first)
    assert first.result["services"][0]["health"] == "healthy"
    assert ledger.containers() == [], "the environment's own project has no part in it"
    container = server(ledger, "own")
    assert container.attrs["HostConfig"]["ShmSize"] == 128 << 20
    assert container.attrs["Config"]["StopTimeout"] == 60
    assert container.attrs["NetworkSettings"]["Ports"]["5432/tcp"] is None
    assert [each["Name"] for each in container.attrs["Mounts"] if each["Type"] == "volume"] == [
        f"{ledger.project}-data"
    ]
    assert not succeed(ledger, **options).changed
    assert server(ledger, "own").id == container.id
    written = have(ledger, module="compose_env_file", variables=told, dedicated=None, database=None, state_dir=None)
    assert not written.failed, written.message
    assert ledger.run(dedicated=None, database=None).actions == {("web", "create")}
    (address,) = ledger.container("web").attrs["NetworkSettings"]["Networks"].values()
    assert (
        address["NetworkID"]
        == container.attrs["NetworkSettings"]["Networks"][f"{ledger.project}-postgres"]["NetworkID"]
    )
    assert login(ledger, ledger.variable("web", "URL"), name="own") == ["ledger_owner"]


def test_superuser_has_a_password_that_nobody_is_told(ledger: Environment):
    outcome = succeed(ledger)
    path = ledger.state_dir / f"{ledger.project}-postgres" / "layer" / "superuser_password"
    assert path.stat().st_mode & 0o777 == 0o600
    password = path.read_text()
    assert len(password) == 32
    assert password not in json.dumps(outcome.result)
    assert password not in json.dumps(server(ledger, "own").attrs)
    assert password not in json.dumps(kept(ledger))
    assert password not in log(ledger, "own")
    host = f"{ledger.project}-postgres"
    assert login(ledger, f"postgresql://postgres:{password}@{host}/postgres", name="own") == ["postgres"]
    assert "authentication failed" in refused(ledger, f"postgresql://postgres:wrong@{host}/postgres", name="own")
    assert "authentication failed" in refused(ledger, "postgresql://postgres:wrong@127.0.0.1/postgres", name="own")


def test_published_port_and_consumers_outside(ledger: Environment):
    told = connection(ledger, port="35491", consumer="outside", variables={"host": "H", "port": "P"})
    assert told == {"H": "127.0.0.1", "P": "35491"}
    outcome = succeed(ledger, port="35491", consumer="outside")
    assert outcome.result["services"][0]["ports"] == ["127.0.0.1:35491->5432/tcp"]
    assert "@127.0.0.1:35491/ledger" in outcome.result["connection"]["DATABASE_URL"]
    later = succeed(ledger, "diff", port="127.0.0.1:35492", consumer="outside")
    assert actions(later) == ["recreate"]
    assert "35492" in later.result["diff"]["after"]
    assert "is no port" in have(ledger, port="here").message


def test_image_of_another_major_version_is_refused_while_the_old_one_serves(ledger: Environment):
    succeed(ledger, image=OLDER)
    url = connection(ledger)["DATABASE_URL"]
    login(ledger, url, "CREATE TABLE kept (id int)", name="own")
    before = server(ledger, "own").id
    for mode in ((), ("check_mode",)):
        outcome = have(ledger, *mode, image="postgres:17")
        assert outcome.failed
        assert outcome.result["error_kind"] == "major_version"
        assert (outcome.result["data_version"], outcome.result["image_version"]) == ("15", "17")
        assert f"volume {ledger.project}-postgres holds the data of Postgres 15" in outcome.message
        assert "postgres:15" in outcome.message
        assert "restore the backup" in outcome.message
    assert server(ledger, "own").id == before
    assert login(ledger, url, "SELECT count(*) FROM kept", name="own") == ["0"]
    assert not succeed(ledger, image=OLDER).changed


@pytest.mark.parametrize("volumes", [["data:/var/lib/postgresql/data"], ["./data:/var/lib/postgresql/data"], []])
def test_service_whose_data_is_of_another_major_version_is_not_started(ledger: Environment, volumes: list[str]):
    ledger.variables = {"database": "ledger"}
    layers = {"services": {"postgres": postgres(image=OLDER, volumes=volumes)}, "volumes": {"data": {}}}
    ledger.write("compose.yml", layers)
    first = succeed(ledger)
    assert first.result["server_version"].startswith("15.")
    assert not succeed(ledger).changed
    ledger.container("postgres").stop()
    layers["services"]["postgres"]["image"] = "postgres:17"
    ledger.write("compose.yml", layers)
    before = ledger.ids()
    outcome = have(ledger)
    assert outcome.result["error_kind"] == "major_version"
    assert ledger.ids() == before
    assert ledger.container("postgres").status == "exited"


def test_nothing_is_taken_away_without_the_environments_name_and_a_backup(ledger: Environment):
    succeed(ledger)
    outcome = have(ledger, state="absent", backup=False)
    assert "say so with confirm=dev" in outcome.message
    assert "say so with confirm=dev" in have(ledger, state="absent", confirm="prod", backup=False).message
    assert ask(ledger, "SELECT count(*) FROM pg_database WHERE datname = 'ledger'", name="own") == ["1"]


def test_what_is_taken_away_was_backed_up_and_restored_for_a_test(ledger: Environment, tmp_path):
    folder = tmp_path / "backups"
    succeed(ledger)
    login(ledger, connection(ledger)["DATABASE_URL"], "CREATE TABLE kept AS SELECT 7 AS id", name="own")
    gone = {"state": "absent", "confirm": "dev", "backup_dir": str(folder)}
    foretold = succeed(ledger, "check_mode", **gone)
    assert actions(foretold)[:2] == ["backup", "drop database"]
    assert not folder.exists()
    broken = have(ledger, **{**gone, "backup_dir": "/proc/nowhere"})
    assert broken.failed
    assert ask(ledger, "SELECT id FROM kept", "ledger", name="own") == ["7"]
    outcome = succeed(ledger, **gone)
    assert outcome.result["actions"] == foretold.result["actions"]
    manifest = json.loads(Path(outcome.result["backup_file"]).with_suffix(".json").read_text())
    assert manifest["verified"] == "restore"
    assert outcome.result["services"] == []


def test_postgres_of_its_own_is_taken_away_with_its_volume_and_passwords(ledger: Environment):
    succeed(ledger)
    ask(ledger, "CREATE DATABASE besides", name="own")
    refusal = have(ledger, state="absent", confirm="dev", backup=False)
    assert "would go with database besides" in refusal.message
    ask(ledger, "DROP DATABASE besides", name="own")
    foretold = succeed(ledger, "check_mode", state="absent", confirm="dev", backup=False)
    assert "drop database" in actions(foretold)
    assert server(ledger, "own").status == "running"
    outcome = succeed(ledger, state="absent", confirm="dev", backup=False)
    assert actions(foretold) == actions(outcome)
    assert outcome.result["services"] == []
    label = {"label": f"com.docker.compose.project={ledger.project}-postgres"}
    assert ledger.engine.volumes.list(filters=label) == []
    assert kept(ledger) == {}
    assert not succeed(ledger, state="absent", confirm="dev", backup=False).changed
    assert succeed(ledger).changed


def test_database_in_a_service_is_taken_away_and_the_service_stays(ledger: Environment):
    ledger.variables = {}
    ledger.write("compose.yml", {"services": {"postgres": postgres()}})
    succeed(ledger, database="other")
    succeed(ledger, database="ledger", readonly_role="reader")
    gone = {"database": "ledger", "readonly_role": "reader", "state": "absent", "confirm": "dev", "backup": False}
    outcome = succeed(ledger, "diff", **gone)
    assert actions(outcome) == ["drop database", "drop role", "drop role", "drop role", *["forget password"] * 2]
    assert "database ledger: exists" in outcome.result["diff"]["before"]
    assert ask(ledger, "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1") == [
        "other",
        "other_owner",
        "postgres",
    ]
    assert list(kept(ledger)[f"{ledger.project}/postgres"]) == ["other"]
    assert not succeed(ledger, **gone).changed
    ledger.container("postgres").stop()
    assert "does not run" in have(ledger, **{**gone, "database": "other"}).message


def test_older_server_is_brought_to_the_same(ledger: Environment):
    """Postgres 15, with names and settings that a server writes its own way."""
    options = {
        "image": OLDER,
        "database": "Größe = 1",
        "role": 'it\'s "me"',
        "readonly_role": "$reader",
        "extensions": ["pg_trgm"],
        "settings": {"search_path": ["a b", "user", "public"], "work_mem": "5MB", "my.own": "x'y"},
    }
    told = connection(ledger, **options, variables={"url": "URL", "readonly_url": "READ"})
    assert succeed(ledger, **options).result["server_version"].startswith("15.")
    login(ledger, told["URL"], "CREATE SCHEMA s; CREATE TABLE s.t (id serial)", name="own")
    assert actions(succeed(ledger, **options)) == []
    assert login(ledger, told["READ"], "SELECT count(*) FROM s.t", name="own") == ["0"]
    assert "permission denied" in refused(
        ledger, told["READ"], "SET default_transaction_read_only TO off; DELETE FROM s.t", "own"
    )
    owner = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 't'"
    assert login(ledger, told["URL"], owner, name="own") == ['it\'s "me"_owner']
    assert actions(succeed(ledger, **options, password="Another1")) == ["set password"]
