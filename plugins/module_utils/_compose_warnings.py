# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The warnings among what Compose prints. Pure. Private to strata.compose."""

from __future__ import annotations

import json
import re

LINE = re.compile(r'^time="[^"]*" level=(\w+) msg=(?:"((?:[^"\\]|\\.)*)"|(\S+)).*$', re.MULTILINE)
"""A line of logrus, which Compose logs with (https://github.com/sirupsen/logrus, text_formatter.go)."""

UNDEFINED = re.compile(r'^The "([^"]+)" variable is not set\.')

KNOWN = (
    UNDEFINED,
    # Compose file version: harmless in each of the many projects that still have it.
    re.compile(r"`version` is obsolete"),
    # Ours to decide: remove_orphans.
    re.compile(r"^Found orphan containers "),
    # What builds is the daemon's own BuildKit then, as before Compose 2.37.
    re.compile(r"configured to build using Bake, but buildx isn't installed"),
)
"""Warnings that are told otherwise, or that ask for nothing."""


def warnings_in(text: str) -> list[str]:
    """Each warning once, in order, without those that are known."""
    return [each for each in _all(text) if not any(known.search(each) for known in KNOWN)]


def undefined_in(text: str) -> list[str]:
    """The names of variables that Compose replaced with nothing."""
    return [found[1] for each in _all(text) if (found := UNDEFINED.match(each))]


def without_warnings(text: str) -> str:
    """What else Compose printed: why it failed."""
    return "\n".join(line for line in text.splitlines() if not LINE.match(line)).strip() or text


def _all(text: str) -> list[str]:
    found = (
        _unquoted(quoted) if quoted else plain for level, quoted, plain in LINE.findall(text) if level == "warning"
    )
    return list(dict.fromkeys(found))


def _unquoted(text: str) -> str:
    """A text in Go's quotes; those escapes of it that JSON has not stay as they are."""
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text.replace('\\"', '"')
