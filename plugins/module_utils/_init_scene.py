# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the init phase is decided on: its steps with their content, and the ledger. Reads only.

Private to strata.compose.
"""

from __future__ import annotations

import functools
import os
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.strata.compose.plugins.module_utils import _init_plan
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli, parsed_json
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._history import good
from ansible_collections.strata.compose.plugins.module_utils._init_folders import with_folders
from ansible_collections.strata.compose.plugins.module_utils._init_plan import Outcome
from ansible_collections.strata.compose.plugins.module_utils._ledger import Content, Ledger, LedgerFile, Success
from ansible_collections.strata.compose.plugins.module_utils._model import selected_with_dependencies
from ansible_collections.strata.compose.plugins.module_utils._project import Project
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._release import Release
from ansible_collections.strata.compose.plugins.module_utils._release_store import ReleaseStore
from ansible_collections.strata.compose.plugins.module_utils._resolve import resolved
from ansible_collections.strata.compose.plugins.module_utils._secrets import learn_secrets
from ansible_collections.strata.compose.plugins.module_utils._snapshot import Snapshot, observe
from ansible_collections.strata.compose.plugins.module_utils._sources import find_project
from ansible_collections.strata.compose.plugins.module_utils._state import state_dir_of
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

Options = t.Mapping[str, t.Any]
EVERY_PROFILE = ("*",)


@dataclass(frozen=True)
class InitScene:
    """The steps of an environment, all that they are made from, and what ran already."""

    cli: Cli
    store: ReleaseStore
    release: Release
    """with the services of all profiles; never stored"""
    snapshot: Snapshot
    selection: t.Mapping[str, t.Any]
    steps: tuple[str, ...]
    ledger: Ledger

    @property
    def images(self) -> dict[str, str]:
        """Name of each step's image by step."""
        return {name: self.release.parts[name].image_name for name in self.steps}

    def looked_at_again(self) -> InitScene:
        snapshot = observe(self.cli, self.release.project, self.release.image_names)
        return replace(self, snapshot=snapshot, ledger=_ledger(self.store, self.images))

    def contents(self) -> t.Mapping[str, Content]:
        """What each step would be run with now."""
        return self._contents

    @functools.cached_property
    def _contents(self) -> dict[str, Content]:
        made = volumes_made(self.cli, self.release, self.steps)
        return {name: self._content(name, made) for name in self.steps}

    def proofs(self) -> dict[str, Success | None]:
        """For each step the success that makes another run needless."""
        contents = self.contents()
        return {name: self.ledger.proof(name, contents[name]) for name in self.steps}

    def _content(self, name: str, made: t.Mapping[str, str]) -> Content:
        model = self.release.model
        near = selected_with_dependencies(model, [name])
        volumes = {each: made[each] for service in near for each in volumes_of(model, service) if each in made}
        fleeting = {
            f"{each.service} in memory": each.started
            for service in near - {name}
            if has_memory_mount(model["services"][service])
            for each in self.snapshot.of(service)
        }
        part = self.release.parts[name]
        image = self.snapshot.images.get(part.image_name)
        return Content(_init_plan.fingerprint(part), image, {**volumes, **fleeting})


def init_scene(options: Options, selection: t.Mapping[str, t.Any], redactor: Redactor) -> InitScene:
    """Resolve the environment with its steps, and observe its engine."""
    project = find_project(options)
    cli = Cli(project.base_directory, options["docker_host"], options["command_timeout"])
    store = ReleaseStore(state_dir_of(options), project.name)
    wide = replace(project, layers=_with_own_file(project, selection["file"]), profiles=EVERY_PROFILE)
    if last := store.current():
        # Its containers run and tell the old secrets.
        learn_secrets(redactor, last, ())
    release = resolved(wide, cli, redactor)
    steps = _init_plan.select(release.model, selection, _foreign(project, selection["file"], release, cli))
    release = with_folders(release, steps, project.directory)
    snapshot = observe(cli, project.name, release.image_names)
    ledger = _ledger(store, {name: release.parts[name].image_name for name in steps})
    return InitScene(cli, store, release, snapshot, selection, steps, ledger)


def _ledger(store: ReleaseStore, images: t.Mapping[str, str]) -> Ledger:
    """The ledger; a word that awaited its image is for the one that was deployed next."""
    ledger = LedgerFile(store.folder).read()
    if not any(each.awaits_image for entries in ledger.succeeded.values() for each in entries):
        return ledger
    served = [store.load(number) for number in good(store.history())]

    def deployed(step: str, word: Success) -> str | None:
        later = (each.image_ids.get(images.get(step, "")) for each in served if each.number > word.after)
        return next(filter(None, later), None)

    return ledger.with_images(deployed)


def selection_of(options: Options) -> dict[str, t.Any]:
    """The options that pick the steps."""
    return {"profile": options["profile"], "steps": options["steps"], "file": options["file"]}


def known(scene: InitScene) -> tuple[Outcome, ...]:
    """The steps as the ledger knows them."""
    return tuple(outcome_of(name, success) for name, success in scene.proofs().items())


def outcome_of(name: str, success: Success | None) -> Outcome:
    """A step that is not run in this operation."""
    if success is None:
        return Outcome(name, _init_plan.PENDING)
    return Outcome(
        name, _init_plan.DONE, success.exit_code, success.seconds, finished=success.finished, host=success.host
    )


def volumes_made(cli: Cli, release: Release, steps: t.Collection[str]) -> dict[str, str]:
    """When each existing volume of the steps, and of what they depend on, was made: another one has other data."""
    near = selected_with_dependencies(release.model, steps)
    wanted = {each for service in near for each in volumes_of(release.model, service)}
    existing = set(cli.docker("volume", "ls", "--quiet").text.split()) & wanted if wanted else set()
    if not existing:
        return {}
    told = parsed_json(cli.docker("volume", "inspect", *sorted(existing)))
    return {each["Name"]: each.get("CreatedAt", "") for each in told}


def volumes_of(model: t.Mapping[str, t.Any], service: str) -> list[str]:
    """The engine's names of the named volumes of a service."""
    declared = model.get("volumes") or {}
    mounts = model["services"][service].get("volumes") or ()
    sources = [each.get("source") for each in mounts if each.get("type") == "volume"]
    return [declared[each]["name"] for each in sources if each in declared]


def has_memory_mount(definition: t.Mapping[str, t.Any]) -> bool:
    """Whether a service has data that goes when its container stops."""
    return bool(definition.get("tmpfs")) or any(each["type"] == "tmpfs" for each in definition.get("volumes") or ())


def _with_own_file(project: Project, file: str | None) -> tuple[str, ...]:
    if file is None:
        return project.layers
    path = os.path.normpath(os.path.join(project.directory, file))
    if not os.path.isfile(path):
        raise ComposeFailure(f"file {path}, which is to hold the init steps, is missing. Nothing was run.")
    return (*project.layers, path)


def _foreign(project: Project, file: str | None, release: Release, cli: Cli) -> set[str] | None:
    """The services that only the steps' own Compose file has."""
    if file is None:
        return None
    everything = replace(project, profiles=EVERY_PROFILE)
    listed = cli.compose(*compose.from_layers(everything), "config", "--services").text.split()
    return set(release.parts) - set(listed)
