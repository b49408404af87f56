# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The env file of an environment, made from variables and held against its example. Private to strata.compose."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.strata.compose.plugins.module_utils import _dotenv
from ansible_collections.strata.compose.plugins.module_utils._engine_socket import require_access
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._file_state import (
    FileState,
    group_id,
    read_state,
    user_id,
    write_state,
)
from ansible_collections.strata.compose.plugins.module_utils._files import is_folder, read_file, seen
from ansible_collections.strata.compose.plugins.module_utils._folders import Folder, place_of
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor, fingerprint, secrets_of
from ansible_collections.strata.compose.plugins.module_utils._secret_files import (
    SecretFiles,
    place_secret_files,
    remove_secret_files,
)

MODE = 0o600
EXAMPLE = ".env.example"
OPTIONAL = re.compile(r"^[ \t]*#[ \t]*([A-Za-z_][A-Za-z0-9_.-]*)=", re.MULTILINE)
"""An assignment that is commented out in an example: the variable may be set and need not be."""


@dataclass(frozen=True)
class Wish:
    """What the task asks for. Paths are absolute; ``example`` is None when nothing is to be compared."""

    directory: Path
    path: Path
    environment: str
    example: Path | None
    example_required: bool
    owner: str | None
    group: str | None
    variables: t.Mapping[str, t.Any] = field(repr=False)

    @classmethod
    def from_params(cls, params: t.Mapping[str, t.Any]) -> Wish:
        directory, environment = Path(params["project_dir"]).absolute(), params["environment"]
        example = directory / (params["example"] or EXAMPLE)
        return cls(
            directory=directory,
            path=directory / (params["path"] or f".env.{environment}"),
            environment=environment,
            example=example if params["check_example"] else None,
            example_required=params["example"] is not None,
            owner=params["owner"],
            group=params["group"],
            variables=params["variables"] or {},
        )


def place_all(params: t.Mapping[str, t.Any], redactor: Redactor, check: bool, diff: bool) -> dict[str, t.Any]:
    """Place the env file and the secret files, as far as the task gives them."""
    if params["variables"] is None and params["secrets"] is None and params["secrets_state"] == "present":
        raise ComposeFailure(
            "There is nothing to write: give variables, secrets, or both to this task, or set "
            "compose_env_file_variables or compose_env_file_secrets in the inventory."
        )
    secrets = _secret_files(params, redactor)
    results = []
    if params["secrets_state"] == "absent":
        results.append(remove_secret_files(params, check))
    if params["variables"] is not None:
        results.append(place(params, Wish.from_params(params), redactor, check, diff))
    if secrets:
        require_access()
        results.append(place_secret_files(secrets, check, diff))
    diffs = [each["diff"] for each in results if "diff" in each]
    shown = {"diff": diffs[0] if len(diffs) == 1 else diffs} if diffs else {}
    joined = {key: value for each in results for key, value in each.items()}
    return {**joined, **shown, "changed": any(each["changed"] for each in results)}


def _secret_files(params: t.Mapping[str, t.Any], redactor: Redactor) -> SecretFiles | None:
    if not params["secrets"] or params["secrets_state"] == "absent":
        return None
    redactor.learn({content: name for name, content in params["secrets"].items() if isinstance(content, str)})
    return SecretFiles.from_params(params)


def place(params: t.Mapping[str, t.Any], wish: Wish, redactor: Redactor, check: bool, diff: bool) -> dict[str, t.Any]:
    """Place the env file, or tell in check mode what would change when the files that are still to come are there."""
    require_access()
    if not check or not params["incoming"]:
        return placed(wish, redactor, check, diff)
    from ansible_collections.strata.compose.plugins.module_utils._incoming import laid_over

    with laid_over(params):
        return placed(wish, redactor, check, diff)


