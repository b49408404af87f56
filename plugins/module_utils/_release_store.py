# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The releases of a project as they are kept on its host. Private to strata.compose."""

from __future__ import annotations

import os
import shutil
import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _dotenv, _records
from ansible_collections.strata.compose.plugins.module_utils._current import Current, CurrentFile
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure, notice
from ansible_collections.strata.compose.plugins.module_utils._files import read_file, replace_file
from ansible_collections.strata.compose.plugins.module_utils._history import DAMAGED, GOOD
from ansible_collections.strata.compose.plugins.module_utils._records import EDITED, Damage, digest_of
from ansible_collections.strata.compose.plugins.module_utils._release import Made, Release
from ansible_collections.strata.compose.plugins.module_utils._release_record import (
    CONTENTS,
    as_text,
    checked_record,
    made_of_record,
    record_of,
    release_of,
)
from ansible_collections.strata.compose.plugins.module_utils._state import require_own_folder


class ReleaseStore:
    """The releases of one project on this host; the layout, a contract, is told in `_state`."""

    def __init__(self, state_dir: str, project: str) -> None:
        self.project = project
        self.folder = os.path.join(state_dir, project)
        for folder in (state_dir, self.folder):
            require_own_folder(folder)

    def path(self, number: int, name: str) -> str:
        return os.path.join(self.folder, "releases", f"{number:04d}", name)

    def numbers(self) -> list[int]:
        """All stored releases, oldest first; one whose storing was cut off has no record and is none."""
        folder = os.path.join(self.folder, "releases")
        names = os.listdir(folder) if os.path.isdir(folder) else []
        stored = [each for each in names if os.path.exists(os.path.join(folder, each, "release.json"))]
        return sorted(int(each) for each in stored if each.isdigit())

    def current(self) -> Release | None:
        """The last good release; ``None`` also for one whose record is damaged, which the result then warns of."""
        found = self.read_current()
        if isinstance(found, Damage):
            notice(f"{found}. It is not used: the next deployment (state=present) records anew what runs.")
            return None
        return found

    def read_current(self) -> Release | Damage | None:
        """The last good release, or why it is not known."""
        number = self.current_number()
        return self.read(number) if number else None

    def current_number(self) -> int | None:
        """Number of the last good release, also where its record is damaged."""
        found = self._current_file()
        if isinstance(found, Current):
            return found.release
        records = self.records()
        latest = _latest_commit(records, found is None)
        if found is None and latest is None and not any(isinstance(each, Damage) for each in records.values()):
            return None
        damage = found or Damage(CurrentFile(self.folder).path, "is missing")
        number = latest.get("number") if latest and not latest.get("retired") else None
        instead = f"Release {number}, which was the last to become current, is taken for it." if number else ""
        notice(f"{damage}. {instead or 'No release is taken for the current one.'}")
        return number

    def _current_file(self) -> Current | Damage | None:
        """What ``current`` says. A bare number is none of ours once a release has been counted."""
        file = CurrentFile(self.folder)
        found = file.read()
        if isinstance(found, Current) and not found.is_sealed and _latest_commit(self.records(), True):
            return Damage(file.path, EDITED)
        return found

    def commits(self) -> int:
        """How many times a release has become the current one."""
        found = CurrentFile(self.folder).read()
        if isinstance(found, Current) and found.is_sealed:
            return found.commits
        return max((each.get("committed", 0) for each in self.records().values() if isinstance(each, dict)), default=0)

    def records(self) -> dict[int, dict[str, t.Any] | Damage]:
        """The record of each stored release, without the model."""
        return {number: self._record(number) for number in self.numbers()}

    def history(self) -> list[dict[str, t.Any]]:
        """What is told of each stored release, oldest first; image ids only of one that has served."""
        return [_told(number, self.read(number)) for number in self.numbers()]

    def made(self, number: int) -> dict[str, Made]:
        """What the containers of a release were made from; raises `ComposeFailure` when its record is damaged."""
        return dict(self.load(number).made)

    def proven_made(self) -> dict[str, Made]:
        """What the containers of the current release were made from, also where files beside its record are damaged.

        The record proves itself; one of a version before, which has no digest, proves nothing without its files.
        """
        number = self.current_number()
        record = self._record(number) if number else None
        return made_of_record(record) if isinstance(record, dict) and "contents" in record else {}

    def drop(self, number: int) -> None:
        """Forget a release."""
        shutil.rmtree(os.path.dirname(self.path(number, "")))

    def load(self, number: int) -> Release:
        """Read a stored release; raises `ComposeFailure` when it is incomplete or damaged."""
        found = self.read(number)
        if isinstance(found, Damage):
            raise found.failure(
                f"So release {number} cannot be used. The releases that can are told by compose_env_info with "
                f"gather=releases; state=present deploys what the layers say. Nothing was changed."
            )
        return found

    def read(self, number: int) -> Release | Damage:
        """A stored release, or why it is not believed."""
        record = self._record(number)
        if isinstance(record, Damage):
            return record
        files = {name: read_file(self.path(number, name)) for name in CONTENTS}
        found = {name: digest_of(content or b"") for name, content in files.items()}
        for name, content in files.items():
            if content is None or record.get("contents", found)[name] != found[name]:
                return Damage(self.path(number, name), "is missing" if content is None else EDITED)
        return release_of(record, number, files, self.path(number, "compose.json"))

    def save(self, release: Release) -> Release:
        """Store a release, under the next number when it has none yet; the record comes last and makes it whole."""
        number, contents = release.number or self._next(), release.contents if release.number else {}
        if not contents:
            files = {"compose.json": as_text(release.model), "env": _dotenv.write(release.variables).encode()}
            for name, content in files.items():
                replace_file(self.path(number, name), content)
            contents = {name: digest_of(content) for name, content in files.items()}
        stored = replace(release, number=number, contents=contents)
        _records.write(self.path(number, "release.json"), record_of(stored))
        return stored

    def commit(self, release: Release) -> None:
        """Make a stored release the current one."""
        commits = self.commits() + 1
        self.save(replace(release, committed=commits))
        self._write_current(release.number, commits)

    def forget_containers(self, services: t.Collection[str]) -> None:
        """Note that containers of the current release were removed on purpose, also on a full disk."""
        current = self.current()
        if current and set(services) & set(current.made):
            gone = {name: replace(current.made[name], containers={}) for name in services if name in current.made}
            kept = replace(current, made={**current.made, **gone})
            _records.rewrite(self.path(kept.number, "release.json"), record_of(kept))

    def retire(self) -> None:
        """Have no current release: what served was removed on purpose. The history stays."""
        number, found = self.current_number(), CurrentFile(self.folder).read()
        if number is None and (found is None or isinstance(found, Current)):
            return
        record = self._record(number) if number else None
        self._write_current(None, self.commits())
        if number and isinstance(record, dict):
            self._note_retired(number, record)

    def _note_retired(self, number: int, record: dict[str, t.Any]) -> None:
        """For the case that ``current``, which says it already, is lost."""
        try:
            _records.rewrite(self.path(number, "release.json"), {**record, "retired": True})
        except ComposeFailure as failure:
            notice(f"It was noted that release {number} was removed, but not a second time: {failure.message}")

    def _write_current(self, number: int | None, commits: int) -> None:
        file = CurrentFile(self.folder)
        found = file.read()
        known = isinstance(found, Current) and found.has_ledger
        has_ledger = known or os.path.exists(os.path.join(self.folder, "init.json"))
        file.write(Current(number, commits, has_ledger))

    def _next(self) -> int:
        return max([*self.numbers(), self.current_number() or 0]) + 1

    def _record(self, number: int) -> dict[str, t.Any] | Damage:
        path = self.path(number, "release.json")
        found = _records.read(path, checked_record)
        if found is None:
            return Damage(path, f"is missing: release {number} is not stored in {self.folder}")
        if isinstance(found, dict) and found["project"] != self.project:
            return Damage(path, f"is that of another project, {found['project']}")
        return found


def _latest_commit(records: t.Mapping[int, dict[str, t.Any] | Damage], only_counted: bool) -> dict[str, t.Any] | None:
    """The record of the release that became the current one last, with its number.

    ``None`` when a damaged record may be that of a later one. With ``only_counted`` those before commits were counted
    are left out: their version removed the file ``current`` when an environment was removed.
    """
    good = {
        number: each
        for number, each in records.items()
        if isinstance(each, dict) and each["about"].get("outcome") == GOOD
    }
    ranked = sorted((each.get("committed", 0), number) for number, each in good.items())
    if not ranked or (only_counted and not ranked[-1][0]):
        return None
    number = ranked[-1][1]
    is_sure = all(other < number for other, each in records.items() if isinstance(each, Damage))
    return {**good[number], "number": number} if is_sure else None


def _told(number: int, release: Release | Damage) -> dict[str, t.Any]:
    if isinstance(release, Damage):
        return {"release": number, "outcome": DAMAGED, "cause": str(release), "images": {}, "inputs": {}}
    has_served = release.about.get("outcome") == GOOD
    images = {name: each.image for name, each in release.made.items()} if has_served else {}
    return {**release.about, "release": number, "images": images, "inputs": release.inputs}
