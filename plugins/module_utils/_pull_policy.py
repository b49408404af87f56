# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the image of a service is built or pulled: the options, and `pull_policy` of the service. Pure.

Private to strata.compose.
"""

from __future__ import annotations

import re
import typing as t

ALWAYS, MISSING, NEVER = "always", "missing", "never"
ALLOWED = "allowed"
"""Pull whatever may be pulled, as ``docker compose pull`` does: for the state ``pulled``."""

DAY = 86400
PERIODS = {"daily": DAY, "weekly": 7 * DAY}
EVERY = re.compile(r"every_((?:\d+[wdhms])+)")
UNITS = {"w": 7 * DAY, "d": DAY, "h": 3600, "m": 60, "s": 1}


def pull_rule(service: t.Mapping[str, t.Any], option: str, age: float | None) -> str:
    """Whether to pull always, when missing, or never.

    An option other than ``missing`` wins. ``age`` are the seconds since the image got its tag on this host;
    ``None`` when that is not known.
    """
    own = str(service.get("pull_policy") or MISSING)
    if option == ALLOWED:
        return NEVER if own in (NEVER, "build") else ALWAYS
    if option != MISSING:
        return option
    if own in (NEVER, "build"):
        return NEVER
    period = _period(own)
    is_old = period is not None and (age is None or age >= period)
    return ALWAYS if own == ALWAYS or is_old else MISSING


def build_rule(service: t.Mapping[str, t.Any], option: str) -> str:
    """Whether to build always, when missing, or never; ``pull_policy: build`` asks for a build each time."""
    return ALWAYS if option == MISSING and service.get("pull_policy") == "build" else option


def _period(policy: str) -> int | None:
    """Seconds between two pulls."""
    found = EVERY.fullmatch(policy)
    if found is None:
        return PERIODS.get(policy)
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)(\w)", found.group(1)))
