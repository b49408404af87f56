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
"""Get whatever may be had, as ``docker compose pull`` and ``build`` do: for the states ``pulled`` and ``built``."""

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
    is_each_time = option == ALLOWED or (option == MISSING and service.get("pull_policy") == "build")
    return ALWAYS if is_each_time else option


def depend_on_time(model: t.Mapping[str, t.Any]) -> bool:
    """Whether some service of a model is pulled when its image has become old."""
    return any(_period(str(each.get("pull_policy"))) is not None for each in (model.get("services") or {}).values())


def reason_to_get_again(service: t.Mapping[str, t.Any], name: str, option: str) -> str:
    """Why an image that is here is got again; ``name`` is that of the option, build or pull."""
    if option == ALLOWED:
        return f"{name} asked for"
    return f"{name} is always" if option == ALWAYS else f"pull_policy is {service['pull_policy']}"


def _period(policy: str) -> int | None:
    """Seconds between two pulls."""
    found = EVERY.fullmatch(policy)
    if found is None:
        return PERIODS.get(policy)
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)(\w)", found.group(1)))
