# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module tells of its work: the table is cases/report.yml."""

from __future__ import annotations

from ansible_collections.strata.compose.plugins.module_utils import _report
from ansible_collections.strata.compose.plugins.module_utils._step import Step

from tests.unit.tables import each, made_of, release_of, snapshot_of, table

CASES = table("report")


@each(CASES["actions"])
def test_actions(case):
    planned = [Step(name, "stop", "asked for") for name in case.get("asked_to_stop", ())]
    found = _report.actions_between(snapshot_of(case["before"]), snapshot_of(case["after"]), planned)
    assert [f"{each['service']} {each['action']}" for each in found] == case["actions"]


@each(CASES["reasons"])
def test_reasons(case):
    before, after = snapshot_of({"web": [{}]}), snapshot_of({"web": [{"started": "later"}]})
    planned = [Step(**step) for step in case["planned"]]
    (found,) = _report.actions_between(before, after, planned)
    assert found == {"service": "web", "action": "restart", "reason": case["told"]}


@each(CASES["services"])
def test_the_least_happy_container_stands_for_its_service(case):
    (told,) = _report.services_told(snapshot_of({"web": case["running"]}))
    assert (told["state"], told["health"]) == (case["state"], case["health"])
    assert len(told["containers"]) == len(case["running"])


def test_services_are_told_with_all_their_containers():
    running = {
        "web": [
            {"ports": ["0.0.0.0:81->80/tcp"], "health": "healthy"},
            {"ports": ["0.0.0.0:80->80/tcp"], "health": "unhealthy", "restarts": 2},
        ],
        "job": [{"state": "exited"}],
    }
    job, web = _report.services_told(snapshot_of(running))
    assert job == {
        "service": "job",
        "state": "exited",
        "health": "",
        "image": "job:1",
        "ports": [],
        "containers": [
            {
                "id": "job-1",
                "name": "shop-prod-job-1",
                "state": "exited",
                "health": "",
                "exit_code": 0,
                "restarts": 0,
                "image_id": "id of job:1",
            }
        ],
    }
    assert web["ports"] == ["0.0.0.0:80->80/tcp", "0.0.0.0:81->80/tcp"]
    assert [(each["id"], each["restarts"]) for each in web["containers"]] == [("web-1", 0), ("web-2", 2)]


@each(CASES["diffs"])
def test_diffs(case):
    made = made_of(release_of(case["before"]), {name: {} for name in case["before"]})
    diff = _report.diff_of(release_of(case["services"]), made, [Step(**step) for step in case["steps"]])
    headers = {"before_header": "the containers that run", "after_header": "the resolved layers"}
    assert diff == {**headers, **case["diff"]}
