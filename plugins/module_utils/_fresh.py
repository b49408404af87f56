# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services that ran all the while, and whose dependency is another container now, prove anew that they are healthy.

The engine calls a container healthy until several checks in a row have failed, which may be minutes after the database
that it needs was emptied. Private to strata.compose.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._gate import as_text, told_failures
from ansible_collections.strata.compose.plugins.module_utils._health import try_check
from ansible_collections.strata.compose.plugins.module_utils._model import selected_with_dependencies
from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container, look_again, observe

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
    from ansible_collections.strata.compose.plugins.module_utils._release import Release
    from ansible_collections.strata.compose.plugins.module_utils._switch import Manner

PAUSE = 1.0
"""Seconds between two looks: each runs the checks that have not succeeded yet."""


def await_fresh(release: Release, started: t.Collection[str], manner: Manner, cli: Cli) -> None:
    """Wait until a health check has succeeded since now in each service that depends on one that was started.

    Raises `ComposeFailure` for those in which none has when the time is over.
    """
    services = dependents(release.model, started)
    if not services:
        return
    deadline = time.monotonic() + manner.wait_timeout
    looking = cli.until(deadline)
    snapshot = observe(looking, release.project)
    waiting = {each.id: _last(each) for each in snapshot.containers if _is_judged(each, services)}
    while True:
        for each in [one for one in snapshot.containers if one.id in waiting]:
            if _has_succeeded_since(each, waiting[each.id]) or _succeeds(cli, each):
                del waiting[each.id]
        stale = [each for each in snapshot.containers if each.id in waiting]
        if not stale:
            return
        if failure := manner.cancelled():
            raise failure
        if time.monotonic() > deadline:
            raise _failure(release.model, stale, started, manner, cli)
        time.sleep(PAUSE)
        snapshot = look_again(looking, release.project, snapshot)


def dependents(model: t.Mapping[str, t.Any], started: t.Collection[str]) -> set[str]:
    """The services that depend on started ones, directly or through others, and were not started themselves."""
    others = set(model["services"]) - set(started)
    return {name for name in others if selected_with_dependencies(model, [name]) & set(started)}


def _is_judged(container: Container, services: t.Collection[str]) -> bool:
    return container.service in services and container.is_running and bool(container.health and container.health_test)


def _last(container: Container) -> float:
    return container.checks[-1][0] if container.checks else 0.0


def _has_succeeded_since(container: Container, last: float) -> bool:
    return any(began > last and succeeded for began, succeeded in container.checks)


def _succeeds(cli: Cli, container: Container) -> bool:
    """Whether our own run of the check succeeds in a container that the engine calls healthy."""
    return container.is_running and container.health == "healthy" and try_check(cli, container, if_late=False).succeeded


def _named(model: t.Mapping[str, t.Any], container: Container, started: t.Collection[str]) -> str:
    return ", ".join(sorted(selected_with_dependencies(model, [container.service]) & set(started)))


def _failure(
    model: t.Mapping[str, t.Any], stale: t.Sequence[Container], started: t.Collection[str], manner: Manner, cli: Cli
) -> ComposeFailure:
    limit = f"{manner.wait_timeout:g} s (wait_timeout)"
    causes = {
        each: f"no health check has succeeded within {limit} since {_named(model, each, started)} was started"
        for each in stale
    }
    failed = told_failures(cli, causes)
    return ComposeFailure(as_text(failed), failed_services=failed)
