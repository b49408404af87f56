# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files behind Compose's ``secrets:``, written for an environment. Private to strata.compose."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import typing as t
from dataclasses import dataclass, field

from ansible_collections.strata.compose.plugins.module_utils import _secret_memory
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._file_state import (
    FileState,
    read_state,
    user_id,
    write_state,
)
from ansible_collections.strata.compose.plugins.module_utils._folders import Folder, place_of, private
from ansible_collections.strata.compose.plugins.module_utils._redact import fingerprint
from ansible_collections.strata.compose.plugins.module_utils._secret_memory import FOLDER_MODE
from ansible_collections.strata.compose.plugins.module_utils._walk import Make

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
MODE = re.compile(r"0?[0-7]{3}")


@dataclass(frozen=True)
class SecretFiles:
    """The secret files that a task asks for. Paths are absolute."""

    project_dir: str
    folder: str
    place: str
    """what layers refer to: the folder itself, or for files in memory a link to it"""
    mode: int
    uid: int
    contents: t.Mapping[str, bytes] = field(repr=False)

    @classmethod
    def from_params(cls, params: t.Mapping[str, t.Any]) -> SecretFiles:
        project_dir = os.path.abspath(params["project_dir"])
        place = place_of_files(params)
        return cls(
            project_dir=project_dir,
            folder=_secret_memory.folder_of(project_dir) if params["secrets_in_memory"] else place,
            place=place,
            mode=_mode(params["secrets_mode"]),
            uid=user_id("secrets_owner", params["secrets_owner"]) if params["secrets_owner"] else os.geteuid(),
            contents=contents_of(params["secrets"]),
        )

    @property
    def is_in_memory(self) -> bool:
        return self.folder != self.place

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)


def place_of_files(params: t.Mapping[str, t.Any]) -> str:
    """The folder that the layers refer to."""
    folder: str = params["secrets_folder"]
    return os.path.normpath(os.path.join(os.path.abspath(params["project_dir"]), folder))


def contents_of(secrets: t.Mapping[str, t.Any]) -> dict[str, bytes]:
    """The content of each file; raises `ComposeFailure` naming all that have no fitting name or are no text."""
    wrong = sorted(str(name) for name, content in secrets.items() if not _is_secret(name, content))
    if wrong:
        raise ComposeFailure(
            f"secrets: {', '.join(wrong)} has to be the name of a file, without a folder, and its content a string. "
            f"No secret file was written."
        )
    return {name: content.encode("utf-8", "surrogateescape") for name, content in secrets.items()}


def place_secret_files(wanted: SecretFiles, check: bool, diff: bool) -> dict[str, t.Any]:
    """Write the files that differ, and return it as a module's result. Files that are not listed stay."""
    if not check and not os.path.isdir(wanted.project_dir):
        raise ComposeFailure(f"project_dir {wanted.project_dir} is not a folder on this host: create it first.")
    moves = _is_elsewhere(wanted)
    before = {} if moves and not wanted.is_in_memory else _states(wanted)
    after = {name: _wanted(wanted, name, before.get(name)) for name in wanted.contents}
    written = sorted(name for name in after if after[name] != before.get(name))
    closes_folder = _folder_mode(wanted) != FOLDER_MODE
    if not check:
        if moves and not wanted.is_in_memory:
            _unlink(wanted)
        if closes_folder or wanted.is_in_memory or moves:
            _close_folder(wanted)
        for name in written:
            write_state(wanted.path(name), wanted.project_dir, after[name])
        if moves:
            _move(wanted)
    result = {"changed": bool(written) or closes_folder or moves, "secrets_written": written}
    return {**result, "diff": _diff(wanted, before, after)} if diff else result


def _is_secret(name: t.Any, content: t.Any) -> bool:
    return isinstance(name, str) and NAME.fullmatch(name) is not None and isinstance(content, str)


def _mode(text: str) -> int:
    if not MODE.fullmatch(text):
        raise ComposeFailure(f'secrets_mode {text} is not a mode: give octal digits in quotes, such as "0400".')
    return int(text, 8)


def _wanted(wanted: SecretFiles, name: str, before: FileState | None) -> FileState:
    """A file that belongs to somebody else is given to its owner anew, and that one's group with it."""
    gid = before.gid if before and before.uid == wanted.uid else os.getegid()
    return FileState(wanted.contents[name], wanted.mode, wanted.uid, gid)


