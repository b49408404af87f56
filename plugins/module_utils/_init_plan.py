# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services are init steps, in which order they run, and how that is told. Pure. Private to strata.compose."""

from __future__ import annotations

import hashlib
import json
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._init_step import (
    InitStep,
    definition_of,
    step_of,
)
from ansible_collections.strata.compose.plugins.module_utils._model import selected_with_dependencies

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Part

Model = t.Mapping[str, t.Any]

SUCCEEDED, FAILED, DONE, PENDING = "succeeded", "failed", "done before", "not run"
ASSUMED = "assumed"
"""Nobody saw the step run: the user has said that it is done."""

NOT_CONTENT = ("profiles", "depends_on", "restart")
"""Keys that say when a step runs, not what it does."""


NOT_IN_RUN = ("build", "pull_policy", "depends_on")
"""Keys that would keep Compose from running a step alone, in the image that is here."""


@dataclass(frozen=True)
class Outcome:
    """How a step ended, or why it did not run."""

    service: str
    outcome: str
    exit_code: int | None = None
    seconds: float | None = None
    cause: str = ""
    """why it failed"""
    log: tuple[str, ...] = ()
    """its last lines"""
    log_file: str = ""
    """on the managed host, with all that it wrote"""
    container: str = ""
    """name of the container that is kept after a failure"""
    finished: str = ""
    host: str = ""


def select(model: Model, selection: Model, foreign: t.Collection[str] | None) -> tuple[InitStep, ...]:
    """The steps, each after those that it depends on.

    ``foreign`` are the services of Compose files of their own, ``None`` when there are no such files. Raises
    `ComposeFailure` for a name that is no service, or that is another one's.
    """
    services = model.get("services") or {}
    named = selection["steps"]
    if named is not None:
        steps = tuple(step_of(each) for each in named)
        _require_known(services, steps)
        return in_order(model, steps)
    if foreign is not None:
        return in_order(model, [InitStep(name, name) for name in sorted(foreign)])
    found = sorted(name for name in services if selection["profile"] in _profiles(services[name]))
    return in_order(model, [InitStep(name, name) for name in found])


def _require_known(services: Model, steps: t.Sequence[InitStep]) -> None:
    unknown = [each.service for each in steps if each.service not in services]
    if unknown:
        raise ComposeFailure(
            f"unknown service among the steps: {', '.join(unknown)}. The services of this environment, with all "
            f"profiles, are {', '.join(sorted(services)) or 'none'}."
        )
    names = [each.name for each in steps]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ComposeFailure(f"two init steps have the name {', '.join(twice)}: give each a name of its own.")
    if taken := [each.name for each in steps if each.name in services and each.name != each.service]:
        raise ComposeFailure(
            f"init step {', '.join(taken)} has the name of a service that it does not run: give it another name."
        )


def _profiles(definition: Model) -> t.Sequence[str]:
    return definition.get("profiles") or ()


def in_order(model: Model, steps: t.Sequence[InitStep]) -> tuple[InitStep, ...]:
    """The steps in the order given, each after those that it waits for."""
    before, by_name = awaited(model, steps), {each.name: each for each in steps}
    ordered: dict[str, None] = {}

    def visit(name: str) -> None:
        for other in [each for each in by_name if each in before[name] and each not in ordered]:
            visit(other)
        ordered[name] = None

    for name in by_name:
        visit(name)
    return tuple(by_name[name] for name in ordered)


def awaited(model: Model, steps: t.Sequence[InitStep]) -> dict[str, set[str]]:
    """For each step the names of those that it waits for: the steps of the services that its own depends on."""
    near = {each.name: dependencies_of_step(model, each) for each in steps}
    return {each.name: {other.name for other in steps if other.service in near[each.name]} for each in steps}


def dependencies_of_step(model: Model, step: InitStep) -> set[str]:
    """The services that a step's own depends on, directly or through others."""
    return selected_with_dependencies(model, [step.service]) - {step.service}


