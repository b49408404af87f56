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
import stringprep
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
    """The bytes that the server and its clients take: prepared by RFC 4013 if it can be, as it is if not.

    Rule: src/common/saslprep.c, `pg_saslprep`, and its callers, which go on with what it refuses.
    """
    if password.isascii():
        return password.encode()
    mapped = "".join(_mapped(each) for each in password)
    prepared = unicodedata.normalize("NFKC", mapped)
    taken = prepared if prepared and not any(map(_is_prohibited, prepared)) and _is_one_way(prepared) else password
    return taken.encode("utf-8", "surrogateescape")


def _mapped(character: str) -> str:
    if stringprep.in_table_c12(character):
        return " "
    return "" if stringprep.in_table_b1(character) else character


def _is_prohibited(character: str) -> bool:
    """Control characters, private ones and the like, and what Unicode 3.2 did not have (RFC 4013, 2.3 and 2.5)."""
    tables = (
        *(stringprep.in_table_a1, stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3),
        *(stringprep.in_table_c4, stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7),
        *(stringprep.in_table_c8, stringprep.in_table_c9),
    )
    return any(holds(character) for holds in tables)


def _is_one_way(text: str) -> bool:
    """Whether letters that are written to the left stand alone, and at both ends (RFC 3454, 6)."""
    to_left = [stringprep.in_table_d1(each) for each in text]
    return not any(to_left) or (to_left[0] and to_left[-1] and not any(map(stringprep.in_table_d2, text)))


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
