# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers whose networks somebody has removed. Pure. Private to strata.compose.

A container knows its networks by id: without them the engine does not start it, also where a network of the same name
has been created since (`network ... not found`, seen with Engine 20.10). No running container can lose one that it is
attached to, so the engine is asked for its networks only where a container stands still or was disconnected.
"""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils._step import CONNECT, START

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Release
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container, Snapshot
    from ansible_collections.strata.compose.plugins.module_utils._step import Step


def may_be_lost(steps: t.Iterable[Step]) -> bool:
    """Whether these steps need networks that may be gone."""
    return any(step.action in (START, CONNECT) for step in steps)


def networks_of(release: Release, name: str) -> list[str]:
    """Engine names of the networks that a service's containers belong to."""
    attached = release.model["services"][name].get("networks") or {}
    defined = release.model.get("networks") or {}
    return [defined[each]["name"] for each in attached if each in defined]


def reason_of_networks(release: Release, name: str, existing: t.Iterable[Container], running: Snapshot) -> str:
    """Why containers of a service cannot get back to work as they are; empty when they can, or nobody has asked."""
    here = running.networks
    if here is None:
        return ""
    for network in networks_of(release, name):
        if any(_is_cut(each, network, here) for each in existing):
            return f"network {network} is {'another one now' if network in here else 'gone'}"
    return ""


def _is_cut(container: Container, network: str, here: t.Mapping[str, str]) -> bool:
    """One that was never started, or was disconnected, takes any network of the name."""
    own = dict(container.network_ids).get(network, "")
    return network not in here or (not container.is_up and own not in ("", here[network]))


def lost_networks(release: Release, steps: t.Iterable[Step], running: Snapshot) -> t.Iterator[str]:
    """What to say of containers that the steps start or connect as they are, and that cannot be."""
    for step in steps:
        if step.action in (START, CONNECT) and step.service in release.parts:
            concerned = [each for each in running.of(step.service) if each.id in step.containers]
            if reason := reason_of_networks(release, step.service, concerned, running):
                yield f"service {step.service}: {reason}, and its container has to be recreated for it"
