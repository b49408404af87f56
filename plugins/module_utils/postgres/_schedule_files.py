# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that have a host make backups by itself: units of systemd, or a line of cron. Pure.

Private to strata.compose.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

CODE = "/usr/local/lib/strata-backup"
OPTIONS, UNITS, CRON = "/etc/strata", "/etc/systemd/system", "/etc/cron.d"

TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
HEAD = "# Managed by Ansible, module strata.compose.postgres_backup.\n"
PROGRAM = """\
import sys

from ansible_collections.strata.compose.plugins.module_utils.postgres._scheduled import main

sys.exit(main(sys.argv))
"""


class File(t.NamedTuple):
    """What a file holds, and its mode."""

    content: bytes
    mode: int


@dataclass(frozen=True)
class Schedule:
    """Backups of one database, every day at a time of day (``02:30``)."""

    name: str
    """of the units, or of cron's file"""
    time: str
    subject: str
    """what is backed up, for people"""
    python: str
    options: t.Mapping[str, t.Any]
    longest: int = 0
    """seconds after which it is ended, should it not end by itself; ``0`` for never"""

    @property
    def command(self) -> str:
        return f"{self.python} {CODE}/backup.py {self.options_path}"

    @property
    def options_path(self) -> str:
        return posixpath.join(OPTIONS, f"{self.name}.json")

    @property
    def timer(self) -> str:
        return f"{self.name}.timer"

    def own_files(self) -> dict[str, File]:
        """Its options, which tell the program what to do; no password is among them."""
        return {self.options_path: File((json.dumps(self.options, indent=1, sort_keys=True) + "\n").encode(), 0o600)}

    def units(self) -> dict[str, File]:
        """A service and the timer that starts it (systemd.timer(5))."""
        subject = self.subject.replace("%", "%%")
        texts = {
            f"{self.name}.service": _service(subject, self.command, self.longest),
            self.timer: _timer(subject, self.time),
        }
        return {posixpath.join(UNITS, name): File(text.encode(), 0o644) for name, text in texts.items()}

    def cron_line(self) -> dict[str, File]:
        """A file for cron (crontab(5)), in which a % would end the command."""
        hour, minute = (int(part) for part in self.time.split(":"))
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
        line = f"{minute} {hour} * * * root {self.command} > /dev/null\n".replace("%", "\\%")
        return {posixpath.join(CRON, self.name): File((HEAD + path + line).encode(), 0o644)}


def checked_time(told: str) -> str:
    """A time of day; raises `ComposeFailure` for what is none."""
    if not TIME.fullmatch(told):
        raise ComposeFailure(f"schedule {told!r} is no time of day: give one such as 02:30. Nothing was changed.")
    return told


def name_of(project: str, database: str) -> str:
    """The name of a schedule; that of a database may hold anything, so its digest stands for it."""
    return f"strata-backup-{project}-{hashlib.sha256(database.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def _service(subject: str, command: str, longest: int) -> str:
    # KillMode: it ends what it began; the docker CLI at work for it must not be ended before.
    return f"""{HEAD}[Unit]
Description=Back up {subject}
Documentation=https://github.com/strata-collections/strata.compose
After=docker.service

[Service]
Type=oneshot
ExecStart={command.replace("%", "%%")}
TimeoutStartSec={longest or "infinity"}
KillMode=mixed
Nice=10
IOSchedulingClass=idle
"""


def _timer(subject: str, time: str) -> str:
    # Persistent: what the host slept through is made up for.
    return f"""{HEAD}[Unit]
Description=Back up {subject}

[Timer]
OnCalendar=*-*-* {time}:00
Persistent=true

[Install]
WantedBy=timers.target
"""
