# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of plain SQL migrations, read as a whole and refused as a whole. Pure. Private to strata.compose.

Three layouts: dbmate's (https://github.com/amacneil/dbmate, pkg/dbmate/migration.go), golang-migrate's pairs
(https://github.com/golang-migrate/migrate, source/parse.go), and files that are nothing but the way up.
"""

from __future__ import annotations

import hashlib
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils.postgres import _section
from ansible_collections.strata.compose.plugins.module_utils.postgres._section import DOWN, Flaw, Section, Ways

NAME = re.compile(r"(?P<version>\d+)(?!\d).*?(?:\.(?P<half>up|down))?\.sql", re.ASCII | re.DOTALL)
"""A leading number is the version, as text: dbmate stores ``001``."""

SHOWN = 20
"""Errors that are told one by one."""


@dataclass(frozen=True)
class Migration:
    """One version: how to get to it, and perhaps how to get back."""

    version: str
    file: str
    sha256: str
    """of the file, without a byte order mark and with line ends of one character"""
    up: Section
    down: Section | None
    down_file: str

    @property
    def number(self) -> int:
        return int(self.version)


@dataclass(frozen=True)
class Folder:
    """All migrations of a folder in their order, and what about it is odd but no error."""

    migrations: tuple[Migration, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _File:
    """A file that is a migration by its name; ``half`` is empty unless it is one of a pair."""

    name: str
    version: str
    half: str
    sha256: str
    ways: Ways


def read(folder: str, files: t.Mapping[str, bytes]) -> Folder:
    """The migrations among the files of a folder, by name; raises `ComposeFailure` that tells all errors at once."""
    problems: list[str] = []
    names = sorted(name for name in files if name.endswith(".sql"))
    versioned = [name for name in names if NAME.fullmatch(name)]
    parsed = [_file(name, files[name], problems) for name in versioned]
    ups = [each for each in parsed if each.half != DOWN]
    downs = {each.version: each for each in parsed if each.half == DOWN}
    problems += [*_duplicates(parsed), *_disorder(ups), *_without_up(ups, downs.values())]
    if problems:
        raise _refused(folder, problems)
    unversioned = [name for name in names if name not in versioned]
    return Folder(tuple(_migration(each, downs.get(each.version)) for each in ups), _odd(folder, ups, unversioned))


def normal(content: bytes) -> bytes:
    """What is run and what the checksum is of: the same in a checkout with and without ``core.autocrlf``."""
    return content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")


def _file(name: str, content: bytes, problems: list[str]) -> _File:
    """A file by its name and content; what is wrong with it is added to the problems."""
    named = t.cast("re.Match[str]", NAME.fullmatch(name))
    half, plain = named.group("half") or "", normal(content)
    try:
        ways = _section.ways_of(_decoded(plain), half)
    except Flaw as flaw:
        problems.append(f"{name}:{flaw.line}: {flaw}")
        ways = Ways(None, None)
    return _File(name, named.group("version"), half, hashlib.sha256(plain).hexdigest(), ways)


def _decoded(content: bytes) -> str:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Flaw(content.count(b"\n", 0, error.start) + 1, "is not UTF-8") from error
    if "\0" in text:
        raise Flaw(text.count("\n", 0, text.index("\0")) + 1, "holds a NUL byte, which Postgres cannot store")
    return text


def _migration(up: _File, down: _File | None) -> Migration:
    """A version from its file, or from the two of a pair."""
    way_up = up.ways.up or Section((), True, "")
    way_down = up.ways.down or (down.ways.down if down else None)
    return Migration(up.version, up.name, up.sha256, way_up, way_down, down.name if down else up.name)


def _duplicates(files: t.Sequence[_File]) -> t.Iterator[str]:
    """Files of one version, numbers with and without leading zeros included."""
    by_number: dict[tuple[int, bool], list[str]] = {}
    for each in files:
        by_number.setdefault((int(each.version), each.half == DOWN), []).append(each.name)
    for (number, _is_down), names in sorted(by_number.items()):
        if len(names) > 1:
            yield f"{' and '.join(names)}: both are version {number}; give one of them another number"


def _disorder(ups: t.Sequence[_File]) -> t.Iterator[str]:
    """Versions that sort otherwise as text, which is how dbmate sorts them, than as numbers."""
    for earlier, later in zip(ups, ups[1:]):
        if int(earlier.version) > int(later.version):
            yield (
                f"{earlier.name} sorts before {later.name}: give all versions the same number of digits "
                f"({later.version.zfill(len(earlier.version))} instead of {later.version})"
            )


def _without_up(ups: t.Sequence[_File], downs: t.Iterable[_File]) -> t.Iterator[str]:
    """Halves of pairs that lack the other one, and pairs whose first half has its own way down."""
    by_version = {each.version: each for each in ups}
    for down in downs:
        up = by_version.get(down.version)
        if up is None:
            yield f"{down.name}: there is no file with the way up of version {down.version}"
        elif up.ways.down:
            yield f"{down.name}: {up.name} holds a way down too"


def _odd(folder: str, ups: t.Sequence[_File], unversioned: t.Sequence[str]) -> tuple[str, ...]:
    """What a user should know and may have meant."""
    found = [f"{name} in {folder} has no number at its beginning, so it is no migration." for name in unversioned]
    return tuple(found if ups else [*found, f"{folder} holds no migrations."])


def _refused(folder: str, problems: t.Sequence[str]) -> ComposeFailure:
    lines = [f"  {each}" for each in problems[:SHOWN]]
    more = [f"  and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    return ComposeFailure(
        "\n".join([f"the migrations in {folder} cannot be run:", *lines, *more, "Nothing was changed."]),
        problems=list(problems),
        error_kind="invalid_migrations",
    )
