# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files are brought, what is written and removed, what is refused, and what a diff shows."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _tree
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._tree import FOLDER, SPECIAL, Entry, Host
from ansible_collections.strata.compose.plugins.module_utils._tree_diff import LARGEST, masked, text_of
from ansible_collections.strata.compose.plugins.plugin_utils._patterns import ALWAYS, fits, is_left_out


def cases(*rows: tuple[Any, ...]) -> list[Any]:
    """Rows of a table whose first column says what the row shows."""
    return [pytest.param(*row, id=it) for it, *row in rows]


def file(content: str = "1", mode: int = 0o644, uid: int | None = None, gid: int | None = None) -> Entry:
    return Entry(content, mode, uid, gid)


def host(found: dict[str, Entry], barriers: dict[str, str] | None = None, **inside: list[str]) -> Host:
    return Host(found, barriers or {}, inside)


def lists(difference: _tree.Difference) -> dict[str, tuple[str, ...]]:
    return {kind: paths for kind, paths in vars(difference).items() if paths}


@pytest.mark.parametrize(
    ("wanted", "found", "brought", "delete", "expected"),
    cases(
        ("does nothing when all is equal", {"a": file()}, {"a": file()}, {"a": "1"}, True, {}),
        ("creates what is missing", {"b": file(), "a": file()}, {}, {}, True, {"created": ("a", "b")}),
        ("replaces other content", {"a": file("2")}, {"a": file("1")}, {}, True, {"replaced": ("a",)}),
        ("replaces a link by a file", {"a": file()}, {"a": Entry("-> b")}, {}, True, {"replaced": ("a",)}),
        ("replaces a file by a link", {"a": Entry("-> b")}, {"a": file()}, {}, True, {"replaced": ("a",)}),
        ("points a link elsewhere", {"a": Entry("-> b")}, {"a": Entry("-> c")}, {}, True, {"replaced": ("a",)}),
        ("asks no mode of a link", {"a": Entry("-> b")}, {"a": Entry("-> b")}, {}, True, {}),
        ("adjusts a mode", {"a": file(mode=0o755)}, {"a": file()}, {}, True, {"adjusted": ("a",)}),
        ("adjusts an owner", {"a": file(uid=1)}, {"a": file(uid=2)}, {}, True, {"adjusted": ("a",)}),
        ("adjusts a group", {"a": file(gid=1)}, {"a": file(gid=2)}, {}, True, {"adjusted": ("a",)}),
        ("takes any owner when none is asked for", {"a": file()}, {"a": file(uid=2, gid=3)}, {}, True, {}),
        ("removes what it brought", {}, {"a": file("1")}, {"a": "1"}, True, {"removed": ("a",)}),
        ("keeps what it did not bring", {}, {"a": file("1")}, {}, True, {}),
        ("keeps what was changed since", {}, {"a": file("2")}, {"a": "1"}, True, {"kept": ("a",)}),
        ("removes nothing when told so", {}, {"a": file("1")}, {"a": "1"}, False, {}),
        ("does not miss what is gone", {}, {}, {"a": "1"}, True, {}),
    ),
)
def test_difference(wanted, found, brought, delete, expected):
    assert lists(_tree.compare(wanted, host(found), brought, delete)) == expected


@pytest.mark.parametrize(
    ("found", "done", "record"),
    cases(
        ("lists what is wanted", {}, (), {"new": "2"}),
        ("keeps what is still there, for a later run", {"old": file()}, (), {"new": "2", "old": "1"}),
        ("forgets what was removed", {"old": file()}, ("old",), {"new": "2"}),
    ),
)
def test_record(found, done, record):
    assert _tree.brought_after({"new": file("2")}, host(found), {"old": "1"}, done) == record


@pytest.mark.parametrize(
    "path", ["a", "a/b", "-a", " ", "a b", "a\nb", "ä/🎉", "...", "..a", "a..", "a/..b", "{{ x }}", "*", "\\", "~"]
)
def test_paths_inside(path):
    assert _tree.is_inside(path)


@pytest.mark.parametrize("path", ["", ".", "..", "/", "/a", "../a", "a/../b", "a/..", "a//b", "./a", "a/", "a\0b"])
def test_paths_outside(path):
    with pytest.raises(ComposeFailure, match="would leave project_dir"):
        _tree.tree_of({path: {"sha256": "1", "mode": 0o644}}, None, None)


@pytest.mark.parametrize(
    ("path", "target"), [("a", "b"), ("a/b", "../c"), ("a/b/c", "../../d"), ("a", "."), ("a", "b/c")]
)
def test_links_inside(path, target):
    assert _tree.tree_of({path: {"target": target}}, None, None)[path].target == target


@pytest.mark.parametrize(("path", "target"), [("a", "/etc"), ("a", "../b"), ("a/b", "../../c"), ("a", ".."), ("a", "")])
def test_links_outside(path, target):
    with pytest.raises(ComposeFailure, match="would leave project_dir: a"):
        _tree.tree_of({path: {"target": target}}, None, None)


def test_a_file_below_a_link_is_refused():
    with pytest.raises(ComposeFailure, match="below what is a file or link itself: a/b"):
        _tree.tree_of({"a": {"target": "c"}, "a/b": {"sha256": "1", "mode": 0o644}}, None, None)


