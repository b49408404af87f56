# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The switch: the part of a deployment that touches running containers, then the gate. Private to strata.compose."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.strata.compose.plugins.module_utils import _model, _step
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli, failure_of
from ansible_collections.strata.compose.plugins.module_utils._conditions import blockers, may_start
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._fresh import await_fresh
from ansible_collections.strata.compose.plugins.module_utils._gate import (
    GOOD,
    WAITING,
    Watch,
    as_text,
    ill_before,
    told_failures,
    try_health_checks,
    verdict,
)
from ansible_collections.strata.compose.plugins.module_utils._leftovers import remove_for_good
from ansible_collections.strata.compose.plugins.module_utils._model import as_json
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container, Snapshot, look_again, observe
from ansible_collections.strata.compose.plugins.module_utils._step import Step
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._creation import Call
    from ansible_collections.strata.compose.plugins.module_utils._init_after import InSwitch
    from ansible_collections.strata.compose.plugins.module_utils._release import Release

POLL = 0.25
"""Seconds between two looks at the engine."""

STARTS = frozenset({_step.CREATE, _step.RECREATE, _step.START, _step.RESTART})


@dataclass(frozen=True)
class Manner:
    """How a switch is made and judged; times in seconds."""

    wait: bool
    wait_timeout: float
    stable_for: float
    stop_timeout: int | None
    cancelled: t.Callable[[], ComposeFailure | None] = lambda: None
    """why it has to end now, if it has to"""
    init: InSwitch | None = None
    """the init steps that it may make due"""
    stays: t.Collection[str] = ()
    """the services that ran on until the switch, see `_plan.staying`"""
    redactor: Redactor = field(default_factory=Redactor)
    """for what is cut before it is told"""

    @property
    def gate(self) -> dict[str, t.Any]:
        """What tells whether a switch has succeeded, for whoever has to judge it when we are gone."""
        return {
            "wait": self.wait,
            "wait_timeout": self.wait_timeout,
            "stable_for": self.stable_for,
            "stays": sorted(self.stays),
        }


def settle_down(steps: t.Sequence[Step], snapshot: Snapshot, manner: Manner, cli: Cli) -> None:
    """Stop what goes away or restarts, first: it may hold ports and names that others are about to get.

    And let what is paused go on: Compose fails on a paused container that a service which it creates depends on. What
    is replaced and lives among the processes of another container is stopped too: it ends with that one, and Compose,
    which stops both at once, fails on a container that is not running any more (seen with Engine 20.10).
    """
    paused = [each for step in steps if step.action == _step.UNPAUSE for each in step.containers]
    if paused:
        cli.docker("unpause", *paused)
    half_removed = _half_removed(steps, snapshot)
    remove_for_good(half_removed, cli)
    removed = [each for step in steps if step.action == _step.REMOVE for each in step.containers]
    going = [each for each in removed if each not in half_removed]
    resting = [each for step in steps if step.action == _step.RESTART for each in step.containers]
    joined = _joined_to_be_replaced(steps, snapshot)
    if going or resting or joined:
        cli.docker(*compose.stop([*going, *resting, *joined], manner.stop_timeout))
    if going:
        cli.docker("rm", *going)


def _half_removed(steps: t.Sequence[Step], snapshot: Snapshot) -> list[str]:
    """Ids of the containers that go or are replaced, and that Compose and the engine would trip over."""
    concerned = {each for step in steps if step.action in (_step.REMOVE, _step.RECREATE) for each in step.containers}
    return [each.id for each in snapshot.containers if each.id in concerned and each.is_half_removed]


def _joined_to_be_replaced(steps: t.Sequence[Step], snapshot: Snapshot) -> list[str]:
    """Ids of running containers that are replaced and share the process namespace of another container."""
    replaced = {each for step in steps if step.action == _step.RECREATE for each in step.containers}
    return [
        each.id
        for each in snapshot.containers
        if each.id in replaced and each.is_running and "pid" in dict(each.shares)
    ]


def create(
    release: Release,
    paths: tuple[str, str],
    calls: t.Iterable[Call],
    unneeded: t.Collection[str],
    manner: Manner,
    cli: Cli,
) -> None:
    """Create and replace containers, and start none; ``paths`` are those of the stored model and its env file.

    Of the ``unneeded`` services none is made, although others depend on them.
    """
    begin = compose.from_release(release, *paths)
    for call in calls:
        concerned = _model.selected_with_dependencies(release.model, call.services)
        without = sorted(concerned & set(unneeded))
        argv = compose.create(call.services, call.replaces, manner.stop_timeout, without)
        # Also what the env file at the path has: a variable of the session with the same name would win over it.
        cli.compose(*begin, *argv, variables=release.variables)


def start_and_gate(
    release: Release, steps: t.Sequence[Step], manner: Manner, cli: Cli, others: t.Collection[str] = ()
) -> None:
    """Bring containers back to work and wait for the gate, for that of ``others`` too, on which there is no step.

    The application is asked last, in the rest of the time. Raises `ComposeFailure` for what does not pass.
    """
    deadline = time.monotonic() + manner.wait_timeout
    _repair(release, steps, cli)
    to_start = {step.service for step in steps if step.action in STARTS}
    touched = {step.service for step in steps if step.action in (_step.UNPAUSE, _step.CONNECT)}
    due = manner.init.due(release, steps) if manner.init else None
    if manner.init and due:
        first = due.servers & set(release.parts)
        bring_up(release, to_start & first, first, replace(manner, wait=True), cli)
        manner.init.run(due)
        await_fresh(release, first, manner, cli)  # What ran meanwhile may be ill for want of what the steps have done.
        to_start -= first
    started = {step.service for step in steps if step.action in STARTS}
    watched = started | touched | set(others)
    bring_up(release, to_start, watched, manner, cli)
    if manner.wait:
        await_fresh(release, started, manner, cli)
        ask_application(release, watched, manner, cli, deadline)