def placed(wish: Wish, redactor: Redactor, check: bool, diff: bool) -> dict[str, t.Any]:
    """Write the env file if it differs, and tell it as a module's result.

    Raises `ComposeFailure`, before anything is written, for a value that is no text, for variables that do not fit the
    example, and for folders, files and owners that are not there.
    """
    variables = _dotenv.as_texts(wish.variables)
    redactor.learn(secrets_of(variables))
    content = content_of(variables, wish.environment)
    check_against_example(wish)
    if not is_folder(str(wish.directory)):
        raise ComposeFailure(f"project_dir {wish.directory} is not a folder on this host: create it first.")
    before = _found(wish)
    after = _wanted(wish, content, before)
    if after != before and not check:
        write_state(str(wish.path), str(wish.directory), after)
    result = {"changed": after != before, "path": str(wish.path), "variables": sorted(variables)}
    return {**result, "diff": _diff(wish.path, before, after)} if diff else result


def content_of(variables: t.Mapping[str, t.Any], environment: str) -> bytes:
    """The env file of an environment; raises `ComposeFailure` for values that it cannot hold."""
    header = f"Environment {environment}. Made from inventory variables: changes by hand will be lost."
    return _dotenv.write(dict(sorted(_dotenv.as_texts(variables).items())), header).encode()


def check_against_example(wish: Wish) -> None:
    """Raise `ComposeFailure` for an example that was named and is not there, or that the variables do not fit."""
    content = _example(wish, str(wish.example)) if wish.example else None
    if content is not None:
        compare(wish.variables, content.decode("utf-8", "surrogateescape"), str(wish.example))
    elif wish.example and wish.example_required:
        raise ComposeFailure(f"example {wish.example} is not there: correct the path, or leave it out for {EXAMPLE}.")


def _content(folder: Folder, name: str) -> bytes:
    with folder.opened(name) as file:
        return file.read()


def _example(wish: Wish, path: str) -> bytes | None:
    if seen(path) != path:
        return read_file(path)  # a private copy of what is to come
    try:
        with place_of(path, str(wish.directory)) as (folder, name):
            return _content(folder, name)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ComposeFailure(f"{path} cannot be read: {error.strerror}.") from error


def compare(variables: t.Iterable[str], text: str, example: str) -> None:
    """Raise `ComposeFailure` naming all variables that only one side has, also as the data missing and unknown."""
    given, required, optional = set(variables), set(_dotenv.names(text, example)), set(OPTIONAL.findall(text))
    missing, unknown = sorted(required - given), sorted(given - required - optional)
    advice = {
        f"missing {', '.join(missing)} (give a value, an empty one at least, or comment the line out there if the "
        f"variable is optional)": missing,
        f"unknown {', '.join(unknown)} (correct the name, or add it there)": unknown,
    }
    told = "; ".join(text for text, names in advice.items() if names)
    if told:
        raise ComposeFailure(f"The variables do not fit {example}: {told}.", missing=missing, unknown=unknown)


def _found(wish: Wish) -> FileState | None:
    return read_state(str(wish.path), str(wish.directory), "the env file")


def _wanted(wish: Wish, content: bytes, before: FileState | None) -> FileState:
    """An owner or group that is not asked for stays, as for a file that is edited by hand."""
    uid, gid = (before.uid, before.gid) if before else (os.geteuid(), os.getegid())
    if wish.owner is not None:
        uid = user_id("owner", wish.owner)
    if wish.group is not None:
        gid = group_id("group", wish.group)
    return FileState(content, MODE, uid, gid)


def _diff(path: Path, before: FileState | None, after: FileState) -> dict[str, str]:
    return {
        "before_header": str(path),
        "after_header": str(path),
        "before": shown(before) if before else "",
        "after": shown(after),
    }


def shown(state: FileState) -> str:
    """A state for a diff: every value as a fingerprint, for a secret may hide behind any name."""
    text = state.content.decode("utf-8", "surrogateescape")
    about = f"# {fingerprint(text)} mode {state.mode:04o} user {state.uid} group {state.gid}"
    try:
        variables = _dotenv.values(text)
    except ComposeFailure:
        return f"{about}\n# not readable as an env file\n"
    masked = (f"{name}={fingerprint(variables[name])}" for name in sorted(variables))
    return "".join(f"{line}\n" for line in (about, *masked))
