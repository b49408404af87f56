# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The releases of a project as they are kept on its host. Private to strata.compose."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _dotenv
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import read_file, read_record, replace_file
from ansible_collections.strata.compose.plugins.module_utils._history import GOOD
from ansible_collections.strata.compose.plugins.module_utils._model import as_json
from ansible_collections.strata.compose.plugins.module_utils._release import Made, Release, parts_of


class ReleaseStore:
    """The releases of one project on this host; the layout, a contract, is told in `_state`."""

    def __init__(self, state_dir: str, project: str) -> None:
        self.project = project
        self.folder = os.path.join(state_dir, project)

    def path(self, number: int, name: str) -> str:
        return os.path.join(self.folder, "releases", f"{number:04d}", name)

    def numbers(self) -> list[int]:
        """All stored releases, oldest first; one whose storing was cut off has no record and is none."""
        folder = os.path.join(self.folder, "releases")
        names = os.listdir(folder) if os.path.isdir(folder) else []
        stored = [each for each in names if os.path.exists(os.path.join(folder, each, "release.json"))]
        return sorted(int(each) for each in stored if each.isdigit())

    def current(self) -> Release | None:
        """The last good release."""
        number = read_file(os.path.join(self.folder, "current"))
        return self.load(int(number)) if number else None

    def history(self) -> list[dict[str, t.Any]]:
        """What is told of each stored release, oldest first; image ids only of one that has served."""
        return [self._told(number) for number in self.numbers()]

    def _told(self, number: int) -> dict[str, t.Any]:
        record = self._record(number)
        has_served = record["about"].get("outcome") == GOOD
        images = {name: each["image"] for name, each in record["made"].items()} if has_served else {}
        return {**record["about"], "release": number, "images": images, "inputs": record["inputs"]}

    def made(self, number: int) -> dict[str, Made]:
        """What the containers of a release were made from."""
        return {name: Made(**each) for name, each in self._record(number)["made"].items()}

    def drop(self, number: int) -> None:
        """Forget a release."""
        shutil.rmtree(os.path.dirname(self.path(number, "")))

    def load(self, number: int) -> Release:
        """Read a stored release; raises `ComposeFailure` when it is incomplete."""
        record = self._record(number)
        model = read_file(self.path(number, "compose.json"))
        if model is None:
            raise ComposeFailure(f"release {number} has no {self.path(number, 'compose.json')}: it cannot be used.")
        loaded: dict[str, t.Any] = json.loads(model)
        environment = read_file(self.path(number, "env")) or b""
        made = self.made(number)
        return Release(
            project=record["project"],
            environment=record["environment"],
            model=loaded,
            variables=_dotenv.values(environment.decode()),
            parts=parts_of(loaded, {name: each.files for name, each in made.items()}),
            resolved_from=record["resolved_from"],
            inputs=record["inputs"],
            number=number,
            made=made,
            about=record["about"],
            findings=record.get("findings", {}),
            gate=tuple(record.get("gate", ())),
        )

    def save(self, release: Release) -> Release:
        """Store a release, under the next number when it has none yet; the record comes last and makes it whole."""
        number = release.number or (self.numbers() or [0])[-1] + 1
        stored = replace(release, number=number)
        replace_file(self.path(number, "compose.json"), _json(release.model))
        replace_file(self.path(number, "env"), _dotenv.write(release.variables).encode())
        replace_file(self.path(number, "release.json"), _json(_record_of(stored)))
        return stored

    def commit(self, release: Release) -> None:
        """Make a stored release the current one."""
        replace_file(self.path(release.number, "release.json"), _json(_record_of(release)))
        replace_file(os.path.join(self.folder, "current"), f"{release.number}\n".encode())

    def retire(self) -> None:
        """Have no current release: what served was removed on purpose. The history stays."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.folder, "current"))

    def _record(self, number: int) -> dict[str, t.Any]:
        record = read_record(self.path(number, "release.json"))
        if record is None:
            raise ComposeFailure(f"release {number} is not stored in {self.folder}.")
        return record


def _record_of(release: Release) -> dict[str, t.Any]:
    return {
        "project": release.project,
        "environment": release.environment,
        "resolved_from": release.resolved_from,
        "inputs": release.inputs,
        "made": {name: vars(made) for name, made in release.made.items()},
        "about": release.about,
        "findings": release.findings,
        "gate": list(release.gate),
    }


def _json(value: t.Any) -> bytes:
    return as_json(value, indent=1, sort_keys=True, default=dict) + b"\n"
