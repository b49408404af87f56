# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application's own gate: what is asked of it, as a release keeps it and as it is told. Pure.

A release keeps plain mappings, one for each question, in the order in which they are asked: those of ``gate_url``, then
those of ``gate_command``. Private to strata.compose.
"""

from __future__ import annotations

import re
import typing as t
from urllib.parse import unquote, urlsplit

from ansible_collections.strata.compose.plugins.module_utils._redact import fingerprint, is_secret_name, passwords_in

Question = t.Mapping[str, t.Any]
"""``url``, ``status`` and ``headers``, or ``argv`` and ``rc``; and ``timeout``, ``retries`` and ``service``."""

URL, COMMAND = "gate_url", "gate_command"

PUBLIC_HEADERS = frozenset(
    ("accept", "accept-encoding", "accept-language", "cache-control", "content-type", "host", "user-agent")
)
"""Their values say what is asked for, not who asks. Masked, they would make half of every result unreadable."""

SHORTEST_WORD = 8
"""So many characters of a word within a header's value are looked for alone: a token after ``Bearer``, for example."""

LONGEST_SHOWN = 120
"""Characters of a question in a message."""


def option_of(question: Question) -> str:
    return URL if "url" in question else COMMAND


def secrets_of_gate(gate: t.Iterable[Question]) -> t.Iterator[str]:
    """What must not be told of it: values of headers, the userinfo of addresses, and passwords in commands."""
    for each in gate:
        for word in each.get("argv", ()):
            yield from passwords_in(word)
        if "url" in each:
            yield from _secrets_of_url(each["url"])
        for name, value in each.get("headers", {}).items():
            if name.lower() not in PUBLIC_HEADERS:
                yield value
                yield from (word for word in _words(value) if len(word) >= SHORTEST_WORD)


def _words(value: str) -> set[str]:
    parts = set(re.split(r"[\s;,]+", value))
    return parts | {part.partition("=")[2] for part in parts}


def _secrets_of_url(url: str) -> t.Iterator[str]:
    yield from passwords_in(url)
    yield from _secrets_of_query(url)
    userinfo = urlsplit(url).netloc.rpartition("@")[0]
    if userinfo:
        yield userinfo
        yield from (word for word in user_and_password(url) if len(word) >= SHORTEST_WORD)
        yield user_and_password(url)[1]


def user_and_password(url: str) -> tuple[str, str]:
    """The two parts of the userinfo of an address, decoded."""
    user, _colon, password = urlsplit(url).netloc.rpartition("@")[0].partition(":")
    return unquote(user), unquote(password)


def has_secrets(question: Question) -> bool:
    """Whether it has something that no command line may show."""
    return bool(question["headers"]) or any(_secrets_of_url(question["url"]))


def _secrets_of_query(url: str) -> t.Iterator[str]:
    pairs = (pair.partition("=") for pair in urlsplit(url).query.split("&"))
    for name, _sign, value in pairs:
        if value and is_secret_name(name):
            yield from (value, unquote(value))


def bare(url: str) -> str:
    """An address without what may be a secret: userinfo, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" + ("?..." if parts.query else "")


def title(question: Question) -> str:
    """A question as messages name it."""
    place = f"in service {question['service']}" if question["service"] else "from the host"
    asked = bare(question["url"]) if "url" in question else _shortened(question["argv"])
    return f"{option_of(question)} {printable(asked)} ({place})"


def expected(question: Question) -> str:
    """The answer with which it passes."""
    if "url" in question:
        return f"status {_either(question['status']) if question['status'] else '200 to 399'}"
    return f"exit code {_either(question['rc'])}"


def told(question: Question) -> str:
    """All of a question in a line, for plans and diffs; values of headers as the beginning of their digest."""
    headers = [f"{name} {fingerprint(value)}" for name, value in question.get("headers", {}).items()]
    userinfo = urlsplit(question.get("url", "")).netloc.rpartition("@")[0]
    query = urlsplit(question.get("url", "")).query
    secret = [
        *headers,
        *(f"{name} {fingerprint(each)}" for name, each in (("userinfo", userinfo), ("query", query)) if each),
    ]
    limits = f"{question['timeout']:g} s a try, {question['retries']} retries"
    return ", ".join([f"{title(question)}: {expected(question)}", limits, *secret])


def change(before: t.Sequence[Question], after: t.Sequence[Question]) -> str:
    """How a gate differs from an earlier one, in words; empty when it does not."""
    if before == after:
        return ""
    if not after:
        return "the application is asked nothing any more"
    fresh = [title(each) for each in after if each not in before]
    return f"the application is asked otherwise: {', '.join(fresh)}" if fresh else "the application is asked less"


def printable(text: str) -> str:
    """A text from outside, with its control characters escaped."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _shortened(argv: t.Sequence[str]) -> str:
    """The beginning of a command in whole words: half a secret would not be recognised and masked."""
    words: list[str] = []
    for word in argv:
        if words and sum(map(len, words)) + len(words) + len(word) > LONGEST_SHOWN:
            return " ".join([*words, "..."])
        words.append(word)
    return " ".join(words)


def _either(numbers: t.Sequence[int]) -> str:
    return " or ".join(map(str, numbers))
