# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers that were made by way of another state folder: that of another user, or of the same user before.

State is each user's own, the engine is one. Two histories of one project would undo each other's releases, and neither
would know what to go back to. Private to strata.compose.
"""

from __future__ import annotations

import os
import pwd
import re
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._engine_socket import user_name
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._snapshot import Origin

MADE_FROM = re.compile(r"(?P<folder>/.*/(?P<project>[^/]+))/(?:releases/\d+|init)/compose\.json")
"""The model that a container was made from, in a project's state folder."""


def require_own_history(project: str, folder: str, adopted: str | None, origins: t.Iterable[Origin]) -> None:
    """Raise `ComposeFailure` when a container comes from another state folder than ``folder``.

    ``origins`` are of the containers that no release of the own history has. One whose state is gone has no history
    that could be in the way. ``adopted`` names the other folder, or the ``state_dir`` above it, once.
    """
    for other in sorted({state_folder(project, each) for each in origins} - {"", folder}):
        accepted = adopted is not None and adopted.rstrip("/") in (other, os.path.dirname(other))
        if not accepted and _may_be_there(other) and not _is_same(other, folder):
            raise _refused(project, folder, other)


def state_folder(project: str, origin: Origin) -> str:
    """The project's state folder that a container was made from; empty for one that somebody made by hand. Pure."""
    found = MADE_FROM.fullmatch(origin.config_files.split(",")[0])
    return found["folder"] if found and found["project"] == project else ""


def _may_be_there(folder: str) -> bool:
    """Whether the folder exists, as far as this user can see: state is for its owner only."""
    try:
        os.stat(os.path.join(folder, "releases"))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError:
        return True
    return True


def _is_same(one: str, other: str) -> bool:
    """Whether two paths lead to one folder, as by a link."""
    return os.access(one, os.F_OK) and os.access(other, os.F_OK) and os.path.samefile(one, other)


def _refused(project: str, folder: str, other: str) -> ComposeFailure:
    user, state_dir = _owner(other), os.path.dirname(other)
    if user == user_name():
        way = f"Give state_dir={state_dir}."
    else:
        way = "Run as that user, with become" + ("." if user == "root" else f" and become_user={user}.")
    return ComposeFailure(
        f"project {project} on this engine was deployed by user {user}, state in {other}, and not from {folder}: two "
        f"histories would undo each other's releases. {way} To take the project over for good, say once "
        f"adopt_from={other}; its history stays behind. Nothing was changed.",
        error_kind="other_history",
        owner={"user": user, "state_dir": state_dir},
    )


def _owner(path: str) -> str:
    """Whose a path is, by the deepest folder of it that this user may look at."""
    while True:
        try:
            number = os.stat(path).st_uid
        except OSError:
            path = os.path.dirname(path)
        else:
            break
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
