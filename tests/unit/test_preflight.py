# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of networks, volumes and names stands in the way of a deployment: the table is cases/preflight.yml."""

from __future__ import annotations

from ansible_collections.strata.compose.plugins.module_utils import _networks_and_volumes, _plan, _preflight
from ansible_collections.strata.compose.plugins.module_utils._container_names import name_problems
from ansible_collections.strata.compose.plugins.module_utils._engine_objects import (
    EngineContainer,
    EngineObjects,
    EngineVolume,
    parsed_containers,
)
from ansible_collections.strata.compose.plugins.module_utils._step import Step

from tests.unit.tables import each, made_of, release_of, snapshot_of, table

CASES = table("preflight")


@each(CASES["networks"])
def test_networks(case):
    before, wanted = (
        release_of({"web": {"networks": dict.fromkeys(case[key])}}, networks=case[key]) for key in ("made", "wanted")
    )
    made = made_of(before, {"web": {"web-1": "running"}})
    assert list(_plan.changed_networks(wanted, made)) == case["changed"]
    assert list(_plan.renamed_networks(wanted, made)) == case["renamed"]


@each(CASES["volumes"])
def test_volumes(case):
    mounts = [{"type": "volume", "source": "data", "target": "/data"}]
    release = release_of({"web": {"volumes": mounts}}, volumes={"data": {"name": "v", **case["wanted"]}})
    objects = EngineObjects(volumes={"v": EngineVolume("v", **case["here"])})
    used = _networks_and_volumes.used_by(release, ["web"])
    problems = [
        *_networks_and_volumes.changed_volumes(used, "prod", objects),
        *_networks_and_volumes.foreign_volumes(used, "shop-prod", objects),
    ]
    assert len(problems) == bool(case["problem"])
    assert all(case["problem"] in problem for problem in problems)


@each(CASES["names"])
def test_names(case):
    release = release_of({"web": {"container_name": "box"}, "db": {}})
    holders = [EngineContainer("c1", "box", **case["holder"])] if "holder" in case else []
    steps = [Step(name, action, "", ("c1",) if action == "remove" else ()) for name, action in case["steps"].items()]
    problems = list(name_problems(release, steps, snapshot_of({}), EngineObjects(tuple(holders))))
    assert len(problems) == bool(case["problem"])
    assert all(case["problem"] in problem for problem in problems)


def test_containers_are_read_from_the_list():
    row = "c1\tbox,other/alias\tpaused\tshop\tweb\tTrue\tlan,proxy\tdata,/srv\t0.0.0.0:80->80/tcp"
    (found,) = parsed_containers(row + "\n")
    ports = "0.0.0.0:80->80/tcp"
    assert found == EngineContainer("c1", "box", "shop", "web", True, True, ("lan", "proxy"), ("data", "/srv"), ports)


def test_built_image_that_can_have_no_such_name_is_told():
    built = {"build": {"context": "."}, "image": None}
    release = release_of({"Api": built, "we.b_1": built, "Named": {**built, "image": "named:1"}})
    problems = list(_preflight.misnamed_images(release, [Step(name, "build", "") for name in release.parts]))
    assert len(problems) == 1
    assert "service Api: it would be built as shop-prod-Api" in problems[0]