@pytest.mark.parametrize(
    ("wanted", "there", "brought", "says"),
    cases(
        ("names a file where a folder must be", ["a/b"], host({}, {"a": "a file"}), {}, "a is a file"),
        ("names a folder with files", ["a"], host({"a": Entry(FOLDER)}, a=["a/b"]), {}, "a is a folder"),
        ("names what is no file", ["a"], host({"a": Entry(SPECIAL)}), {}, "a is neither a file nor a folder"),
        ("takes its own file for none", ["a/b"], host({"a": file("1")}, {"a": "a file"}), {"a": "1"}, None),
        ("but not when it changed", ["a/b"], host({"a": file("2")}, {"a": "a file"}), {"a": "1"}, "a is a file"),
        ("takes an empty folder for none", ["a"], host({"a": Entry(FOLDER)}, a=[]), {}, None),
        ("nor one of its own", ["a"], host({"a": Entry(FOLDER), "a/b": file()}, a=["a/b"]), {"a/b": "1"}, None),
    ),
)
def test_obstacles(wanted, there, brought, says):
    tree = {path: file() for path in wanted}
    difference = _tree.compare(tree, there, brought, delete=True)
    if says is None:
        _tree.require_no_obstacles(tree, there, difference, "/srv/shop")
        return
    with pytest.raises(ComposeFailure) as failure:
        _tree.require_no_obstacles(tree, there, difference, "/srv/shop")
    assert f"in /srv/shop on this host: {says}" in failure.value.message


@pytest.mark.parametrize(
    ("pattern", "path", "is_folder", "expected"),
    [
        ("*.pyc", "a/b.pyc", False, True),
        ("b", "a/b", False, True),
        ("b", "a/bb", False, False),
        ("tests/", "a/tests", True, True),
        ("tests/", "a/tests", False, False),
        ("/tests/", "tests", True, True),
        ("/tests/", "a/tests", True, False),
        ("a/*.md", "a/b.md", False, True),
        ("a/*.md", "a/b/c.md", False, False),
        ("a/**/c.md", "a/c.md", False, True),
        ("a/**/c.md", "a/b/b/c.md", False, True),
        ("**/c.md", "c.md", False, True),
        ("a/**", "a/b/c", False, True),
        ("[ab]?.txt", "b1.txt", False, True),
        ("B", "b", False, False),
    ],
)
def test_patterns(pattern, path, is_folder, expected):
    assert fits(pattern, path, is_folder) is expected


@pytest.mark.parametrize("path", [".git", ".env", ".env.prod", "api/.env", "a/x.pyc", ".env.example.local"])
def test_left_out_always(path):
    assert is_left_out(path, False, ALWAYS)


@pytest.mark.parametrize("path", [".env.example", "api/.env.example", ".dockerignore", "prod.env", "secrets"])
def test_brought_as_a_rule(path):
    assert not is_left_out(path, False, ALWAYS)


def test_folders_left_out():
    left_out = [
        path for path in ("secrets", "app/secrets", "node_modules", "a/__pycache__") if is_left_out(path, True, ALWAYS)
    ]
    assert left_out == ["secrets", "node_modules", "a/__pycache__"]


def test_the_last_pattern_that_fits_decides():
    assert not is_left_out(".env.test", False, (*ALWAYS, "!.env.test"))
    assert is_left_out(".env.test", False, (*ALWAYS, "!.env.test", "*.test"))


@pytest.mark.parametrize(
    "line",
    [
        "DB_PASSWORD=hidden",
        "export API_KEY=hidden",
        "# DB_PASSWORD=hidden",
        "      POSTGRES_PASSWORD: hidden",
        "      - POSTGRES_PASSWORD=hidden",
        '  "token": "hidden",',
        "DB_PASSWORD=${FALLBACK:-hidden}",
        "URL=postgres://user:hidden@db/shop",
    ],
)
def test_secrets_are_not_shown(line):
    assert "hidden" not in masked(f"first\n{line}\nlast\n")
    assert masked(f"first\n{line}\nlast\n").splitlines()[::2] == ["first", "last"]


@pytest.mark.parametrize(
    "line",
    ["LEVEL=info", "PASSWORD_FILE: /run/secrets/x", "  DB_PASSWORD: ${DB_PASSWORD:?set it}", "secrets:", "KEY=$KEY"],
)
def test_other_lines_are_shown(line):
    assert masked(line) == line


def test_a_changed_secret_shows_as_changed():
    assert masked("TOKEN=1") != masked("TOKEN=2")


@pytest.mark.parametrize(
    ("content", "path", "mode"),
    cases(
        ("is too large", b"x" * (LARGEST + 1), "a", 0o644),
        ("is no text", b"\xff\xfe", "a", 0o644),
        ("has NUL characters", b"a\0b", "a", 0o644),
        ("is private", b"text", "a", 0o600),
        ("has a secret's name", b"text", "conf/db_password.txt", 0o644),
        ("is a key by its name", b"text", "tls/server.key", 0o644),
        ("is a key", b"-----BEGIN PRIVATE KEY-----\n", "a", 0o644),
    ),
)
def test_contents_that_are_not_shown(content, path, mode):
    assert text_of(content, path, mode) is None


def test_contents_that_are_shown():
    assert text_of("ä\n".encode(), "password/a.yml", 0o755) == "ä\n"
