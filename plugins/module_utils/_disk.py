# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the disk holds the images that are about to be pulled, told before anything is touched.

The registry's manifests tell the compressed size of each layer (OCI image-spec, manifest); `docker buildx imagetools`
reads them with the CLI's own credentials. Only a shortage that is certain is told: where a size, the layers that are
here or the free space cannot be learnt, nothing is said, and the pull itself finds out. Private to strata.compose.
"""

from __future__ import annotations

import os
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.strata.compose.plugins.module_utils import _manifest, _step
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli, Completed, parsed_json
from ansible_collections.strata.compose.plugins.module_utils._endpoint import is_local
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._manifest import Image
from ansible_collections.strata.compose.plugins.module_utils._step import Step

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Release

FACTOR = 2
"""Bytes on the disk for each compressed byte, at the least: the engine keeps a layer as it came until it is unpacked,
and what is unpacked is never smaller. Usual images need three."""

PARALLEL = 4
"""So many images are asked for at once."""

PATIENCE = 15
"""Seconds that a registry gets to answer one question."""


def shortage(release: Release, images: t.Iterable[Step], cli: Cli) -> t.Iterator[str]:
    """What to tell when the images to pull do not fit on the engine's disk."""
    wanted = {release.parts[step.service].image_name: step.service for step in images if step.action == _step.PULL}
    engine = _local_engine(cli) if wanted else None
    if engine is None:
        return
    free = _free(engine["DockerRootDir"])
    if free is None:
        return
    platforms = {name: _platform(release, service, engine, cli) for name, service in wanted.items()}
    found = _each(lambda name: _image(name, platforms[name], cli), platforms)
    if FACTOR * _manifest.size(found) > free:
        found = _without_present(found, cli)
        needed = FACTOR * _manifest.size(found)
        if needed > free:
            yield _manifest.told_shortage([each.name for each in found], needed, engine["DockerRootDir"], free)


def _local_engine(cli: Cli) -> dict[str, t.Any] | None:
    """What the engine tells of itself; ``None`` when it is elsewhere, or keeps its images where it does not tell."""
    if not is_local(cli):
        return None
    answer = _asked(cli, "info", "--format", "{{json .}}")
    engine: dict[str, t.Any] = parsed_json(answer) if answer else {}
    # A socket may lead into another machine or out of a container.
    is_here = engine.get("DockerRootDir") and engine.get("Name") == os.uname().nodename
    is_containerds = any("containerd" in value for _key, value in engine.get("DriverStatus") or ())
    return engine if is_here and not is_containerds else None


def _free(folder: str) -> int | None:
    try:
        status = os.statvfs(folder)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize


def _platform(release: Release, service: str, engine: t.Mapping[str, t.Any], cli: Cli) -> str:
    """``os/architecture/variant`` of the image that the engine will choose."""
    asked_for = release.model["services"][service].get("platform") or cli.environment.get("DOCKER_DEFAULT_PLATFORM")
    return str(asked_for or _manifest.platform_of(engine["OSType"], engine["Architecture"]))


def _image(name: str, platform: str, cli: Cli) -> Image | None:
    """The image's layers as its registry tells them, chosen from an index if it is one of several."""
    manifest = _told_by_registry(cli, "--raw", name)
    reference = name
    if manifest and "manifests" in manifest:
        digest = _manifest.chosen(manifest, platform)
        reference = f"{_manifest.repository(name)}@{digest}"
        manifest = _told_by_registry(cli, "--raw", reference) if digest else None
    layers = _manifest.layers(manifest or {})
    return Image(name, reference, layers) if layers else None


def _without_present(images: t.Sequence[Image], cli: Cli) -> list[Image]:
    """The images that are certain to need space, with the layers that are not here."""
    listed = cli.docker("image", "ls", "--quiet", "--no-trunc").text.split()
    told = parsed_json(cli.docker("image", "inspect", *sorted(set(listed)))) if listed else []
    here = [each["RootFS"].get("Layers") or [] for each in told]
    left = _each(lambda image: _missing_of(image, here, cli), images)
    return [each for each in left if each.layers]


def _missing_of(image: Image, here: t.Sequence[t.Sequence[str]], cli: Cli) -> Image | None:
    config = _told_by_registry(cli, "--format", "{{json .Image}}", image.reference)
    contents = ((config or {}).get("rootfs") or {}).get("diff_ids") or []
    return _manifest.missing(image, contents, here) if len(contents) == len(image.layers) else None


def _told_by_registry(cli: Cli, *arguments: str) -> dict[str, t.Any] | None:
    answer = _asked(cli, "buildx", "imagetools", "inspect", *arguments)
    told = parsed_json(answer) if answer else None
    return told if isinstance(told, dict) else None


def _asked(cli: Cli, *arguments: str) -> Completed | None:
    """The answer to a question that need not be answered."""
    try:
        answer = cli.docker(*arguments, timeout=PATIENCE, accept=None)
    except ComposeFailure as failure:
        if failure.facts.get("error_kind") != "timeout":
            raise
        return None
    return answer if answer.rc == 0 else None


Given = t.TypeVar("Given")


def _each(ask: t.Callable[[Given], Image | None], all_of: t.Iterable[Given]) -> list[Image]:
    """The answers to a question for each of several things, asked side by side; no answer is left out."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        return [found for found in pool.map(ask, all_of) if found is not None]
