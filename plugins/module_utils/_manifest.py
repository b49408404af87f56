# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a registry's manifests tell of the space that images need. Pure. Private to strata.compose.

OCI image-spec: manifest, image index, and config with ``rootfs.diff_ids``; Docker's own forms (v2 schema 2) are alike.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

ARCHITECTURES = {
    "x86_64": "amd64",
    "i386": "386",
    "i686": "386",
    "aarch64": "arm64",
    "armv7l": "arm/v7",
    "armv6l": "arm/v6",
}
"""The engine tells the kernel's names of processors, images have those of Go."""


@dataclass(frozen=True)
class Image:
    """An image as its registry tells it."""

    name: str
    reference: str
    """what its manifest is asked for by: the name, or the digest in an index"""
    layers: tuple[tuple[str, int], ...]
    """digest and compressed size of each, the lowest first"""


def platform_of(system: str, processor: str) -> str:
    """The platform of an engine's images, from what the engine tells of its host."""
    return f"{system}/{ARCHITECTURES.get(processor, processor)}"


def chosen(index: t.Mapping[str, t.Any], platform: str) -> str:
    """The digest of the manifest for a platform, empty when there is none; a variant counts when it is told."""
    system, architecture, variant = (*platform.split("/"), "", "")[:3]
    fitting = [
        (each.get("platform", {}).get("variant", "") != variant, each["digest"])
        for each in index.get("manifests") or ()
        if (each.get("platform", {}).get("os"), each.get("platform", {}).get("architecture")) == (system, architecture)
    ]
    return str(min(fitting, key=lambda each: each[0])[1]) if fitting else ""


def repository(name: str) -> str:
    """An image's name without tag and digest."""
    path, slash, last = name.partition("@")[0].rpartition("/")
    return f"{path}{slash}{last.partition(':')[0]}"


def layers(manifest: t.Mapping[str, t.Any]) -> tuple[tuple[str, int], ...]:
    """Digest and compressed size of each layer; none when this is no manifest of an image."""
    told = manifest.get("layers") or ()
    return tuple((str(each["digest"]), int(each["size"])) for each in told)


def missing(image: Image, contents: t.Sequence[str], here: t.Iterable[t.Sequence[str]]) -> Image:
    """The image without the layers that an image that is here has too, in the same order from the bottom.

    ``contents`` are the digests of its unpacked layers. The engine shares a layer only on top of the same ones.
    """
    shared = max((_common(contents, each) for each in here), default=0)
    return replace(image, layers=image.layers[shared:])


def _common(one: t.Sequence[str], other: t.Sequence[str]) -> int:
    pairs = enumerate(zip(one, other))
    return next((number for number, (left, right) in pairs if left != right), min(len(one), len(other)))


def size(images: t.Iterable[Image]) -> int:
    """The compressed size of all layers, each counted once."""
    return sum(dict(layer for image in images for layer in image.layers).values())


def told_shortage(names: t.Sequence[str], needed: int, folder: str, free: int) -> str:
    """The shortage with both figures and the way out."""
    *others, last = names
    listed = f"{', '.join(others)} and {last}" if others else last
    return (
        f"pulling {listed} needs about {told_size(needed)} and {folder} has {told_size(free)} free: free some space, "
        f"as with `docker image prune`, or give the engine a larger disk"
    )


def told_size(count: float) -> str:
    """Bytes as people tell them."""
    units = ["TB", "GB", "MB", "kB", "bytes"]
    while count >= 1000 and len(units) > 1:
        count /= 1000
        units.pop()
    is_round = count >= 10 or units[-1] == "bytes"
    return f"{count:.0f} {units[-1]}" if is_round else f"{count:.1f} {units[-1]}"
