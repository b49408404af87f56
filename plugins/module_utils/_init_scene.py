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
from dataclasses import dataclass, field, replace

from ansible_collections.strata.compose.plugins.module_utils import _init_plan, _origins
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import is_file
from ansible_collections.strata.compose.plugins.module_utils._history import good
from ansible_collections.strata.compose.plugins.module_utils._init_data import is_fleeting, volumes_made, volumes_of
from ansible_collections.strata.compose.plugins.module_utils._init_folders import with_folders
from ansible_collections.strata.compose.plugins.module_utils._init_plan import Outcome
from ansible_collections.strata.compose.plugins.module_utils._init_profiles import without_what_is_off
from ansible_collections.strata.compose.plugins.module_utils._init_step import InitStep, as_given, step_of
from ansible_collections.strata.compose.plugins.module_utils._ledger import (
    IN_MEMORY,
    Content,
    Ledger,
    LedgerFile,
    Success,
)
from ansible_collections.strata.compose.plugins.module_utils._model import selected_with_dependencies
from ansible_collections.strata.compose.plugins.module_utils._project import Project
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._release import Release
from ansible_collections.strata.compose.plugins.module_utils._release_store import ReleaseStore
from ansible_collections.strata.compose.plugins.module_utils._resolve import EVERY_PROFILE, resolved
from ansible_collections.strata.compose.plugins.module_utils._secrets import learn_secrets
from ansible_collections.strata.compose.plugins.module_utils._snapshot import Snapshot, observe
from ansible_collections.strata.compose.plugins.module_utils._sources import ask_compose, find_project, texts_of
from ansible_collections.strata.compose.plugins.module_utils._state import state_dir_of

Options = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class InitScene:
    """The steps of an environment, all that they are made from, and what ran already."""

    cli: Cli
    store: ReleaseStore
    release: Release
    """with the services of all profiles, and the dependencies of the steps that are on; never stored"""
    snapshot: Snapshot
    selection: t.Mapping[str, t.Any]
    steps: tuple[InitStep, ...]
    ledger: Ledger
    sources: t.Mapping[str, t.Any] = field(default_factory=dict)
    """what was taken for the release and why, as the result tells it"""
    is_anew: bool = False
    """whether a ledger that is damaged or lost counts as one without any step, for the user said so"""

    @property
    def images(self) -> dict[str, str]:
        """Name of each step's image by step."""
        return {each.name: self.release.parts[each.service].image_name for each in self.steps}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.steps)

    @property
    def fingerprints(self) -> dict[str, str]:
        """The digest of what each step does, by step."""
        return {each.name: _init_plan.fingerprint(self.release.parts[each.service], each) for each in self.steps}

    def looked_at_again(self) -> InitScene:
        snapshot = observe(self.cli, self.release.project, self.release.image_names)
        return replace(self, snapshot=snapshot, ledger=ledger_of(self.store, self.images, self.is_anew))

    def contents(self) -> t.Mapping[str, Content]:
        """What each step would be run with now."""
        return self._contents

    @functools.cached_property
    def _contents(self) -> dict[str, Content]:
        model = self.release.model
        made = volumes_made(self.cli, model, self._near(each.service for each in self.steps))
        fingerprints = self.fingerprints
        return {each.name: self._content(each, fingerprints[each.name], made) for each in self.steps}

    def proofs(self) -> dict[str, Success | None]:
        """For each step the success that makes another run needless."""
        contents = self.contents()
        return {name: self.ledger.proof(name, contents[name]) for name in self.names}

    def _near(self, services: t.Iterable[str]) -> set[str]:
        """The services of steps and what they depend on, without those that have no container in this environment."""
        chosen = set(services)
        near = selected_with_dependencies(self.release.model, chosen)
        return {name for name in near if name in chosen or self.release.parts[name].replicas}

    def _content(self, step: InitStep, fingerprint: str, made: t.Mapping[str, str]) -> Content:
        model = self.release.model
        near = self._near([step.service])
        volumes = {each: made[each] for service in near for each in volumes_of(model, service)}
        fleeting = {
            f"{each.service}{IN_MEMORY}": each.started
            for service in near - {step.service}
            if is_fleeting(model["services"][service])
            for each in self.snapshot.of(service)
        }
        image = self.snapshot.images.get(self.images[step.name])
        return Content(fingerprint, image, {**volumes, **fleeting})


