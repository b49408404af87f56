# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment is decided on: the wanted release, what runs, and the record of what that was made from.

Private to strata.compose.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.strata.compose.plugins.module_utils import _model, _mounts, _origins, _plan, _step
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._creation import differs_by_version
from ansible_collections.strata.compose.plugins.module_utils._endpoint import is_local
from ansible_collections.strata.compose.plugins.module_utils._files import is_file, real_path
from ansible_collections.strata.compose.plugins.module_utils._input_times import with_times
from ansible_collections.strata.compose.plugins.module_utils._lost_networks import may_be_lost
from ansible_collections.strata.compose.plugins.module_utils._owner_record import require_own_containers
from ansible_collections.strata.compose.plugins.module_utils._project import Project
from ansible_collections.strata.compose.plugins.module_utils._pull_policy import ALLOWED
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._release import Made, Release
from ansible_collections.strata.compose.plugins.module_utils._release_store import ReleaseStore
from ansible_collections.strata.compose.plugins.module_utils._resolve import (
    profiles_that_are_off,
    require_services,
    resolved,
    with_config_hashes,
)
from ansible_collections.strata.compose.plugins.module_utils._secrets import learn_gate, learn_secrets
from ansible_collections.strata.compose.plugins.module_utils._snapshot import (
    LABEL,
    Container,
    Snapshot,
    observe,
    with_networks,
)
from ansible_collections.strata.compose.plugins.module_utils._sources import find_project, texts_of
from ansible_collections.strata.compose.plugins.module_utils._state import state_dir_of
from ansible_collections.strata.compose.plugins.module_utils._step import Policy, Step

Options = t.Mapping[str, t.Any]
COMING = "coming"
"""Stands for the id of an image that is not built or pulled yet."""


@dataclass(frozen=True)
class Scene:
    """All that a plan is made from."""

    cli: Cli
    store: ReleaseStore
    last: Release | None
    release: Release
    snapshot: Snapshot
    policy: Policy
    selected: frozenset[str] | None
    """the services that are meant, with their dependencies; ``None`` for all"""
    redactor: Redactor
    """for what is written down to be told later, when its secrets are no longer known"""
    sources: t.Mapping[str, t.Any] = field(default_factory=dict)
    """what was taken for the release and why, as the result tells it"""
    warnings: t.Sequence[str] = ()
    borrowed_tags: t.Mapping[str, str] = field(default_factory=dict)
    """image names that stand for an older image meanwhile, with the image that they belong to"""
    left: frozenset[str] = frozenset()
    """ids of containers that stay although they differ or are not proven to be the same"""

    built: frozenset[str] = frozenset()
    """services whose image was built in this operation"""
    recorded: t.Mapping[str, Made] = field(default_factory=dict)
    """what is proven of the containers of a last release that is damaged otherwise"""

    @property
    def made(self) -> t.Mapping[str, Made]:
        return self.last.made if self.last else self.recorded

    @property
    def services(self) -> frozenset[str]:
        return frozenset(self.release.parts) if self.selected is None else self.selected

    def images(self) -> tuple[Step, ...]:
        """The images to get first."""
        return _plan.plan_images(self.release, self.snapshot, self.made, self.policy, self.services)

    def steps(self) -> tuple[Step, ...]:
        """The steps on containers."""
        found = _plan.plan(self.release, self.snapshot, self.made, self.policy, self.selected)
        if self.snapshot.networks is None and may_be_lost(found):
            return replace(self, snapshot=with_networks(self.cli, self.snapshot)).steps()
        if not differs_by_version(self.release, found, self.snapshot):
            return found
        hashed = with_config_hashes(self.release, self.snapshot, self.cli)
        return _plan.plan(hashed, self.snapshot, self.made, self.policy, self.selected)

    def data_warnings(self, steps: t.Sequence[Step]) -> list[str]:
        """What to know of changed files of the services that these steps leave as they are."""
        replaced = {step.service for step in steps if step.action in _step.REPLACES}
        kept = sorted(name for name in self.services - replaced if name in self.made and self.snapshot.of(name))
        found = {name: _mounts.written_in_place(self.release.parts[name], self.made[name]) for name in kept}
        return [_mounts.warning_of(name, paths) for name, paths in found.items() if paths]

    def with_images(self, steps: t.Sequence[Step]) -> Scene:
        """The scene as it will be when these images are here; one that is only looked for anew may stay the same."""
        sure = {self.release.parts[each.service].image_name for each in steps if each.certain}
        return self._with_coming(sure)

    def with_other_images(self, steps: t.Sequence[Step]) -> Scene:
        """The scene as it will be when all of these images turn out to be other ones."""
        return self._with_coming({self.release.parts[each.service].image_name for each in steps})

    def _with_coming(self, names: t.Iterable[str]) -> Scene:
        images = {**self.snapshot.images, **dict.fromkeys(names, COMING)}
        return replace(self, snapshot=replace(self.snapshot, images=images))

    def narrowed(self) -> Scene:
        """The scene whose release has the services that stay as they are as they were deployed last."""
        found = self._narrowed()
        left = _plan.left_behind(found.release, found.snapshot, found.made, found.policy, found.services)
        return replace(found, left=left) if left else found

    def _narrowed(self) -> Scene:
        pending = self._pending()
        if self.selected is None and not pending:
            return self
        from ansible_collections.strata.compose.plugins.module_utils import _partial

        others = set() if self.selected is None or self.last is None else set(self.last.parts) - self.selected
        kept, fresh = others | pending, self.services - pending
        return replace(self, release=_partial.narrowed(self.release, self.last, kept, fresh))

    def _pending(self) -> frozenset[str]:
        """The services whose containers stay whatever has changed, for the user asked for that."""
        before = self.last.parts if self.last and self.policy.recreate == "never" else {}
        return frozenset(
            name
            for name in self.services & set(before)
            if self.snapshot.of(name) and before[name].replicas == self.release.parts[name].replicas
        )

    def looked_at_again(self) -> Scene:
        return replace(self, snapshot=observe(self.cli, self.release.project, self.release.image_names))


