# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run init steps in containers of their own, beside what runs, and see each to its end. Private to strata.compose.

A step is started detached, and written down before it is: when this process is killed the step goes on, and the next
operation finds it, awaits it, and does not start it a second time.
"""

from __future__ import annotations

import os
import socket
import time
import typing as t
import uuid
from dataclasses import dataclass, field

from ansible_collections.strata.compose.plugins.module_utils import _gate, _init_plan, _output
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli, parsed_json
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import replace_file
from ansible_collections.strata.compose.plugins.module_utils._init_plan import Outcome
from ansible_collections.strata.compose.plugins.module_utils._init_scene import InitScene
from ansible_collections.strata.compose.plugins.module_utils._init_step import InitStep
from ansible_collections.strata.compose.plugins.module_utils._ledger import LedgerFile, Success
from ansible_collections.strata.compose.plugins.module_utils._lock import now
from ansible_collections.strata.compose.plugins.module_utils._model import as_json
from ansible_collections.strata.compose.plugins.module_utils._signals import Cancellation
from ansible_collections.strata.compose.plugins.module_utils._snapshot import moment
from ansible_collections.strata.compose.plugins.module_utils._switch import POLL
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

State = t.Mapping[str, t.Any]
"""What the engine tells of the state of a step's container, and as ``Image`` the id of its image."""

STANDING = ("exited", "dead", "removing", "created")


@dataclass
class Run:
    """The steps that are due, and how far they have come."""

    scene: InitScene
    waiting: list[str]
    is_parallel: bool
    timeout: float
    """seconds that each step may take"""
    actor: str
    cancellation: Cancellation
    running: dict[str, float] = field(default_factory=dict)
    """monotonic time of the start by step"""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    """the steps that got a container, or whose earlier one was seen to its end"""

    @property
    def has_failed(self) -> bool:
        return any(each.outcome == _init_plan.FAILED for each in self.outcomes.values())

    @property
    def ledger(self) -> LedgerFile:
        return LedgerFile(self.scene.store.folder)


def carry_out(run: Run) -> dict[str, Outcome]:
    """Run the steps that are due; after a failure no further one is started, and those that run come to their end."""
    before = _init_plan.awaited(run.scene.release.model, run.scene.steps)
    run.cancellation.touch()
    while run.waiting or run.running:
        if not run.has_failed and not run.cancellation.by:
            for name in _init_plan.startable(before, run.waiting, run.running, run.is_parallel):
                run.waiting.remove(name)
                _start(run, name)
        _collect(run)
        if not run.running and (run.has_failed or run.cancellation.by):
            break
        if run.running:
            time.sleep(POLL)
    left = {name: Outcome(name, _init_plan.PENDING) for name in run.waiting}
    return {**run.outcomes, **left}


def container_of(run: Run, name: str) -> str:
    """The name of a step's container: one for each step, so that no step can run twice at once."""
    return f"{run.scene.release.project}-{name}-init"


def _start(run: Run, name: str) -> None:
    """Start a step, or take over the run of it that a killed operation began."""
    scene, container = run.scene, container_of(run, name)
    step = next(each for each in scene.steps if each.name == name)
    fingerprint = scene.fingerprints[name]
    earlier = _states(run, [name]).get(name)
    if earlier and _is_same_try(run, name, fingerprint, earlier):
        run.running[name] = time.monotonic()
        run.begun.add(name)
        return
    if earlier and earlier["Status"] not in STANDING:
        run.outcomes[name] = _failed(name, "an earlier try with other content still runs: wait for its end", container)
        return
    if earlier:
        _note_unseen(run, name, fingerprint, earlier)
        scene.cli.docker("rm", "--force", "--volumes", container)
    run.ledger.write(run.ledger.read().beginning(name, fingerprint))
    started = time.monotonic()
    argv = (*compose.from_release(scene.release), *compose.run_detached(container, step.service))
    completed = scene.cli.compose(*argv, **_input(scene, step), accept=None)
    if completed.rc == 0 or _states(run, [name]):
        run.begun.add(name)
    if completed.rc == 0:
        run.running[name] = started
        return
    run.ledger.write(run.ledger.read().ended(name, None))
    run.outcomes[name] = _refused(run, name, completed.rc, completed.error_text, time.monotonic() - started)


def _is_same_try(run: Run, name: str, fingerprint: str, state: State) -> bool:
    """Whether the container that is there does, or has done, what the step is to do, without anybody having seen it."""
    is_noted = run.ledger.read().under_way.get(name) == fingerprint
    is_same_image = state["Image"] == run.scene.snapshot.images.get(run.scene.images[name])
    return is_noted and is_same_image and (state["Status"] not in STANDING or _has_succeeded(state))


def _has_succeeded(state: State) -> bool:
    return bool(state["Status"] == "exited" and state["ExitCode"] == 0)


def _note_unseen(run: Run, name: str, fingerprint: str, state: State) -> None:
    """Write down the success of a run that nobody saw to its end; it was in another image than the present one."""
    if run.ledger.read().under_way.get(name) == fingerprint and _has_succeeded(state):
        success = _ended(run, name, state)[1]
        run.ledger.write(run.ledger.read().ended(name, success))


