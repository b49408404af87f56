# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failed first deployment says: who kept the others waiting, and what is left."""

from __future__ import annotations

from tests.integration.conftest import Environment, service


def test_a_timeout_names_the_service_that_the_others_wait_for(environment: Environment) -> None:
    healthy = {"test": ["CMD", "true"], "interval": "1s"}
    never = {"test": ["CMD", "false"], "interval": "1s", "retries": 100}
    both = {name: {"condition": "service_healthy"} for name in ("cache", "db")}
    after_web = {"web": {"condition": "service_started"}}
    services = {
        "cache": service(healthcheck=healthy),
        "db": service(healthcheck=never),
        "web": service(depends_on=both),
        "front": service(depends_on=after_web),
    }
    environment.write("compose.yml", {"services": services})
    outcome = environment.run(wait_timeout=5)
    assert {each["service"] for each in outcome.result["failed_services"]} == {"db"}
    assert "still starting after 5 s (wait_timeout), and web waits for it" in outcome.message
    assert "its containers are kept" in outcome.message
    assert set(environment.ids()) == set(services)
    assert {each["service"] for each in outcome.result["services"]} == set(services)


def test_a_failure_before_a_container_exists_speaks_of_none(environment: Environment) -> None:
    environment.write("compose.yml", {"services": {"web": service(cpus=1000)}})
    outcome = environment.run()
    assert outcome.failed
    assert environment.containers() == []
    assert "No container was created." in outcome.message
    assert "are kept" not in outcome.message
