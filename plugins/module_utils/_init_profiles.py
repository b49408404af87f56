# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What init steps depend on, as far as its profiles are on. Pure. Private to strata.compose.

Steps are chosen among the services of all profiles. What they depend on obeys profiles as in a deployment, or else a
migration would run on the database that another environment has beside it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._init_step import InitStep
from ansible_collections.strata.compose.plugins.module_utils._model import alone

Model = t.Mapping[str, t.Any]
Edges = dict[str, dict[str, t.Any]]


def without_what_is_off(model: Model, steps: t.Sequence[InitStep], profiles: t.Collection[str]) -> dict[str, t.Any]:
    """The model without the optional dependencies that lead from the steps to services whose profiles are off.

    ``profiles`` are those that are on. Those of a step that was named are on for what it depends on, as for
    ``docker compose run`` (compose-spec, profiles). Raises `ComposeFailure` for a required dependency that is off.
    """
    kept: Edges = {}
    problems: dict[str, None] = {}
    named = {each.service for each in steps if each.command is None}
    for step in steps:
        problems.update(dict.fromkeys(_follow(model, step, _profiles_for(model, step, profiles), named, kept)))
    if problems:
        raise ComposeFailure(f"{'; '.join(problems)}. Nothing was changed.", problems=list(problems))
    services = {
        name: {**each, "depends_on": kept.get(name, {})} if name in kept else each
        for name, each in (model.get("services") or {}).items()
    }
    return {**model, "services": services}


def _profiles_for(model: Model, step: InitStep, profiles: t.Collection[str]) -> set[str]:
    own = set() if _is_on(model, step.service, profiles) else set(_profiles_of(model, step.service))
    return {*profiles, *own}


def _follow(
    model: Model, step: InitStep, profiles: t.Collection[str], named: t.Collection[str], kept: Edges
) -> list[str]:
    """Note which dependencies count on the way from a step; what stands in the way."""
    problems, seen, waiting = [], set(), [step.service]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        edges = kept.setdefault(name, {})
        for other, details in (model["services"][name].get("depends_on") or {}).items():
            if other in model["services"] and (other in named or _is_on(model, other, profiles)):
                edges[other] = details
                waiting.append(other)
            elif details.get("required", True):
                problems.append(_told(model, step, name, other))
    return problems


def _told(model: Model, step: InitStep, name: str, other: str) -> str:
    off = f" {', '.join(_profiles_of(model, other))}" if other in model["services"] else ""
    way = "" if name == step.service else f" through service {name}"
    return (
        f"init step {step.name} depends{way} on service {other}, whose profile{off} is off: switch it on with "
        f"compose_env_profiles, or let the dependency have required: false"
    )


def _is_on(model: Model, name: str, profiles: t.Collection[str]) -> bool:
    own = _profiles_of(model, name)
    return not own or "*" in profiles or bool({*own} & {*profiles})


def _profiles_of(model: Model, name: str) -> t.Sequence[str]:
    return model["services"][name].get("profiles") or ()


def for_servers(model: Model, servers: t.Collection[str]) -> dict[str, t.Any]:
    """The model of the services that steps depend on, and of them only.

    What such a service depends on and is none is a step, which has no container of its own to wait for.
    """
    services = {}
    for name in sorted(servers):
        definition = model["services"][name]
        before = {key: each for key, each in (definition.get("depends_on") or {}).items() if key in servers}
        services[name] = {**alone(definition), **({"depends_on": before} if before else {})}
    return {**model, "services": services}
