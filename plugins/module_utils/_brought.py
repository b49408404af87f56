# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of what compose_files has placed in a project directory. Private to strata.compose."""

from __future__ import annotations

import hashlib
import json
import os

from ansible_collections.strata.compose.plugins.module_utils import _tree
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import read_file, replace_file


def record_of(root: str, state_dir: str) -> str:
    """The record's path; ``root`` is the project directory with symbolic links resolved."""
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
    return os.path.join(state_dir, "files", f"{os.path.basename(root)}-{digest}.json")


def read_record(path: str, root: str) -> dict[str, str]:
    """Path to content of what earlier runs placed; raises `ComposeFailure` for a damaged record."""
    content = read_file(path)
    try:
        files: dict[str, str] = json.loads(content)["files"] if content else {}
    except (ValueError, KeyError, TypeError) as error:
        raise ComposeFailure(
            f"{path}, the list of files that were brought to {root}, is damaged. Remove it: files that the "
            f"source no longer has will then stay on the host."
        ) from error
    return {place: content for place, content in files.items() if _tree.is_inside(place)}


def write_record(path: str, root: str, old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    """Write the record unless it says so already; the new content."""
    if new != old:
        text = json.dumps({"project_dir": root, "files": new}, indent=1, sort_keys=True)
        replace_file(path, text.encode())
    return new
