# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a service may start: the conditions of its ``depends_on`` (compose-spec). Pure. Private to strata.compose."""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _model

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Release
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container, Snapshot


def may_start(release: Release, name: str, snapshot: Snapshot) -> bool:
    """Whether each dependency fulfils its condition."""
    return not unfulfilled(release, name, snapshot)


def unfulfilled(release: Release, name: str, snapshot: Snapshot) -> list[str]:
    """The services that this one still waits for."""
    return [
        each
        for each, details in _model.dependencies(release.model, name).items()
        if not _fulfils(release, each, details.get("condition", "service_started"), snapshot)
    ]


def blockers(release: Release, waiting: t.Collection[str], snapshot: Snapshot) -> dict[str, str]:
    """The services that keep others waiting and do not wait themselves, each with one that waits for it."""
    return {
        each: name
        for name in sorted(waiting, reverse=True)
        for each in unfulfilled(release, name, snapshot)
        if each not in waiting
    }


def _fulfils(release: Release, name: str, condition: str, snapshot: Snapshot) -> bool:
    containers = snapshot.of(name)
    if release.parts[name].replicas == 0 or (not containers and _model.is_past(release, name)):
        return True
    return bool(containers) and all(is_ready(each, condition) for each in containers)


def is_ready(container: Container, condition: str) -> bool:
    if condition == "service_completed_successfully":
        return container.has_completed
    if condition == "service_healthy":
        return container.is_running and container.health in ("healthy", "")
    return container.is_running or container.has_completed
