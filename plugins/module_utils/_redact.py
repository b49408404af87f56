# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets out of everything that leaves the host. Pure. Private to strata.compose."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t

SECRET_NAME = re.compile(
    r"PASS(WORD|WD|PHRASE)?(_|$)|(^|_)(PW|PWD)$|SECRET|TOKEN|(^|_)(API|PRIVATE|ACCESS|SIGNING|ENCRYPTION|MASTER|AUTH)?_?KEY(_|$)"
    r"|CREDENTIAL|PRIVATE|(^|_)(SALT|PEPPER|AUTH|DSN|PIN|CERT)(_|$)",
    re.IGNORECASE,
)
"""Names of variables whose values are never shown."""

URL_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/:@]*:([^\s@/]+)@", re.IGNORECASE)
"""The password in ``scheme://user:password@host``."""

SHORTEST = 4
"""Shorter values are masked where they stand alone, but not inside longer texts: that would mask half of every log."""

MASK = "********"


def fingerprint(value: str) -> str:
    """Tell that a secret differs without telling it: the first 8 hexadecimal digits of its SHA-256."""
    return "sha256:" + hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def is_secret_name(name: str) -> bool:
    """Whether the value of a variable of this name is a secret; ``..._FILE`` names a path, which is none."""
    return not name.upper().endswith("_FILE") and SECRET_NAME.search(name) is not None


def secrets_of(variables: t.Mapping[str, str | None]) -> set[str]:
    """The secret values among variables: those with a secret's name, and the passwords in URLs."""
    named = {value for name, value in variables.items() if value and is_secret_name(name)}
    in_urls = {match for value in variables.values() if value for match in URL_PASSWORD.findall(value)}
    return named | in_urls


class Redactor:
    """Knows secret values and masks them in whatever is about to leave the host."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def learn(self, secrets: t.Iterable[str]) -> None:
        """Add values that must not be told, in the forms in which programs print them."""
        for secret in secrets:
            self._secrets.update(_forms(secret))
        long_enough = sorted((each for each in self._secrets if len(each) >= SHORTEST), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, long_enough))) if long_enough else None

    def mask(self, value: t.Any) -> t.Any:
        """A copy of a result in which every known secret is replaced, in keys of mappings too."""
        if isinstance(value, str):
            return self._masked_text(value)
        if isinstance(value, dict):
            return {self.mask(key): self.mask(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.mask(each) for each in value]
        return value

    def _masked_text(self, text: str) -> str:
        if text in self._secrets:
            return MASK
        text = self._pattern.sub(MASK, text) if self._pattern else text
        return URL_PASSWORD.sub(lambda match: match.group(0).replace(f":{match.group(1)}@", f":{MASK}@"), text)


def _forms(secret: str) -> set[str]:
    """A secret as itself, as JSON, as Compose escapes it, and its lines, for logs are told line by line."""
    stripped = secret.strip()
    lines = {line for line in stripped.splitlines() if len(line) >= SHORTEST}
    spelled = {secret, stripped, *lines}
    return {
        form
        for each in spelled
        if each
        for form in (each, json.dumps(each)[1:-1], json.dumps(each, ensure_ascii=False)[1:-1], each.replace("$", "$$"))
    }
