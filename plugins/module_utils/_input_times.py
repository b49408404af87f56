# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When that changed last which containers get beside their definition. Private to strata.compose.

Where the record of a release is damaged, no digest tells what its containers were made from. What has not changed since
they were created is what they have: a change time (``st_ctime``) cannot be set by hand, and a file that is moved to a
place gets a new one.
"""

from __future__ import annotations

import os
import stat
import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils._files import mirror

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._project import Project
    from ansible_collections.strata.compose.plugins.module_utils._release import Part, Release

NEVER_PROVEN = float("inf")
VARIABLE = "variable "


def with_times(release: Release, project: Project) -> Release:
    """The release with the times at which the files and variables of its services changed last."""
    if mirror():
        return release  # What is still to come has no time.
    parts = {name: replace(part, changed=_changed(part, project)) for name, part in release.parts.items()}
    return replace(release, parts=parts)


def _changed(part: Part, project: Project) -> float:
    variables = [each[len(VARIABLE) :] for each in part.files if each.startswith(VARIABLE)]
    if variables and (not project.env_files or set(variables) & set(project.given_variables)):
        return NEVER_PROVEN  # No file has their values.
    paths = [each for each in part.files if not each.startswith(VARIABLE)]
    times = (_time_of(each, project.directory) for each in (*paths, *(project.env_files if variables else ())))
    return max(times, default=0.0)


def _time_of(path: str, project_dir: str) -> float:
    """Of the file, of the links that lead to it, and of the folders below the project directory that it lies in."""
    real, real_dir = os.path.realpath(path), os.path.realpath(project_dir)
    try:
        return max([os.stat(path).st_ctime, *_times(path, project_dir), *_times(real, real_dir)])
    except OSError:
        return NEVER_PROVEN


def _times(path: str, project_dir: str) -> t.Iterator[float]:
    names = path.split("/")
    for place in ("/".join(names[:count]) for count in range(2, len(names) + 1)):
        found = os.lstat(place)
        if stat.S_ISLNK(found.st_mode) or place.startswith(f"{project_dir}/"):
            yield found.st_ctime
