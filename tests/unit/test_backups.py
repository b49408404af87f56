# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups are kept, what they are called, and what of a database comes back beside its content."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils.postgres import (
    _backups,
    _counts,
    _database,
    _names,
    _schedule_files,
    _work,
)
from ansible_collections.strata.compose.plugins.module_utils.postgres._backups import Backup, Keep
from ansible_collections.strata.compose.plugins.module_utils.postgres._database import Database
from ansible_collections.strata.compose.plugins.module_utils.postgres._schedule_files import Schedule

from tests.unit.tables import each, table

CASES = table("backups")
DATABASE = Database({}, "owner", "UTF8", -1, None, None, [], [], [], 100, 1000, False, "postgres", "17.0", 170000, "")


def backup(told):
    """``2026-01-01 at 3 no 2 restored damaged``."""
    day, *words = str(told).split()
    causes = {
        "failed": {"cause": "rows differ", "error_kind": "not_a_copy"},
        "damaged": {"cause": "other content", "error_kind": "damaged"},
        "damaged-of-old": {"cause": f"x is damaged: it has other content, {_backups.DAMAGE}."},
    }
    hour = int(words[1]) if words[:1] == ["at"] else 0
    return Backup(
        file=str(told),
        sha256="",
        bytes=100,
        started=f"{day}T{hour:02d}:00:00Z",
        finished="",
        seconds=1,
        project="shop-prod",
        environment="prod",
        service="postgres",
        name="shop",
        image="",
        dumped_by="17.0",
        compression="zstd:1",
        database={},
        rows={},
        verified="restore" if "restored" in words else "decode",
        verification=next((causes[word] for word in words if word in causes), None),
        number=int(words[words.index("no") + 1]) if "no" in words else 0,
    )


@each(CASES["retention"])
def test_retention(case):
    keep = Keep(**{**dict.fromkeys(("last", "daily", "weekly", "monthly"), 0), **case["keep"]})
    found = _backups.to_remove(map(backup, case["backups"]), keep, str(case.get("made", "")))
    assert [each.file for each in found] == [str(each) for each in case["removed"]]


@each(CASES["latest"])
def test_latest(case):
    found = _backups.latest(map(backup, case["backups"]), case.get("verified", False))
    assert (found.file if found else None) == (str(case["latest"]) if case["latest"] else None)


def test_numbers_only_grow():
    assert _backups.next_number([]) == 1
    assert _backups.next_number(map(backup, ["2030-01-01", "2026-01-01 no 7", "2020-01-01 no 3"])) == 8


@pytest.mark.parametrize(("day", "is_warned"), [("2026-01-02", True), ("2026-01-03", False), ("2026-01-04", False)])
def test_clock_that_is_before_a_backup_is_told(day, is_warned):
    found = _backups.clock_warning([backup("2026-01-03"), backup("2026-01-01 no 1")], f"{day}T00:00:00Z")
    assert bool(found) == is_warned
    assert not found or "2026-01-03T00:00:00Z" in found


def test_manifest_of_a_later_version_is_read():
    told = backup("2026-01-01").told()
    assert _backups.backup_of({**told, "added": 1}) == backup("2026-01-01")
    assert _backups.backup_of({name: value for name, value in told.items() if name != "sha256"}) is None
    assert _database.described({**vars(DATABASE), "added": 1}) == DATABASE


@each(CASES["file names"])
def test_file_name(case):
    assert _backups.file_name(case["environment"], case["database"], "2026-11-21T01:02:03Z", "5f0c2a11") == case["name"]


@each(CASES["lists"])
def test_list_of_names(case):
    assert _database.split_names(case["value"]) == case["names"]


@each(CASES["statements"])
def test_state_of_a_database(case):
    found = _database.restored_state("app", replace(DATABASE, **case["differs"]), {"owner", "teller"})
    assert [[each.template, *each.arguments] for each in found] == case["statements"]


@each(CASES["creation"])
def test_creation(case):
    found = _database.create("new", replace(DATABASE, facts=case["facts"]), "owner", case["major"])
    assert found.template == case["statement"]
    assert found.template.count("%") == len(found.arguments)


@each(CASES["periods"])
def test_period(case):
    if case["seconds"] is None:
        with pytest.raises(ComposeFailure, match="is no period"):
            _names.period(case["told"])
    else:
        assert _names.period(case["told"]) == timedelta(seconds=case["seconds"])