def fingerprint(part: Part, step: InitStep) -> str:
    """The SHA-256 of what a step does: its part of the model, its command, and the content of its files."""
    own = definition_of(part.definition, step)
    definition = {key: value for key, value in own.items() if key not in NOT_CONTENT}
    content = json.dumps([definition, dict(part.files)], sort_keys=True, default=dict)
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()


def servers_of(model: Model, due: t.Iterable[InitStep], steps: t.Iterable[InitStep]) -> set[str]:
    """The services that the due steps need and that are no steps themselves, such as the database."""
    needed = {name for each in due for name in dependencies_of_step(model, each)}
    return needed - {each.service for each in steps if each.command is None}


def startable(
    before: t.Mapping[str, t.Collection[str]], waiting: t.Sequence[str], running: t.Collection[str], is_parallel: bool
) -> tuple[str, ...]:
    """The steps to start now: one at a time, or all that no other step holds up.

    ``before`` has for each step those that it waits for, whatever the condition in its ``depends_on`` says.
    """
    unfinished = {*waiting, *running}
    free = tuple(name for name in waiting if not unfinished & set(before[name]))
    if is_parallel:
        return free
    return () if running else free[:1]


def in_existing(
    model: Model, step: InitStep, networks: t.Collection[str], volumes: t.Collection[str]
) -> dict[str, t.Any]:
    """The model for a step's run beside what runs: what exists is used as it is, and nothing is built."""
    own = definition_of(model["services"][step.service], step, escape=True)
    services = {
        name: {key: value for key, value in each.items() if key not in NOT_IN_RUN}
        for name, each in {**model["services"], step.service: own}.items()
    }
    return as_they_are({**model, "services": services}, networks, volumes)


def as_they_are(model: Model, networks: t.Collection[str], volumes: t.Collection[str]) -> dict[str, t.Any]:
    """The model in which existing networks and volumes are used as they are.

    Compose would change a network whose definition is another one now, and so cut off the containers in it.
    """
    return {
        **model,
        "networks": _used_as_they_are(model.get("networks"), networks),
        "volumes": _used_as_they_are(model.get("volumes"), volumes),
    }


def _used_as_they_are(declared: Model | None, existing: t.Collection[str]) -> dict[str, t.Any]:
    return {
        key: {"name": each["name"], "external": True} if each and each.get("name") in existing else each
        for key, each in (declared or {}).items()
    }


def line(outcome: Outcome) -> str:
    """A step for people: ``✔ migrations (exit 0, 2.3 s)``."""
    if outcome.outcome in (DONE, ASSUMED):
        where = f" on {outcome.host}" if outcome.host else ""
        return f"✔ {outcome.service} ({outcome.outcome}, {outcome.finished}{where})"
    if outcome.outcome == PENDING:
        return f"– {outcome.service} (not run)"
    mark = "✔" if outcome.outcome == SUCCEEDED else "✘"
    return f"{mark} {outcome.service} (exit {outcome.exit_code}, {outcome.seconds:.1f} s)"


def failure_text(outcomes: t.Sequence[Outcome], cancelled_by: str = "") -> str:
    """What a failed phase tells: the table, then each failed step with its cause, its log, and what to do.

    ``cancelled_by`` is the signal that ended it, if one did: then perhaps no step has failed.
    """
    failed = [each for each in outcomes if each.outcome == FAILED]
    ended = f"cancelled by {cancelled_by}" if cancelled_by and not failed else "failed"
    return "\n".join(
        [
            *(line(each) for each in outcomes),
            f"Init phase {ended}. Deployment aborted. The running containers are untouched.",
            *(_told_failure(each) for each in failed),
            "Retry with the same command when the cause is gone: steps that succeeded are not run again.",
        ]
    )


def _told_failure(outcome: Outcome) -> str:
    log = "\n  ".join(outcome.log) if outcome.log else "(it wrote nothing)"
    kept = f" Its container is kept until the next try: docker logs {outcome.container}" if outcome.container else ""
    full = f"\nThe whole log: {outcome.log_file}" if outcome.log_file else ""
    return f"step {outcome.service}: {outcome.cause}.{kept}\nLast log lines:\n  {log}{full}"
