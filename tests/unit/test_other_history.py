# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers come from another state folder, and where the lock lies that all users of an engine take."""

from __future__ import annotations

import pytest
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._lock_place import name_of
from ansible_collections.strata.compose.plugins.module_utils._other_history import require_own_history, state_folder
from ansible_collections.strata.compose.plugins.module_utils._snapshot import Origin


def made_from(*files):
    return Origin("/srv/shop", ",".join(map(str, files)), "")


@pytest.mark.parametrize(
    ("files", "folder"),
    [
        (["/home/ann/.local/state/strata/shop/releases/0007/compose.json"], "/home/ann/.local/state/strata/shop"),
        (["/var/lib/strata/shop/init/compose.json"], "/var/lib/strata/shop"),
        (["/srv/shop/compose.yml", "/srv/shop/compose.prod.yml"], ""),
        (["/var/lib/strata/other/releases/0007/compose.json"], ""),
        (["/srv/shop/releases/current/compose.json"], ""),
        (["/srv/shop/releases/0007/docker/compose.json"], ""),
        ([""], ""),
    ],
)
def test_state_folder_that_a_container_comes_from(files, folder):
    assert state_folder("shop", made_from(*files)) == folder


def test_another_folder_is_refused_until_it_is_named(tmp_path):
    other = tmp_path / "other" / "shop"
    (other / "releases" / "0001").mkdir(parents=True)
    origins = [made_from(other / "releases/0001/compose.json")]
    with pytest.raises(ComposeFailure, match="state_dir="):
        require_own_history("shop", str(tmp_path / "shop"), None, origins)
    for adopted in (str(other), f"{other.parent}/"):
        require_own_history("shop", str(tmp_path / "shop"), adopted, origins)


def test_a_folder_that_is_another_path_to_the_own_one_is_the_own(tmp_path):
    (tmp_path / "state/shop/releases/0001").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "state")
    origins = [made_from(tmp_path / "link/shop/releases/0001/compose.json")]
    require_own_history("shop", str(tmp_path / "state/shop"), None, origins)


def test_a_release_of_a_checkout_is_no_state_folder(tmp_path):
    (tmp_path / "shop/releases/0001").mkdir(parents=True)
    origins = [made_from(tmp_path / "shop/releases/0001/compose.yml")]
    require_own_history("shop", str(tmp_path / "state/shop"), None, origins)


def test_lock_is_another_file_for_each_engine_and_project():
    names = {name_of(engine, project) for engine in ("A", "B") for project in ("shop", "shop-dev")}
    assert len(names) == 4
