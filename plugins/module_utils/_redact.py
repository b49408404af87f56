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
    r"PASSWORD|PASSWD|PASSPHRASE|PASSCODE|SECRET(?!AR)|(?<!MAX_)TOKEN(?!I[SZ])|CREDENTIAL|CREDS|BASIC_?AUTH"
    r"|(?<!COM)(?<!BY)(?<!TRES)(?<!OVER)(?<!UNDER)(?<!SUR)PASS\d*(_|$)"
    r"|PW\d*(_|$)|(?<!OLD)PWD\d*(_|$)"
    r"|(^|[_\d])(API|APP|ACCESS|AUTH|DEPLOY|ENC|ENCRYPTION|GPG|HMAC|HOST|JWT|LICEN[CS]E|MASTER|PGP|PRIVATE|RSA|SIGNING"
    r"|SSH|SSL|TLS)?(?<!PUBLIC_)(?<!PRIMARY_)(?<!FOREIGN_)KEYS?\d*(_|$)"
    r"|(^|_)(SALT|PEPPER|DSN|AUTH_CONFIG|CONNECTION_STRING|ERLANG_COOKIE|PRIVATE_?(PEM|JWK))\d*(_|$)"
    r"|(^|_)(AUTH|PIN|PIN_CODE|CERT|PRIVATE|JWT|WEBHOOK(_URL)?)\d*$"
)
"""Names of variables whose values are never shown, in capitals with words joined by underscores."""

DESCRIBES_SECRET = re.compile(
    r"_(FILE|PREFIX|LENGTH|ALGORITHM|METHOD|ROUNDS|ENABLED|DISABLED|TTL|LIFETIME|EXPIR\w*|TIMEOUT|SECONDS|MINUTES|HOURS"
    r"|DAYS)$"
)
"""Ends of names that tell something about a secret, such as its path, and not the secret."""

PUBLIC_VALUES = frozenset(("true", "false", "yes", "no", "on", "off", "none", "null", "enabled", "disabled", "0", "1"))
"""Switches, whatever their name is; masked, they would make every text unreadable and hide nothing."""

URL_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/:@]*:([^\s@/]+(?:@[^\s@/\"',;]*)*)@", re.IGNORECASE)
"""The password in ``scheme://user:password@host``; one that holds an ``@`` reaches to the last of them."""

SHORTEST = 4
"""Shorter values are masked where they stand alone, but not inside longer texts: that would mask half of every log."""

MASK = "********"


def fingerprint(value: str) -> str:
    """Tell that a secret differs without telling it: the first 8 hexadecimal digits of its SHA-256."""
    return "sha256:" + hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def is_secret_name(name: str) -> bool:
    """Whether the value of a variable of this name is a secret; ``..._FILE`` names a path, which is none."""
    words = re.sub(r"[^A-Za-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).upper()
    return SECRET_NAME.search(words) is not None and DESCRIBES_SECRET.search(words) is None


def secrets_of(variables: t.Mapping[str, str | None]) -> set[str]:
    """The secret values among variables: those with a secret's name, and the passwords in URLs."""
    named = {value for name, value in variables.items() if value and is_secret_name(name)}
    in_urls = {match for value in variables.values() if value for match in URL_PASSWORD.findall(value)}
    return {value for value in named | in_urls if value.lower() not in PUBLIC_VALUES}


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
    lines = {line.strip() for line in stripped.splitlines()}
    spelled = {secret, stripped, *(line for line in lines if len(line) >= SHORTEST)}
    escaped = {form for each in spelled if each.strip() for form in (each, each.replace("$", "$$"))}
    return {
        form for each in escaped for form in (each, json.dumps(each)[1:-1], json.dumps(each, ensure_ascii=False)[1:-1])
    }
