# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of databases that an operation makes or keeps, from which the next one knows what they are.

Pure. Private to strata.compose.
"""

from __future__ import annotations

import hashlib
import re
import typing as t
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils.postgres._sql import LONGEST_NAME

NEW, OLD = "strata_new", "strata_old"
TIME = "%Y%m%d%H%M%S"
KEPT = re.compile(rf"{OLD}_([0-9a-f]{{8}})_(\d{{14}})_(\d{{14}})(?:_.*)?", re.DOTALL)

PERIOD = re.compile(r"(\d+)\s*([smhdw]?)")
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True)
class Old:
    """A database that served before and is kept for a while."""

    name: str
    since: datetime


def new_name(token: str) -> str:
    """The name of a database that is being filled."""
    return f"{NEW}_{token}"


def old_name(database: str, now: datetime, keep: timedelta, names: t.Iterable[str]) -> str:
    """The name under which a database is kept; it tells whose it is, since when, and until when.

    ``names`` are the databases that there are. One that was put aside in the same second, or before the clock was put
    back, remains the earlier one, by a second.
    """
    since = max([now, *(each.since + timedelta(seconds=1) for each in kept(names, database)[:1])])
    start = f"{OLD}_{_key(database)}_{since.strftime(TIME)}_{(now + keep).strftime(TIME)}_"
    room = LONGEST_NAME - len(start)
    return start + database.encode("utf-8", "surrogateescape")[:room].decode("utf-8", "ignore")


def leftovers(names: t.Iterable[str]) -> list[str]:
    """The databases that a killed operation was filling."""
    return [each for each in names if re.fullmatch(rf"{NEW}_[0-9a-f]{{8}}", each)]


def expired(names: t.Iterable[str], now: datetime) -> list[str]:
    """The databases that need not be kept any longer."""
    found = ((each, KEPT.fullmatch(each)) for each in names)
    return [each for each, kept in found if kept and kept[3] <= now.strftime(TIME)]


def kept(names: t.Iterable[str], database: str) -> list[Old]:
    """What served before as this database, the newest first."""
    found = ((each, KEPT.fullmatch(each)) for each in names)
    own = [Old(each, _time(match[2])) for each, match in found if match and match[1] == _key(database)]
    return sorted(own, key=lambda each: each.since, reverse=True)


def period(told: str) -> timedelta:
    """``90m``, ``24h``, ``7d``, ``0``."""
    found = PERIOD.fullmatch(told.strip())
    if found is None:
        raise ComposeFailure(
            f"keep_old {told!r} is no period: give one such as 90m, 24h, 7d, or 0. Nothing was changed."
        )
    return timedelta(seconds=int(found[1]) * SECONDS[found[2]])


def _time(told: str) -> datetime:
    return datetime.strptime(told, TIME).replace(tzinfo=timezone.utc)


def _key(database: str) -> str:
    return hashlib.sha256(database.encode("utf-8", "surrogateescape")).hexdigest()[:8]
