# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host makes backups by itself, without Ansible: a copy of this code, and what starts it every day.

Private to strata.compose.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import shutil
import stat
import sys
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import read_file, replace_file
from ansible_collections.strata.compose.plugins.module_utils._spec import POSTGRES_BACKUP
from ansible_collections.strata.compose.plugins.module_utils.postgres import _schedule_files, _scheduled
from ansible_collections.strata.compose.plugins.module_utils.postgres._schedule_files import (
    CODE,
    CRON,
    OPTIONS,
    File,
    Schedule,
)
from ansible_collections.strata.compose.plugins.module_utils.postgres._work import Result, Work

PACKAGE = _scheduled.__name__.rpartition(".postgres.")[0]
SPARE = 600
"""Seconds that a backup has to put things in order after its time_limit before systemd ends it."""

NOT_FOR_IT = (
    *("state", "backup", "schedule", "schedule_verify", "lock_wait", "actor"),
    *("fetch", "fetch_dir", "fetch_limit"),
)
"""Options that say nothing of a backup that the host makes."""


def schedule(work: Work) -> Result:
    """Have the host make a backup every day; nothing is changed when it does already."""
    _require_root()
    wanted = _schedule_of(work)
    has_systemd = _has_systemd()
    if not has_systemd and not os.path.isdir(CRON):
        raise ComposeFailure(
            f"nothing would start the backups: this host has neither systemd nor {CRON}. Install cron, or have "
            f"something else make them with state=present. Nothing was changed."
        )
    files = {**_code(), **wanted.own_files(), **(wanted.units() if has_systemd else wanted.cron_line())}
    changed = [path for path, file in files.items() if not _is_so(path, file)]
    is_due = bool(changed) or (has_systemd and not _is_on(work, wanted.timer))
    by = f"a timer of systemd, {wanted.timer}" if has_systemd else f"cron, {CRON}/{wanted.name}"
    told = [("schedule", f"database {work.database}, every day at {wanted.time}, by {by}")] if is_due else []
    if is_due and not work.check:
        for path in changed:
            replace_file(path, files[path].content, files[path].mode)
        if has_systemd:
            for words in (("daemon-reload",), ("enable", wanted.timer), ("restart", wanted.timer)):
                work.cli.run(["systemctl", *words])
    return work.told_without_engine(told)


def unschedule(work: Work) -> Result:
    """Have no backups made by the host any more; those that there are stay."""
    _require_root()
    gone = _schedule_files.Schedule(_schedule_files.name_of(work.project, work.database), "00:00", "", "", {})
    paths = [path for path in (*gone.own_files(), *gone.units(), *gone.cron_line()) if os.path.lexists(path)]
    if paths and not work.check:
        if _has_systemd():
            work.cli.run(["systemctl", "disable", "--now", gone.timer], accept=(0, 1))
        for path in paths:
            os.unlink(path)
        if os.path.isdir(CODE) and not any(each.startswith("strata-backup-") for each in _listed(OPTIONS)):
            shutil.rmtree(CODE)
    return work.told_without_engine([("unschedule", f"database {work.database}")] if paths else [])


def _schedule_of(work: Work) -> Schedule:
    options = work.options
    kept = {name: options[name] for name in POSTGRES_BACKUP if name not in NOT_FOR_IT}
    directory = os.path.abspath(options["project_dir"])
    return Schedule(
        _schedule_files.name_of(work.project, work.database),
        _schedule_files.checked_time(options["schedule"] or ""),
        f"database {work.database} of {directory}, environment {options['environment']}",
        sys.executable,
        {**kept, "project_dir": directory, "verify": options["schedule_verify"]},
        (1 + options["schedule_verify"]) * (_scheduled.LOCK_WAIT + options["time_limit"] + SPARE),
    )


def _code() -> dict[str, File]:
    """The module_utils as Ansible brought them here, and the program; Python's own library is all that they need."""
    package = importlib.import_module(PACKAGE)
    names = [found.name for found in pkgutil.walk_packages(package.__path__, f"{PACKAGE}.")]
    folder = os.path.join(CODE, *PACKAGE.split("."))
    files = {os.path.join(folder, *_path_of(name, PACKAGE)): File(_source(name), 0o644) for name in names}
    # A package of this name wins over one that the host's Python may have.
    first = os.path.join(CODE, "ansible_collections", "__init__.py")
    return {
        **files,
        first: File(b"", 0o644),
        os.path.join(CODE, "backup.py"): File(_schedule_files.PROGRAM.encode(), 0o644),
    }


def _path_of(name: str, package: str) -> list[str]:
    words = name[len(package) + 1 :].split(".")
    if hasattr(importlib.import_module(name), "__path__"):
        return [*words, "__init__.py"]
    return [*words[:-1], f"{words[-1]}.py"]


def _source(name: str) -> bytes:
    loader = t.cast("t.Any", importlib.import_module(name).__spec__).loader
    return (loader.get_source(name) or "").encode()


def _is_so(path: str, file: File) -> bool:
    return read_file(path) == file.content and stat.S_IMODE(os.stat(path).st_mode) == file.mode


def _is_on(work: Work, timer: str) -> bool:
    asked = (["systemctl", "is-enabled", timer], ["systemctl", "is-active", timer])
    return all(work.cli.run(argv, accept=None).rc == 0 for argv in asked)


def _has_systemd() -> bool:
    """Rule: sd_booted(3)."""
    return os.path.isdir("/run/systemd/system")


def _listed(folder: str) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return os.listdir(folder)
    return []


def _require_root() -> None:
    if os.geteuid() != 0:
        raise ComposeFailure(
            "backups that the host makes by itself are started by root, and this task does not run as root: say "
            "become: true. Nothing was changed."
        )