def init_scene(
    options: Options, selection: t.Mapping[str, t.Any], redactor: Redactor, is_anew: bool = False
) -> InitScene:
    """Resolve the environment with its steps, and observe its engine."""
    project = find_project(options)
    cli = Cli(project.base_directory, options["docker_host"], options["command_timeout"])
    store = ReleaseStore(state_dir_of(options), project.name)
    if last := store.current():
        # Its containers run and tell the old secrets.
        learn_secrets(redactor, last, ())
    own = _own_files(project, selection["file"])
    release = _resolved(project, own, selection, cli, redactor)
    steps = _init_plan.select(release.model, selection, _foreign(project, own, release, cli))
    is_by_profile = selection["steps"] is None and not own
    on = {*project.profiles, *([selection["profile"]] if is_by_profile else ())}
    release = replace(release, model=without_what_is_off(release.model, steps, on))
    release = with_folders(release, {each.service for each in steps}, project.directory)
    snapshot = observe(cli, project.name, release.image_names)
    ledger = ledger_of(store, {each.name: release.parts[each.service].image_name for each in steps}, is_anew)
    own_name = _origins.own_name_of(project, texts_of(project, only_layers=True))
    sources = _origins.sources_of(project, options, own_name, release.findings.get("unused_profiles", ()), is_file)
    return InitScene(cli, store, release, snapshot, selection, steps, ledger, sources, is_anew)


def _resolved(
    project: Project, own: t.Sequence[str], selection: t.Mapping[str, t.Any], cli: Cli, redactor: Redactor
) -> Release:
    """The release with the services of all profiles, or where they do not resolve, with those that are on."""
    layers = (*project.layers, *own)
    try:
        return resolved(replace(project, layers=layers, profiles=EVERY_PROFILE), cli, redactor)
    except ComposeFailure:
        # As with an env file of a service whose profile is on elsewhere only.
        if selection["steps"] is not None or own:
            raise
        return resolved(replace(project, profiles=(*project.profiles, selection["profile"])), cli, redactor)


def ledger_of(store: ReleaseStore, images: t.Mapping[str, str], is_anew: bool = False) -> Ledger:
    """The ledger; a word that awaited its image is for the one that was deployed next."""
    file = LedgerFile(store.folder)
    ledger = file.read_or_new() if is_anew else file.read()
    if not any(each.awaits_image for entries in ledger.succeeded.values() for each in entries):
        return ledger
    served = [store.load(number) for number in good(store.history())]

    def deployed(step: str, word: Success) -> str | None:
        later = (each.image_ids.get(images.get(step, "")) for each in served if each.number > word.after)
        return next(filter(None, later), None)

    return ledger.with_images(deployed)


def selection_of(options: Options) -> dict[str, t.Any]:
    """The options that pick the steps, as the ledger keeps them: one file as a text, several as a list."""
    steps, files = options["steps"], options["file"] or []
    return {
        "profile": options["profile"],
        "steps": None if steps is None else [as_given(step_of(each)) for each in steps],
        "file": files if len(files) > 1 else next(iter(files), None),
    }


def known(scene: InitScene) -> tuple[Outcome, ...]:
    """The steps as the ledger knows them."""
    return tuple(outcome_of(name, success) for name, success in scene.proofs().items())


def outcome_of(name: str, success: Success | None) -> Outcome:
    """A step that is not run in this operation."""
    if success is None:
        return Outcome(name, _init_plan.PENDING)
    return Outcome(
        name,
        _init_plan.ASSUMED if success.assumed else _init_plan.DONE,
        success.exit_code,
        success.seconds,
        finished=success.finished,
        host=success.host,
    )


def _own_files(project: Project, given: str | t.Sequence[str] | None) -> tuple[str, ...]:
    """The Compose files that hold nothing but the steps."""
    names = [given] if isinstance(given, str) else given or ()
    paths = tuple(os.path.normpath(os.path.join(project.directory, name)) for name in names)
    if missing := [path for path in paths if not is_file(path)]:
        raise ComposeFailure(f"file {', '.join(missing)}, which is to hold init steps, is missing. Nothing was run.")
    return paths


def _foreign(project: Project, own: t.Sequence[str], release: Release, cli: Cli) -> set[str] | None:
    """The services that only the steps' own Compose files have."""
    if not own:
        return None
    everything = replace(project, profiles=EVERY_PROFILE)
    listed = ask_compose(everything, cli, "config", "--services").text.split()
    return set(release.parts) - set(listed)
