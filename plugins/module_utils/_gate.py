# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate: whether services are up for good, and what is told of those that are not. Private to strata.compose."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._model import may_complete

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container

LOOPS = 5
"""So many restarts since the switch are a crash loop. Fewer may be a service that waits for its database its own way;
the engine doubles its delay from 0.1 s, so they come within about 3 s of the process's own time."""

LOG_LINES = 20

GOOD, WAITING = "good", "waiting"


@dataclass
class Watch:
    """What the gate remembers of each container: since when it runs undisturbed, and its restarts at the beginning."""

    stable_for: float
    """seconds that a container without a health check must run without a restart"""
    now: t.Callable[[], float] = time.monotonic
    _since: dict[tuple[str, int, str], float] = field(default_factory=dict)
    _restarts: dict[str, int] = field(default_factory=dict)

    def seconds_undisturbed(self, container: Container) -> float:
        key = (container.id, container.restarts, container.started)
        return self.now() - self._since.setdefault(key, self.now())

    def restarts_seen(self, container: Container) -> int:
        return container.restarts - self._restarts.setdefault(container.id, container.restarts)


def verdict(model: t.Mapping[str, t.Any], container: Container, watch: Watch) -> str:
    """`GOOD`, `WAITING`, or the cause of a failure in words."""
    if watch.restarts_seen(container) >= LOOPS:
        return f"crash loop: restarted {container.restarts} times, last exit code {container.exit_code}"
    if container.state in ("exited", "dead"):
        return _verdict_on_exit(model, container)
    if not container.is_running:
        return WAITING
    if container.health:
        return {"healthy": GOOD, "unhealthy": "unhealthy"}.get(container.health, WAITING)
    return GOOD if watch.seconds_undisturbed(container) >= watch.stable_for else WAITING


def _verdict_on_exit(model: t.Mapping[str, t.Any], container: Container) -> str:
    if container.has_completed and may_complete(model, container.service):
        return GOOD
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


def log_tail(cli: Cli, container: str, lines: int = LOG_LINES) -> list[str]:
    """The last lines that a container wrote, both streams in the order of their time."""
    told = cli.docker("logs", "--timestamps", "--tail", str(lines), container, accept=None)
    both = [line for text in (told.text, told.error_text) for line in text.splitlines() if line.strip()]
    return [line.partition(" ")[2] for line in sorted(both)][-lines:]


def as_text(failed: t.Sequence[dict[str, t.Any]]) -> str:
    """The failed services for a message."""
    return "\n".join(_as_text(each) for each in failed)


def _as_text(failed: dict[str, t.Any]) -> str:
    head = f"service {failed['service']} ({failed['container']}): {failed['cause']}."
    health = f"\nLast health output: {failed['health_output']}" if failed["health_output"] else ""
    log = "\n  ".join(failed["log"]) if failed["log"] else "(it wrote nothing)"
    return f"{head}{health}\nLast log lines:\n  {log}"
