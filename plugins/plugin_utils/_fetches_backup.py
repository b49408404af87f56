# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind postgres_backup: it copies a new backup to the controller. Private to strata.compose.

It takes the content in parts and so needs little memory on both sides, and it needs no file that others may read, also
where the task becomes another user; the modules fetch and slurp hold such files in memory as a whole.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shlex
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.strata.compose.plugins.plugin_utils._from_variables import FromVariables

Result = dict[str, t.Any]

PART = 8 << 20
"""Bytes of a file that are in memory at a time."""


class FetchesBackup(FromVariables):
    """Run the module on the host; the copy is not there before its SHA-256 is the one of the manifest."""

    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        arguments = {**self._from_variables(task_vars or {}), **self._task.args}
        is_made = "sha256" in result and "bytes" in result and not result.get("failed")
        if not is_made or not boolean(arguments.get("fetch") or False) or self._task.check_mode:
            return result
        folder = self._folder(arguments.get("fetch_dir"), result["project"])
        try:
            result["fetched"] = self._fetched(result, folder)
        except OSError as error:
            raise AnsibleActionFail(
                f"backup {result['file']} was made, but it cannot be copied to {folder} on the controller: "
                f"{error.strerror or error}."
            ) from error
        return result

    def _folder(self, given: str | None, project: str) -> str:
        base = self._loader.get_basedir()
        return os.path.join(base, os.path.expanduser(given or os.path.join("backups", project)))

    def _fetched(self, result: Result, folder: str) -> str:
        """Copy manifest and dump, in this order, each under its name when it is whole."""
        os.makedirs(folder, mode=0o700, exist_ok=True)
        remote = result["file"]
        local = os.path.join(folder, os.path.basename(remote))
        self._copy(remote[: -len(".dump")] + ".json", local[: -len(".dump")] + ".json", None)
        self._copy(remote, local, result["sha256"])
        return local

    def _copy(self, remote: str, local: str, sha256: str | None) -> None:
        partial = f"{local}.partial"
        digest = hashlib.sha256()
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            for part in self._parts(remote):
                file.write(part)
                digest.update(part)
            file.flush()
            os.fsync(file.fileno())
        if sha256 not in (None, digest.hexdigest()):
            os.unlink(partial)
            raise AnsibleActionFail(
                f"{remote} arrived damaged on the controller: run the task again. The backup is whole."
            )
        os.replace(partial, local)

    def _parts(self, remote: str) -> t.Iterator[bytes]:
        for number in range(1 << 40):
            command = f"dd if={shlex.quote(remote)} bs={PART} skip={number} count=1 2>/dev/null | base64"
            answer = self._low_level_execute_command(command, sudoable=True)
            if answer["rc"]:
                raise AnsibleActionFail(f"{remote} cannot be read on the host: {answer['stderr'].strip()}")
            part = base64.b64decode(answer["stdout"])
            if part:
                yield part
            if len(part) < PART:
                return
