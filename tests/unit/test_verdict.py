# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a container is up for good: the table is cases/gate.yml."""

from __future__ import annotations

from ansible_collections.strata.compose.plugins.module_utils import _gate
from ansible_collections.strata.compose.plugins.module_utils._health import Try

from tests.unit.tables import container, each, model_of, table

CASES = table("gate")


@each(CASES["verdicts"])
def test_verdicts(case):
    model = model_of({"web": case.get("service")})
    clock = 0.0
    watch = _gate.Watch(case.get("stable_for", 10), now=lambda: clock)
    told = []
    for look in case["seen"]:
        clock = look["at"]
        seen = {key: value for key, value in look.items() if key not in ("at", "verdict", "tried")}
        looked_at = container("web", **seen)
        if "tried" in look:
            watch.note_try(looked_at, Try(looked_at.checks[-1][0], look["tried"]))
        told.append(_gate.verdict(model, looked_at, watch))
    assert told == [look["verdict"] for look in case["seen"]]


def test_what_was_unhealthy_before_gets_two_checks_to_recover():
    def ill(*checks, health="unhealthy", started="2026-11-27T09:00:00Z"):
        return container("web", health=health, started=started, checks=tuple((began, False) for began in checks))

    model, watch = model_of({"web": None}), _gate.Watch(10, ill=_gate.ill_before([ill(1, 2)]))
    assert _gate.verdict(model, ill(1, 2), watch) == _gate.WAITING
    assert _gate.verdict(model, ill(1, 2, 3), watch) == _gate.WAITING
    assert _gate.verdict(model, ill(1, 2, 3, 4), watch) == "unhealthy"
    assert _gate.verdict(model, ill(3, started="2026-11-27T10:00:00Z"), watch) == "unhealthy"
    assert _gate.ill_before([ill(1, health="healthy"), ill(1, health="")]) == {}


def test_containers_are_watched_apart():
    time = 0.0
    watch = _gate.Watch(10, now=lambda: time)
    assert watch.seconds_undisturbed(container("web")) == 0
    time = 5.0
    assert watch.seconds_undisturbed(container("db")) == 0
    time = 7.0
    assert [watch.seconds_undisturbed(container(name)) for name in ("web", "db")] == [7, 2]


FAILED = {
    "service": "web",
    "container": "shop-prod-web-1",
    "cause": "unhealthy",
    "health_output": "connection refused",
    "log": ["first", "second"],
}


def test_a_failure_is_told_with_health_output_and_log():
    assert _gate.as_text([FAILED]) == (
        "service web (shop-prod-web-1): unhealthy.\n"
        "Last health output: connection refused\n"
        "Last log lines:\n"
        "  first\n"
        "  second"
    )


def test_failures_are_told_one_after_another_and_silence_as_such():
    silent = {**FAILED, "service": "db", "cause": "exited with code 1", "health_output": "", "log": []}
    told = _gate.as_text([silent, FAILED])
    assert told.startswith(
        "service db (shop-prod-web-1): exited with code 1.\nLast log lines:\n  (it wrote nothing)\nservice web"
    )
