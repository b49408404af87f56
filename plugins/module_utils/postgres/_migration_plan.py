# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which migrations are to be run or reverted, and what stands against it. Pure. Private to strata.compose."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils.postgres._history import REVERTING, STARTED, History
from ansible_collections.strata.compose.plugins.module_utils.postgres._migrations import Migration
from ansible_collections.strata.compose.plugins.module_utils.postgres._section import Section

MIGRATE, REVERT, ACCEPT, ADOPT = "migrate", "revert", "accept", "adopt"


@dataclass(frozen=True)
class Wish:
    """What is asked for."""

    is_up: bool = True
    steps: int | None = None
    to: str | None = None
    out_of_order: str = "refuse"
    modified: str = "fail"


@dataclass(frozen=True)
class Step:
    """One file and what is done with it."""

    action: str
    migration: Migration

    @property
    def file(self) -> str:
        return self.migration.down_file if self.action == REVERT else self.migration.file

    @property
    def section(self) -> Section | None:
        """What is run, ``None`` when only our own table is written."""
        return {MIGRATE: self.migration.up, REVERT: self.migration.down}.get(self.action)

    @property
    def is_change(self) -> bool:
        """To take down the checksum of a file that another tool applied is nothing that a user asked for."""
        return self.action != ADOPT


@dataclass(frozen=True)
class Plan:
    """The steps in their order, and what the user should know."""

    steps: tuple[Step, ...]
    warnings: tuple[str, ...] = ()


def plan(wish: Wish, migrations: t.Sequence[Migration], history: History) -> Plan:
    """The steps from what the database has to what is wished; raises `ComposeFailure` when they must not be taken."""
    _require_same_spelling(migrations, history)
    return _up(wish, migrations, history) if wish.is_up else _down(wish, migrations, history)


def pending(migrations: t.Iterable[Migration], history: History) -> list[Migration]:
    """What is not applied, in the order in which it will be."""
    return [each for each in migrations if each.version not in history.versions]


def _up(wish: Wish, migrations: t.Sequence[Migration], history: History) -> Plan:
    accepted, told = _modified(wish, migrations, history)
    adopted = [each for each in _applied(migrations, history) if each.version not in history.records]
    due = _until(wish, migrations, pending(migrations, history))
    _require_order(wish, due, history)
    steps = [
        *(Step(ADOPT, each) for each in adopted),
        *(Step(ACCEPT, each) for each in accepted),
        *(Step(MIGRATE, each) for each in due),
    ]
    return Plan(tuple(steps), (*_without_file(migrations, history), *_half_reverted(migrations, history), *told))


def _down(wish: Wish, migrations: t.Sequence[Migration], history: History) -> Plan:
    by_version = {each.version: each for each in migrations}
    versions = sorted(history.versions, key=_order, reverse=True)
    if wish.to is None:
        versions = versions[: wish.steps or 1]
    else:
        last = _number(wish.to, migrations) if wish.to.strip("0") else 0
        versions = [each for each in versions if _order(each)[0] > last]
    lacking = [_lack(each, by_version.get(each)) for each in versions]
    if any(lacking):
        raise ComposeFailure(
            f"{'; '.join(filter(None, lacking))}. Write it, or restore a backup. Nothing was changed.",
            error_kind="no_way_down",
        )
    return Plan(tuple(Step(REVERT, by_version[each]) for each in versions), ())


def _lack(version: str, migration: Migration | None) -> str:
    if migration is None:
        return f"version {version} is applied and its file is missing"
    return "" if migration.down else f"{migration.file} has no way down (`-- migrate:down`)"


def _applied(migrations: t.Iterable[Migration], history: History) -> list[Migration]:
    return [each for each in migrations if each.version in history.versions]


def _until(wish: Wish, migrations: t.Sequence[Migration], due: list[Migration]) -> list[Migration]:
    if wish.to is not None:
        last = _number(wish.to, migrations)
        return [each for each in due if each.number <= last]
    return due if wish.steps is None else due[: wish.steps]


def _number(to: str, migrations: t.Sequence[Migration]) -> int:
    """The version that ``to`` means, with or without leading zeros: YAML takes ``007`` for a number."""
    numbers = [each.number for each in migrations]
    if not (to.isascii() and to.isdigit()) or int(to) not in numbers:
        known = f"from {migrations[0].version} to {migrations[-1].version}" if migrations else "none"
        raise ComposeFailure(
            f"to={to} is no version: there are {len(numbers)} of them, {known}. Nothing was changed.",
            error_kind="unknown_version",
        )
    return int(to)