def ask_application(release: Release, watched: t.Collection[str], manner: Manner, cli: Cli, deadline: float) -> None:
    """Ask what the release has to be asked, if anything; ``watched`` are the services that have to run."""
    if release.gate:
        from ansible_collections.strata.compose.plugins.module_utils._application_gate_ask import ask

        ask(release, watched, manner, cli, deadline)


def bring_up(
    release: Release, to_start: t.Collection[str], watched: t.Collection[str], manner: Manner, cli: Cli
) -> None:
    """Start services, each when what it depends on is ready, until all that are watched pass the gate.

    Compose's own ``up`` would run completed one-shot services again (docker/compose#11808) and fail on them when it
    waits (docker/compose#10596), so it creates the containers and we decide what starts when.
    """
    deadline = time.monotonic() + manner.wait_timeout
    waiting, looking = set(to_start), cli.until(deadline)
    snapshot = observe(looking, release.project)
    watch = Watch(manner.stable_for, stays=manner.stays, ill=ill_before(snapshot.containers))
    while True:
        if failure := manner.cancelled():
            raise failure
        verdicts = _verdicts(release, snapshot, set(watched) - waiting, watch)
        _require_no_failure(verdicts, cli)
        ready = {name for name in waiting if may_start(release, name, snapshot)}
        if ready:
            start(release, ready, cli)
            waiting -= ready
        elif not waiting and not manner.wait:
            return
        elif not waiting and all(each == GOOD for each in verdicts.values()):
            if not try_health_checks(cli, verdicts, watch):
                return  # Whoever was tried is looked at once more.
        elif time.monotonic() > deadline:
            _fail_on_time(release, snapshot, verdicts, waiting, manner, cli)
        else:
            time.sleep(POLL)
        snapshot = look_again(looking, release.project, snapshot)


def start(release: Release, services: t.Collection[str], cli: Cli) -> None:
    """Start the services' containers and nothing that they depend on: Compose gets a model without dependencies."""
    definitions = {name: _model.alone(each) for name, each in release.model["services"].items()}
    begin = compose.from_release(release)
    stdin = as_json({**release.model, "services": definitions})
    argv = (*begin, "start", "--", *sorted(services))
    completed = cli.compose(*argv, stdin=stdin, variables=release.variables, accept=None)
    if completed.rc:
        refused = [each for each in observe(cli, release.project).containers if each.service in services]
        _require_no_failure({each: f"did not start: {each.error}" for each in refused if each.error}, cli)
        raise failure_of(completed)


def _repair(release: Release, steps: t.Sequence[Step], cli: Cli) -> None:
    for step in steps:
        if step.action == _step.CONNECT:
            for container in step.containers:
                cli.docker(*_connection(release, step, container))


def _connection(release: Release, step: Step, container: str) -> list[str]:
    networks = release.model.get("networks") or {}
    attached = release.model["services"][step.service].get("networks") or {}
    name = next(each for each in attached if networks[each]["name"] == step.network)
    return compose.connect(step.network, container, (step.service, container[:12]), attached[name] or {})


def _verdicts(release: Release, snapshot: Snapshot, services: t.Collection[str], watch: Watch) -> dict[Container, str]:
    return {each: verdict(release.model, each, watch) for each in snapshot.containers if each.service in services}


def _require_no_failure(verdicts: t.Mapping[Container, str], cli: Cli) -> None:
    causes = {each: cause for each, cause in verdicts.items() if cause not in (GOOD, WAITING)}
    if causes:
        failed = told_failures(cli, causes)
        raise ComposeFailure(as_text(failed), failed_services=failed)


def _fail_on_time(
    release: Release,
    snapshot: Snapshot,
    verdicts: t.Mapping[Container, str],
    waiting: t.Collection[str],
    manner: Manner,
    cli: Cli,
) -> t.NoReturn:
    late = {each: _lateness(each, manner) for each, cause in verdicts.items() if cause != GOOD}
    after, absent = f"after {manner.wait_timeout:g} s (wait_timeout)", []
    for name, waiter in blockers(release, waiting, snapshot).items():
        if not snapshot.of(name):
            absent.append(f"service {waiter} waits for service {name}, which has no container.")
        for each in snapshot.of(name):
            late[each] = f"still {_state(each)} {after}, and {waiter} waits for it"
    failed = told_failures(cli, late)
    raise ComposeFailure("\n".join(filter(None, (*absent, as_text(failed)))), failed_services=failed)


def _lateness(container: Container, manner: Manner) -> str:
    state = "not steadily healthy" if container.health == "healthy" else _state(container)
    return f"still {state} after {manner.wait_timeout:g} s (wait_timeout)"


def _state(container: Container) -> str:
    if container.state == "exited":
        return f"exited (code {container.exit_code})"
    return container.health or container.state