def _folder_mode(wanted: SecretFiles) -> int | None:
    try:
        with place_of(wanted.path("_"), wanted.project_dir) as (folder, _name):
            return stat.S_IMODE(os.fstat(folder.handle).st_mode)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ComposeFailure(f"{wanted.folder} cannot be read: {error.strerror}.") from error


def _states(wanted: SecretFiles) -> dict[str, FileState | None]:
    return {name: read_state(wanted.path(name), wanted.project_dir, "a secret file") for name in wanted.contents}


def _is_elsewhere(wanted: SecretFiles) -> bool:
    """Whether the files are on the disk and are wanted in memory, or the other way round.

    Raises `ComposeFailure` when the folder, which becomes a link, holds what would be lost with it.
    """
    with _beside(wanted.place, wanted.project_dir) as found:
        target = _secret_memory.target_of(*found) if found else None
        if not wanted.is_in_memory:
            return target in _secret_memory.own_folders(wanted.project_dir, os.geteuid())
        others = _secret_memory.others_in(*found, wanted.contents) if found else []
    if others:
        raise ComposeFailure(
            f"{wanted.place} holds {', '.join(others)}, which the secrets of this task do not name. Kept in memory, "
            f"this folder becomes a link: list them among the secrets, or move them elsewhere. "
            f"No secret file was written."
        )
    return target != wanted.folder


def _unlink(wanted: SecretFiles) -> None:
    with _beside(wanted.place, wanted.project_dir) as found:
        if found:
            found[0].remove(found[1])


def _move(wanted: SecretFiles) -> None:
    """Have the layers' path lead to the files, and remove those at the other place."""
    if not wanted.is_in_memory:
        for each in _secret_memory.own_folders(wanted.project_dir, os.geteuid()):
            _secret_memory.remove_own(each)
        return
    with _beside(wanted.place, wanted.project_dir, private) as found:
        if found:
            _secret_memory.link(*found, wanted.folder)


def remove_secret_files(params: t.Mapping[str, t.Any], check: bool) -> dict[str, t.Any]:
    """Remove the folder of a project's secret files, or the link to it, and what is in memory."""
    project_dir, place = os.path.abspath(params["project_dir"]), place_of_files(params)
    if not place.startswith(f"{project_dir.rstrip('/')}/"):
        raise ComposeFailure(
            f"secrets_folder {place} is not below project_dir {project_dir}, and only such a folder is removed with "
            f"secrets_state=absent. Nothing was changed."
        )
    memory = [each for each in _secret_memory.own_folders(project_dir, os.geteuid()) if os.path.lexists(each)]
    with _beside(place, project_dir) as found:
        is_there = found is not None and found[0].look(found[1]) is not None
        if found and not check:
            _secret_memory.remove_tree(*found)
    for each in () if check else memory:
        _secret_memory.remove_own(each)
    return {"changed": is_there or bool(memory), "secrets_written": []}


@contextlib.contextmanager
def _beside(place: str, project_dir: str, make: Make | None = None) -> t.Iterator[tuple[Folder, str] | None]:
    """The open folder that something lies in, with its name there, be it a link; ``None`` where that folder is not."""
    above, name = os.path.split(place)
    with contextlib.ExitStack() as stack:
        try:
            folder, _name = stack.enter_context(place_of(os.path.join(above, "_"), project_dir, make))
        except (FileNotFoundError, NotADirectoryError):
            yield None
            return
        try:
            yield folder, name
        except OSError as error:
            raise ComposeFailure(f"{place} cannot be changed: {error.strerror}.") from error


def _close_folder(wanted: SecretFiles) -> None:
    """Make the folder, or let nobody but its owner into the one that is there."""
    if wanted.is_in_memory:
        _secret_memory.make_own(wanted.folder)
        return
    try:
        with place_of(wanted.path("_"), wanted.project_dir, private) as place, place[0].readable() as handle:
            os.fchmod(handle, FOLDER_MODE)
    except OSError as error:
        raise ComposeFailure(f"{wanted.folder} cannot be written: {error.strerror}.") from error


def _diff(
    wanted: SecretFiles, before: t.Mapping[str, FileState | None], after: t.Mapping[str, FileState]
) -> dict[str, str]:
    return {
        "before_header": wanted.folder,
        "after_header": wanted.folder,
        "before": "".join(_shown(name, state) for name, state in sorted(before.items()) if state),
        "after": "".join(_shown(name, state) for name, state in sorted(after.items())),
    }


def _shown(name: str, state: FileState) -> str:
    content = fingerprint(state.content.decode("utf-8", "surrogateescape"))
    return f"{name} {content} mode {state.mode:04o} user {state.uid} group {state.gid}\n"