def _modified(
    wish: Wish, migrations: t.Sequence[Migration], history: History
) -> tuple[list[Migration], tuple[str, ...]]:
    """Applied files that are not what was applied: to be accepted, or told, or an error."""
    records = history.records
    found = [
        each
        for each in _applied(migrations, history)
        if each.version in records and records[each.version].sha256 != each.sha256
    ]
    names = ", ".join(each.file for each in found)
    if found and wish.modified == "fail":
        raise ComposeFailure(
            f"{names}: modified after being applied to the database. Put back the content that was applied and write "
            f"the change as a new migration; or revert first (playbook migrate_down); or, if the change means nothing, "
            f"take it over with modified=accept. Nothing was changed.",
            modified=[each.file for each in found],
            error_kind="modified",
        )
    if found and wish.modified == "warn":
        return [], (f"{names}: modified after being applied to the database.",)
    return found, ()


def _require_order(wish: Wish, due: t.Sequence[Migration], history: History) -> None:
    last = max(history.versions, key=_order, default="0")
    late = [each.file for each in due if each.number < _order(last)[0]]
    if late and wish.out_of_order == "refuse":
        raise ComposeFailure(
            f"{', '.join(late)}: comes before version {last}, which is applied already, so it would run in another "
            f"order here than elsewhere. Give it a later number, or run it with out_of_order=allow. "
            f"Nothing was changed.",
            out_of_order=late,
            error_kind="out_of_order",
        )


def begun(steps: t.Iterable[Step], history: History) -> list[Migration]:
    """What is run once more, since an earlier run of it, outside of a transaction, did not end."""
    due = (step.migration for step in steps if step.action == MIGRATE)
    return [each for each in due if each.version in history.records and history.records[each.version].state == STARTED]


def require_settled(steps: t.Iterable[Step], history: History) -> None:
    """Refuse to repeat a file that left an invalid index, for its ``IF NOT EXISTS`` would take that for a good one.

    It holds only with the lock: without it, an index is invalid as long as somebody else builds it.
    """
    repeated = begun(steps, history)
    if repeated and history.invalid_indexes:
        first = repeated[0]
        raise ComposeFailure(
            f"{first.file} was begun outside of a transaction on {history.records[first.version].began} and did not "
            f"end. {repair(history.invalid_indexes)} Nothing was changed.",
            invalid_indexes=list(history.invalid_indexes),
            error_kind="invalid_index",
        )


def repair(indexes: t.Sequence[str]) -> str:
    """What to do about indexes that were not built to their end."""
    commands = " ".join(f"DROP INDEX CONCURRENTLY {each};" for each in indexes)
    return f"Invalid now: {', '.join(indexes)}. Remove what is invalid, and run the migrations again: {commands}"


def _require_same_spelling(migrations: t.Sequence[Migration], history: History) -> None:
    """Refuse files that were renumbered: ``7`` would be run once more where ``007`` is applied."""
    spelling = {_order(each)[0]: each for each in history.versions}
    wrong = [each for each in migrations if spelling.get(each.number, each.version) != each.version]
    if wrong:
        told = "; ".join(f"{each.file}, applied as {spelling[each.number]}" for each in wrong)
        raise ComposeFailure(
            f"the number of a file is written otherwise than when it was applied: {told}. Rename the file. "
            f"Nothing was changed.",
            error_kind="renumbered",
        )


def _without_file(migrations: t.Sequence[Migration], history: History) -> t.Iterator[str]:
    missing = sorted(history.versions - {each.version for each in migrations}, key=_order)
    if missing:
        names = (history.records[each].file if each in history.records else each for each in missing)
        yield f"applied, and the file is missing: {', '.join(names)}."


def _half_reverted(migrations: t.Sequence[Migration], history: History) -> t.Iterator[str]:
    for each in _applied(migrations, history):
        record = history.records.get(each.version)
        if record and record.state == REVERTING:
            yield f"{each.file}: reverting it was begun on {record.began} and did not end. Repeat state=down."


def _order(version: str) -> tuple[int, str]:
    """Versions that are no number, which no file of ours can have, come first."""
    return (int(version) if version.isascii() and version.isdigit() else -1, version)
