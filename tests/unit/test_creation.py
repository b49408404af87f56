# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""By which calls of Compose containers are made: the table is cases/creation.yml, and a model of what Compose does."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _creation, _model
from ansible_collections.strata.compose.plugins.module_utils._creation import Call
from ansible_collections.strata.compose.plugins.module_utils._step import Step

from tests.unit.tables import each, model_of, release_of, snapshot_of, table

CASES = table("creation")


def model_with(dependencies):
    return model_of({name: {"depends_on": dict.fromkeys(below, {})} for name, below in dependencies.items()})


def steps_of(recreate, create):
    return [*(Step(name, "recreate", "") for name in recreate), *(Step(name, "create", "") for name in create)]


@each(CASES)
def test_calls(case):
    steps = steps_of(case.get("recreate", ()), case.get("create", ()))
    found = _creation.calls(model_with(case["services"]), steps, case.get("existing", case.get("recreate", ())))
    assert [("R " if call.replaces else "") + " ".join(call.services) for call in found] == case["calls"]


def replaced_by_compose(model, calls, changed):
    """How often Compose 2.26 replaces each service (pkg/compose/convergence.go).

    What the call names it replaces when forced to, what these depend on when it differs, and all in the call that
    depends on a replaced one.
    """
    times, outdated = dict.fromkeys(model["services"], 0), set(changed)
    for call in calls:
        near = _model.selected_with_dependencies(model, call.services)
        forced = set(call.services) if call.replaces else set()
        for name in filter(near.__contains__, _model.in_start_order(model)):
            if name in forced or (name in outdated and call.replaces):
                times[name] += 1
                outdated.discard(name)
                forced |= {other for other in near if name in _model.dependencies(model, other)}
    return times


def test_the_model_of_compose_shows_the_fault():
    model = model_with({"db": [], "migrate": ["db"], "web": ["migrate"]})
    times = replaced_by_compose(model, [Call(("db", "web"), replaces=True)], {"db", "web"})
    assert times == {"db": 1, "migrate": 1, "web": 1}


@pytest.mark.parametrize("seed", range(40))
def test_compose_replaces_what_was_asked_for_once_and_nothing_else(seed):
    chance = random.Random(seed)
    names = [f"s{number}" for number in range(30)]
    chance.shuffle(names)
    below = {
        name: chance.sample(names[:place], min(place, chance.choice([0, 1, 2]))) for place, name in enumerate(names)
    }
    model = model_with(below)
    changed = set(chance.sample(names, chance.randrange(1, 12)))
    calls = _creation.calls(model, steps_of(changed, ()), names)
    assert replaced_by_compose(model, calls, changed) == {name: int(name in changed) for name in names}


def test_hashes_are_asked_for_when_another_version_of_compose_made_what_lies_below():
    wanted = replace(release_of({"db": {}, "web": {"depends_on": {"db": {}}}}), resolved_from={"compose": "2.40.3"})
    for made_by, expected in (("2.40.3", False), ("2.26.1", True), ("", False)):
        running = snapshot_of({"db": [{"made_by": made_by}], "web": [{"made_by": "2.26.1"}]})
        assert _creation.differs_by_version(wanted, steps_of(["web"], ()), running) is expected
        assert not _creation.differs_by_version(wanted, steps_of(["db", "web"], ()), running)
        assert not _creation.differs_by_version(wanted, (), running)
