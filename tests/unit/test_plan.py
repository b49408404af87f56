# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to which service, and why: the table is cases/plan.yml, whose head tells how to read it."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _model, _plan, _step

from tests.unit.tables import container, each, made_of, model_of, release_of, snapshot_of, table

CASES = table("plan")


def wanted_of(case):
    release = release_of(case["services"], case.get("files"), **case.get("model", {}))
    hashes, changed = (
        case.get("hashes", {}),
        {name: at.timestamp() for name, at in case.get("files_changed", {}).items()},
    )
    parts = {
        name: replace(part, config_hash=hashes.get(name, ""), changed=changed.get(name))
        for name, part in release.parts.items()
    }
    return replace(release, parts=parts)


def running_of(case, wanted):
    usual = {name: [{}] * part.replicas for name, part in wanted.parts.items()}
    images = {part.image_name: f"id of {part.image_name}" for part in wanted.parts.values()}
    here = {**images, **case.get("images", {})}
    return snapshot_of({**usual, **case.get("running", {})}, {name: value for name, value in here.items() if value})


def record_of(case, running):
    """What the last release recorded: by default the same layers, and all that exists as running."""
    last = case.get("last", {})
    if last is None:
        return {}
    before = wanted_of({key: {**case.get(key, {}), **last.get(key, {})} for key in ("services", "files", "model")})
    recorded = {name: {each.id: "running" for each in running.of(name)} for name in running.services}
    return made_of(before, {**recorded, **last.get("containers", {})})


def told(step):
    given = {step.action: step.service, "ids": list(step.containers), "reason": step.reason}
    told = {key: value for key, value in given.items() if value}
    return told if step.certain else {**told, "certain": False}


def scene_of(case):
    wanted = wanted_of(case)
    running = running_of(case, wanted)
    return wanted, running, record_of(case, running)


@each(CASES["plan"])
def test_plan(case):
    steps = _plan.plan(*scene_of(case), _step.Policy(**case.get("policy", {})), case.get("selected"))
    assert [told(step) for step in steps] == case["steps"]


@each(CASES["images"])
def test_plan_of_images(case):
    wanted, here, made = scene_of(case)
    here = replace(here, image_ages=case.get("ages", {}))
    selected = case.get("selected", list(wanted.parts))
    steps = _plan.plan_images(wanted, here, made, _step.Policy(**case.get("policy", {})), selected)
    assert [told(step) for step in steps] == case["steps"]


@each(CASES["stop"])
def test_plan_of_stopping(case):
    assert [told(step) for step in _plan.plan_stop(snapshot_of(case["running"]))] == case["steps"]


@each(CASES["start"])
def test_plan_of_starting(case):
    wanted, existing, made = scene_of(case)
    steps = _plan.plan_start(replace(wanted, made=made), existing, case.get("selected"))
    assert [told(step) for step in steps] == case["steps"]


@each(CASES["remove"])
def test_plan_of_removing(case):
    assert [told(step) for step in _plan.plan_remove(snapshot_of(case["running"]))] == case["steps"]


@each(CASES["start order"])
def test_start_order(case):
    assert _model.in_start_order({"services": case["services"]}) == case["order"]


@each(CASES["dangling dependencies"])
def test_dependencies_that_are_not_there(case):
    whole = _model.without_dangling({"name": "shop", "services": case["services"]})
    assert whole == {"name": "shop", "services": case["whole"]}


@each(CASES["selection"])
def test_selection(case):
    selected = _model.selected_with_dependencies(model_of(case["services"]), case["asked for"])
    assert selected == set(case["selected"])


@each(CASES["may complete"])
def test_what_may_complete(case):
    model = model_of({"job": case["service"], **case.get("others", {})})
    assert _model.may_complete(model, "job") is case["may"]


@each(CASES["done"])
def test_what_is_done(case):
    release = release_of({"job": case.get("service", {}), **case.get("others", {})})
    seen = case["gate saw"]
    made = made_of(release, {"job": {"job-1": seen} if seen else {}}).get("job") if seen != "no record" else None
    assert _model.is_done(release.model, container("job", **case["container"]), made) is case["done"]


@each(CASES["changed networks"])
def test_changed_networks(case):
    wanted, _running, made = scene_of(case)
    assert list(_plan.changed_networks(wanted, made)) == case["changed"]


def test_a_step_is_told_without_ids_of_containers():
    step = _step.Step("web", _step.CONNECT, "disconnected from network shop", ("web-1",), "shop")
    assert step.told() == {"service": "web", "action": "connect", "reason": "disconnected from network shop"}


def test_a_connection_names_its_network():
    case = {
        "services": {"web": {"networks": {"front": None, "back": None}}},
        "model": {"networks": {"front": {"name": "shop_front"}, "back": {"name": "shop_back"}}},
        "running": {"web": [{"networks": ["shop_front"]}]},
    }
    (step,) = _plan.plan(*scene_of(case), _step.Policy())
    assert step.network == "shop_back"
