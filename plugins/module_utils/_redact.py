# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets out of everything that leaves the host. Pure. Private to strata.compose."""

from __future__ import annotations

import hashlib
import re
import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _result_fields, _spelling

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
    r"_(FILE|PREFIX|LENGTH|ALGORITHM|METHOD|ROUNDS|ENABLED|DISABLED|TTL|LIFETIME|TIMEOUT|SECONDS|MINUTES|HOURS|DAYS)$"
    r"|_EXPIR"
)
"""Ends of names that tell something about a secret, such as its path, and not the secret."""

PUBLIC_VALUES = frozenset(("true", "false", "yes", "no", "on", "off", "none", "null", "enabled", "disabled", "0", "1"))
"""Switches, whatever their name is; masked, they would make every text unreadable and hide nothing."""

URL_PASSWORD = re.compile(r"(?<=[A-Za-z0-9+.-])://[^\s/:@]*:([^\s@/]+(?:@[^\s@/\"',;]*)*)@")
"""The password in ``scheme://user:password@host``; one that holds an ``@`` reaches to the last of them."""

PAIR = re.compile(
    r"(?:^|(?<=[?&;,\s\"']))(?:password|passwd|passphrase|pwd|sslpassword|client_?secret|(?:access|auth)_?token|api_?key)"
    r"=('[^']+'|[^&;,\s\"']+)",
    re.IGNORECASE,
)
"""The password in ``jdbc:...?user=shop&password=...``, ``host=db password=...``, ``Server=db;Pwd=...``."""

ASSIGNMENT = re.compile(
    r"^(?:export[ ]|declare -x )?([A-Z][A-Z0-9_]*)=(\S.*)$|(?<![\w$.-])([A-Z][A-Z0-9_]*)=([^\s\"',;]+)", re.MULTILINE
)
"""A variable of a process and its value, on a line of its own, as ``env`` prints it, or within one."""

TOLD_OTHERWISE = re.compile(r"['\"]?(sha256:|\*{4}|\$[\w{])")
"""What stands where a secret would: a fingerprint, a mask, the name of a variable."""

SHORTEST = 6
"""Shorter values are masked where a value stands alone, but not in free text: that would mask half of every log.

They hide nothing either: so few characters are tried out faster than read.
"""

SHORTEST_LINE = 4
"""Characters of a line of a longer secret that is masked in free text."""

LONGEST_WHOLE = 1 << 12
"""Characters; of a longer secret the lines are known, in parts of this length, and not the whole."""

SHORTEST_CUT = 6
"""So many characters of a secret at the end of a text are taken for one that was cut; fewer come by chance."""

CUT_TEXTS = 200
"""Characters; shorter texts were not cut, and many a name begins as a password does."""

MASK = "********"

COMMON = (
    "password passwd passphrase secret secrets sha256 service services container containers running healthy unhealthy "
    "starting restarting exited stopped started created removed recreate changed failed failure health check database "
    "release rolled back deploy deployment project environment network volume image variable message warning compose "
    "docker postgres postgresql localhost default latest"
)
"""Words of which messages consist."""


