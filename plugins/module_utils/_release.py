# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release: a resolved model with the digests of all that went into it, and its record on the host.

Private to strata.compose.
"""

from __future__ import annotations

import json
import os
import shutil
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.strata.compose.plugins.module_utils import _dotenv
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import read_file, read_record, replace_file
from ansible_collections.strata.compose.plugins.module_utils._history import GOOD
from ansible_collections.strata.compose.plugins.module_utils._inputs import granted
from ansible_collections.strata.compose.plugins.module_utils._model import as_json

NOT_IN_CONTAINER = ("build", "pull_policy", "scale")
"""Keys of a service that no container is made from (compose pkg/compose/hash.go leaves them out too)."""


@dataclass(frozen=True)
class Part:
    """One service of a release: what its containers are made from."""

    definition: t.Mapping[str, t.Any]
    files: t.Mapping[str, str]
    """path, or ``variable NAME``, to the SHA-256 of its content"""
    image_name: str
    replicas: int
    config_hash: str = ""
    """Compose's own hash, asked for only where containers exist that we have no record of"""


@dataclass(frozen=True)
class Made:
    """What the containers of a service that exist now were made from."""

    definition: t.Mapping[str, t.Any]
    files: t.Mapping[str, str]
    image: str
    containers: t.Mapping[str, str]
    """container id to ``running`` or ``completed``: how the gate left it"""
    build: t.Mapping[str, t.Any] | None = None


@dataclass(frozen=True)
class Release:
    """A resolved environment. ``number`` is 0 until it is stored."""

    project: str
    environment: str
    model: t.Mapping[str, t.Any]
    variables: t.Mapping[str, str]
    """values that the model does not carry: of secrets and configs with ``environment:``"""
    parts: t.Mapping[str, Part]
    resolved_from: t.Mapping[str, t.Any]
    inputs: t.Mapping[str, str | None]
    """path to SHA-256 of every file that could change the model, ``None`` for one that is absent"""
    number: int = 0
    made: t.Mapping[str, Made] = field(default_factory=dict)
    about: t.Mapping[str, t.Any] = field(default_factory=dict)
    """time, actor and outcome, for the history"""

    @property
    def image_names(self) -> tuple[str, ...]:
        return tuple(sorted({part.image_name for part in self.parts.values()}))

    @property
    def image_ids(self) -> dict[str, str]:
        """What the image names meant when the release was made."""
        return {part.image_name: self.made[name].image for name, part in self.parts.items() if name in self.made}


def parts_of(model: t.Mapping[str, t.Any], digests: t.Mapping[str, t.Mapping[str, str]]) -> dict[str, Part]:
    """The parts of a model, given the digests of each service's files."""
    return {
        name: Part(
            definition=_definition(model, name),
            files=digests.get(name, {}),
            image_name=service.get("image") or f"{model['name']}-{name}",
            replicas=_replicas(service),
        )
        for name, service in (model.get("services") or {}).items()
    }


def _definition(model: t.Mapping[str, t.Any], name: str) -> dict[str, t.Any]:
    """A service and the networks, volumes, configs and secrets that it uses, without what no container is made from."""
    service = {key: value for key, value in model["services"][name].items() if key not in NOT_IN_CONTAINER}
    if service.get("deploy"):
        service["deploy"] = {key: value for key, value in service["deploy"].items() if key != "replicas"}
    volumes = {each.get("source") for each in service.get("volumes") or () if each.get("type") == "volume"}
    used: dict[str, dict[str, t.Any]] = {
        "network": {each: (model.get("networks") or {}).get(each) for each in service.get("networks") or ()},
        "volume": {each: (model.get("volumes") or {}).get(each) for each in volumes if each},
        "config": {each.get("name", ""): each for each in granted(model, name, "configs")},
        "secret": {each.get("name", ""): each for each in granted(model, name, "secrets")},
    }
    return {**service, **{f"{kind} {key}": value for kind, each in used.items() for key, value in each.items()}}


def _replicas(service: t.Mapping[str, t.Any]) -> int:
    replicas = (service.get("deploy") or {}).get("replicas", service.get("scale"))
    return 1 if replicas is None else int(replicas)


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
        return sorted(int(name) for name in names if os.path.exists(os.path.join(folder, name, "release.json")))

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
    }


def _json(value: t.Any) -> bytes:
    return as_json(value, indent=1, sort_keys=True, default=dict) + b"\n"
