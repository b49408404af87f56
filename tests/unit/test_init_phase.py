# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pure parts of the init phase: the tables are cases/init.yml."""

from __future__ import annotations

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _init_plan, _init_run
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._fresh import dependents
from ansible_collections.strata.compose.plugins.module_utils._init_data import is_fleeting
from ansible_collections.strata.compose.plugins.module_utils._init_profiles import without_what_is_off
from ansible_collections.strata.compose.plugins.module_utils._init_step import as_given, step_of
from ansible_collections.strata.compose.plugins.module_utils._ledger import KEPT, Content, Ledger, LedgerFile, Success
from ansible_collections.strata.compose.plugins.module_utils._release import parts_of

from tests.unit.tables import each, table

CASES = table("init")
MODEL = {
    "services": {
        "a": {},
        "b": {},
        "server": {"depends_on": {"a": {"condition": "service_completed_successfully"}}},
        "needs-a": {"depends_on": {"a": {"condition": "service_completed_successfully"}}},
        "needs-server-of-a": {"depends_on": {"server": {"condition": "service_healthy"}}},
    }
}
SUCCESS = {
    "fingerprint": "f1",
    "image": "i1",
    "lives_on": {"data": "then"},
    "exit_code": 0,
    "seconds": 1.0,
    "finished": "2026-11-21T08:00:00Z",
    "host": "web-1",
    "actor": "alice",
}


@each(CASES["select"])
def test_selection(case):
    selection = {"profile": "init", "steps": case.get("named"), "file": None}
    foreign = set(case["foreign"]) if "foreign" in case else None
    if "error" in case:
        with pytest.raises(ComposeFailure) as caught:
            _init_plan.select({"services": case["services"]}, selection, foreign)
        assert caught.value.message == case["error"]
    else:
        found = _init_plan.select({"services": case["services"]}, selection, foreign)
        assert [as_given(step) for step in found] == case["steps"]


def plain(names):
    return [step_of(name) for name in names]


@each(CASES["given"])
def test_step_as_it_is_given(case):
    with pytest.raises(ComposeFailure) as caught:
        step_of(case["step"])
    assert case["error"] in caught.value.message


@each(CASES["profiles"])
def test_dependencies_obey_profiles(case):
    model = {"services": case["services"]}
    steps = [step_of(given) for given in case["steps"]]
    if "problems" in case:
        with pytest.raises(ComposeFailure) as caught:
            without_what_is_off(model, steps, case.get("active", []))
        assert caught.value.facts["problems"] == case["problems"]
    else:
        pruned = without_what_is_off(model, steps, case.get("active", []))
        assert sorted(_init_plan.servers_of(pruned, steps, steps)) == case["servers"]


@each(CASES["startable"])
def test_what_may_start(case):
    before = _init_plan.awaited(MODEL, plain(["a", "b", "needs-a", "needs-server-of-a"]))
    starts = _init_plan.startable(before, case["waiting"], case["running"], case.get("parallel", False))
    assert list(starts) == case["starts"]


@each(CASES["servers"])
def test_servers(case):
    steps = [step_of(given) for given in case["steps"]]
    due = [each for each in steps if each.name in case.get("due", [step.name for step in steps])]
    assert sorted(_init_plan.servers_of(MODEL, due, steps)) == case["servers"]


@each(CASES["fingerprint"])
def test_fingerprint(case):
    assert (
        printed({"command": ["a"]}) == printed(case["service"], case.get("files"), case.get("step", "migrate"))
    ) is case["same"]


def printed(service, files=None, step="migrate"):
    parts = parts_of(
        {"name": "shop-prod", "services": {"migrate": {"image": "a:1", **service}}}, {"migrate": files or {}}
    )
    return _init_plan.fingerprint(parts["migrate"], step_of(step))


@each(CASES["existing"])
def test_model_for_a_run_beside_what_exists(case):
    step = step_of(case["step"])
    assert _init_plan.in_existing(case["model"], step, case["networks"], case["volumes"]) == case["becomes"]


@each(CASES["line"])
def test_line(case):
    assert _init_plan.line(_init_plan.Outcome("migrate", **case["outcome"])) == case["line"]


@each(CASES["proof"])
def test_proof(case):
    content = Content(**{"fingerprint": "f1", "image": "i1", "lives_on": {"data": "then"}, **case["content"]})
    assert Success(**{**SUCCESS, **case.get("success", {})}).proves(content) is case["proves"]


