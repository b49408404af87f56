# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a project, brought to their host. Private to strata.compose.

The controller sends a manifest. When the host lacks contents, the answer names them as ``needed``, and the controller
asks again with an archive: gzipped tar, each content once and named by its SHA-256, so no path in it can lead anywhere.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils import _tree
from ansible_collections.strata.compose.plugins.module_utils._brought import read_record, record_of, write_record
from ansible_collections.strata.compose.plugins.module_utils._engine_socket import require_access
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._folders import open_folder, resolved
from ansible_collections.strata.compose.plugins.module_utils._state import state_dir_of
from ansible_collections.strata.compose.plugins.module_utils._tree import Difference, Host
from ansible_collections.strata.compose.plugins.module_utils._tree_diff import LARGEST, text_of
from ansible_collections.strata.compose.plugins.module_utils._tree_host import observe
from ansible_collections.strata.compose.plugins.module_utils._tree_writer import Writer, require_contents


@dataclass(frozen=True)
class Wish:
    """What the task asks for. ``root`` is absolute and without symbolic links."""

    root: str
    wanted: t.Mapping[str, _tree.Entry]
    delete: bool
    uid: int | None
    gid: int | None
    archive: str | None
    record: str
    """The file that lists what earlier runs brought to this folder"""

    @classmethod
    def from_params(cls, params: t.Mapping[str, t.Any]) -> Wish:
        if params["manifest"] is None:
            raise ComposeFailure("compose_files needs its action plugin: call it as strata.compose.compose_files.")
        root = resolved(params["project_dir"])
        uid = _number("owner", params["owner"], lambda name: pwd.getpwnam(name).pw_uid)
        gid = _number("group", params["group"], lambda name: grp.getgrnam(name).gr_gid)
        wanted = _tree.tree_of(params["manifest"], uid, gid)
        record = record_of(root, state_dir_of(params))
        return cls(root, wanted, params["delete"], uid, gid, params["archive"], record)


def _number(option: str, name: str | None, find: t.Callable[[str], int]) -> int | None:
    if name is None:
        return None
    with contextlib.suppress(KeyError):
        return find(name)
    if name.isdecimal():
        return int(name)
    raise ComposeFailure(f"{option} {name} is not known on this host: create it first, or give a number.")


def bring(wish: Wish, check: bool, diff: bool, warn: t.Callable[[str], None]) -> dict[str, t.Any]:
    """Bring the files, or tell in check mode what would change, or tell which contents are needed first.

    Raises `ComposeFailure`, before anything is written, for paths that leave the folder, for what stands in the way,
    and for contents that did not arrive whole.
    """
    require_access()
    if os.path.lexists(wish.root) and not os.path.isdir(wish.root):
        raise ComposeFailure(f"project_dir {wish.root} is not a folder on this host.")
    brought = read_record(wish.record, wish.root)
    host = observe(wish.root, wish.wanted, brought)
    difference = _tree.compare(wish.wanted, host, brought, wish.delete)
    _tree.require_no_obstacles(wish.wanted, host, difference, wish.root)
    needed = {wish.wanted[path].content for path in difference.written if wish.wanted[path].is_file}
    if needed and not check and wish.archive is None:
        return {"changed": False, "needed": sorted(needed)}
    result = _told(wish, difference)
    if diff:
        result["before"] = _texts(wish, host, difference)
    if not check:
        _carry_out(wish, host, difference, brought, needed)
        _warn_of_kept(difference, wish.root, warn)
    return result


def _carry_out(
    wish: Wish, host: Host, difference: Difference, brought: dict[str, str], needed: t.Collection[str]
) -> None:
    """Write. The record comes first: what it lists and a host has with another content is never removed."""
    if needed and wish.archive:
        require_contents(wish.archive, needed)
    writer = Writer(wish.root, wish.wanted, host, wish.uid, wish.gid)
    try:
        with writer.staged(wish.archive, difference.written):
            after = _tree.brought_after(wish.wanted, host, brought)
            brought = write_record(wish.record, wish.root, after)
            writer.remove(difference.removed)
            for path in difference.written:
                writer.place(path)
            for path in difference.adjusted:
                writer.adjust(path)
    except OSError as error:
        raise ComposeFailure(
            f"{error.filename2 or error.filename or wish.root} cannot be written: {error.strerror}. "
            + ("Some files are in place already; run the task again." if writer.touched else "Nothing was changed."),
            changed=writer.touched,
        ) from error
    done = difference.removed + difference.kept
    write_record(wish.record, wish.root, _tree.brought_after(wish.wanted, host, brought, done))


def _told(wish: Wish, difference: Difference) -> dict[str, t.Any]:
    files = {
        "created": list(difference.created),
        "changed": sorted(difference.replaced + difference.adjusted),
        "removed": list(difference.removed),
    }
    return {"changed": any(files.values()), "files": files, "project_dir": wish.root}


def _texts(wish: Wish, host: Host, difference: Difference) -> dict[str, str]:
    """The texts that will be replaced, masked and as far as a diff shows them."""
    texts = {}
    for path in difference.replaced:
        modes = [each.mode for each in (host.found[path], wish.wanted[path]) if each.mode is not None]
        if len(modes) == 2:
            text = text_of(_beginning(wish.root, path), path, modes[0] & modes[1])
            texts.update({path: text} if text is not None else {})
    return texts


def _beginning(root: str, path: str) -> bytes:
    """So much of a file that it can be seen whether it is too large for a diff."""
    above, name = os.path.split(path)
    try:
        with open_folder(root) as folder, folder.below(above) as inner, inner.opened(name) as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise ComposeFailure(f"{error.filename or path} cannot be read: {error.strerror}.") from error


def _warn_of_kept(difference: Difference, root: str, warn: t.Callable[[str], None]) -> None:
    if difference.kept:
        warn(
            f"The source no longer has {_tree.names(difference.kept)}, but it was changed on the host since. "
            f"It stays in {root} and is no longer looked after; remove it by hand if nobody needs it."
        )
