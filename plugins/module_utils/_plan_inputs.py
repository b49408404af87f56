# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan was made from, by names and digests that can be shown. Private to strata.compose.

They are keyed, for a plain digest of a short password could be guessed from it. The key is the host's own and is there
before the first deployment: its machine id, which is not to be shown and so is used as machine-id(5) says. Thus all
controllers get the same digests, and two hosts never do.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _dotenv
from ansible_collections.strata.compose.plugins.module_utils._files import read_file
from ansible_collections.strata.compose.plugins.module_utils._incoming import Incoming
from ansible_collections.strata.compose.plugins.module_utils._mounts import Mounts

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Part, Release

KEYS = ("/etc/machine-id", "/var/lib/dbus/machine-id", "/proc/sys/kernel/random/boot_id")
"""The first that there is. With the last one, a plan that is approved before a reboot counts no more after it."""
PURPOSE = b"strata.compose plan"


def digests_of(inputs: t.Mapping[str, t.Any]) -> dict[str, str]:
    """The keyed SHA-256 of each input, which can be anything that JSON can hold."""
    key = next(filter(None, (read_file(path) for path in KEYS)), b"").strip() + PURPOSE
    return {name: hmac.new(key, _as_bytes(each), hashlib.sha256).hexdigest() for name, each in inputs.items()}


def _as_bytes(value: t.Any) -> bytes:
    return json.dumps(value, sort_keys=True, default=dict).encode("utf-8", "surrogateescape")


def inputs_of(release: Release, images: t.Mapping[str, str], incoming: str | None) -> dict[str, str]:
    """The digests of services, files, and of what is still on the controller, by names to show."""
    services = {
        f"service {name}": [part.definition, _contents(part), release.variables, images.get(part.image_name)]
        for name, part in release.parts.items()
    }
    files = {f"file {path}": content for path, content in release.inputs.items() if content is not None}
    gate = {"gate": list(release.gate)} if release.gate else {}
    return digests_of({**services, **files, **gate, **(_arriving(incoming) if incoming else {})})


def _contents(part: Part) -> dict[str, t.Any]:
    """What counts of files: not what a service, or anybody, writes into a file that is mounted writable."""
    mounts = part.mounts or Mounts()
    files = {path: mounts.inodes.get(path) or content for path, content in part.files.items()}
    return {"files": files, "links": mounts.links, "contexts": mounts.contexts}


def _arriving(packed: str) -> dict[str, t.Any]:
    """The files of the source, each variable of the env file, and the secret files."""
    incoming = Incoming.unpacked(packed)
    found: dict[str, t.Any] = {"files of the source": [incoming.manifest, incoming.delete]}
    for path, content in incoming.others.items():
        text = content.decode("utf-8", "surrogateescape")
        if path.startswith("secrets/"):
            found[f"secret file {path}"] = text
        else:
            found.update({f"variable {name}": value for name, value in _dotenv.values(text).items()})
    return found
