# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The space that images need, from their manifests: the tables are cases/manifest.yml."""

from __future__ import annotations

from ansible_collections.strata.compose.plugins.module_utils import _manifest
from ansible_collections.strata.compose.plugins.module_utils._manifest import Image

from tests.unit.tables import each, table

CASES = table("manifest")


def image(layers):
    return Image("shop/web:1", "shop/web:1", tuple(layers.items()))


@each(CASES["platforms of engines"])
def test_platform_of_an_engine(case):
    assert _manifest.platform_of("linux", case["processor"]) == case["platform"]


@each(CASES["choices"])
def test_choosing_from_an_index(case):
    assert _manifest.chosen({"manifests": case["manifests"]}, case["platform"]) == case["chosen"]


@each(CASES["repositories"])
def test_repository(case):
    assert _manifest.repository(case["name"]) == case["repository"]


@each(CASES["missing"])
def test_layers_that_are_missing(case):
    found = _manifest.missing(image(case["layers"]), case["contents"], case["here"])
    assert [digest for digest, _size in found.layers] == case["missing"]


@each(CASES["sizes"])
def test_size(case):
    assert _manifest.size([image(layers) for layers in case["images"]]) == case["size"]


@each(CASES["told sizes"])
def test_telling_a_size(case):
    assert _manifest.told_size(case["bytes"]) == case["told"]


def test_layers_of_a_manifest():
    manifest = {"layers": [{"digest": "sha256:aa", "size": 10}, {"digest": "sha256:bb", "size": 5}]}
    assert _manifest.layers(manifest) == (("sha256:aa", 10), ("sha256:bb", 5))
    assert _manifest.layers({"manifests": []}) == ()


def test_a_shortage_is_told_with_both_figures():
    told = _manifest.told_shortage(["api:2", "worker:2", "web:2"], 1_900_000_000, "/var/lib/docker", 640_000_000)
    assert told.startswith("pulling api:2, worker:2 and web:2 needs about 1.9 GB and /var/lib/docker has 640 MB free")
