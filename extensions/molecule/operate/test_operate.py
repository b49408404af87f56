"""What operators do all day, as playbooks and ad hoc, each on one environment: the others are not touched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from subprocess import CompletedProcess
from typing import Any
from urllib.error import URLError

import pytest
import yaml

Hosts = dict[str, Any]
Run = Callable[..., CompletedProcess[str]]

CHANGING = ("build", "deploy", "down", "exec", "pull", "remove", "restart", "rollback", "start", "stop")
READING = ("logs", "plan", "ps", "releases", "top")


@pytest.fixture
def others_stay(hosts: Hosts) -> Iterator[Callable[[str], None]]:
    """Say which environment a test is about, to have the others found untouched when it ends."""
    before = {name: host.starts() for name, host in hosts.items()}
    about: list[str] = []
    yield about.append
    others = hosts.keys() - about
    assert {name: hosts[name].starts() for name in others} == {name: before[name] for name in others}


def test_stop_and_start_keep_the_containers(hosts: Hosts, run: Run, others_stay: Callable[[str], None]) -> None:
    others_stay("test")
    ids = hosts["test"].ids()

    done(run("ansible-playbook", "playbooks/stop.yml", "-l", "test"))
    assert set(hosts["test"].states().values()) == {"exited"}
    with pytest.raises(URLError):
        hosts["test"].get(8001, "/health")

    done(run("ansible-playbook", "playbooks/start.yml", "-l", "test"))
    assert set(hosts["test"].states().values()) == {"running, healthy"}
    assert json.loads(hosts["test"].get(8001, "/health"))["status"] == "ok"
    assert hosts["test"].ids() == ids


def test_one_service_is_restarted(hosts: Hosts, run: Run, others_stay: Callable[[str], None]) -> None:
    others_stay("test")
    before = hosts["test"].starts()
    done(run("ansible-playbook", "playbooks/restart.yml", "-l", "test", "-e", "compose_env_services=redis"))
    after = hosts["test"].starts()
    assert {service for service in after if after[service] != before[service]} == {"redis"}
    assert set(hosts["test"].states().values()) == {"running, healthy"}


def test_an_environment_is_restarted_ad_hoc(hosts: Hosts, run: Run, others_stay: Callable[[str], None]) -> None:
    others_stay("prod")
    before = hosts["prod"].starts()
    ids = hosts["prod"].ids()
    done(run("ansible", "prod", "-m", "compose_env", "-a", "state=restarted"))
    after = hosts["prod"].starts()
    assert {service for service in after if after[service] != before[service]} == ids.keys()
    assert hosts["prod"].ids() == ids
    assert set(hosts["prod"].states().values()) == {"running, healthy"}


@pytest.mark.parametrize("module", ["compose_env_info", "strata.compose.compose_env_info"])
def test_services_are_listed_ad_hoc(hosts: Hosts, run: Run, module: str) -> None:
    told = result_of(run("ansible", "test", "-m", module, "-a", "gather=services"))
    assert told["changed"] is False
    states = {each["service"]: f"{each['state']}, {each['health']}" for each in told["services"]}
    assert states == hosts["test"].states()
    ids = {each["service"]: each["containers"][0]["id"] for each in told["services"]}
    assert ids == hosts["test"].ids()


@pytest.mark.parametrize("playbook", CHANGING)
@pytest.mark.usefixtures("others_stay")
def test_without_a_limit_nothing_is_changed(run: Run, playbook: str) -> None:
    service = ("-e", "exec_service=api", "-e", "exec_command=true") if playbook == "exec" else ()
    refused = run("ansible-playbook", f"playbooks/{playbook}.yml", *service)
    assert refused.returncode != 0
    assert "These hosts belong to the environments dev, prod, test" in " ".join(refused.stdout.split())


@pytest.mark.parametrize("playbook", READING)
@pytest.mark.usefixtures("others_stay")
def test_all_environments_may_be_looked_at_together(hosts: Hosts, run: Run, playbook: str) -> None:
    printed = done(run("ansible-playbook", f"playbooks/{playbook}.yml"))
    # A plan tells what would change: the database in memory of test has lost its migration if it was restarted.
    assert printed.count("failed=0" if playbook == "plan" else "changed=0") == len(hosts)


def test_an_environment_is_stopped_ad_hoc(hosts: Hosts, run: Run, others_stay: Callable[[str], None]) -> None:
    others_stay("dev")
    ids = hosts["dev"].ids()
    told = result_of(run("ansible", "dev", "-m", "compose_env", "-a", "state=stopped"))
    assert {(each["service"], each["action"]) for each in told["actions"]} == {(name, "stop") for name in ids}
    assert set(hosts["dev"].states().values()) == {"exited"}
    assert hosts["dev"].ids() == ids


def test_down_keeps_the_data_unless_told_to_lose_it(hosts: Hosts, run: Run, others_stay: Callable[[str], None]) -> None:
    others_stay("dev")
    volumes = {"shop-dev_postgres-data", "shop-dev_redis-data"}
    down = ("ansible-playbook", "playbooks/down.yml", "-l", "dev")

    done(run(*down))
    assert hosts["dev"].ids() == {}
    assert kept(hosts["dev"]) == volumes

    refused = run(*down, "-e", "compose_env_volumes=true")
    assert refused.returncode != 0
    assert kept(hosts["dev"]) == volumes

    done(run(*down, "-e", "compose_env_volumes=true", "-e", "compose_env_confirm=dev"))
    assert kept(hosts["dev"]) == set()


def test_remove_leaves_nothing(hosts: Hosts, run: Run, others_stay: Callable[[str], None]) -> None:
    others_stay("test")
    done(run("ansible-playbook", "playbooks/remove.yml", "-l", "test", "-e", "compose_env_confirm=test"))
    assert hosts["test"].ids() == {}
    assert kept(hosts["test"]) == set()
    assert hosts["test"].shell("find /opt /var/lib/strata -name '*shop*'") == ""


def done(result: CompletedProcess[str]) -> str:
    """What a command printed that must have succeeded."""
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def result_of(result: CompletedProcess[str]) -> dict[str, Any]:
    """The module's result below "molecule-2 | SUCCESS => "."""
    return dict(yaml.safe_load(done(result).partition("=>")[2].lstrip(" ").lstrip("\n")))


def kept(host: Any) -> set[str]:
    """The volumes and the networks that environments have on a host."""
    found = [*host.engine.volumes.list(), *host.engine.networks.list()]
    return {each.name for each in found if each.name.startswith("shop-")}
