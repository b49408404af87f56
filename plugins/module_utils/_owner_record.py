# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who owns a project on this host: our own record of it, and what the engine's labels say.

The record is ``owner.json`` in the project's state folder. Where there is none, for the project is new here or was
deployed by an earlier version, the current release and the labels of the containers take its place. Private to
strata.compose.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _records
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure, notice
from ansible_collections.strata.compose.plugins.module_utils._files import identity_of_folder, is_file
from ansible_collections.strata.compose.plugins.module_utils._ownership import (
    Claim,
    Owner,
    Request,
    environment_named,
    is_inside,
)
from ansible_collections.strata.compose.plugins.module_utils._records import Damage, Record
from ansible_collections.strata.compose.plugins.module_utils._release_store import ReleaseStore
from ansible_collections.strata.compose.plugins.module_utils._snapshot import LABEL, Origin

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._project import Project
    from ansible_collections.strata.compose.plugins.module_utils._release import Release

Options = t.Mapping[str, t.Any]

LABELS = tuple(f"{LABEL}project.{name}" for name in Origin._fields)
OBSERVING = ("present", "restarted", "built", "pulled")
"""States of compose_env that compare the containers themselves when they observe them: `require_own_containers`."""


def require_own(options: Options, cli: Cli, store: ReleaseStore, believed: bool = False) -> str:
    """The environment that the project is on this host; raises `ComposeFailure` when it is somebody else's.

    With ``believed``, our own record is enough where there is one, and the engine is not asked.
    """
    owner, recorded = _owner(options), _recorded(store)
    if recorded is not None:
        _require(_request(options, store, None), recorded, options)
        if believed:
            return recorded.environment or owner.environment
    current = store.current()
    known = current.container_ids if current else frozenset()
    origins = {origin for container, origin in _origins(cli, store.project) if container not in known}
    claims = [*filter(None, [recorded or _claim_of(current)])]
    if claims or origins:
        project = _project(options)
        request = _request(options, store, project)
        claims += _labelled(request, project, origins)
        for claim in claims:
            _require(request, claim, options)
    _require_own_history(options, store, origins)
    return next((claim.environment for claim in claims if claim.environment), owner.environment)


def require_recorded(options: Options, store: ReleaseStore) -> None:
    """Raise `ComposeFailure` when our own record says that the project is somebody else's; the engine may be gone."""
    claim = _recorded(store) or _claim_of(store.current())
    if claim is not None:
        _require(_request(options, store, _project(options)), claim, options)


def require_own_containers(options: Options, store: ReleaseStore, origins: t.Collection[Origin]) -> None:
    """Raise `ComposeFailure` when containers that no release of ours has made are somebody else's."""
    if origins:
        project = _project(options)
        request = _request(options, store, project)
        for claim in _labelled(request, project, origins):
            _require(request, claim, options)
        _require_own_history(options, store, origins)


def _require_own_history(options: Options, store: ReleaseStore, origins: t.Collection[Origin]) -> None:
    if origins:
        from ansible_collections.strata.compose.plugins.module_utils._other_history import require_own_history

        require_own_history(store.project, store.folder, options.get("adopt_from"), origins)


def note_owner(options: Options, cli: Cli, store: ReleaseStore, result: dict[str, t.Any]) -> dict[str, t.Any]:
    """The result of an operation, after which it is written down whose the project is.

    One that was removed with all that it had on the engine is nobody's, and anybody may take its name. What is done is
    done: a record that cannot be written makes no failure of it, but a warning.
    """
    owner = _owner(options)
    wanted = Claim(owner.project_dir, owner.environment, True)
    if options.get("state") == "absent" and options.get("services") is None and not _has_rest(store.project, cli):
        wanted = Claim("", "", True)
    recorded = _recorded(store)
    if recorded == wanted or not (recorded or result["changed"] or store.current()):
        return result
    record = {"project_dir": wanted.directory, "environment": wanted.environment}
    try:
        _records.write(owner_path(store.folder), record)
    except ComposeFailure as failure:
        told = f"Whose project {store.project} is could not be written down: {failure.message}"
        return {**result, "warnings": [*result.get("warnings", ()), told]}
    return result


def _has_rest(project: str, cli: Cli) -> bool:
    """Whether the engine still has a container or a volume of the project."""
    label = ("--filter", f"label={LABEL}project={project}")
    return any(cli.docker(*listing, *label).output.strip() for listing in (("ps", "-aq"), ("volume", "ls", "-q")))