def scene_of(options: Options, redactor: Redactor) -> Scene:
    """Resolve the environment and observe its engine. Reads only."""
    project = find_project(options)
    cli = Cli(project.base_directory, options["docker_host"], options["command_timeout"])
    store = ReleaseStore(state_dir_of(options), project.name)
    last = store.current()
    if last:
        # Its containers run and tell the old secrets, also when it comes back.
        learn_secrets(redactor, last, ())
    release = resolved(project, cli, redactor, last, options.get("scale"))
    services = options.get("services") or ()
    require_services(release.parts, services, lambda: profiles_that_are_off(project, cli, redactor))
    release = with_gate(release, last, options, redactor)
    sources, warnings = origins(project, options, release, last, cli)
    recorded = last.made if last else store.proven_made()
    snapshot = observe(cli, project.name, release.image_names, recorded_containers(recorded))
    if unrecorded := _unrecorded(snapshot, recorded):
        require_own_containers(options, store, [each.origin for each in unrecorded])
        release = with_config_hashes(release, snapshot, cli)
        if last is None and store.current_number() and is_local(cli):
            release = with_times(release, project)
    selected = _selected(options, release)
    scene = Scene(cli, store, last, release, snapshot, policy_of(options), selected, redactor, sources, warnings)
    return replace(scene, recorded=recorded)


def with_gate(release: Release, last: Release | None, options: Options, redactor: Redactor) -> Release:
    """The release with what the application is to be asked: what the options say, else what the last release has."""
    if not (last and last.gate) and options.get("gate_url") is None and options.get("gate_command") is None:
        return release
    from ansible_collections.strata.compose.plugins.module_utils._application_gate_options import (
        gate_of,
        require_gate_services,
    )

    asking = replace(release, gate=gate_of(options, last.gate if last else ()))
    learn_gate(redactor, asking)
    require_gate_services(asking.gate, release.parts)
    return asking


def origins(
    project: Project, options: Options, release: Release, last: Release | None, cli: Cli
) -> tuple[dict[str, t.Any], list[str]]:
    """What was taken and why, for the result, and what to be warned of before a project is made."""
    own_name = _origins.own_name_of(project, texts_of(project, only_layers=True))
    sources = _origins.sources_of(project, options, own_name, release.findings.get("unused_profiles", ()), is_file)
    if data := _data_sources(release):
        sources["data_paths"] = data
    if last or own_name in (None, project.name) or _origins.is_name_chosen(project, options):
        return sources, []
    listed = cli.docker("ps", "--quiet", "--all", "--filter", f"label={LABEL}project={own_name}")
    return sources, [_origins.warning_of_name(project, str(own_name), bool(listed.text.strip()))]


def _data_sources(release: Release) -> list[dict[str, str]]:
    """The mounted files whose content is no input, and why."""
    mounted = {path for part in release.parts.values() if part.mounts for path in part.mounts.data if is_file(path)}
    of_the_kernel = {path for path in mounted if _mounts.is_of_the_kernel(real_path(path))}
    return [
        {"path": path, "why": "file of the kernel" if path in of_the_kernel else "option data_paths"}
        for path in sorted(mounted)
    ]


def policy_of(options: Options) -> Policy:
    """The options that a plan depends on; ``built`` and ``pulled`` ask for the images whatever is here."""
    state = str(options.get("state"))
    return Policy(
        recreate=options.get("recreate", "auto"),
        remove_orphans=options.get("remove_orphans", True),
        build={"built": ALLOWED, "pulled": "never"}.get(state) or options.get("build", "missing"),
        pull={"pulled": ALLOWED, "built": "never"}.get(state) or options.get("pull", "missing"),
        no_cache=bool(options.get("no_cache")),
        restart=state == "restarted",
        external=options.get("external") or _step.REQUIRE,
        named=None if options.get("services") is None else frozenset(options["services"]),
    )


def _selected(options: Options, release: Release) -> frozenset[str] | None:
    services = options.get("services")
    return None if services is None else frozenset(_model.selected_with_dependencies(release.model, services))


def _unrecorded(snapshot: Snapshot, made: t.Mapping[str, Made]) -> list[Container]:
    recorded = recorded_containers(made)
    return [each for each in snapshot.containers if each.id not in recorded]


def recorded_containers(made: t.Mapping[str, Made]) -> frozenset[str]:
    """Ids of the containers that were there after the last deployment."""
    return frozenset(each for one in made.values() for each in one.containers)
