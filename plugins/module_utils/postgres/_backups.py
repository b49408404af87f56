# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups that exist, which of them are kept, and which one is meant. Pure. Private to strata.compose."""

from __future__ import annotations

import re
import typing as t
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone

from ansible_collections.strata.compose.plugins.module_utils.postgres._database import Database, described

FORMAT = 1
DECODED, RESTORED = "decode", "restore"
TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Backup:
    """What the manifest of a backup tells."""

    file: str
    """name of the dump in the manifest's folder"""
    sha256: str
    bytes: int
    started: str
    finished: str
    seconds: float
    project: str
    environment: str
    service: str
    name: str
    """of the database"""
    image: str
    dumped_by: str
    """version of pg_dump"""
    compression: str
    database: t.Mapping[str, t.Any]
    """see `Database`"""
    rows: t.Mapping[str, int]
    migrations: t.Mapping[str, str] = field(default_factory=dict)
    actor: str = "unknown"
    verified: str = DECODED
    verification: t.Mapping[str, t.Any] | None = None
    """of the last attempt to restore it: when, how long, the assertions, and why it failed"""
    format: int = FORMAT

    @property
    def origin(self) -> Database:
        """The database as it was."""
        return described(self.database)

    @property
    def is_bad(self) -> bool:
        """Whether restoring it was tried and failed."""
        return bool(self.verification and self.verification.get("cause"))

    def is_of(self, project: str, database: str) -> bool:
        return (self.project, self.name) == (project, database)

    def told(self) -> dict[str, t.Any]:
        return asdict(self)


@dataclass(frozen=True)
class Keep:
    """How many backups stay: the last ones, and the last of each day, week and month."""

    last: int
    daily: int
    weekly: int
    monthly: int


def to_remove(backups: t.Iterable[Backup], keep: Keep) -> list[Backup]:
    """The backups that have to go, oldest first; the newest stays, and so does the last one that was restored.

    They are told apart by when they were made, never by their names. One that could not be restored keeps no place.
    """
    newest = sorted(backups, key=lambda each: (each.started, each.file), reverse=True)
    good = [each for each in newest if not each.is_bad] or newest
    kept = {each.file for each in (*newest[:1], *good[: max(1, keep.last)])}
    for count, period in ((keep.daily, "%Y-%m-%d"), (keep.weekly, "%G-%V"), (keep.monthly, "%Y-%m")):
        kept |= {each.file for each in _last_of_each(good, period)[:count]}
    kept |= {each.file for each in [each for each in good if each.verified == RESTORED][:1]}
    return [each for each in reversed(newest) if each.file not in kept]


def _last_of_each(newest: t.Sequence[Backup], period: str) -> list[Backup]:
    found: dict[str, Backup] = {}
    for each in newest:
        found.setdefault(moment(each.started).strftime(period), each)
    return list(found.values())


def moment(told: str) -> datetime:
    """The time that a manifest tells."""
    return datetime.strptime(told, TIME).replace(tzinfo=timezone.utc)


def latest(backups: t.Iterable[Backup], verified: bool = False) -> Backup | None:
    """The newest backup that nobody has found to be bad; or of those only that have been restored for a test."""
    good = [each for each in backups if not each.is_bad and (each.verified == RESTORED or not verified)]
    return max(good, key=lambda each: (each.started, each.file), default=None)


def file_name(environment: str, database: str, started: str, token: str) -> str:
    """The name of a dump: it sorts by time, and says what it is to people; nothing is read from it."""
    readable = re.sub(r"[^A-Za-z0-9_.]+", "-", database).strip("-.")[:40] or "database"
    return f"{environment}-{readable}-{re.sub('[-:]', '', started)}-{token}.dump"


def needed_space(database: Database, last: Backup | None) -> int:
    """Bytes that a dump is going to need, from the ratio of the last one; without one, more than they usually do."""
    if last is None or not last.origin.tables_size:
        return database.tables_size * 6 // 10
    return int(1.2 * last.bytes * database.tables_size / last.origin.tables_size)
