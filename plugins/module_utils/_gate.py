# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate: whether services are up for good, and what is told of those that are not. Private to strata.compose."""

from __future__ import annotations

import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ansible_collections.strata.compose.plugins.module_utils import _health
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._health import Try
from ansible_collections.strata.compose.plugins.module_utils._model import is_awaited, may_complete

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container

LOOPS = 5
"""So many restarts since the switch are a crash loop. Fewer may be a service that waits for its database its own way;
the engine doubles its delay from 0.1 s, so they come within about 3 s of the process's own time."""

LOG_LINES = 20
LOG_TIMEOUT = 10.0
"""Seconds for the engine to give them."""

GOOD, WAITING = "good", "waiting"


PARALLEL = 8
"""So many health checks are tried at once."""

Run = tuple[str, int, str]
"""A container between two starts."""


def ill_before(containers: t.Iterable[Container]) -> dict[Run, float]:
    """The runs that are unhealthy now, each with the time at which its last check began.

    Of a container that was paused, or whose database was gone, that says nothing of the release that is to come.
    """
    return {_run(each): each.checks[-1][0] if each.checks else 0.0 for each in containers if each.health == "unhealthy"}


@dataclass
class Watch:
    """What the gate remembers of each container: since when it runs undisturbed, what it passed, what is doubted."""

    stable_for: float
    """seconds that a container without a health check must run without a restart"""
    now: t.Callable[[], float] = time.monotonic
    stays: t.Collection[str] = ()
    """the services that ran on until now, so that an end is none that they are meant to come to"""
    ill: t.Mapping[Run, float] = field(default_factory=dict)
    """the runs that were unhealthy before anything was started, see `ill_before`"""
    _since: dict[Run, float] = field(default_factory=dict)
    _restarts: dict[str, int] = field(default_factory=dict)
    _passed: dict[str, Run] = field(default_factory=dict)
    _tries: dict[Run, Try] = field(default_factory=dict)
    _doubted: dict[Run, float] = field(default_factory=dict)

    def seconds_undisturbed(self, container: Container) -> float:
        return self.now() - self._since.setdefault(_run(container), self.now())

    def restarts_seen(self, container: Container) -> int:
        return container.restarts - self._restarts.setdefault(container.id, container.restarts)

    def passed(self, container: Container) -> bool:
        """Whether it was good before, in this run or an earlier one."""
        return container.id in self._passed

    def passed_in_earlier_run(self, container: Container) -> bool:
        return self._passed.get(container.id, _run(container)) != _run(container)

    def note_good(self, container: Container) -> None:
        """Good by proof: with ``stable_for`` 0, a container without a health check has proven nothing."""
        if container.health or self.stable_for > 0:
            self._passed[container.id] = _run(container)

    def note_try(self, container: Container, tried: Try) -> None:
        self._tries[_run(container)] = tried

    def try_of(self, container: Container) -> Try | None:
        return self._tries.get(_run(container))

    def is_ill_from_before(self, container: Container) -> bool:
        """Whether it is called unhealthy for what was before, as long as its checks have not failed often since."""
        last = self.ill.get(_run(container))
        return last is not None and sum(began > last for began, _succeeded in container.checks) < _health.PROOFS

    def seconds_doubted(self, container: Container) -> float:
        return self.now() - self._doubted.setdefault(_run(container), self.now())


def _run(container: Container) -> Run:
    return (container.id, container.restarts, container.started)


def verdict(model: t.Mapping[str, t.Any], container: Container, watch: Watch) -> str:
    """`GOOD`, `WAITING`, or the cause of a failure in words."""
    found = _verdict(model, container, watch)
    if found == GOOD and container.is_running:
        watch.note_good(container)
    return found


def _verdict(model: t.Mapping[str, t.Any], container: Container, watch: Watch) -> str:
    if watch.restarts_seen(container) >= LOOPS:
        return f"crash loop: restarted {container.restarts} times, last exit code {container.exit_code}"
    if container.state in ("exited", "dead"):
        return _verdict_on_exit(model, container, watch)
    if watch.passed_in_earlier_run(container):
        return "died and was restarted after it had passed the gate"
    if not container.is_running:
        return WAITING
    if container.health:
        return _verdict_on_health(container, watch)
    return GOOD if watch.seconds_undisturbed(container) >= watch.stable_for else WAITING


