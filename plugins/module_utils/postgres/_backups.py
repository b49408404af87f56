# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups that exist, which of them are kept, and which one is meant. Pure. Private to strata.compose."""

from __future__ import annotations

import re
import typing as t
from dataclasses import MISSING, asdict, dataclass, field, fields
from datetime import datetime, timezone

from ansible_collections.strata.compose.plugins.module_utils.postgres._database import Database, described

FORMAT = 1
DECODED, RESTORED = "decode", "restore"
TIME = "%Y-%m-%dT%H:%M:%SZ"

DAMAGE = "and not the SHA-256 that its manifest tells"
"""By these words a manifest of an earlier version, which has no ``error_kind``, tells that the dump is damaged."""


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
    number: int = 0
    """grows with each backup of a database, whatever the clock tells; ``0`` where an earlier version made it"""
    format: int = FORMAT

    @property
    def origin(self) -> Database:
        """The database as it was."""
        return described(self.database)

    @property
    def order(self) -> tuple[int, str, str]:
        """Later backups have a greater one: by number, and by time those that have none, which are before all others.

        A clock that was wrong for a night must not make an old backup the newest one.
        """
        return (self.number, self.started, self.file)

    @property
    def has_failed(self) -> bool:
        """Whether the last attempt to restore it failed."""
        return bool(self.verification and self.verification.get("cause"))

    @property
    def is_damaged(self) -> bool:
        """Whether it was found to be another file than the one that was written.

        Whatever else a test finds takes no place from it: the server of the test or an assertion may be the cause.
        """
        told = self.verification or {}
        is_old = "error_kind" not in told
        return DAMAGE in (told.get("cause") or "") if is_old else bool(told["error_kind"] == "damaged")

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


def backup_of(told: t.Mapping[str, t.Any]) -> Backup | None:
    """The backup that a manifest tells, ``None`` when it lacks something; what a later version adds is left out."""
    names = {each.name: each.default is MISSING and each.default_factory is MISSING for each in fields(Backup)}
    if any(is_needed and name not in told for name, is_needed in names.items()):
        return None
    return Backup(**{name: value for name, value in told.items() if name in names})


def next_number(backups: t.Iterable[Backup]) -> int:
    """The number of the backup that is to be made after these."""
    return 1 + max((each.number for each in backups), default=0)


def to_remove(backups: t.Iterable[Backup], keep: Keep, made: str = "") -> list[Backup]:
    """The backups that have to go, oldest first; the newest stays, ``made`` too, and the last one that was restored.

    They are told apart by their order, never by their names. A damaged one keeps no place.
    """
    newest = sorted(backups, key=lambda each: each.order, reverse=True)
    intact = [each for each in newest if not each.is_damaged] or newest
    restored = [each for each in intact if each.verified == RESTORED]
    proven = [each for each in restored if not each.has_failed]
    kept = {each.file for each in (*newest[:1], *intact[: max(1, keep.last)], *restored[:1], *proven[:1])}
    for count, period in ((keep.daily, "%Y-%m-%d"), (keep.weekly, "%G-%V"), (keep.monthly, "%Y-%m")):
        kept |= {each.file for each in _last_of_each(intact, period)[:count]}
    return [each for each in reversed(newest) if each.file not in {*kept, made}]


def _last_of_each(newest: t.Sequence[Backup], period: str) -> list[Backup]:
    found: dict[str, Backup] = {}
    for each in newest:
        found.setdefault(moment(each.started).strftime(period), each)
    return list(found.values())


def moment(told: str) -> datetime:
    """The time that a manifest tells."""
    return datetime.strptime(told, TIME).replace(tzinfo=timezone.utc)


def latest(backups: t.Iterable[Backup], verified: bool = False) -> Backup | None:
    """The newest backup that is not damaged; or of those only whose last test was to be restored as they should."""
    fitting = [
        each
        for each in backups
        if not each.is_damaged and not (verified and (each.has_failed or each.verified != RESTORED))
    ]
    return max(fitting, key=lambda each: each.order, default=None)


def clock_warning(backups: t.Iterable[Backup], time: str) -> str | None:
    """What has to be said where the clock tells a time before that of a backup that is there already."""
    last = max(backups, key=lambda each: each.started, default=None)
    if last is None or last.started <= time:
        return None
    return (
        f"the clock of this host says {time}, and backup {last.file} was made at {last.started}: one of the two is "
        f"wrong, so check the clock (timedatectl). Backups are kept in the order in which they were made all the same."
    )


def failed_test_warning(backup: Backup, path: str) -> str | None:
    """What has to be said before a backup is restored whose last test failed."""
    found = backup.verification or {}
    if not backup.has_failed:
        return None
    return (
        f"the last test of backup {path}, at {found.get('finished_at', 'an unknown time')}, failed: "
        f"{str(found['cause']).strip()} backup=latest_verified takes the newest one that passed its last test."
    )


def file_name(environment: str, database: str, started: str, token: str) -> str:
    """The name of a dump: it sorts by time, and says what it is to people; nothing is read from it."""
    readable = re.sub(r"[^A-Za-z0-9_.]+", "-", database).strip("-.")[:40] or "database"
    return f"{environment}-{readable}-{re.sub('[-:]', '', started)}-{token}.dump"


def needed_space(database: Database, last: Backup | None) -> int:
    """Bytes that a dump is going to need, from the ratio of the last one; without one, more than they usually do."""
    if last is None or not last.origin.tables_size:
        return database.tables_size * 6 // 10
    return int(1.2 * last.bytes * database.tables_size / last.origin.tables_size)
