# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What containers need of the host and of other containers, and what the engine refuses outright.

Private to strata.compose.
"""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils._files import exists

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._engine_objects import EngineObjects
    from ansible_collections.strata.compose.plugins.module_utils._release import Release

NAMESPACES = ("network_mode", "pid", "ipc")
CONTAINER = "container:"


def missing_containers(
    release: Release, services: t.Iterable[str], objects: EngineObjects, coming: t.Collection[str]
) -> t.Iterator[str]:
    """Containers outside the layers that a service shares namespaces or volumes with, and that are not there.

    ``coming`` are names of containers that this deployment creates.
    """
    for service in services:
        definition = release.model["services"][service]
        shared = {key: str(definition.get(key) or "") for key in NAMESPACES}
        for key, value in shared.items():
            name = value[len(CONTAINER) :]
            if not value.startswith(CONTAINER) or name in coming:
                continue
            found = objects.container(name)
            if found is None or not found.is_running:
                state = "does not exist" if found is None else "is not running"
                yield f"service {service}: container {name} of its {key} {state}: start it first"
        for entry in definition.get("volumes_from") or ():
            name = entry[len(CONTAINER) :].partition(":")[0]
            if entry.startswith(CONTAINER) and name not in coming and objects.container(name) is None:
                yield f"service {service}: container {name} of its volumes_from does not exist: create it first"


def contradictions(release: Release, services: t.Iterable[str]) -> t.Iterator[str]:
    """What the engine refuses whatever there is (moby runconfig, validateNetMode)."""
    for service in services:
        definition = release.model["services"][service]
        mode = str(definition.get("network_mode") or "")
        if mode.startswith((CONTAINER, "service:")) and definition.get("ports"):
            yield (
                f"service {service}: it has the network of {mode.partition(':')[2]} (network_mode), and cannot publish "
                f"ports of its own: publish them there"
            )


def missing_devices(release: Release, services: t.Iterable[str]) -> t.Iterator[str]:
    """Devices of the host that are not there; those of CDI have no path."""
    for service in services:
        for each in release.model["services"][service].get("devices") or ():
            path = each["source"] if isinstance(each, dict) else str(each).partition(":")[0]
            if path.startswith("/") and not exists(path):
                yield f"service {service}: device {path} does not exist on this host"