def _verdict_on_health(container: Container, watch: Watch) -> str:
    if container.health == "unhealthy":
        if watch.is_ill_from_before(container):
            return WAITING
        return "health flapping: unhealthy after it was healthy" if watch.passed(container) else "unhealthy"
    if container.health != "healthy":
        return WAITING
    tried = watch.try_of(container)
    doubts = _health.doubts(container.checks, tried)
    if doubts > 1:
        return _health.told_flapping(container.checks, tried)
    if doubts == 0 or _health.is_proven(container.checks, tried):
        return GOOD
    return GOOD if watch.seconds_doubted(container) >= _health.PATIENCE else WAITING


def try_health_checks(cli: Cli, verdicts: t.Mapping[Container, str], watch: Watch) -> bool:
    """Run the health check of each container that is newly healthy once more; whether there was one to run.

    Last of all, for meanwhile the engine has run it again for most of them, and a check takes its time from the others.
    """
    fresh = [each for each, found in verdicts.items() if found == GOOD and _is_untried(each, watch)]
    if not fresh:
        return False
    with ThreadPoolExecutor(PARALLEL) as pool:
        for container, tried in zip(fresh, pool.map(lambda each: _health.try_check(cli, each), fresh)):
            watch.note_try(container, tried)
    return True


def _is_untried(container: Container, watch: Watch) -> bool:
    is_new = container.health == "healthy" and not _health.is_proven(container.checks, None)
    return is_new and bool(container.health_test) and watch.try_of(container) is None


def _verdict_on_exit(model: t.Mapping[str, t.Any], container: Container, watch: Watch) -> str:
    if container.has_completed and may_complete(model, container.service):
        if container.service not in watch.stays or is_awaited(model, container.service):
            return GOOD
        return (
            f"exited with code 0, although it ran on in the last release. If it is meant to end now, remove it first "
            f"(state=absent, services={container.service}) and deploy again"
        )
    if container.error:
        return f"did not start: {container.error}"
    return f"exited with code {container.exit_code}"


def told_failures(cli: Cli, causes: t.Mapping[Container, str]) -> list[dict[str, t.Any]]:
    """What a user needs of each failed container: cause, exit code, health output and its last log lines."""
    return [
        {
            "service": container.service,
            "container": container.name,
            "cause": cause,
            "state": container.state,
            "health": container.health,
            "exit_code": container.exit_code,
            "health_output": container.health_output,
            "log": log_tail(cli, container.id),
        }
        for container, cause in causes.items()
    ]


def log_tail(cli: Cli, container: str) -> list[str]:
    """The last lines that a container wrote, both streams in the order of their time.

    They are told beside a cause, which an engine that does not answer any more must not hide.
    """
    argv = ("logs", "--timestamps", "--tail", str(LOG_LINES), container)
    try:
        told = cli.docker(*argv, timeout=LOG_TIMEOUT, accept=None)
    except ComposeFailure as failure:
        return [f"(the log cannot be read: {failure.message})"]
    both = [line for text in (told.text, told.error_text) for line in text.splitlines() if line.strip()]
    return [line.partition(" ")[2] for line in sorted(both)][-LOG_LINES:]


def as_text(failed: t.Sequence[dict[str, t.Any]]) -> str:
    """The failed services for a message."""
    return "\n".join(_as_text(each) for each in failed)


def _as_text(failed: dict[str, t.Any]) -> str:
    head = f"service {failed['service']} ({failed['container']}): {failed['cause']}."
    health = f"\nLast health output: {failed['health_output']}" if failed["health_output"] else ""
    log = "\n  ".join(failed["log"]) if failed["log"] else "(it wrote nothing)"
    return f"{head}{health}\nLast log lines:\n  {log}"
