# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where state lives on a managed host. Private to strata.compose.

The layout is a contract with the versions that come after: they read what an earlier one wrote. Folders have mode 0700
and files 0600. Nothing of it but ``layer`` is needed to run an environment.

    <state_dir>/
      files/<folder>-<digest>.json   what compose_files brought to a project directory
      <project name>/
        lock                         held by ``flock``; while it is held, JSON that tells who does what
        journal.json                 only while a switch is under way: what is needed to bring it to an end
        current                      number of the last good release
        releases/0007/               release.json (the record, written last), compose.json (the model), env
                                     (values that the model refers to and does not hold), and init.json (its init steps)
        init.json                    ledger of the init phase
        init/                        logs of its steps, and the model of a first deployment's servers
        secrets.json                 passwords that were generated, by service and role
        layer/                       only of a Postgres of its own: its layer and the superuser's password
        output/                      what compose_exec was told to keep of long outputs
        audit.log                    a line of JSON for each operation that changed something

A file that is replaced is written beside its place, flushed to the disk and renamed.
"""

from __future__ import annotations

import os
import typing as t


def state_dir_of(options: t.Mapping[str, t.Any]) -> str:
    """The option ``state_dir``, or ``/var/lib/strata`` for root and the user's own state folder for others."""
    if options["state_dir"]:
        return str(options["state_dir"])
    if os.geteuid() == 0:
        return "/var/lib/strata"
    return os.path.join(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state"), "strata")
