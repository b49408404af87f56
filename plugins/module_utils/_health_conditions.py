# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services that wait for the health of one that has no health check: Compose refuses to start them.

Private to strata.compose.
"""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli, parsed_json
from ansible_collections.strata.compose.plugins.module_utils._model import dependencies

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Release
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Snapshot

NONE = ["NONE"]


def waits_without_check(
    release: Release, services: t.Iterable[str], images: t.Mapping[str, t.Any], snapshot: Snapshot
) -> t.Iterator[str]:
    """Each wait for ``service_healthy`` that cannot end; ``images`` are the health checks of the images that are here.

    Compose says of such a dependency "has no healthcheck configured" (compose pkg/compose/convergence.go). An optional
    one is only warned of there.
    """
    for service in services:
        for name, details in dependencies(release.model, service).items():
            if details.get("condition") != "service_healthy" or not details.get("required", True):
                continue
            image = image_of(release, name, snapshot)
            if release.parts[name].replicas and has_check(release.model["services"][name], images, image) is False:
                yield (
                    f"service {service} waits for service {name} to be healthy, and {name} has no health check, in the "
                    f"layers or in image {release.parts[name].image_name}: give it a healthcheck, or wait with "
                    f"condition: service_started"
                )


def has_check(definition: t.Mapping[str, t.Any], images: t.Mapping[str, t.Any], image: str) -> bool | None:
    """Whether a service's containers have a health check; ``None`` when its image is to come and decides."""
    check = definition.get("healthcheck") or {}
    if check.get("disable") or check.get("test") == NONE:
        return False
    if check.get("test"):
        return True
    if image not in images:
        return None
    test = (images[image] or {}).get("Test") or NONE
    return bool(test != NONE)


def image_of(release: Release, service: str, snapshot: Snapshot) -> str:
    """Id of the image that the service's containers have or will have; empty while it is not known."""
    return str(snapshot.images.get(release.parts[service].image_name, ""))


def deciding_images(release: Release, services: t.Iterable[str], snapshot: Snapshot) -> set[str]:
    """Ids of the images that have to be asked for their health checks."""
    awaited = {
        name
        for service in services
        for name, details in dependencies(release.model, service).items()
        if details.get("condition") == "service_healthy" and has_check(release.model["services"][name], {}, "") is None
    }
    found = {image_of(release, name, snapshot) for name in awaited}
    return {image for image in found if image.startswith("sha256:")}


def health_conditions(release: Release, services: t.Sequence[str], snapshot: Snapshot, cli: Cli) -> list[str]:
    """The problems of these services, the images that are here taken into account."""
    ids = sorted(deciding_images(release, services, snapshot))
    told = parsed_json(cli.docker("image", "inspect", *ids)) if ids else []
    images = {each["Id"]: (each.get("Config") or {}).get("Healthcheck") for each in told}
    return list(waits_without_check(release, services, images, snapshot))
