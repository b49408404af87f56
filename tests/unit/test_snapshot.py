# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `docker inspect` tells of a container, read: the table is cases/snapshot.yml."""

from __future__ import annotations

import copy
import json

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _snapshot

from tests.unit.tables import each, snapshot_of, table

CASES = table("snapshot")

INSPECTED = {
    "Id": "4f1c",
    "Created": "2025-11-20T10:00:00Z",
    "Path": "/entrypoint.sh",
    "Args": ["serve"],
    "State": {
        "Status": "running",
        "Running": True,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": False,
        "Dead": False,
        "Pid": 4711,
        "ExitCode": 0,
        "Error": "",
        "StartedAt": "2025-11-20T10:00:01.5Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
        "Health": {
            "Status": "healthy",
            "FailingStreak": 0,
            "Log": [
                {"Start": "2025-11-20T10:59:59.123456789+01:00", "ExitCode": 1, "Output": "of an earlier run\n"},
                {"Start": "2025-11-20T11:00:02.5+01:00", "ExitCode": 1, "Output": "the first one\n"},
                {"Start": "2025-11-20T11:00:03.123456789+01:00", "ExitCode": 0, "Output": "the last one\n"},
            ],
        },
    },
    "Image": "sha256:aaaa",
    "Name": "/shop-prod-web-2",
    "RestartCount": 1,
    "HostConfig": {
        "NetworkMode": "shop-prod_front",
        "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
    },
    "Config": {
        "Hostname": "4f1c",
        "Env": ["LEVEL=info"],
        "Image": "registry.local/shop/web:1.2",
        "Labels": {
            "com.docker.compose.config-hash": "c0ffee",
            "com.docker.compose.container-number": "2",
            "com.docker.compose.oneoff": "False",
            "com.docker.compose.project": "shop-prod",
            "com.docker.compose.service": "web",
            "maintainer": "somebody",
        },
    },
    "NetworkSettings": {
        "Ports": {
            "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
            "443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8443"}],
            "9000/tcp": None,
        },
        "Networks": {"shop-prod_front": {"Aliases": ["web"]}, "shop-prod_back": {"Aliases": ["web"]}},
    },
}


def inspected(differs):
    told = copy.deepcopy(INSPECTED)
    for path, value in differs.items():
        section, _dot, key = path.partition(".")
        told[section][key] = value
    return told


@each(CASES["containers"])
def test_reading_a_container(case):
    found = _snapshot._container(inspected(case["differs"]))
    fields = {key: getattr(found, key) for key in case["container"]}
    assert json.loads(json.dumps(fields)) == case["container"]


@each(CASES["health tests"])
def test_reading_the_command_of_a_health_check(case):
    assert list(_snapshot._container(inspected(case["differs"])).health_test) == case["command"]


def test_only_checks_since_the_start_count():
    checks = _snapshot._container(INSPECTED).checks
    assert [succeeded for _began, succeeded in checks] == [False, True]
    assert checks[1][0] - checks[0][0] == pytest.approx(0.623456)


@each(CASES["left out"])
def test_leaving_out_a_container(case):
    assert _snapshot._container(inspected(case["differs"])) is None


@each(CASES["with a tag"])
def test_adding_a_tag(case):
    assert _snapshot.with_tag(case["name"]) == case["tagged"]


def test_a_snapshot_knows_its_services():
    snapshot = snapshot_of({"web": [{}, {}], "db": [{}]})
    assert snapshot.services == ("db", "web")
    assert [each.id for each in snapshot.of("web")] == ["web-1", "web-2"]
    assert snapshot.of("gone") == ()
