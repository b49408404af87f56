# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server brought to run, by the way that every deployment takes. Private to strata.compose."""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _deploy
from ansible_collections.strata.compose.plugins.module_utils._acquire import acquire
from ansible_collections.strata.compose.plugins.module_utils._changes import following
from ansible_collections.strata.compose.plugins.module_utils._scene import Scene, scene_of
from ansible_collections.strata.compose.plugins.module_utils.postgres._guard import require_same_major

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._operations import Operation

Result = dict[str, t.Any]


def bring(operation: Operation) -> Result:
    """Deploy the service of option ``server``, unless its image is of another major version than its data."""
    scene = scene_of(operation.options, operation.redactor)
    scene, acquired = _with_images(scene, operation)
    with following(acquired):
        _guard(scene, operation.options["server"])
        result = _deploy.made_so(scene, scene.images() if operation.check else (), operation)
    return {**result, "actions": [*acquired, *result["actions"]], "changed": result["changed"] or bool(acquired)}


def _with_images(scene: Scene, operation: Operation) -> tuple[Scene, list[dict[str, str]]]:
    """The scene with its images here, for the guard looks into them; a check gets none."""
    images = scene.images()
    if operation.check or not images:
        return scene, []
    _deploy.checked(scene, scene.with_images(images), images, scene.with_images(images).steps())
    acquired = acquire(scene.release, images, scene.snapshot, scene.cli)
    return scene.looked_at_again(), acquired


def _guard(scene: Scene, service: str) -> None:
    """Look only when the container is about to be replaced or started, and the image is here."""
    part = scene.release.parts[service]
    if part.image_name in scene.snapshot.images and any(step.service == service for step in scene.steps()):
        model, containers = scene.release.model, scene.snapshot.of(service)
        volumes = model.get("volumes") or {}
        require_same_major(model["services"][service], volumes, part.image_name, containers, scene.cli)