def _owner(options: Options) -> Owner:
    directory = options.get("owner_dir") or options["project_dir"]
    return Owner(os.path.abspath(directory), options["environment"])


def _request(options: Options, store: ReleaseStore, project: Project | None) -> Request:
    moved_from = options.get("project_moved_from")
    return Request(
        project=store.project,
        owner=_owner(options),
        folders=(store.folder, *((project.base_directory,) if project else ())),
        moved_from=os.path.abspath(moved_from) if moved_from else None,
        renamed_from=options.get("environment_renamed_from"),
    )


def _project(options: Options) -> Project | None:
    """The files that the options mean; ``None`` when they are not all there, as of a project that has gone."""
    from ansible_collections.strata.compose.plugins.module_utils._sources import find_project

    try:
        return find_project({"files": None, "profiles": None, **options})
    except ComposeFailure:
        # Whatever needs the files tells what is missing.
        return None


def _require(request: Request, claim: Claim, options: Options) -> None:
    request.require(claim, lambda: _named_by(options), _is_same)


def _is_same(one: str, other: str) -> bool:
    """Whether two folders are one: Compose follows links in the folder that a shell is in, and Ansible does not."""
    found = identity_of_folder(one)
    return found is not None and found == identity_of_folder(other)


def owner_path(folder: str) -> str:
    return os.path.join(folder, "owner.json")


def _recorded(store: ReleaseStore) -> Claim | None:
    """What our record says; ``None`` for one that is missing or damaged: it is written anew then."""
    found = _records.read(owner_path(store.folder), claim_of_record)
    if isinstance(found, Damage):
        notice(f"{found}. The labels of the containers tell whose project {store.project} is instead.")
        return None
    return found


def claim_of_record(content: dict[str, t.Any]) -> Claim:
    _records.checked(content, {"project_dir": str, "environment": str}, {})
    return Claim(content["project_dir"], content["environment"], True)


def _claim_of(release: Release | None) -> Claim | None:
    """What a release says, which an earlier version may have stored."""
    return Claim(release.resolved_from.get("directory", ""), release.environment) if release else None


def _origins(cli: Cli, project: str) -> list[tuple[str, Origin]]:
    """The project's containers, with what their labels say."""
    shape = "\t".join(["{{.ID}}", *("{{.Label " + f'"{each}"' + "}}" for each in LABELS)])
    listed = cli.docker("ps", "-a", "--no-trunc", "--filter", f"label={LABEL}project={project}", "--format", shape)
    rows = [line.split("\t") for line in listed.text.splitlines()]
    return [(row[0], Origin(*row[1:])) for row in rows if len(row) == len(LABELS) + 1]


def _labelled(request: Request, project: Project | None, origins: t.Collection[Origin]) -> t.Iterator[Claim]:
    own = {os.path.basename(path) for path in (*project.layers, *project.env_files)} if project else set()
    for origin in sorted(set(origins)):
        layers, env_files = origin.config_files.split(","), origin.environment_file.split(",")
        environment = _environment_of_release(layers[0]) or environment_named((*layers, *env_files), own)
        is_ours = is_inside(layers[0], request.owner.project_dir)
        yield Claim("" if is_ours else origin.working_dir, environment)


def _environment_of_release(layer: str) -> str:
    """The environment of the release that a container was made from, by the record beside its model."""
    folder, name = os.path.split(layer)
    if name != "compose.json" or os.path.basename(os.path.dirname(folder)) != "releases":
        return ""
    try:
        found = _records.read_record(os.path.join(folder, "release.json"))
    except ComposeFailure:
        # Another user's state folder: it says nothing.
        return ""
    return str(found.content.get("environment", "")) if isinstance(found, Record) else ""


def _named_by(options: Options) -> str:
    """What gives the project its name, for the user to correct it."""
    from ansible_collections.strata.compose.plugins.module_utils._project import find_env_files
    from ansible_collections.strata.compose.plugins.module_utils._sources import assignments_of

    directory = os.path.abspath(options["project_dir"])
    if options.get("project_name"):
        return "project_name names it too"
    lender = options.get("layers_of")
    env_files = find_env_files(directory, options["environment"], options["env_files"], is_file, lender)
    places = [(path, each.line) for path, each in assignments_of(env_files) if each.name == "COMPOSE_PROJECT_NAME"]
    if places:
        path, line = places[-1]
        return f"{os.path.relpath(path, directory)} line {line} names it too"
    return "the folder's name and the environment make the same project name"
