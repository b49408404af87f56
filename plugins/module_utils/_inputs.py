# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files and variables a resolved model depends on. Pure. Private to strata.compose."""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._mounts import sources_of

WORDS = re.compile(r"[^\s\"',\[\]{}]+")
QUOTED = re.compile(r"\"([^\"\n]*)\"|'([^'\n]*)'")
FLOW = re.compile(r"[,\[\]{}]")
TAGS = re.compile(r"^(?:[!&]\S*\s+)+")
COMMENT = re.compile(r"((?<![^\s\[{,:])(?:\"(?:\\.|[^\"\\])*\"|'[^']*'))|(?:^|\s)#.*$")
NAME = "[A-Za-z_][A-Za-z0-9_]*"
LONGEST = 1 << 10
"""Characters of a default that are told: each of those within each other is read again by itself."""
INTERPOLATION = re.compile(
    rf"\$(?:\$|({NAME})|\{{({NAME})(?=(:?[-?+](?:\$\{{[^{{}}]{{0,{LONGEST}}}\}}|[^}}]){{0,{LONGEST}}})?))"
)
DRAWS_IN = re.compile(
    r"^(?P<indent>[ \t]*)(?:[^\s#][^\n]*[{,\s])?[\"']?(?:include|extends|env_file|label_file)[\"']?[ \t]*:"
    r"[^\n]*(?:\n(?:(?P=indent)[ \t-][^\n]*|[ \t]*(?:#[^\n]*)?))*",
    re.MULTILINE,
)
"""A key by which a Compose file draws in other files, and the lines of its value."""
UNKNOWABLE = re.compile(
    r"\$|~|[\s\[,:]\*\w|project_directory|\bpath[\"']?\s*:\s*(?:\[|#|$)"
    r"|\b(?:oci|https?|ssh|git)://|git@|\bgithub\.com/|\.git\b",
    re.MULTILINE,
)
"""Paths that are computed, aliases, in another base folder, or remote (compose pkg/remote)."""


class Use(t.NamedTuple):
    """One place where a layer uses a variable."""

    name: str
    line: int
    modifier: str
    """``:-default``, ``?error`` and the like, or empty"""


def mentioned_paths(text: str, folder: str) -> set[str]:
    """Every path that a Compose file could mean: each word and each whole value, taken as relative to its folder.

    More than Compose reads, and never less: a list of files whose digests prove that a resolution still holds must not
    miss one, while a word that names no file only costs a look.
    """
    words = {word for word in WORDS.findall(text) if not word.endswith(":")}
    quoted = {either for pair in QUOTED.findall(text) for either in pair}
    lines = [*text.splitlines(), *(_without_comment(line) for line in text.splitlines())]
    values = {_value_in(piece) for line in lines for piece in (line, *FLOW.split(line))}
    mounts = {part for word in words | quoted | values for part in word.split(":")}
    named = {word for word in words | quoted | values | mounts if _could_be_path(word)}
    return {posixpath.normpath(posixpath.join(folder, word)) for word in named}


def _value_in(piece: str) -> str:
    """What stands behind a key or a dash, without quotes, tag and anchor; nothing for a key alone."""
    value = piece.partition(": ")[2] or ("" if piece.rstrip().endswith(":") else piece.lstrip(" -"))
    return TAGS.sub("", value.strip()).strip(" \"'")


def is_selfcontained(text: str) -> bool:
    """Whether all that a Compose file draws in can be known from its text: nothing remote, no computed path."""
    return not any(UNKNOWABLE.search(match.group()) for match in DRAWS_IN.finditer(text))


def uses_of_variables(text: str) -> list[Use]:
    """Each ``$NAME`` and ``${NAME...}`` of a layer with its line; ``$$`` is none, and comments hold none.

    Rule: https://github.com/compose-spec/compose-spec/blob/main/12-interpolation.md
    """
    return [
        Use(match.group(1) or match.group(2), number, match.group(3) or "")
        for number, line in enumerate(text.splitlines(), 1)
        for match in INTERPOLATION.finditer(_without_comment(line))
        if match.group(0) != "$$"
    ]


def files_of_service(model: t.Mapping[str, t.Any], service: str) -> set[str]:
    """Files whose content reaches a service's containers by a mount: single files, configs and secrets.

    Whether a mounted path is a file at all is only known on the host, so folders are among them.
    """
    return sources_of(model["services"][service]) | granted_files(model, service)


def granted_files(model: t.Mapping[str, t.Any], service: str) -> set[str]:
    """The files behind a service's configs and secrets."""
    return {
        entry["file"] for kind in ("configs", "secrets") for entry in granted(model, service, kind) if "file" in entry
    }


def variables_of_service(model: t.Mapping[str, t.Any], service: str) -> set[str]:
    """Variables whose values reach a service's containers without being part of the model: environment secrets, and
    ``NAME`` without a value under ``environment:``."""
    passed = model["services"][service].get("environment") or {}
    return {name for name, value in passed.items() if value is None} | {
        entry["environment"]
        for kind in ("configs", "secrets")
        for entry in granted(model, service, kind)
        if "environment" in entry
    }


def granted(model: t.Mapping[str, t.Any], service: str, kind: str) -> list[dict[str, t.Any]]:
    """The top-level ``configs`` or ``secrets`` that a service uses."""
    names = [each["source"] for each in model["services"][service].get(kind) or ()]
    return [model[kind][name] for name in names if name in (model.get(kind) or {})]


def _could_be_path(word: str) -> bool:
    return 0 < len(word) < 256 and "\0" not in word and "$" not in word


def _without_comment(line: str) -> str:
    return COMMENT.sub(lambda match: match.group(1) or "", line)
