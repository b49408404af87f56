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
from ansible_collections.strata.compose.plugins.module_utils._model import dependencies, selected_with_dependencies

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Part

Model = t.Mapping[str, t.Any]

SUCCEEDED, FAILED, DONE, PENDING = "succeeded", "failed", "done before", "not run"

NOT_CONTENT = ("profiles", "depends_on", "restart")
"""Keys that say when a step runs, not what it does."""


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


def select(model: Model, selection: Model, foreign: t.Collection[str] | None) -> tuple[str, ...]:
    """The services that are steps, each after the steps that it depends on.

    ``foreign`` are the services of a Compose file of their own, ``None`` when there is no such file. Raises
    `ComposeFailure` for a name that is no service.
    """
    services = model.get("services") or {}
    named = selection["steps"]
    if named is not None:
        unknown = [name for name in named if name not in services]
        if unknown:
            raise ComposeFailure(
                f"unknown service among the steps: {', '.join(unknown)}. The services of this environment, with all "
                f"profiles, are {', '.join(sorted(services)) or 'none'}."
            )
        return _in_order(model, named)
    if foreign is not None:
        return _in_order(model, sorted(foreign))
    return _in_order(model, sorted(name for name in services if selection["profile"] in _profiles(services[name])))


def _profiles(definition: Model) -> t.Sequence[str]:
    return definition.get("profiles") or ()


def _in_order(model: Model, names: t.Sequence[str]) -> tuple[str, ...]:
    ordered: dict[str, None] = {}

    def visit(name: str) -> None:
        for other in [each for each in names if each in dependencies(model, name) and each not in ordered]:
            visit(other)
        ordered[name] = None

    for name in names:
        visit(name)
    return tuple(ordered)


def fingerprint(part: Part) -> str:
    """The SHA-256 of what a step does: its part of the model, and the content of its files."""
    definition = {key: value for key, value in part.definition.items() if key not in NOT_CONTENT}
    content = json.dumps([definition, dict(part.files)], sort_keys=True, default=dict)
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()


def servers_of(model: Model, steps: t.Collection[str]) -> set[str]:
    """The services that steps need and that are no steps themselves, such as the database."""
    return selected_with_dependencies(model, steps) - set(steps)


def startable(model: Model, waiting: t.Sequence[str], running: t.Collection[str], is_parallel: bool) -> tuple[str, ...]:
    """The steps to start now: one at a time, or all that no other step holds up.

    A step waits for the end of the steps in its ``depends_on``, whatever the condition there says.
    """
    unfinished = {*waiting, *running}
    free = tuple(name for name in waiting if not unfinished & set(_steps_before(model, name)))
    if is_parallel:
        return free
    return () if running else free[:1]


def _steps_before(model: Model, name: str) -> set[str]:
    return selected_with_dependencies(model, [name]) - {name}


def in_existing(model: Model, networks: t.Collection[str], volumes: t.Collection[str]) -> dict[str, t.Any]:
    """The model for a run beside what runs: existing networks and volumes are used as they are, nothing is built.

    Compose would change a network whose definition is another one now, and so cut off the containers in it.
    """
    services = {
        name: {key: value for key, value in each.items() if key not in ("build", "pull_policy", "depends_on")}
        for name, each in model["services"].items()
    }
    return {
        **model,
        "services": services,
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
    if outcome.outcome == DONE:
        where = f" on {outcome.host}" if outcome.host else ""
        return f"✔ {outcome.service} (done before, {outcome.finished}{where})"
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
