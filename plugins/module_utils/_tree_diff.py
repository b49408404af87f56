# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a diff shows of a text file. Pure. Private to strata.compose."""

from __future__ import annotations

import re

from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor, fingerprint, is_secret_name

LARGEST = 64 * 1024
"""Bytes of a file above which its content is not shown."""

ASSIGNMENT = re.compile(
    r"""^(?P<before>[ \t#-]*(?:export[ ]+)?["']?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)["']?[ \t]*[:=][ \t]*)"""
    r"""(?P<value>\S.*)$""",
    re.MULTILINE,
)
"""``NAME=value``, ``name: value`` and ``"name": "value"`` as they stand in env files, YAML, JSON and settings."""

REFERENCE = re.compile(r"""["']?\$(\w+|\{\w+(:?\?[^}]*)?\})["']?,?""")
"""A value that only names another variable."""

PRIVATE_KEY = "PRIVATE KEY-----"


def text_of(content: bytes, path: str, mode: int) -> str | None:
    """A file's text with its secrets masked; ``None`` when it is too large, no text, private, or secret as a whole."""
    if len(content) > LARGEST or b"\0" in content or not mode & 0o004 or _is_secret_file(path):
        return None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return None if PRIVATE_KEY in text else masked(text)


def masked(text: str) -> str:
    """A text in which values with a secret's name are fingerprints, and passwords in URLs are gone."""
    return str(Redactor().mask(ASSIGNMENT.sub(_masked_assignment, text)))


def _masked_assignment(found: re.Match[str]) -> str:
    if not is_secret_name(found["name"]) or REFERENCE.fullmatch(found["value"].strip()):
        return found.group(0)
    return found["before"] + fingerprint(found["value"])


def _is_secret_file(path: str) -> bool:
    """Whether the name of the file is that of a secret: ``db_password.txt``, ``tls/server.key``."""
    return any(is_secret_name(word) for word in re.split(r"[^A-Za-z0-9_]+", path.rpartition("/")[2]))
