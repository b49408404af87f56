# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind postgres_backup: it copies a new backup to the controller. Private to strata.compose.

It takes the content in parts and so needs little memory on both sides, and it needs no file that others may read, also
where the task becomes another user; the modules fetch and slurp hold such files in memory as a whole.

The host is not trusted: what it answers is compared with what the controller knows, and names nothing by itself.
"""

from __future__ import annotations

import base64
import os
import re
import shlex
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.strata.compose.plugins.module_utils import _project
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils.postgres._backups import file_name
from ansible_collections.strata.compose.plugins.plugin_utils._controller_files import Folder, folder_below, shown
from ansible_collections.strata.compose.plugins.plugin_utils._from_variables import FromVariables

Result = dict[str, t.Any]

PART = 8 << 20
"""Bytes of a file that are in memory at a time."""

LARGEST_MANIFEST = 64 << 20
"""Bytes; a manifest has a line for each table."""

DUMP = ".dump"
NAMES_THE_COPY = ("project_dir", "environment", "project_name", "database", "fetch", "fetch_dir", "fetch_limit")
"""Options that say where the copy goes and how large it may be."""


class FetchesBackup(FromVariables):
    """Run the module on the host; the copy is not there before its SHA-256 is the one of the manifest."""

    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        variables = task_vars or {}
        options = self._options(variables)
        if options["fetch"]:
            self._require_no_facts(variables)
        result: Result = super().run(tmp, task_vars)
        result.pop("fetched", None)  # only the controller knows
        if result.get("failed") or not options["fetch"] or self._task.check_mode or options["state"] != "present":
            return result
        try:
            result["fetched"] = self._fetched(options, _Announced.of(result, options))
        except OSError as error:
            raise AnsibleActionFail(
                f"backup {shown(result.get('file'))} was made, but it cannot be copied to the controller: "
                f"{error.filename or ''} {error.strerror or error}."
            ) from error
        return result

    def _options(self, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        checked = ArgumentSpecValidator(self.spec).validate({**self._from_variables(variables), **self._task.args})
        return {**dict.fromkeys(self.spec), "fetch": False, **checked.validated_parameters}

    def _require_no_facts(self, variables: dict[str, t.Any]) -> None:
        """A fact has more weight than the inventory, and any module's answer can hold facts."""
        facts = variables.get("ansible_facts") or {}
        names = [self._variable(option) for option in NAMES_THE_COPY if option not in self._task.args]
        for name in names:
            if name in facts and variables.get(name) is not None:
                raise AnsibleActionFail(
                    f"{name} is a fact that the host has answered, so it cannot say what is written on the controller: "
                    f"set it in the inventory or in the task, and have no fact of this name. Nothing was done."
                )

    def _fetched(self, options: dict[str, t.Any], announced: _Announced) -> str:
        """Copy manifest and dump, in this order, each under its name when it is whole."""
        base = os.path.join(self._loader.get_basedir(), os.path.expanduser(options["fetch_dir"] or "backups"))
        names = () if options["fetch_dir"] else (_project_of(options),)
        with folder_below(base, *names) as folder:
            manifest = announced.name[: -len(DUMP)] + ".json"
            folder.write_new(manifest, self._parts(announced.manifest), LARGEST_MANIFEST)
            try:
                return self._copied(folder, announced)
            except BaseException:
                folder.remove(manifest)
                raise

    def _copied(self, folder: Folder, announced: _Announced) -> str:
        return folder.write_new(announced.name, self._parts(announced.file), announced.bytes, announced.sha256)

    def _parts(self, remote: str) -> t.Iterator[bytes]:
        for number in range(1 << 40):
            command = f"dd if={shlex.quote(remote)} bs={PART} skip={number} count=1 2>/dev/null | base64"
            answer = self._low_level_execute_command(command, sudoable=True)
            if answer["rc"]:
                raise AnsibleActionFail(
                    f"{shown(remote)} cannot be read on the host: {shown(answer['stderr'].strip())}"
                )
            part = _decoded(answer["stdout"], remote)
            if part:
                yield part
            if len(part) < PART:
                return


class _Announced(t.NamedTuple):
    """What the host says of the backup that it has made, as far as it can be believed."""

    file: str
    """path on the host"""
    name: str
    bytes: int
    sha256: str

    @property
    def manifest(self) -> str:
        return self.file[: -len(DUMP)] + ".json"

    @classmethod
    def of(cls, result: Result, options: dict[str, t.Any]) -> _Announced:
        """Raise `AnsibleActionFail` for an answer that does not fit the task, and for a backup that is too large."""
        file, size, sha256 = (result.get(key) for key in ("file", "bytes", "sha256"))
        if (
            not isinstance(file, str)
            or not file.isprintable()
            or not _is_name_of_backup(os.path.basename(file), options)
        ):
            raise AnsibleActionFail(
                f"the host answers that its backup is {shown(file)}, and that is not the name of a backup of database "
                f"{options['database']} in environment {options['environment']}. Nothing was written on the controller."
            )
        if not isinstance(size, int) or isinstance(size, bool) or size < 0 or not isinstance(sha256, str):
            raise AnsibleActionFail(
                f"the host does not say how large {shown(file)} is, or not its SHA-256. Nothing was written on the "
                f"controller."
            )
        if size > options["fetch_limit"]:
            raise AnsibleActionFail(
                f"backup {shown(file)} was made, but it has {size} bytes, and fetch_limit allows "
                f"{options['fetch_limit']}: raise it if the controller has the space. Nothing was written on the "
                f"controller."
            )
        return cls(file, os.path.basename(file), size, sha256)


def _is_name_of_backup(name: str, options: dict[str, t.Any]) -> bool:
    """Whether a name is one that a backup of this environment and database can have: only time and token are open."""
    time, token = "20000101T000000Z", "0" * 8
    pattern = re.escape(file_name(options["environment"], options["database"], time, token))
    pattern = pattern.replace(time, r"\d{8}T\d{6}Z").replace(f"Z\\-{token}", r"Z\-[0-9a-f]{8}")
    return re.fullmatch(pattern, name, re.ASCII) is not None


def _project_of(options: dict[str, t.Any]) -> str:
    """The project name as far as the controller knows it: one that an env file on the host gives is not asked for."""
    try:
        given = options["project_name"]
        return (
            _project.checked_name(given)
            if given
            else _project.project_name(options["project_dir"], options["environment"])
        )
    except ComposeFailure as failure:
        raise AnsibleActionFail(failure.message) from failure


def _decoded(text: str, remote: str) -> bytes:
    """One part; `dd` never gives more than was asked for, and `base64` nothing else."""
    try:
        part = base64.b64decode(text)
    except ValueError as error:
        raise AnsibleActionFail(f"{shown(remote)} arrived damaged on the controller: run the task again.") from error
    if len(part) > PART:
        raise AnsibleActionFail(f"the host sends more of {shown(remote)} than it was asked for.")
    return part
