# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of what compose_files has placed in a project directory. Private to strata.compose."""

from __future__ import annotations

import hashlib
import os
import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _records, _tree
from ansible_collections.strata.compose.plugins.module_utils._errors import notice
from ansible_collections.strata.compose.plugins.module_utils._files import read_file, replace_file
from ansible_collections.strata.compose.plugins.module_utils._records import Damage


def record_of(root: str, state_dir: str) -> str:
    """The record's path; ``root`` is the project directory with symbolic links resolved."""
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
    return os.path.join(state_dir, "files", f"{os.path.basename(root)}-{digest}.json")


def read_record(path: str, root: str) -> dict[str, str]:
    """Path to content of what earlier runs placed. Nothing is known of that from a damaged record, and nothing goes."""
    found = _records.read(path, _files_of)
    if isinstance(found, Damage):
        notice(
            f"{found}. It lists the files that were brought to {root}: those that the source no longer has stay there, "
            f"so remove by hand what nobody needs."
        )
        return {}
    return {place: content for place, content in (found or {}).items() if _tree.is_inside(place)}


def write_record(path: str, root: str, new: dict[str, str]) -> dict[str, str]:
    """Write the record unless it says so already; the new content. A damaged one is kept for a look."""
    found = _records.read(path, _files_of)
    if isinstance(found, Damage):
        if found.is_newer:
            return new
        _records.set_aside(path)
    text = _records.as_bytes(_records.sealed({"project_dir": root, "files": new}))
    if (found is not None or new) and read_file(path) != text:
        replace_file(path, text)
    return new


def _files_of(content: dict[str, t.Any]) -> dict[str, str]:
    files: dict[str, str] = _records.checked(content, {"project_dir": str, "files": dict}, {})["files"]
    if not all(isinstance(each, str) for each in files.values()):
        raise TypeError("files")
    return files
