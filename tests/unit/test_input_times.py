# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What proves that containers have the files that are there now: all that leads to them is older than they are."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _input_times
from ansible_collections.strata.compose.plugins.module_utils._project import Project

from tests.unit.tables import release_of


def project_of(folder: Path) -> Project:
    env_files = (str(folder / ".env"),)
    return Project(
        directory=str(folder), environment="prod", name="shop-prod", layers=(), env_files=env_files, profiles=()
    )


def changed(project: Project, *files: str) -> float:
    release = release_of({"web": {}}, {"web": dict.fromkeys(files, "digest")})
    found = _input_times.with_times(release, project).parts["web"].changed
    assert found is not None
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project folder behind a link, with a file behind another link."""
    for name in ("1/conf", "1/conf.new"):
        (tmp_path / "releases" / name).mkdir(parents=True)
        (tmp_path / "releases" / name / "app.conf").write_text("text")
    (tmp_path / "releases/1/.env").write_text("A=1")
    (tmp_path / "releases/1/current").symlink_to("conf")
    (tmp_path / "shop").symlink_to("releases/1")
    return tmp_path / "shop"


def written(folder: Path) -> None:
    content, times = (folder / "conf/app.conf"), (0, 0)
    content.write_text("other")
    os.utime(content, times)


def replaced(folder: Path) -> None:
    (folder / "conf.new/app.conf").rename(folder / "conf/app.conf")


def folder_replaced(folder: Path) -> None:
    (folder / "conf").rename(folder / "conf.old")
    (folder / "conf.new").rename(folder / "conf")


def link_switched(folder: Path) -> None:
    (folder / "current").unlink()
    (folder / "current").symlink_to("conf.new")


def project_switched(folder: Path) -> None:
    folder.unlink()
    folder.symlink_to("releases/1")


@pytest.mark.parametrize("change", [written, replaced, folder_replaced, link_switched, project_switched])
def test_every_way_to_change_what_a_path_leads_to_is_seen(folder: Path, change: Callable[[Path], None]) -> None:
    project = project_of(folder)
    before = time.time()
    assert changed(project, str(folder / "current/app.conf")) <= before
    time.sleep(0.05)  # Change times have the resolution of the kernel's clock tick.
    moment = time.time()
    change(folder)
    assert changed(project, str(folder / "current/app.conf")) > moment - 0.02


def test_other_files_prove_nothing_against_it(folder: Path) -> None:
    project = project_of(folder)
    before = changed(project, str(folder / "conf/app.conf"), "variable A")
    time.sleep(0.02)
    (folder / "other").write_text("text")
    assert changed(project, str(folder / "conf/app.conf"), "variable A") == before
    (folder / ".env").write_text("A=2")
    assert changed(project, str(folder / "conf/app.conf")) == before
    assert changed(project, "variable A") > before


def test_what_no_file_has_is_never_proven(folder: Path) -> None:
    project = project_of(folder)
    assert changed(project) == 0
    assert changed(project, str(folder / "gone")) == _input_times.NEVER_PROVEN
    for other in (replace(project, given_variables={"A": "1"}), replace(project, env_files=())):
        assert changed(other, "variable A") == _input_times.NEVER_PROVEN