@each(CASES["differences"])
def test_differences(case):
    assert _counts.differences(case["expected"], case["found"]) == case["told"]


NOW = datetime(2026, 11, 21, 1, 2, 3, tzinfo=timezone.utc)


@pytest.mark.parametrize("database", ["shop", "ü" * 31, "x" * 63, "strata_new_0123abcd"])
def test_old_database_is_known_by_its_name(database):
    name = _names.old_name(database, NOW, timedelta(days=1), [database])
    assert len(name.encode()) <= 63
    assert [each.name for each in _names.kept([name, database, "other"], database)] == [name]
    assert _names.kept([name], "other") == []
    assert _names.expired([name, database], NOW + timedelta(hours=23)) == []
    assert _names.expired([name, database], NOW + timedelta(days=1)) == [name]
    assert _names.leftovers([name, _names.new_name("0123abcd")]) == ["strata_new_0123abcd"]


def test_newest_old_database_comes_first():
    names = [_names.old_name("shop", NOW + timedelta(hours=hour), timedelta(days=9 - hour), ()) for hour in (2, 3, 1)]
    assert [each.name for each in _names.kept(names, "shop")] == [names[1], names[0], names[2]]


@pytest.mark.parametrize("later", [timedelta(0), timedelta(seconds=0.9), timedelta(minutes=-5)])
def test_old_databases_of_one_second_have_names_of_their_own_in_their_order(later):
    names = []
    for _swap in range(3):
        names.append(_names.old_name("shop", NOW + later * len(names), timedelta(hours=1), names))
    assert len(set(names)) == 3
    assert [each.name for each in _names.kept(names, "shop")] == names[::-1]


def test_period_of_an_old_database_begins_when_it_was_put_aside():
    first = _names.old_name("shop", NOW, timedelta(hours=1), ())
    second = _names.old_name("shop", NOW, timedelta(0), [first])
    assert _names.expired([first, second], NOW) == [second]


def test_needed_space_follows_the_last_backup():
    assert _backups.needed_space(DATABASE, None) == 600
    last = replace(backup("2026-01-01"), database=vars(replace(DATABASE, tables_size=500)))
    assert _backups.needed_space(DATABASE, last) == 240


def test_counts_are_read_from_among_other_lines():
    printed = 'NOTICE: x\nSTRATA-COUNTED ["public.a", 3]\nSTRATA-COUNTED ["m", "002"]\nSTRATA-COUNTED ["n", null]\n'
    assert _counts.counted(printed) == ({"public.a": 3}, {"m": "002"})


def schedule(time="02:30", subject="database shop"):
    options = {"database": "shop", "verify": True}
    return Schedule("strata-backup-shop-prod-0a1b2c3d", time, subject, "/usr/bin/python3", options)


@each(CASES["schedules"])
def test_schedule(case):
    ((_path, cron),) = schedule(case["time"]).cron_line().items()
    assert cron.content.decode().splitlines()[-1] == case["cron"]
    assert (
        case["timer"]
        in schedule(case["time"]).units()["/etc/systemd/system/strata-backup-shop-prod-0a1b2c3d.timer"][0].decode()
    )


def test_percent_in_a_name_means_nothing_to_systemd():
    units = schedule(subject="database 100%n of /opt/a%b").units()
    assert all(b"Description=Back up database 100%%n of /opt/a%%b\n" in file.content for file in units.values())


def test_options_of_a_schedule_are_for_root_alone():
    assert [file.mode for file in schedule().own_files().values()] == [0o600]


@pytest.mark.parametrize("told", ["24:00", "2:30", "02:60", "02:30:00", "", "nightly"])
def test_what_is_no_time_of_day_is_refused(told):
    with pytest.raises(ComposeFailure, match="is no time of day"):
        _schedule_files.checked_time(told)


def test_schedules_of_two_databases_have_different_names():
    assert _schedule_files.name_of("shop-prod", "a") != _schedule_files.name_of("shop-prod", "b")


@pytest.mark.parametrize("number", [None, 7])
def test_result_tells_the_release(number):
    current = SimpleNamespace(number=number) if number else None
    store = SimpleNamespace(project="shop-dev", current=lambda: current)
    options = {"environment": "dev", "database": "shop", "service": "db", "project_name": None}
    work = _work.Work(options, False, None, store, None, None, "backup")
    told = work.told_without_engine([("backup", "database shop")])
    assert told["release"] == number
    assert told["changed"]
    assert told["actions"] == [{"service": "db", "action": "backup", "reason": "database shop"}]
