# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What depends on the version of Compose, in one place: ask `Cli.capabilities`. Pure. Private to strata.compose."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

OLDEST = (2, 20)
KNOWN_MAJORS = (2,)
"""Major versions that the tests run on: 2.26 and 2.40."""


@dataclass(frozen=True)
class Capabilities:
    """What a version of Compose can do."""

    version: tuple[int, ...]
    text: str

    @classmethod
    def of(cls, text: str) -> Capabilities:
        """Those of a version as ``docker compose version --short`` prints it, such as ``2.40.3-desktop.1``.

        Raises `ComposeFailure` for one that is too old.
        """
        found = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text.strip())
        version = tuple(int(each or 0) for each in found.groups()) if found else ()
        if version and version < OLDEST:
            raise ComposeFailure(f"Docker Compose {text} is too old: strata.compose needs 2.20 or newer.")
        return cls(version, text.strip())

    @property
    def label(self) -> str:
        """The version as Compose labels containers with it: without the suffix of who packaged it."""
        return self.text.lstrip("v").partition("-")[0]

    @property
    def warnings(self) -> list[str]:
        """What to know of a version that nobody has tried."""
        if self.version and self.version[0] in KNOWN_MAJORS:
            return []
        known = " and ".join(str(each) for each in KNOWN_MAJORS)
        return [
            f"Docker Compose {self.text} is of a major version that strata.compose was not tested with (it was with "
            f"{known}): look at the plan before each deployment, or install a version that it was tested with."
        ]