def fingerprint(value: str) -> str:
    """Tell that a secret differs without telling it: the first 8 hexadecimal digits of its SHA-256."""
    return "sha256:" + hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def is_secret_name(name: str) -> bool:
    """Whether the value of a variable of this name is a secret; ``..._FILE`` names a path, which is none."""
    words = re.sub(r"[^A-Za-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).upper()
    return SECRET_NAME.search(words) is not None and DESCRIBES_SECRET.search(words) is None


def secrets_of(variables: t.Mapping[str, str | None]) -> dict[str, str]:
    """The secret values among variables, each with its variable: with a secret's name, and passwords in addresses."""
    named = {value: name for name, value in variables.items() if value and is_secret_name(name)}
    within = {match: name for name, value in variables.items() if value for match in passwords_in(value)}
    return {value: name for value, name in {**within, **named}.items() if value.lower() not in PUBLIC_VALUES}


def passwords_in(value: str) -> set[str]:
    """The passwords in an address or a list of pairs, as they stand there and as the server gets them."""
    found = {match.strip("'") for pattern in (URL_PASSWORD, PAIR) for match in pattern.findall(value)}
    return found | {_decoded(each) for each in found if "%" in each}


def _decoded(password: str) -> str:
    from urllib.parse import unquote  # costs 4 ms, and few need it

    return unquote(password, errors="surrogateescape")


class Redactor:
    """Knows secret values and masks them in whatever is about to leave the host.

    Names are never masked, whatever the secrets are: not where a name stands in a result, and not in free text where
    a secret is a part of a name that is public anyway. It would only tell the secret.
    """

    def __init__(self) -> None:
        self._secrets: dict[str, str] = {}
        self._public = COMMON
        self._anchors: dict[str, str] = {}
        self._literals: set[str] = set()
        self._pieces: set[str] = set()
        self._needles: dict[str, _spelling.Needles] = {}
        self._unread = False

    def learn(self, secrets: t.Iterable[str] | t.Mapping[str, str]) -> None:
        """Add values that must not be told; a mapping names the variable of each."""
        names = secrets if isinstance(secrets, t.Mapping) else {}
        for secret in secrets:
            for each in (secret, secret.strip()):
                if each.strip() and not self._secrets.get(each):
                    self._secrets[each] = names.get(secret, "")
                    self._unread = True

    def publish(self, names: t.Iterable[str]) -> None:
        """Add names that are public: of services, images, databases, and the like."""
        own = (each for each in dict.fromkeys(names) if not _result_fields.may_hold_password(each))
        further = [each for each in own if each not in self._public]
        if further:
            self._public = "\n".join((self._public, *further))
            self._unread = True

    def warnings(self) -> list[str]:
        """What cannot be masked in free text, by the names of its variables."""
        named = {secret: name for secret, name in self._secrets.items() if name and secret == secret.strip()}
        short = sorted({name for secret, name in named.items() if len(secret) < SHORTEST})
        public = sorted({name for secret, name in named.items() if len(secret) >= SHORTEST and secret in self._public})
        return [
            f"The value of {', '.join(names)} is {what}: it cannot be masked in free text such as logs and messages. "
            f"Choose another one that is random and long."
            for names, what in (
                (public, "a public word of the project"),
                (short, f"shorter than {SHORTEST} characters"),
            )
            if names
        ]

    def mask(self, value: t.Any) -> t.Any:
        """A copy of a result in which every known secret is replaced where a value or free text stands."""
        self._read()
        # One look at everything: most secrets occur nowhere, and those that may are few.
        whole = "\0".join(_texts(value))
        needles = [self._needles_of(part) for part, anchor in self._anchors.items() if anchor in whole]
        literals = [each for each in (*self._literals, *self._short_pieces()) if each in whole]
        cut = [part for part in self._anchors if len(part) > SHORTEST_CUT and part[:SHORTEST_CUT] in whole]

        def masked(text: str, is_value: bool) -> str:
            is_secret = is_value and (text in self._secrets or text.strip() in self._secrets)
            return MASK if is_secret else self._masked_text(text, needles, literals, cut)

        return _result_fields.replaced(value, masked)

    def _read(self) -> None:
        """Prepare the search for what may be searched for in free text, after secrets or names have been added."""
        if not self._unread:
            return
        parts = {part for secret in self._secrets for part in _parts(secret) if part not in self._public}
        for part in self._anchors.keys() - parts:
            del self._anchors[part]
        for part in parts - self._anchors.keys():
            self._anchors[part] = _spelling.anchor_of(part)
        self._literals = {each for part in parts for each in _spelling.hexadecimals(part)}
        # The base64 of its lines is within that of the whole.
        whole = (secret for secret in self._secrets if len(secret) >= SHORTEST and secret not in self._public)
        self._pieces = {piece for secret in whole for piece in _spelling.base64_pieces(secret.strip())}
        self._unread = False

    def _masked_text(
        self, text: str, needles: t.Sequence[_spelling.Needles], literals: t.Sequence[str], cut: t.Sequence[str]
    ) -> str:
        spans = [*_spelling.found_in(text, needles)]
        spans += [span for each in literals for span in _spelling.places(text, each)]
        spans += _spelling.runs_of_base64(text, self._pieces)
        spans += _cut_off(text, cut)
        spans += _recognised(text)
        return _without(text, spans) if spans else text

    def _needles_of(self, part: str) -> _spelling.Needles:
        if part not in self._needles:
            self._needles[part] = _spelling.Needles.of(part)
        return self._needles[part]

    def _short_pieces(self) -> t.Iterator[str]:
        return (piece for piece in self._pieces if len(piece) < _spelling.PIECE)


def _parts(secret: str) -> set[str]:
    """What is looked for in longer texts: a secret, and its lines, for logs are told line by line."""
    lines = {line.strip() for line in secret.splitlines()}
    chunks = {line[at : at + LONGEST_WHOLE] for line in lines for at in range(0, len(line), LONGEST_WHOLE)}
    whole = {secret} if len(secret) <= LONGEST_WHOLE else set()
    own = {each for each in chunks if each.lower() not in PUBLIC_VALUES}
    parts = {part for part in whole | own if len(part.strip()) >= SHORTEST_LINE}
    return parts if len(secret.strip()) >= SHORTEST else set()


def _texts(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for pair in value.items() for each in pair for text in _texts(each))
    elif isinstance(value, (list, tuple)):
        yield from (text for each in value for text in _texts(each))


def _cut_off(text: str, secrets: t.Iterable[str]) -> t.Iterator[tuple[int, int]]:
    """The beginning of a secret at the end of a long text: engines cut what health checks say, for example."""
    for secret in secrets if len(text) >= CUT_TEXTS else ():
        for length in range(min(len(secret) - 1, len(text)), SHORTEST_CUT - 1, -1):
            if text.endswith(secret[:length]):
                yield len(text) - length, len(text)
                break


def _recognised(text: str) -> t.Iterator[tuple[int, int]]:
    """Secrets that nobody told us of: an address shows a password, a name says that its value is one."""
    if "@" in text:
        yield from (found.span(1) for found in URL_PASSWORD.finditer(text))
    if "=" not in text:
        return
    yield from (found.span(1) for found in PAIR.finditer(text) if not TOLD_OTHERWISE.match(found[1]))
    for found in ASSIGNMENT.finditer(text):
        group = 1 if found[1] else 3
        name, value = found[group], found[group + 1]
        is_public = value.lower() in PUBLIC_VALUES or TOLD_OTHERWISE.match(value)
        if not is_public and is_secret_name(name):
            yield found.span(group + 1)


def _without(text: str, spans: t.Iterable[tuple[int, int]]) -> str:
    """A text with a mask in place of each span; spans that overlap get one mask together."""
    told, end = [], 0
    joined: list[list[int]] = []
    for start, stop in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], stop)
        else:
            joined.append([start, stop])
    for start, stop in joined:
        told += [text[end:start], MASK]
        end = stop
    return "".join([*told, text[end:]])
