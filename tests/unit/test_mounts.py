# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a service's mounts is an input and what is data: the table is cases/mounts.yml, whose head tells how."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _mounts
from ansible_collections.strata.compose.plugins.module_utils._files import Overlay, laid_over, real_path

from tests.unit.tables import each, made_of, release_of, table

CASES = table("mounts")


def part_and_record(case):
    volumes = [{"type": "bind", "source": path, "target": path} for path in case.get("mounts", ["/a"])]
    now, then = case["now"], case["then"]
    release = release_of({"web": {"volumes": volumes}}, {"web": now.get("files", {})})
    known = {key: now[key] for key in ("links", "inodes", "data", "contexts") if key in now}
    part = replace(release.parts["web"], mounts=_mounts.Mounts(**known) if known else None)
    made = replace(made_of(release, {"web": {"web-1": "running"}})["web"], files=then.get("files", {}))
    return part, replace(made, links=then.get("links"), inodes=then.get("inodes"), contexts=then.get("contexts", {}))


@each(CASES["inputs"])
def test_inputs(case):
    part, made = part_and_record(case)
    assert _mounts.reason_of_inputs(part, made) == case["reason"]
    assert _mounts.has_same_inputs(part, made) is (not case["reason"])
    assert _mounts.written_in_place(part, made) == case.get("warned", [])
    assert _mounts.noted(part, made) == case.get("noted", {})


@each(CASES["data paths"])
def test_data_paths(case):
    patterns = _mounts.patterns_of(case["data_paths"], case.get("base", "/srv/shop"))
    assert [path for path in case["paths"] if _mounts.is_data(path, patterns)] == case["data"]


def test_what_is_mounted_and_what_can_be_written():
    volumes = [
        {"type": "bind", "source": "/a", "target": "/a"},
        {"type": "bind", "source": "/b", "target": "/b", "read_only": True},
        {"type": "bind", "source": "/c", "target": "/c", "read_only": True},
        {"type": "bind", "source": "/c", "target": "/d"},
        {"type": "volume", "source": "e", "target": "/e"},
        {"type": "tmpfs", "target": "/f"},
    ]
    assert _mounts.sources_of({"volumes": volumes}) == {"/a", "/b", "/c"}
    assert _mounts.writable_sources_of({"volumes": volumes}) == {"/a", "/c"}
    assert _mounts.sources_of({}) == set()


def test_what_an_image_is_built_from():
    build = {"context": "/srv/shop", "additional_contexts": {"base": "docker-image://busybox", "lib": "/srv/lib"}}
    assert _mounts.contexts_of({"build": build}) == {"/srv/shop", "/srv/lib"}
    assert _mounts.contexts_of({"build": {"context": "https://example.com/shop.git"}}) == set()
    assert _mounts.contexts_of({"image": "web:1"}) == set()


def test_where_a_path_of_what_is_still_to_come_will_lead(tmp_path):
    """The project directory is reached by a link, and the link in it is still to come."""
    host, mirror = tmp_path / "host", tmp_path / "mirror"
    (host / "real" / "releases" / "2").mkdir(parents=True)
    (host / "shop").symlink_to("real")
    root = str(host / "shop")
    place = mirror / root.lstrip("/")
    place.mkdir(parents=True)
    (place / "current").symlink_to("releases/2")
    (place / "releases").symlink_to(f"{root}/releases")
    (place / "new").mkdir()
    with laid_over(Overlay(str(mirror), (root, str(host / "real")), {})):
        assert real_path(f"{root}/current") == str(host / "real" / "releases" / "2")
        assert real_path(f"{root}/new/page") == str(host / "real" / "new" / "page")
        assert real_path("/srv/elsewhere") == "/srv/elsewhere"