@each(CASES["dependents"])
def test_services_that_have_to_prove_their_health_anew(case):
    assert sorted(dependents(MODEL, case["started"])) == case["dependents"]


@each(CASES["fleeting"])
def test_data_that_go_with_their_container(case):
    assert is_fleeting(case["service"]) is case["fleeting"]


@each(CASES["seconds"])
def test_seconds(case):
    assert _init_run.seconds_between(case["started"], case["finished"]) == case["seconds"]


def test_failure_tells_table_cause_log_and_what_to_do():
    told = _init_plan.failure_text(
        [
            _init_plan.Outcome("migrate", _init_plan.SUCCEEDED, 0, 2.3),
            _init_plan.Outcome("seed", _init_plan.FAILED, 1, 0.8, "exited with code 1", ("no such table",), "/l", "c"),
            _init_plan.Outcome("index", _init_plan.PENDING),
        ]
    )
    assert told.splitlines() == [
        "✔ migrate (exit 0, 2.3 s)",
        "✘ seed (exit 1, 0.8 s)",
        "– index (not run)",
        "Init phase failed. Deployment aborted. The running containers are untouched.",
        "step seed: exited with code 1. Its container is kept until the next try: docker logs c",
        "Last log lines:",
        "  no such table",
        "The whole log: /l",
        "Retry with the same command when the cause is gone: steps that succeeded are not run again.",
    ]


def test_phase_that_was_cancelled_between_its_steps_has_not_failed():
    outcomes = [_init_plan.Outcome("migrate", _init_plan.PENDING)]
    assert "Init phase cancelled by SIGTERM. Deployment aborted." in _init_plan.failure_text(outcomes, "SIGTERM")


def test_ledger_is_read_as_it_was_written(tmp_path):
    ledger = Ledger(
        {"profile": "init", "steps": None, "file": None}, {"migrate": (Success(**SUCCESS),)}, {"seed": "f2"}
    )
    file = LedgerFile(str(tmp_path))
    assert file.read() == Ledger()
    file.write(ledger)
    assert file.read() == ledger
    assert (tmp_path / "init.json").stat().st_mode & 0o777 == 0o600


def test_word_of_a_word_tells_of_the_same_run():
    ran = Success(**SUCCESS, run="r1")
    word = ran.as_word("i2", 7)
    assert (word.run, word.image, word.there, word.after, word.lives_on) == ("r1", "i2", "i1", 7, None)
    assert word.as_word("i3", 0).there == "i1"


def test_runs_are_outdated_when_they_are_of_the_same_files_and_prove_nothing():
    runs = {"r1": "i1", "r2": "i2"}
    entries = [Success(**{**SUCCESS, "image": image}, run=run) for run, image in runs.items()]
    other = Success(**{**SUCCESS, "fingerprint": "f0"}, run="r0")
    ledger = Ledger(succeeded={"migrate": (other, *entries)})
    assert ledger.runs_outdated("migrate", Content("f1", "i3", {"data": "then"})) == {"r1", "r2"}
    assert ledger.runs_outdated("migrate", Content("f1", "i2", {"data": "then"})) == set()


def test_only_words_that_await_their_image_are_given_one():
    waiting = Success(**{**SUCCESS, "image": None, "lives_on": None})
    ledger = Ledger(succeeded={"migrate": (Success(**SUCCESS), waiting, waiting.as_word("i2", 1))})
    images = [each.image for each in ledger.with_images(lambda _name, _word: "i9").succeeded["migrate"]]
    assert images == ["i1", "i9", "i2"]


def test_ledger_keeps_each_success_once_and_forgets_the_oldest():
    ledger = Ledger().beginning("migrate", "f0")
    for number in range(KEPT + 5):
        ledger = ledger.ended("migrate", Success(**{**SUCCESS, "fingerprint": f"f{number}"}))
    assert ledger.under_way == {}
    assert ledger.ended("migrate", ledger.succeeded["migrate"][-1]) == ledger
    assert [each.fingerprint for each in ledger.succeeded["migrate"]] == [f"f{number}" for number in range(5, KEPT + 5)]
    assert ledger.proof("migrate", Content("f1", "i1", {"data": "then"})) is None
