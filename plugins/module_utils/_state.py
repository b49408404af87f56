# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where state lives on a managed host. Private to strata.compose.

The layout is a contract with the versions that come after: they read what an earlier one wrote. Folders have mode 0700
and files 0600. Nothing of it but ``layer`` is needed to run an environment.

    <state_dir>/
      files/<folder>-<digest>.json   what compose_files brought to a project directory
      <project name>/
        lock                         held by ``flock``; while it is held, JSON that tells who does what. Other users of
                                     the engine are kept off by a second one, see ``_lock_place``
        engine.json                  the engine's id, and the socket that it was asked by
        journal.json                 only while a switch is under way: what is needed to bring it to an end
        current                      number of the last good release, null after state=absent
        releases/0007/               release.json (the record, written last), compose.json (the model), env
                                     (values that the model refers to and does not hold), and init.json (its init steps)
        init.json                    ledger of the init phase
        owner.json                   project directory and environment that the project belongs to
        init/                        logs of its steps, and the model of a first deployment's servers
        secrets.json                 passwords that were generated, by service and role
        layer/                       only of a Postgres of its own: its layer and the superuser's password
        output/                      what compose_exec was told to keep of long outputs
        audit.log                    a line of JSON for each operation that changed something

A file that is replaced is written beside its place, flushed to the disk and renamed. Records (``_records``) have the
number of their format and a digest; of ``compose.json`` and ``env``, ``release.json`` has the digests.
"""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure


def state_dir_of(options: t.Mapping[str, t.Any]) -> str:
    """The option ``state_dir``, or ``/var/lib/strata`` for root and the user's own state folder for others."""
    if options["state_dir"]:
        return str(options["state_dir"])
    if os.geteuid() == 0:
        return "/var/lib/strata"
    return os.path.join(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state"), "strata")


def require_own_folder(path: str) -> None:
    """Raise `ComposeFailure` for a folder in which others than this user and root could have written."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise ComposeFailure(f"{path} cannot be read: {error.strerror}. {_ADVICE}") from error
    if found.st_uid not in (0, os.geteuid()):
        raise _refused(f"{path} belongs to user {found.st_uid}, not to user {os.geteuid()} who uses it")
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise _refused(f"{path} can be written by everybody (mode {stat.S_IMODE(found.st_mode):04o})")


_ADVICE = "Run as the user whose state it is (become_user), or give another folder with state_dir. Nothing was changed."


def _refused(cause: str) -> ComposeFailure:
    mend = f"When you know that what it holds is sound, `chown -R {os.geteuid()}` or `chmod 0700` mends it."
    return ComposeFailure(f"{cause}: it is not used as state. {_ADVICE} {mend}", error_kind="unsafe_state")
