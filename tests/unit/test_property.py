"""The property test's own parts: what is generated, how it is kept and shrunk, and that its rules see what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.property import oracle
from tests.property.case import Case, Change, Step, applied, as_yaml, parsed
from tests.property.cells import ALL, Journal, chosen, covering
from tests.property.document import closure, problems, services
from tests.property.features import features
from tests.property.generate import case_of
from tests.property.shrink import shrunk
from tests.property.witness import Seen, deeds

REPOSITORY = Path(__file__).resolve().parents[2]
RARE = {
    "a one-shot in the middle of a chain": 60,
    "a profile that is off": 80,
    "a profile that is on": 80,
    "required: false, and off": 50,
    "restart: true": 50,
    "service_healthy": 80,
    "service_completed_successfully": 80,
    "network_mode of another": 40,
    "pid of another": 15,
    "ipc of another": 15,
    "volumes_from of another": 15,
    "container_name": 80,
    "build": 80,
    "pull_policy": 80,
    "configs": 80,
    "secrets": 80,
    "env_file": 80,
    "0 replicas": 60,
    "3 replicas": 60,
    "failing gate": 60,
    "rolled_back": 60,
    "services": 60,
    "restarted": 60,
    "stopped": 40,
    "started": 25,
    "plain up": 20,
    "remove by hand": 10,
    "several changes at once": 150,
}


@pytest.fixture(scope="module")
def counts() -> Counter[str]:
    return Counter(feature for seed in ALL for feature in features(seed))


@pytest.mark.parametrize(("feature", "least"), RARE.items())
def test_each_feature_occurs_in_so_many_of_300_seeds(counts: Counter[str], feature: str, least: int) -> None:
    assert counts[feature] >= least


def test_every_operation_starts_from_what_compose_accepts() -> None:
    for seed in ALL:
        for document in case_of(seed).documents():
            assert problems(document) == [], seed


def test_the_few_cells_of_make_test_have_every_feature(counts: Counter[str]) -> None:
    few = chosen({})
    assert len(few) == len(set(few)) == 12
    assert set().union(*map(features, few)) == counts.keys()
    assert few == covering(ALL, 12)


def test_shards_are_all_cells_and_each_once() -> None:
    assert sorted(seed for number in range(1, 7) for seed in chosen({"SHARD": f"{number}/6"})) == list(ALL)
    assert chosen({"SEED": "7"}) == [7]
    assert len(chosen({"CELLS": "5"})) == 5


def test_a_seed_is_the_same_case_in_another_process() -> None:
    script = "from tests.property import case, generate; print(case.as_yaml(generate.case_of(42)), end='')"
    environment = {**os.environ, "PYTHONHASHSEED": "99"}
    argv = [sys.executable, "-c", script]
    printed = subprocess.run(argv, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    assert printed.stdout == as_yaml(case_of(42))


def test_a_case_is_read_as_it_was_written() -> None:
    for seed in range(1, 40):
        assert parsed(as_yaml(case_of(seed))) == case_of(seed)


def test_a_failing_release_is_taken_back_before_the_next_step() -> None:
    bad = Change(("layer", "services", "web", "command"), ["false"])
    case = Case(a_document(), (Step("deploy"), Step("failing gate", (bad,)), Step("deploy")))
    assert [services(each)["web"]["command"] for each in case.documents()] == [["sleep"], ["false"], ["sleep"]]


def test_shrinking_keeps_what_fails() -> None:
    """A made-up fault: an operation limited to a service that another one leans on."""

    def fails(case: Case) -> bool:
        return any(
            step.services
            and any({*step.services} & each.get("depends_on", {}).keys() for each in services(now).values())
            for step, now in zip(case.steps, case.documents())
        )

    seed = next(seed for seed in ALL if fails(case_of(seed)) and len(services(case_of(seed).document)) > 4)
    small = shrunk(case_of(seed), fails, 2000)
    assert fails(small)
    assert len(services(small.document)) <= 3
    assert len(small.steps) == 1


def test_a_journal_knows_what_has_passed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "folder" / "commit.jsonl")
    assert journal.passed() == set()
    journal.note(3, 1.23)
    journal.note(5, 2)
    assert journal.passed() == {3, 5}


def a_document() -> dict[str, object]:
    web = {"image": "busybox:1", "command": ["sleep"], "environment": {"RELEASE": "one"}, "labels": {"kind": "server"}}
    db = {**web, "healthcheck": {"test": ["CMD", "true"]}}
    return {
        "layer": {"services": {"db": db, "web": {**web, "depends_on": {"db": {"condition": "service_healthy"}}}}},
        "files": {},
        "variables": {"LEVEL": "one"},
        "profiles": [],
    }


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ((Change(("layer", "services", "db", "healthcheck")),), "web: db has no health"),
        ((Change(("layer", "services", "db", "profiles"), ["tools"]),), "web: needs db"),
        ((Change(("layer", "services", "db")),), "web: needs db"),
        ((Change(("layer", "services", "db", "pid"), "service:web"),), "a circle"),
        ((Change(("layer", "services", "web", "network_mode"), "service:db"),), None),
        ((Change(("layer", "services", "web", "secrets"), ["token"]),), "web: no secrets token"),
    ],
)
def test_problems_are_seen(changes: tuple[Change, ...], told: str | None) -> None:
    assert problems(applied(a_document(), changes)) == ([told] if told else [])


def test_a_service_is_limited_to_with_what_it_depends_on() -> None:
    assert closure(a_document(), ("web",)) == {"web", "db"}


SEEN = Seen("1", "web", "running", 0, "", "t1", 0, frozenset({"net"}), "hash", "image", {"RELEASE": "one"}, {})


@pytest.mark.parametrize(
    ("after", "done"),
    [
        ([SEEN], set()),
        ([replace(SEEN, id="2")], {("web", "recreate")}),
        ([SEEN, replace(SEEN, id="2")], {("web", "create")}),
        ([], {("web", "remove")}),
        ([replace(SEEN, started="t2")], {("web", "restart")}),
        ([replace(SEEN, started="t2", restarts=1)], set()),
        ([replace(SEEN, state="exited")], {("web", "stop")}),
        ([replace(SEEN, networks=frozenset({"net", "other"}))], {("web", "connect")}),
    ],
)
def test_deeds_are_told_from_what_was_and_is(after: list[Seen], done: set[tuple[str, str]]) -> None:
    assert deeds({"1": SEEN}, {each.id: each for each in after}) == done


def kinds(found: object) -> list[str]:
    return [str(each).partition(":")[0] for each in found]  # type: ignore[attr-defined]


def test_an_action_that_is_not_planned_is_a_violation() -> None:
    action = {"service": "web", "action": "recreate"}
    then, now = {"1": SEEN}, {"2": replace(SEEN, id="2")}
    assert kinds(oracle.is_the_plan([action], [action], then, now, False)) == []
    assert kinds(oracle.is_the_plan([], [action], then, now, False)) == ["plan is not the deed"]
    assert kinds(oracle.is_the_plan([action], [], then, now, False)) == ["result is not the deed"]
    assert kinds(oracle.is_the_plan([action], [], now, now, False)) == ["plan is not the deed"]


def test_a_container_that_runs_in_what_is_gone_is_a_violation() -> None:
    lost = replace(SEEN, namespaces={**SEEN.namespaces, "pid": "container:9"})
    assert kinds(oracle.shares_what_is_there({"1": lost})) == ["lost its leader"]
    assert kinds(oracle.shares_what_is_there({"1": lost, "9": replace(SEEN, id="9")})) == []
    assert kinds(oracle.shares_what_is_there({"1": replace(lost, state="exited")})) == []


def test_what_a_build_decides_may_be_done_or_not() -> None:
    then, now = {"1": SEEN}, {"2": replace(SEEN, id="2")}
    action = {"service": "web", "action": "recreate", "reason": "if the build gives another image", "certain": False}
    assert kinds(oracle.is_the_plan([action], [], now, now, False)) == []
    assert kinds(oracle.is_the_plan([action], [action], then, now, False)) == []


def test_a_follower_of_a_container_that_is_gone_is_a_violation() -> None:
    document = applied(a_document(), (Change(("layer", "services", "web", "network_mode"), "service:db"),))
    leader = replace(SEEN, id="9", service="db")
    for target, expected in (("container:9", []), ("container:8", ["lost its leader"])):
        follower = replace(SEEN, namespaces={"network_mode": target})
        assert kinds(oracle.follows_its_leader(document, {"9": leader, "1": follower})) == expected
    newer = {"9": replace(leader, started="t2"), "1": replace(SEEN, namespaces={"network_mode": "container:9"})}
    assert kinds(oracle.follows_its_leader(document, newer)) == ["lost its leader"]


def test_what_stands_still_is_a_violation() -> None:
    both = {"1": SEEN, "9": replace(SEEN, id="9", service="db", health="healthy")}
    assert kinds(oracle.is_what_layers_say(a_document(), both)) == []
    for broken in (replace(SEEN, state="created"), replace(SEEN, state="exited", exit_code=0)):
        assert kinds(oracle.is_what_layers_say(a_document(), {**both, "1": broken})) == ["state"]
    assert kinds(oracle.is_what_layers_say(a_document(), {"1": SEEN})) == ["number"]
    assert kinds(oracle.none_is_left_created({"1": replace(SEEN, state="created")})) == ["left created"]


def test_only_what_was_made_with_other_files_is_made_anew_when_they_are_back() -> None:
    document = applied(a_document(), (Change(("layer", "services", "web", "volumes"), ["./a.txt:/a"]),))
    document = applied(document, (Change(("files", "a.txt"), "one"),))
    failed = applied(document, (Change(("files", "a.txt"), "two"),))
    then, now = {"1": SEEN}, {"2": replace(SEEN, id="2")}
    assert oracle.made_with_other_files(failed, document, then, now) == {"web"}
    assert oracle.made_with_other_files(document, document, then, now) == set()
    assert oracle.made_with_other_files(failed, document, then, then) == set()
    assert oracle.made_with_other_files(failed, document, then, {"1": replace(SEEN, started="t9")}) == {"web"}
    anew, other = {"service": "web", "action": "recreate"}, {"service": "db", "action": "recreate"}
    assert kinds(oracle.gets_its_files_back(document, {"web"}, {"web"}, [anew])) == []
    assert kinds(oracle.gets_its_files_back(document, {"web"}, {"web"}, [])) == ["stale"]
    assert kinds(oracle.gets_its_files_back(document, {"web"}, {"web"}, [anew, other])) == ["more than the files"]
