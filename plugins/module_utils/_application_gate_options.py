# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options ``gate_url`` and ``gate_command``: every shape that they may have, read into questions. Pure.

Private to strata.compose.
"""

from __future__ import annotations

import json
import re
import shlex
import typing as t
from urllib.parse import urlsplit

from ansible_collections.strata.compose.plugins.module_utils._application_gate import (
    COMMAND,
    URL,
    Question,
    option_of,
)
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

DEFAULTS: dict[str, Question] = {
    URL: {"status": [], "timeout": 10, "retries": 10, "headers": {}, "service": None},
    COMMAND: {"rc": [0], "timeout": 30, "retries": 0, "service": None},
}
"""No status stands for any from 200 to 399."""

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token (RFC 9110, 5.6.2)."""


def gate_of(options: t.Mapping[str, t.Any], last: t.Sequence[Question]) -> tuple[Question, ...]:
    """What a release is to be asked: an option that is not set keeps what the last release has of it.

    Raises `ComposeFailure` for a value that is no question.
    """
    found: list[Question] = []
    for option, questions in ((URL, _urls), (COMMAND, _commands)):
        given = _read(options.get(option))
        found += [each for each in last if option_of(each) == option] if given is None else questions(given)
    return tuple(found)


def require_gate_services(gate: t.Iterable[Question], services: t.Collection[str]) -> None:
    """Raise `ComposeFailure` when a question is to be asked in a service that there is not."""
    for each in gate:
        if each["service"] and each["service"] not in services:
            option = option_of(each)
            raise ComposeFailure(
                f"{option} is to be asked in service {each['service']}, which the environment does not have; it has "
                f"{', '.join(sorted(services))}. Name one of them as its service, leave service out to ask from the "
                f"host, or drop what the last release had with {option}=[]. Nothing was changed."
            )


def _read(given: t.Any) -> t.Any:
    """An option as it was given; ``-e`` and ``-a`` of a command line hand lists and mappings over as JSON text."""
    if isinstance(given, str) and given.strip()[:1] in ("[", "{"):
        try:
            return json.loads(given)
        except ValueError:
            return given
    return given


def _urls(given: t.Any) -> list[Question]:
    entries = given if isinstance(given, (list, tuple)) else [given]
    return [_url(each, _place(URL, number, entries)) for number, each in enumerate(entries, 1)]


def _commands(given: t.Any) -> list[Question]:
    if not isinstance(given, (list, tuple)) or not any(isinstance(each, dict) for each in given):
        return [_command(given, COMMAND)] if given not in ([], ()) else []
    for number, each in enumerate(given, 1):
        if not isinstance(each, dict):
            raise _wrong(_place(COMMAND, number, given), "a mapping with argv, as other entries of the list are")
    return [_command(each, _place(COMMAND, number, given)) for number, each in enumerate(given, 1)]


def _place(option: str, number: int, entries: t.Sequence[t.Any]) -> str:
    return f"entry {number} of {option}" if len(entries) > 1 else option


def _url(given: t.Any, place: str) -> dict[str, t.Any]:
    example = "an address such as http://localhost:8080/health, or a mapping with url"
    entry = _entry({"url": given} if isinstance(given, str) else given, URL, place, "url", example)
    url, headers = entry["url"], entry["headers"]
    _require_url(url, f"url of {place}" if isinstance(given, dict) else place)
    if not isinstance(headers, dict):
        raise _wrong(f"headers of {place}", "a mapping such as {X-Probe: '1'}")
    entry["headers"] = {str(name): _header(str(name), value, place) for name, value in headers.items()}
    if "@" in urlsplit(url).netloc and "authorization" in {name.lower() for name in entry["headers"]}:
        raise _wrong(place, "one with either a user in its url or the header Authorization, for both say who asks")
    entry["status"] = _numbers(entry["status"] or [], f"status of {place}", range(100, 600), "200 or [200, 204]")
    return entry


def _require_url(url: t.Any, place: str) -> None:
    example = "http://localhost:8080/health"
    if not isinstance(url, str) or any(each.isspace() or not each.isprintable() for each in url):
        raise _wrong(place, f"an address without blanks, such as {example}")
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isascii()
    except ValueError:
        is_good = False
    if not is_good:
        raise _wrong(place, f"an address in ASCII with http or https and a host, such as {example}")


