"""What `playbooks/deploy.yml` left on the hosts of dev, test and prod."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import pytest

EVERYWHERE = {"postgres", "redis", "api", "app", "scheduler"}
SERVICES = {"dev": EVERYWHERE, "test": EVERYWHERE, "prod": EVERYWHERE | {"nginx"}}

# Where a browser finds the api and the page; in prod, nginx is in front of both.
API = {"dev": (8000, ""), "test": (8001, ""), "prod": (8080, "/api")}
PAGE = {"dev": 5000, "test": 5001, "prod": 8080}

ENVIRONMENTS = pytest.mark.parametrize("environment", ["dev", "test", "prod"])


@ENVIRONMENTS
def test_exactly_the_wanted_containers_run(hosts: dict[str, Any], environment: str) -> None:
    assert hosts[environment].states() == dict.fromkeys(SERVICES[environment], "running, healthy")


@ENVIRONMENTS
def test_the_api_works_with_database_and_cache(hosts: dict[str, Any], environment: str) -> None:
    port, prefix = API[environment]
    health = json.loads(hosts[environment].get(port, f"{prefix}/health"))
    assert health == {"status": "ok", "database": "ok", "cache": "ok"}


@ENVIRONMENTS
def test_an_order_is_on_the_page_and_counted(hosts: dict[str, Any], environment: str) -> None:
    host, (port, prefix), item = hosts[environment], API[environment], f"tea {uuid.uuid4()}"
    counted = count_on(host.get(PAGE[environment]))
    stored = host.post(port, f"{prefix}/orders", {"item": item, "quantity": 3})
    page = host.get(PAGE[environment])
    assert (stored["item"], stored["quantity"]) == (item, 3)
    assert f"<td>{item}</td><td>3</td>" in page
    assert count_on(page) == counted + 1


def test_each_environment_has_its_own_title(hosts: dict[str, Any]) -> None:
    titles = {name: title_of(host.get(PAGE[name])) for name, host in hosts.items()}
    assert titles == {"dev": "Tea shop (dev)", "test": "Tea shop (test)", "prod": "Tea shop"}


def test_the_password_of_prod_is_in_no_containers_configuration(hosts: dict[str, Any]) -> None:
    password = hosts["prod"].shell("cat /opt/shop/secrets/postgres_password")
    assert password
    for service, container in hosts["prod"].containers().items():
        assert password not in json.dumps(container.attrs), service


@ENVIRONMENTS
def test_nobody_else_on_the_host_reads_the_env_file(hosts: dict[str, Any], environment: str) -> None:
    shown = hosts[environment].shell("cd /opt/shop && stat --format '%n %a %u' .env*").splitlines()
    assert set(shown) == {f".env.{environment} 600 0", ".env.example 644 0"}


def test_only_the_user_of_the_api_reads_the_secret_file(hosts: dict[str, Any]) -> None:
    shown = hosts["prod"].shell("cd /opt/shop && stat --format '%n %a %u' secrets secrets/*").splitlines()
    assert shown == ["secrets 700 0", "secrets/postgres_password 400 10001"]


def count_on(page: str) -> int:
    return int(re.findall(r'id="counted">(\d+)<', page)[0])


def title_of(page: str) -> str:
    return str(re.findall("<title>(.*)</title>", page)[0])
