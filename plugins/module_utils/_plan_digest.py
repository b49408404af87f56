# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan was made from, as a digest that can be shown. Private to strata.compose.

It is keyed, for a plain digest of a short password could be guessed from it. The key is the host's own and is there
before the first deployment: its machine id, which is not to be shown and so is used as machine-id(5) says. Thus all
controllers get the same digest, and two hosts never do.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import typing as t
import zlib

from ansible_collections.strata.compose.plugins.module_utils._files import read_file

KEYS = ("/etc/machine-id", "/var/lib/dbus/machine-id", "/proc/sys/kernel/random/boot_id")
"""The first that there is. With the last one, a plan that is approved before a reboot counts no more after it."""
PURPOSE = b"strata.compose plan"


def digest_of(inputs: t.Any) -> str:
    """The keyed SHA-256 of anything that JSON can hold."""
    key = next(filter(None, (read_file(path) for path in KEYS)), b"")
    content = json.dumps(inputs, sort_keys=True, default=dict).encode("utf-8", "surrogateescape")
    return hmac.new(key.strip() + PURPOSE, content, hashlib.sha256).hexdigest()


def inputs_of(options: t.Mapping[str, t.Any]) -> str:
    """What is still on the controller, as text: compressed, it differs between versions of zlib."""
    packed = options.get("incoming")
    return zlib.decompress(base64.b64decode(packed)).decode() if packed else ""