def _header(name: str, value: t.Any, place: str) -> str:
    if not HEADER_NAME.fullmatch(name):
        raise _wrong(f"headers of {place}", "a mapping whose keys can be names of headers, such as X-Probe")
    is_text = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    if not is_text or re.search(r"[\r\n\0]", str(value)) or not _is_latin(str(value)):
        raise _wrong(f"header {name} of {place}", "a text of one line, in quotes where YAML would take it for another")
    return str(value).strip()


def _is_latin(value: str) -> bool:
    return all(ord(each) < 256 for each in value)


def _command(given: t.Any, place: str) -> dict[str, t.Any]:
    example = "a command such as 'pg_isready -h db', a list of its words, or a mapping with argv"
    entry = _entry(given if isinstance(given, dict) else {"argv": given}, COMMAND, place, "argv", example)
    entry["argv"] = _argv(entry["argv"], f"argv of {place}" if isinstance(given, dict) else place)
    if not entry["service"] and "/" in entry["argv"][0] and not entry["argv"][0].startswith("/"):
        raise _wrong(place, "a program by its name or its whole path, for it is run in / on the host")
    entry["rc"] = _numbers(entry["rc"], f"rc of {place}", range(256), "0 or [0, 1]") or [0]
    return entry


def _argv(given: t.Any, place: str) -> list[str]:
    right = "a text or a list of words; for several commands, a list of mappings with argv"
    try:
        words = shlex.split(given) if isinstance(given, str) else given
    except ValueError as error:
        raise _wrong(place, f"a command that can be split into words ({error}), or a list of them") from None
    is_list = isinstance(words, (list, tuple)) and bool(words)
    if not is_list or any(isinstance(each, bool) or not isinstance(each, (str, int, float)) for each in words):
        raise _wrong(place, right)
    if not words[0] or any("\0" in str(each) for each in words):
        raise _wrong(place, right)
    return [str(each) for each in words]


def _entry(given: t.Any, option: str, place: str, needed: str, example: str) -> dict[str, t.Any]:
    """The mapping with its defaults; what all questions have is checked."""
    if not isinstance(given, dict) or given.get(needed) in (None, ""):
        raise _wrong(place, example)
    keys = [needed, *DEFAULTS[option]]
    unknown = sorted(str(each) for each in given if each not in keys)
    if unknown:
        raise _wrong(place, f"a mapping with {', '.join(keys)} and nothing else: it has {', '.join(unknown)}")
    entry = {**DEFAULTS[option], **{key: value for key, value in given.items() if value is not None}}
    entry["timeout"] = _number(entry["timeout"], f"timeout of {place}", 0, float, "a number of seconds above 0")
    entry["retries"] = _number(entry["retries"], f"retries of {place}", -1, int, "a whole number, 0 or more")
    service = entry["service"] = entry["service"] or None
    if service is not None and not isinstance(service, str):
        raise _wrong(f"service of {place}", "the name of a service of the environment")
    return entry


def _number(given: t.Any, place: str, above: int, kind: t.Callable[[t.Any], t.Any], right: str) -> t.Any:
    """A number, which a template may have made a text."""
    try:
        number = kind(str(given))
    except ValueError:
        raise _wrong(place, right) from None
    if isinstance(given, bool) or not above < number < 1_000_000:
        raise _wrong(place, right)
    return int(number) if number == int(number) else number


def _numbers(given: t.Any, place: str, allowed: range, right: str) -> list[int]:
    found = given if isinstance(given, (list, tuple)) else [given]
    told_as = f"a whole number from {allowed[0]} to {allowed[-1]}, or a list of them: {right}"
    numbers = [_number(each, place, allowed[0] - 1, int, told_as) for each in found]
    if any(each not in allowed for each in numbers):
        raise _wrong(place, told_as)
    return numbers


def _wrong(place: str, right: str) -> ComposeFailure:
    """The failure for a value, which it does not show: it may hold a secret."""
    option = COMMAND if COMMAND in place else URL
    return ComposeFailure(f"{place} has to be {right}. {option}=[] asks nothing. Nothing was changed.")
