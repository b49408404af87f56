# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release is made of, in cases/parts.yml, and how it is kept on a host."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _digests
from ansible_collections.strata.compose.plugins.module_utils._digests import with_files_as_now
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._release import Made, Release, parts_of
from ansible_collections.strata.compose.plugins.module_utils._release_store import ReleaseStore

from tests.unit.tables import each, table

CASES = table("parts")


def part_of(service=None, **model):
    return parts_of({"name": "shop-prod", "services": {"web": service or {}}, **model}, {})["web"]


@each(CASES["parts"])
def test_definitions(case):
    assert part_of(**case["model"]).definition == case["definition"]


@each(CASES["replicas"])
def test_replicas(case):
    assert part_of(case["service"]).replicas == case["replicas"]


@each(CASES["image names"])
def test_image_names(case):
    assert part_of(case["service"]).image_name == case["image"]


def test_parts_have_the_digests_of_their_files():
    parts = parts_of({"name": "shop", "services": {"web": {}, "db": {}}}, {"web": {"/a": "d1"}})
    assert {name: part.files for name, part in parts.items()} == {"web": {"/a": "d1"}, "db": {}}


def test_a_model_without_services_has_no_parts():
    assert parts_of({"name": "shop", "services": None}, {}) == {}


MODEL = {
    "name": "shop-prod",
    "services": {
        "web": {"image": "web:1", "environment": {"LEVEL": "info"}, "build": {"context": "."}, "scale": 2},
        "db": {"image": "db:1", "secrets": [{"source": "password"}]},
    },
    "secrets": {"password": {"name": "shop-prod_password", "environment": "PASSWORD"}},
}
FILES = {"web": {"/srv/shop/page.html": "d1"}, "db": {"variable PASSWORD": "d2"}}


def release() -> Release:
    parts = parts_of(MODEL, FILES)
    made = {
        "web": Made(parts["web"].definition, FILES["web"], "sha256:1", {"c1": "running"}, {"context": "."}),
        "db": Made(parts["db"].definition, FILES["db"], "sha256:2", {"c2": "completed"}),
    }
    return Release(
        project="shop-prod",
        environment="prod",
        model=MODEL,
        variables={"PASSWORD": 'it\'s "$5"\n# and more\\n', "EMPTY": ""},
        parts=parts,
        resolved_from={"layers": ["/srv/shop/compose.yml"], "home": "/root"},
        inputs={"/srv/shop/compose.yml": "d3", "/srv/shop/absent.yml": None},
        made=made,
        about={"actor": "me"},
    )


@pytest.fixture
def store(tmp_path: Path) -> ReleaseStore:
    return ReleaseStore(str(tmp_path / "state" / "strata"), "shop-prod")


def test_a_release_is_read_as_it_was_stored(store):
    stored = store.save(release())
    assert stored == replace(release(), number=1)
    assert store.load(1) == stored


def test_a_release_names_its_images():
    assert release().image_names == ("db:1", "web:1")


def test_nothing_is_current_before_the_first_commit(store):
    assert store.current() is None
    store.save(release())
    assert store.current() is None


def test_the_committed_release_is_the_current_one(store):
    first, second = store.save(release()), store.save(release())
    store.commit(second)
    assert store.current() == second
    store.commit(first)
    assert store.current() == first


def test_a_commit_keeps_what_was_learned_since_the_release_was_stored(store):
    stored = store.save(replace(release(), made={}))
    store.commit(replace(stored, made=release().made, about={"outcome": "good"}))
    assert store.current() == replace(release(), number=1, about={"outcome": "good"})
    images = {name: each.image for name, each in release().made.items()}
    assert images
    (told,) = store.history()
    assert told == {"outcome": "good", "release": 1, "images": images, "inputs": release().inputs}


def test_releases_are_numbered_on(store):
    assert store.numbers() == []
    assert [store.save(release()).number for _time in range(3)] == [1, 2, 3]
    store.save(replace(release(), number=12))
    assert store.save(release()).number == 13
    assert store.numbers() == [1, 2, 3, 12, 13]


def test_a_release_with_a_number_replaces_itself(store):
    stored = store.save(release())
    store.save(replace(stored, about={"actor": "you"}))
    assert store.numbers() == [1]
    assert store.load(1).about == {"actor": "you"}


def test_what_is_no_release_is_not_counted(store):
    store.save(release())
    (Path(store.folder) / "releases" / "0002.tmp").mkdir()
    assert store.numbers() == [1]


def test_the_layout_is_a_contract(store):
    store.commit(store.save(release()))
    folder = Path(store.folder)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {"current", "releases/0001/compose.json", "releases/0001/env", "releases/0001/release.json"}
    assert json.loads((folder / "current").read_text())["release"] == 1
    assert json.loads((folder / "releases/0001/compose.json").read_text()) == MODEL


def test_nobody_else_can_read_it(store, tmp_path):
    store.commit(store.save(release()))
    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in (tmp_path / "state").rglob("*")}
    assert modes == {(True, 0o700), (False, 0o600)}


def test_a_release_that_is_not_there_is_named(store):
    with pytest.raises(ComposeFailure, match="release 7 is not stored in .*/strata/shop-prod"):
        store.load(7)


def test_a_release_that_is_incomplete_is_named(store):
    store.save(release())
    Path(store.path(1, "compose.json")).unlink()
    with pytest.raises(ComposeFailure, match=r"0001/compose\.json is missing\. So release 1 cannot be used"):
        store.load(1)


def test_what_is_made_from_a_stored_release_now_has_the_files_of_now():
    """The values of variables it keeps; a folder has no digest, nor has what is missing."""
    mounts = [{"type": "bind", "source": path, "target": path} for path in ("/a", "/b", "/folder")]
    model = {"name": "shop-prod", "services": {"web": {"volumes": mounts}, "db": {}}}
    files = {"web": {"/a": "then", "/b": "then", "variable PASSWORD": "d2"}}
    release = Release("shop-prod", "prod", model, {}, parts_of(model, files), {}, {})
    now = with_files_as_now(release, digest_of={"/a": "now"}.get)
    assert now.parts["web"].files == {"/a": "now", "variable PASSWORD": "d2"}
    assert now.parts["db"].files == {}
    assert now.made == release.made


def test_a_file_that_cannot_be_read_is_none_that_was_recorded(monkeypatch):
    def refused(path):
        raise ComposeFailure(f"{path} cannot be read: Permission denied.")

    monkeypatch.setattr(_digests, "digest", refused)
    assert _digests.digest_if_readable("/a") == _digests.UNREADABLE