def _input(scene: InitScene, step: InitStep) -> dict[str, t.Any]:
    model = _init_plan.in_existing(scene.release.model, step, *networks_and_volumes(scene.cli))
    return {
        "stdin": as_json(model),
        "variables": {**scene.release.variables, "COMPOSE_IGNORE_ORPHANS": "1"},
    }


def networks_and_volumes(cli: Cli) -> tuple[list[str], list[str]]:
    """The names of those that exist."""
    networks = cli.docker("network", "ls", "--format", "{{.Name}}").text.split()
    return networks, cli.docker("volume", "ls", "--quiet").text.split()


def _collect(run: Run) -> None:
    """Write down the steps that have ended, and end those whose time is over or that nobody wants any more."""
    states = _states(run, list(run.running))
    for name, started in list(run.running.items()):
        state, seconds = states.get(name), time.monotonic() - started
        if state is None:
            _note(run, name, _failed(name, "its container was removed while it ran", ""), None)
        elif state["Status"] in STANDING:
            _note(run, name, *_ended(run, name, state))
        elif run.cancellation.by or seconds > run.timeout:
            run.scene.cli.docker(*compose.stop([container_of(run, name)], None))
            cause = f"cancelled by {run.cancellation.by}" if run.cancellation.by else _late(run)
            _note(run, name, _told(run, name, _states(run, [name])[name], cause), None)


def _late(run: Run) -> str:
    return f"it did not end within {run.timeout:g} s (timeout) and was stopped"


def _ended(run: Run, name: str, state: State) -> tuple[Outcome, Success | None]:
    """The end of a step, and what the ledger gets of it."""
    if not _has_succeeded(state):
        return _told(run, name, state, state.get("Error") or f"exited with code {state['ExitCode']}"), None
    outcome = _told(run, name, state, "")
    content = run.scene.looked_at_again().contents()[name]
    about = (outcome.seconds or 0.0, outcome.finished, socket.gethostname(), run.actor)
    return outcome, Success(content.fingerprint, state["Image"], dict(content.lives_on), 0, *about, uuid.uuid4().hex)


def _note(run: Run, name: str, outcome: Outcome, success: Success | None) -> None:
    """First the ledger, then the container goes: a kill in between leaves one that is known to be done."""
    run.ledger.write(run.ledger.read().ended(name, success))
    run.outcomes[name] = outcome
    del run.running[name]
    if success:
        run.scene.cli.docker("rm", "--force", "--volumes", container_of(run, name))


def _told(run: Run, name: str, state: State, cause: str) -> Outcome:
    container = container_of(run, name)
    return Outcome(
        service=name,
        outcome=_init_plan.FAILED if cause else _init_plan.SUCCEEDED,
        exit_code=state["ExitCode"],
        seconds=seconds_between(state["StartedAt"], state["FinishedAt"]),
        cause=cause,
        log=tuple(_gate.log_tail(run.scene.cli, container)),
        log_file=_kept_log(run, name),
        container=container if cause else "",
        finished=now(),
        host=socket.gethostname(),
    )


def _refused(run: Run, name: str, rc: int, errors: str, seconds: float) -> Outcome:
    """A step whose container could not be started, such as one whose command does not exist."""
    state = _states(run, [name]).get(name)
    cause = (state and state["Error"]) or "\n".join(errors.splitlines()[-2:]) or "no reason was given"
    return Outcome(
        service=name,
        outcome=_init_plan.FAILED,
        exit_code=state["ExitCode"] if state else rc,
        seconds=round(seconds, 1),
        cause=f"did not start: {cause}",
        container=container_of(run, name) if state else "",
    )


def _failed(name: str, cause: str, container: str) -> Outcome:
    return Outcome(name, _init_plan.FAILED, -1, 0.0, cause, container=container)


def _kept_log(run: Run, name: str) -> str:
    """The step's whole output in a file for the owner only: it is unmasked."""
    folder = os.path.join(run.scene.store.folder, "init")
    path = os.path.join(folder, f"{_output.file_name(name, 'init')}.log")
    replace_file(path, b"")
    with open(path, "r+b") as file:
        run.scene.cli.docker("logs", container_of(run, name), into=(file, file), accept=None)
    _output.prune(folder)
    return path


def _states(run: Run, names: t.Sequence[str]) -> dict[str, dict[str, t.Any]]:
    """What the engine tells of the steps' containers, for those that exist."""
    if not names:
        return {}
    by_container = {container_of(run, name): name for name in names}
    completed = run.scene.cli.docker("container", "inspect", *by_container, accept=(0, 1))
    told = parsed_json(completed) or []
    if len(told) < len(names) and "no such container" not in completed.error_text.lower():
        raise ComposeFailure(f"the engine does not tell of the init steps that run: {completed.error_text}")
    return {by_container[each["Name"].lstrip("/")]: {**each["State"], "Image": each["Image"]} for each in told}


def seconds_between(started: str, finished: str) -> float:
    """Seconds between two moments as the engine tells them, such as ``2026-11-21T11:50:12.347165836Z``."""
    return round(max(0.0, moment(finished) - moment(started)), 1)
