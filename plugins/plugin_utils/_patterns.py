# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a source folder are left out. Pure. Private to strata.compose."""

from __future__ import annotations

import typing as t
from fnmatch import fnmatchcase

ALWAYS = (
    *(".git", ".hg", ".svn", ".idea/", ".vscode/", ".DS_Store"),
    *(".env", ".env.*", "!.env.example", "/secrets/"),
    *("__pycache__/", "*.pyc", ".venv/", "node_modules/", ".mypy_cache/", ".pytest_cache/", ".ruff_cache/"),
)
"""What no host needs, and what it gets in another way: an env file and secrets of its own."""


def is_left_out(path: str, is_folder: bool, patterns: t.Iterable[str]) -> bool:
    """Whether the last pattern that fits, if any, leaves the path out; one that begins with ``!`` takes it in again."""
    left_out = False
    for pattern in patterns:
        takes_in = pattern.startswith("!")
        if left_out is takes_in and fits(pattern[1:] if takes_in else pattern, path, is_folder):
            left_out = not takes_in
    return left_out


def fits(pattern: str, path: str, is_folder: bool) -> bool:
    """As in a ``.gitignore``: a name anywhere, or with a slash a path from the top; one at the end is for folders."""
    if pattern.endswith("/") and not is_folder:
        return False
    body, names = pattern.rstrip("/"), path.split("/")
    if "/" not in body:
        return fnmatchcase(names[-1], body)
    return _fit(body.lstrip("/").split("/"), names)


def _fit(patterns: t.Sequence[str], names: t.Sequence[str]) -> bool:
    if not patterns:
        return not names
    if patterns[0] == "**":
        return any(_fit(patterns[1:], names[position:]) for position in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], patterns[0]) and _fit(patterns[1:], names[1:])
