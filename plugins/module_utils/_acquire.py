# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images are built and pulled before anything is stopped. Private to strata.compose."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _step
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._model import as_json
from ansible_collections.strata.compose.plugins.module_utils._snapshot import Snapshot, observe
from ansible_collections.strata.compose.plugins.module_utils._step import Step
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Release


def acquire(
    release: Release, steps: t.Sequence[Step], before: Snapshot, cli: Cli, no_cache: bool = False
) -> list[dict[str, str]]:
    """Get the images; tell those that are other ones now.

    Raises `ComposeFailure` when one cannot be had. Containers are untouched either way.
    """
    if not steps:
        return []
    begin = compose.from_release(release)
    try:
        for action in (_step.PULL, _step.BUILD):
            services = _one_for_each_image(release, [step.service for step in steps if step.action == action])
            if services:
                _get(release, cli, services, [*begin, *compose.get_images(action, services, no_cache)])
        after = observe(cli, release.project, release.image_names)
        _require_here(release, steps, after)
    except ComposeFailure as failure:
        raise _with_those_that_came(release, steps, before, cli, failure) from failure
    return _other_ones(release, steps, before, after)


def _other_ones(release: Release, steps: t.Sequence[Step], before: Snapshot, after: Snapshot) -> list[dict[str, str]]:
    return [
        replace(step, reason=_reason(step, image), certain=True).told()
        for step in steps
        if before.images.get(image := release.parts[step.service].image_name) != after.images.get(image)
    ]


def _with_those_that_came(
    release: Release, steps: t.Sequence[Step], before: Snapshot, cli: Cli, failure: ComposeFailure
) -> ComposeFailure:
    """The failure with the images that were obtained before it; they stay."""
    with contextlib.suppress(ComposeFailure):  # an engine that does not answer must not hide the cause
        actions = _other_ones(release, steps, before, observe(cli, release.project, release.image_names))
        return ComposeFailure(failure.message, **{**failure.facts, "changed": bool(actions), "actions": actions})
    return ComposeFailure(failure.message, **{**failure.facts, "changed": True})


def _get(release: Release, cli: Cli, services: t.Sequence[str], argv: t.Sequence[str]) -> None:
    try:
        cli.compose(*argv, stdin=as_json(_to_be_had(release.model)), variables=release.variables)
    except ComposeFailure as failure:
        wanted = ", ".join(f"{release.parts[name].image_name} of service {name}" for name in services)
        way_out = _way_out(argv)
        message = f"image {wanted} cannot be had, no container was touched. {str(failure).rstrip()}\n{way_out}"
        raise ComposeFailure(message, **failure.facts) from failure


def _way_out(argv: t.Sequence[str]) -> str:
    if _step.BUILD in argv:
        return "Mend the build, or deploy the image that is here with build=never."
    return (
        "Make the registry reachable, log in to it (docker login) or correct the image's name. pull=never uses the "
        "image that is here, whatever pull_policy is."
    )


def _to_be_had(model: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The model without `pull_policy`: the plan has obeyed it, and Compose would skip what the plan asks for."""
    services = model["services"].items()
    bare = {name: {key: each for key, each in own.items() if key != "pull_policy"} for name, own in services}
    return {**model, "services": bare}


def _require_here(release: Release, steps: t.Sequence[Step], after: Snapshot) -> None:
    images = {step.service: release.parts[step.service].image_name for step in steps}
    absent = [f"image {image} of service {name}" for name, image in images.items() if image not in after.images]
    if absent:
        raise ComposeFailure(f"{', '.join(absent)} is not here after the build or pull, no container was touched.")


def _one_for_each_image(release: Release, services: t.Iterable[str]) -> list[str]:
    return list({release.parts[name].image_name: name for name in services}.values())


def _reason(step: Step, image: str) -> str:
    return step.reason if step.certain else f"image {image} {_step.OTHER_IMAGE}"
