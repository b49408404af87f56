"""One value of one environment changes: its plan, its deployment, and everything that stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from subprocess import CompletedProcess
from typing import Any

import pytest

Run = Callable[..., CompletedProcess[str]]


@pytest.mark.parametrize(
    ("environment", "variable", "value", "concerned"),
    [
        ("test", "SHOP_TITLE", "Tea house", {"app"}),
        ("dev", "LOG_LEVEL", "info", {"api", "app", "scheduler"}),
    ],
)
def test_exactly_the_services_that_use_a_value_are_recreated(
    hosts: dict[str, Any], run: Run, environment: str, variable: str, value: str, concerned: set[str]
) -> None:
    changed = f"{{{{ shop_variables | combine(_{environment}_variables, {{'{variable}': '{value}'}}) }}}}"
    arguments = ("-l", environment, "-e", json.dumps({"env_file_variables": changed}))
    before = {name: host.starts() for name, host in hosts.items()}

    # The plan is made from the env file that the host has.
    written = run("ansible", environment, *arguments[2:], "-m", "include_role", "-a", "name=strata.compose.env_file")
    assert written.returncode == 0, written.stdout
    planned = run("ansible-playbook", "playbooks/plan.yml", *arguments)
    assert planned.returncode == 0, planned.stdout
    assert actions_in(planned.stdout) == {("recreate", service) for service in concerned}
    assert f"environment.{variable} changed" in planned.stdout
    assert {name: host.starts() for name, host in hosts.items()} == before

    deployed = run("ansible-playbook", "playbooks/deploy.yml", *arguments)
    assert deployed.returncode == 0, deployed.stdout
    assert actions_in(deployed.stdout) == {("recreate", service) for service in concerned}
    after = {name: host.starts() for name, host in hosts.items()}
    assert {
        (name, service) for name in hosts for service in after[name] if after[name][service] != before[name][service]
    } == {(environment, service) for service in concerned}
    for service in concerned:
        assert f"{variable}={value}" in hosts[environment].containers()[service].attrs["Config"]["Env"]


def actions_in(printed: str) -> set[tuple[str, str]]:
    """The lines "- recreate   app   reason" of a playbook."""
    words = [line.strip(" -").split() for line in printed.splitlines()]
    return {(word[0], word[1]) for word in words if word and word[0] in ("create", "recreate", "start", "remove")}
