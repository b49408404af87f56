# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""By which calls of Compose containers are created and replaced, so that no other one is. Pure.

When Compose 2.26 replaces a container, it replaces those of all services in the same call that depend on its service,
and a call is about the services that it names and all that these depend on (compose pkg/compose/convergence.go,
`setDependentLifecycle`; 2.40 stops those with ``restart: true``). So a service that lies between two replaced ones and
is to stay needs them in two calls. Private to strata.compose.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils import _step
from ansible_collections.strata.compose.plugins.module_utils._model import (
    dependencies,
    in_start_order,
    selected_with_dependencies,
)
from ansible_collections.strata.compose.plugins.module_utils._step import Step

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Release
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Snapshot


@dataclass(frozen=True)
class Call:
    """One ``up --no-start``: it replaces the containers that its services have, or leaves those that exist alone."""

    services: tuple[str, ...]
    replaces: bool


def calls(model: t.Mapping[str, t.Any], steps: t.Sequence[Step], existing: t.Collection[str]) -> list[Call]:
    """The fewest calls that take all CREATE and RECREATE steps; ``existing`` are the services that have containers.

    The order matters: a call whose services depend on a replaced one comes after it, or Compose would replace it twice.
    """
    replaced = {step.service for step in steps if step.action == _step.RECREATE}
    created = {step.service for step in steps if step.action == _step.CREATE} - replaced
    more = tuple(sorted(created & set(existing)))
    rounds = _rounds(model, replaced, created - set(more))
    found = []
    for number in sorted(set(rounds.values())):
        services = tuple(sorted(name for name, its in rounds.items() if its == number))
        found.append(Call(services, replaces=not replaced.isdisjoint(services)))
    return [*found, *([Call(more, replaces=False)] if more else [])]


def passed_by_replacing(model: t.Mapping[str, t.Any], steps: t.Sequence[Step], existing: t.Collection[str]) -> set[str]:
    """The services that calls which replace others pass by: Compose replaces those that it takes for changed.

    So it does with one that shares something of a container that is another one now: it hashes that one's id with it.
    """
    replacing = [each.services for each in calls(model, steps, existing) if each.replaces]
    return {name for services in replacing for name in selected_with_dependencies(model, services) - set(services)}


def differs_by_version(wanted: Release, steps: t.Sequence[Step], running: Snapshot) -> bool:
    """Whether what the calls only pass by was made by another version of Compose, which may hash it otherwise."""
    version = wanted.resolved_from.get("compose")
    passed = _passed_by(wanted.model, steps)
    return any(each.made_by not in ("", version) for each in running.containers if each.service in passed)


def outdated(wanted: Release, steps: t.Sequence[Step], running: Snapshot) -> list[Step]:
    """The steps on services that the calls only pass by, and whose containers Compose replaces for their hash.

    That happens after a change of its version, once; where hashes were not asked for, there are none.
    """
    reason = "another version of Compose made it, and this one replaces it with what depends on it"
    return [
        Step(name, _step.RECREATE, reason, tuple(each.id for each in running.of(name)))
        for name in sorted(_passed_by(wanted.model, steps))
        if (expected := wanted.parts[name].config_hash)
        and any(each.config_hash != expected for each in running.of(name))
    ]


def _passed_by(model: t.Mapping[str, t.Any], steps: t.Sequence[Step]) -> set[str]:
    replaced = {step.service for step in steps if step.action == _step.RECREATE}
    return selected_with_dependencies(model, replaced) - replaced


def _rounds(model: t.Mapping[str, t.Any], replaced: t.Collection[str], new: t.Collection[str]) -> dict[str, int]:
    """The number of the call of each replaced and new service: one more for each that stays between two of them."""
    rounds: dict[str, int] = {}
    for name in in_start_order(model):
        below = dependencies(model, name)
        if name in replaced or name in new:
            rounds[name] = max((rounds[each] for each in below), default=0)
        else:
            rounds[name] = max((rounds[each] + (each in replaced) for each in below), default=0)
    return {name: number for name, number in rounds.items() if name in replaced or name in new}
