"""Three hosts of one environment: a migration runs once, and a release that fails leaves the old one serving."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SCENARIO = Path(__file__).parent
REPOSITORY = SCENARIO.parents[2]
INVENTORIES = (SCENARIO / "inventory" / "hosts.yml", REPOSITORY / ".cache" / "lab" / "molecule" / "hosts.yml")
PORT = 18080
BATCHES = {"compose_env_serial": 1}
versions = (f"v{number}" for number in itertools.count(2))


def start(*arguments: str, **variables: Any) -> subprocess.Popen[str]:
    inventories = [word for path in INVENTORIES for word in ("-i", str(path))]
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    return subprocess.Popen(
        [
            "ansible-playbook",
            *inventories,
            "playbooks/deploy.yml",
            *arguments,
            "-e",
            json.dumps({**BATCHES, **variables}),
        ],
        cwd=REPOSITORY,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def deploy(*arguments: str, code: int = 0, **variables: Any) -> str:
    process = start(*arguments, **variables)
    printed = process.communicate()[0]
    assert process.returncode == code, printed
    return printed


def rows(fleet: list[Any], version: str) -> int:
    """How often the migration of a version has run."""
    postgres = fleet[0].containers("counter-database-shared")["postgres"]
    query = f"SELECT count(*) FROM runs WHERE version = '{version}'"
    code, output = postgres.exec_run(["psql", "-U", "postgres", "-At", "-c", query])
    assert code == 0, output
    return int(output)


def serving(fleet: list[Any]) -> list[str]:
    """The version that each host serves."""
    return [host.get(PORT).strip() for host in fleet]


def ids(fleet: list[Any]) -> list[str]:
    return [str(host.containers("counter-fleet")["web"].id) for host in fleet]


@pytest.fixture(scope="module", autouse=True)
def removed_afterwards(fleet: list[Any]) -> Iterator[None]:
    """Further scenarios have the hosts without it."""
    yield
    for host in fleet:
        for project in ("counter-fleet", "counter-database-shared"):
            host.shell(f"docker compose -p {project} down --volumes 2>&1")
        host.shell("rm -rf /opt/counter* /var/lib/strata/counter*")


@pytest.fixture
def unreachable_first(tmp_path: Path) -> str:
    """An inventory in which nothing listens where the first host is said to be."""
    path = tmp_path / "unreachable.yml"
    path.write_text(json.dumps({"all": {"hosts": {"molecule-1": {"ansible_port": 1}}}}))
    return str(path)


def test_migration_ran_once_for_three_hosts_in_batches_of_one(fleet: list[Any]) -> None:
    assert serving(fleet) == ["1", "1", "1"]
    assert rows(fleet, "1") == 1


def test_migration_runs_once_when_the_first_host_is_unreachable(fleet: list[Any], unreachable_first: str) -> None:
    version = next(versions)
    before = serving(fleet)
    deploy("-i", unreachable_first, counter_version=version, code=4)
    assert serving(fleet) == [before[0], version, version]
    assert rows(fleet, version) == 1
    deploy(counter_version=version)
    assert serving(fleet) == [version] * 3
    assert rows(fleet, version) == 1, "the host that came back takes the others' word"


def test_two_jobs_at_once_migrate_once(fleet: list[Any]) -> None:
    version = next(versions)
    jobs = [start(counter_version=version) for _job in range(2)]
    printed = [job.communicate()[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], printed
    assert serving(fleet) == [version] * 3
    assert rows(fleet, version) == 1


def test_migration_runs_once_more_when_the_tag_of_its_image_has_moved_on_every_host(fleet: list[Any]) -> None:
    version, image = next(versions), "counter-migrations:moving"
    for times in (1, 2):
        for host in fleet:  # each builds for itself, so the ids differ from host to host
            host.shell(f"printf 'FROM postgres:17\\nLABEL times={times}\\n' | docker build --quiet --tag {image} -")
        deploy(counter_version=version, counter_image=image)
        assert rows(fleet, version) == times
    deploy(counter_version=version, counter_image=image)
    assert rows(fleet, version) == 2
    for host in fleet:
        host.shell(f"docker image rm {image}")


def test_failed_migration_leaves_every_host_untouched(fleet: list[Any]) -> None:
    version, before = next(versions), ids(fleet)
    printed = deploy(counter_version=version, counter_migration="echo no such column; exit 3", code=2)
    for part in ("✘ migrate (exit 3, ", "Init phase failed. Deployment aborted.", "no such column"):
        assert part in printed
    assert ids(fleet) == before
    deploy(counter_version=version)
    assert serving(fleet) == [version] * 3


def test_failed_release_is_rolled_back_and_reaches_no_further_batch(fleet: list[Any]) -> None:
    before, containers = serving(fleet), ids(fleet)
    printed = deploy(counter_version="broken", code=2)
    for part in ("this version is broken", "Rolled back: release", "exited with code 3"):
        assert part in printed
    assert serving(fleet) == before
    assert ids(fleet)[1:] == containers[1:], "the other batches were not touched"
