# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which mounted folders are content of an init step, and what of them counts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _init_folders
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sql" / "more").mkdir(parents=True)
    (tmp_path / "sql" / "001.sql").write_text("one")
    (tmp_path / "sql" / "more" / "002.sql").write_text("two")
    (tmp_path / "sql" / "latest").symlink_to("001.sql")
    return tmp_path / "sql"


def binds(*sources: Path, writable: bool = False) -> dict[str, object]:
    return {"volumes": [{"type": "bind", "source": str(each), "read_only": not writable} for each in sources]}


def relink(link: Path, target: str) -> None:
    link.unlink()
    link.symlink_to(target)


CHANGES: dict[str, Callable[[Path], object]] = {
    "a new file": lambda folder: (folder / "003.sql").write_text(""),
    "another content": lambda folder: (folder / "001.sql").write_text("1"),
    "a file deeper down": lambda folder: (folder / "more" / "002.sql").write_text("2"),
    "another name": lambda folder: (folder / "001.sql").rename(folder / "000.sql"),
    "a new folder": lambda folder: (folder / "empty").mkdir(),
    "another target of a link": lambda folder: (folder / "latest").unlink() or (folder / "latest").symlink_to("x"),
    "a file instead of a link": lambda folder: (
        (folder / "latest").unlink() or (folder / "latest").write_text("001.sql")
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_digest_changes_with(what: str, folder: Path) -> None:
    before = _init_folders.tree_digest(str(folder))
    CHANGES[what](folder)
    assert _init_folders.tree_digest(str(folder)) != before


UNCHANGED: dict[str, Callable[[Path], object]] = {
    "the time of a file": lambda folder: os.utime(folder / "001.sql", (1, 1)),
    "the mode of a file": lambda folder: (folder / "001.sql").chmod(0o600),
    "a pipe": lambda folder: os.mkfifo(folder / "pipe"),
    "what git keeps": lambda folder: (folder / ".git").mkdir() or (folder / ".git" / "HEAD").write_text("x"),
    "what Python keeps": lambda folder: (folder / "more" / "__pycache__").mkdir(),
}


@pytest.mark.parametrize("what", UNCHANGED)
def test_digest_is_the_same_whatever(what: str, folder: Path) -> None:
    before = _init_folders.tree_digest(str(folder))
    UNCHANGED[what](folder)
    assert _init_folders.tree_digest(str(folder)) == before


def test_read_only_folders_in_the_project_directory_are_content(folder: Path, tmp_path: Path) -> None:
    outside, data = tmp_path.parent, tmp_path / "data"
    data.mkdir()
    step = {"volumes": [*binds(folder, outside)["volumes"], *binds(data, writable=True)["volumes"]]}  # type: ignore[misc]
    found = _init_folders.digests({"services": {"migrate": step}}, "migrate", str(tmp_path))
    assert found == {f"folder {folder}": _init_folders.tree_digest(str(folder))}


def test_folder_below_that_a_service_writes_to_is_left_out(folder: Path, tmp_path: Path) -> None:
    services = {"migrate": binds(folder), "server": binds(folder / "more", writable=True)}
    before = _init_folders.digests({"services": services}, "migrate", str(tmp_path))
    (folder / "more" / "002.sql").write_text("other")
    assert _init_folders.digests({"services": services}, "migrate", str(tmp_path)) == before


def test_missing_folder_counts_as_empty(tmp_path: Path) -> None:
    services = {"services": {"migrate": binds(tmp_path / "sql")}}
    before = _init_folders.digests(services, "migrate", str(tmp_path))
    (tmp_path / "sql").mkdir()
    assert _init_folders.digests(services, "migrate", str(tmp_path)) == before


def test_file_is_no_folder(folder: Path, tmp_path: Path) -> None:
    services = {"services": {"migrate": binds(folder / "001.sql")}}
    assert _init_folders.digests(services, "migrate", str(tmp_path)) == {}


@pytest.mark.parametrize("limit", ["MOST_ENTRIES", "MOST_BYTES"])
def test_folder_that_is_too_large_is_an_error_that_names_it(
    limit: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_init_folders, limit, 2)
    with pytest.raises(ComposeFailure) as caught:
        _init_folders.tree_digest(str(folder))
    assert str(folder) in caught.value.message


def test_what_cannot_be_read_is_an_error_that_names_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests run as root, who can read everything."""
    listdir = os.listdir

    def refuse(path: str) -> list[str]:
        if path.endswith("more"):
            raise PermissionError(13, "Permission denied", path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(ComposeFailure) as caught:
        _init_folders.tree_digest(str(folder))
    assert f"{folder}/more" in caught.value.message
    assert "Permission denied" in caught.value.message
