# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SCRAM verifiers: a password is set and compared without ever being sent. Pure. Private to strata.compose.

Rule: RFC 5802 and RFC 7677; the text that ``pg_authid.rolpassword`` holds is that of src/common/scram-common.c.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import unicodedata

ITERATIONS = 4096
"""Postgres' own default (`scram_iterations`)."""

SHAPE = re.compile(r"SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")


def verifier(password: str, salt: bytes, iterations: int = ITERATIONS) -> str:
    """The text that Postgres stores for a password; it lets nobody log in who knows only the text."""
    salted = hashlib.pbkdf2_hmac("sha256", _prepared(password), salt, iterations)
    client_key = hmac.new(salted, b"Client Key", "sha256").digest()
    server_key = hmac.new(salted, b"Server Key", "sha256").digest()
    stored = hashlib.sha256(client_key).digest()
    return f"SCRAM-SHA-256${iterations}:{_text(salt)}${_text(stored)}:{_text(server_key)}"


def matches(stored: str | None, password: str) -> bool:
    """Whether what Postgres has stored is the verifier of a password; an MD5 hash never is, so it is replaced."""
    shape = SHAPE.fullmatch(stored or "")
    if shape is None:
        return False
    again = verifier(password, base64.b64decode(shape.group(2)), int(shape.group(1)))
    return hmac.compare_digest(again.encode(), (stored or "").encode())


def _prepared(password: str) -> bytes:
    """The bytes that the server too takes: normalised if it can be, as it is if not (src/common/saslprep.c)."""
    if password.isascii():
        return password.encode()
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogateescape")


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
