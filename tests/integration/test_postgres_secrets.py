"""No password of postgres_env is told: not in results, with -vvv, by processes, or in the server's log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.canaries import Watch, hits, needles
from tests.integration.conftest import Environment, adhoc, ansible_playbook, service
from tests.integration.databases import kept, log, login, play, postgres, project, succeed

GIVEN = {"first": "Cn4ry0fTheF1rst$Passw0rd", "second": "Cn4ry0fTheS3cond'P@ssw:rd/"}


@pytest.fixture
def shop(engine, tmp_path) -> Iterator[Environment]:
    with project(engine, tmp_path) as made:
        web = service(environment={"URL": "${SHOP_URL}", "READ": "${SHOP_READ}"})
        made.write("compose.yml", {"services": {"postgres": postgres(), "web": web}})
        yield made


def run(path: Path, *flags: str) -> str:
    done = ansible_playbook(*flags, path, variables={"ANSIBLE_LOG_PATH": str(path.with_suffix(".log"))})
    return f"{done.stdout}{done.stderr}{path.with_suffix('.log').read_text()}"


def variables(shop: Environment, **others: str) -> dict[str, object]:
    return {
        "compose_env_project_dir": str(shop.folder),
        "compose_env_environment": shop.name,
        "compose_env_state_dir": str(shop.state_dir),
        "compose_env_stable_for": 0,
        "postgres_database": "shop",
        "postgres_env_readonly_role": "reader",
        "postgres_env_variables": {"url": "SHOP_URL", "readonly_url": "SHOP_READ"},
        "env_file_variables": "{{ postgres_connection.connection | combine({'LEVEL': '1'}) }}",
        **others,
    }


def roles(*names: str) -> list[dict[str, object]]:
    parts = {
        "connection": ("postgres", "connection"),
        "postgres": ("postgres", "main"),
        "env_file": ("env_file", "main"),
    }
    return [
        {"ansible.builtin.import_role": {"name": f"strata.compose.{parts[name][0]}", "tasks_from": parts[name][1]}}
        for name in names
    ]


def test_no_password_is_told(shop: Environment, tmp_path: Path):
    """From nothing to an application by the roles, twice, with a password that is given in between."""
    everything = [*roles("connection", "env_file", "postgres"), {"strata.compose.compose_env": {}}]
    with Watch() as watch:
        printed = run(play(tmp_path, everything, **variables(shop)), "-vvv", "--diff")
        assert "failed=0" in printed, printed[-3000:]
        made = kept(shop)[f"{shop.project}/postgres"]
        url = shop.variable("web", "URL")
        again = run(play(tmp_path, everything, **variables(shop)), "-vvv", "--diff")
        assert "changed=0" in again
        for password in GIVEN.values():
            given = variables(shop, postgres_env_password=password)
            printed += run(play(tmp_path, everything, **given), "-vvv", "--diff")
    assert made["shop"] in url
    assert login(shop, shop.variable("web", "URL")) == ["shop_owner"]
    assert login(shop, shop.variable("web", "READ")) == ["reader"]
    secrets = {**GIVEN, "made": made["shop"], "made for reading": made["reader"]}
    assert hits(printed + again, needles(secrets)) == []
    assert hits(log(shop), needles(secrets)) == []
    assert "SCRAM-SHA-256$" not in log(shop)
    assert hits(watch.text, needles(secrets)) == []
    assert watch.looks > 100


def test_failures_tell_no_password(shop: Environment):
    shop.write(".env.dev", "SHOP_URL=x\nSHOP_READ=x\n")
    given = {"first": "Cn4ry0fAFai1ureOne", "second": "Cn4ry0fAFai1ureTwo"}
    succeed(shop, database="shop", password=given["first"])
    outcome = adhoc("postgres_env", shop.options("postgres_env", {"database": "shop"}), "-vvv")
    assert outcome.failed
    wrong = {"database": "shop", "password": given["second"], "extensions": ["no_such"]}
    refused = adhoc("postgres_env", shop.options("postgres_env", wrong), "-vvv")
    assert refused.failed
    assert hits(outcome.printed + refused.printed + log(shop), needles(given)) == []


def test_passwords_are_revealed_only_to_a_task_that_hides_them(shop: Environment):
    options = {"database": "shop", "state": "prepared", "reveal": True}
    outcome = adhoc("postgres_env", shop.options("postgres_env", options))
    assert outcome.failed
    assert "set no_log to true for this task" in outcome.message
    assert not shop.state_dir.exists()
