# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan with what is still on the controller: files, env file and secret files that a deployment will bring first.

They arrive in the arguments of the one call that plans and are unpacked to a folder of its own, see `_mirror`, in which
Compose and `_files` see the project directory as it will be. Nothing of it is left when the call ends, however it ends.
Private to strata.compose.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import typing as t
import zlib
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils import _files, _tree
from ansible_collections.strata.compose.plugins.module_utils._brought import read_record, record_of
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._mirror import Mirror, open_mirror
from ansible_collections.strata.compose.plugins.module_utils._state import state_dir_of
from ansible_collections.strata.compose.plugins.module_utils._tree_host import observe

Options = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Incoming:
    """What a deployment will bring, by paths below the project directory."""

    manifest: _tree.Manifest | None
    """files of the source; ``None`` when no source is given"""
    delete: bool
    contents: t.Mapping[str, bytes]
    """of files of the source, by SHA-256; what no plan reads is left out"""
    others: t.Mapping[str, bytes]
    """the env file and the secret files"""

    @classmethod
    def unpacked(cls, packed: str) -> Incoming:
        """From the option, which the part on the controller fills with text."""
        try:
            told = json.loads(zlib.decompress(base64.b64decode(packed, validate=True)))
        except (ValueError, zlib.error) as error:
            raise ComposeFailure("incoming did not arrive whole: it is set by the action plugin only.") from error
        contents, others = (
            {name: base64.b64decode(content) for name, content in told[kind].items()} for kind in ("contents", "others")
        )
        return cls(told["manifest"], told["delete"], contents, others)


@contextlib.contextmanager
def laid_over(options: Options) -> t.Iterator[None]:
    """Have this process see the project directory as it will be, when the option ``incoming`` tells of it."""
    if not options.get("incoming") or _files.mirror():
        yield
        return
    _forget_call()
    incoming = Incoming.unpacked(str(options["incoming"]))
    root = os.path.abspath(options["project_dir"])
    try:
        with open_mirror(root) as mirror:
            digests = _filled(mirror, incoming, options)
            with _files.laid_over(_files.Overlay(mirror.place, (root, mirror.real_root), digests)):
                yield
    except OSError as error:
        raise ComposeFailure(
            f"the plan cannot be made with the incoming files: {error.filename or root}: {error.strerror}. "
            f"Nothing was changed."
        ) from error


def _filled(mirror: Mirror, incoming: Incoming, options: Options) -> dict[str, str]:
    """Fill the mirror; the digests of files whose content did not travel, by their places in it."""
    wanted, removed = _tree_after(incoming, mirror.real_root, options)
    links = {path: each.target for path, each in wanted.items() if each.target is not None}
    files = {path: incoming.contents.get(each.content, b"") for path, each in wanted.items() if each.is_file}
    mirror.fill({**files, **incoming.others}, links, removed)
    return {
        mirror.place_of(path): each.content
        for path, each in wanted.items()
        if each.is_file and each.content not in incoming.contents and path not in incoming.others
    }


def _tree_after(incoming: Incoming, root: str, options: Options) -> tuple[dict[str, _tree.Entry], t.Collection[str]]:
    """What compose_files will place, and what it will remove."""
    if incoming.manifest is None:
        return {}, ()
    wanted = _tree.tree_of(incoming.manifest, None, None)
    brought = read_record(record_of(root, state_dir_of(options)), root)
    host = observe(root, wanted, brought)
    difference = _tree.compare(wanted, host, brought, incoming.delete)
    _tree.require_no_obstacles(wanted, host, difference, root)
    return wanted, difference.removed


def _forget_call() -> None:
    """Without pipelining Ansible has written this call to a file, with its arguments: it goes once it is read.

    Ansible removes it in the end, unless the controller is killed.
    """
    with open("/proc/self/cmdline", "rb") as line:
        words = [os.fsdecode(each) for each in line.read().split(b"\0")]
    for word in words:
        is_call = os.path.basename(word).startswith("AnsiballZ_") and "ansible-tmp-" in os.path.dirname(word)
        if is_call and os.path.isfile(word):
            os.unlink(word)
