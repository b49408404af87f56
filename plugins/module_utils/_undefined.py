# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that nobody defines: which, where they are used, and what can be done. Private to strata.compose."""

from __future__ import annotations

import fnmatch
import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.strata.compose.plugins.module_utils import _dotenv, _inputs
from ansible_collections.strata.compose.plugins.module_utils._cli import allowed_environment
from ansible_collections.strata.compose.plugins.module_utils._compose_warnings import undefined_in, without_warnings
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._redact import is_secret_name
from ansible_collections.strata.compose.plugins.module_utils._sources import assignments_of, texts_of

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._project import Project

SHOWN, PLACES_SHOWN = 12, 3
"""Variables of a message, and places of each: the rest is in the result."""

OF_COMPOSE = frozenset(("PWD", "COMPOSE_PROJECT_NAME"))
"""What Compose gets or defines by itself."""


@dataclass
class Undefined:
    """The undefined variables of a project by name, each with its places."""

    in_layers: dict[str, list[str]] = field(default_factory=dict)
    in_env_files: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """the assigned variable and the place of each substitution in an env file: mostly a ``$`` meant as it stands"""

    @property
    def names(self) -> list[str]:
        return list(self.places)

    @property
    def places(self) -> dict[str, list[str]]:
        """By name; what is substituted in a secret's value is a piece of it, and goes by the secret's name."""
        found = {name: list(places) for name, places in self.in_layers.items()}
        for name, places in self.in_env_files.items():
            for assigned, place in places:
                shown = assigned if is_secret_name(assigned) else name
                told = f"{place} in the value of {assigned}"
                found.setdefault(shown, []).extend([] if told in found.get(shown, ()) else [told])
        return dict(sorted(found.items()))


def undefined_variables(project: Project, complaints: str, has_failed: bool) -> Undefined:
    """What Compose complains of; where it failed it stopped looking, so that the layers are searched too."""
    seen = _seen(project, has_failed)
    reported = {name for name in undefined_in(complaints) if not _may_be_blank(name, project)}
    names = reported | ({name for name in seen.in_layers if not _may_be_blank(name, project)} if has_failed else set())
    found = Undefined(
        {name: places for name, places in seen.in_layers.items() if name in names},
        {name: places for name, places in seen.in_env_files.items() if name in names},
    )
    found.in_layers.update({name: [] for name in names - {*found.in_layers, *found.in_env_files}})
    return found


def failure_of_undefined(project: Project, found: Undefined, complaints: str) -> ComposeFailure:
    """The failure that names them all, with the ways out; ``complaints`` are those of a Compose that failed besides."""
    besides = f" Compose then fails with: {without_warnings(complaints)}" if complaints else ""
    return ComposeFailure(
        f"{_listed(found)}{_ways_out(project, found)} Nothing was changed.{besides}",
        undefined=found.names,
        undefined_places=found.places,
    )


def _listed(found: Undefined) -> str:
    told = [f"{name} ({_places(places)})" for name, places in found.places.items()]
    if len(told) == 1:
        return f"undefined variable: {told[0]}."
    more = f"\n  and {len(told) - SHOWN} more, which undefined_places of the result lists" if len(told) > SHOWN else ""
    return f"{len(told)} undefined variables:\n  " + "\n  ".join(told[:SHOWN]) + f"{more}.\n"


def _places(places: t.Sequence[str]) -> str:
    if not places:
        return "its place is not known"
    more = f" and {len(places) - PLACES_SHOWN} more" if len(places) > PLACES_SHOWN else ""
    return "; ".join(places[:PLACES_SHOWN]) + more


def _ways_out(project: Project, found: Undefined) -> str:
    told = ""
    if found.in_layers:
        name = sorted(found.in_layers)[0]
        env_file = project.env_files[-1] if project.env_files else f"{project.directory}/.env.{project.environment}"
        told += (
            f" Define it in {env_file}, or give it a default as in ${{{name}:-value}}. If blank is meant, write "
            f"{name}= in the env file or add it to blank_variables."
        )
    if found.in_env_files:
        told += (
            " In an env file a $ begins a variable: put a value in single quotes, as in NAME='pa$word', to keep its $."
        )
    return told


def _may_be_blank(name: str, project: Project) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in project.blank_variables)


def _seen(project: Project, strictly: bool) -> Undefined:
    """Every use of a variable that nothing defines; with ``strictly`` only what no default could make up for."""
    found = Undefined()
    defined = {*project.defined, *allowed_environment(), *OF_COMPOSE}
    for path, variable in assignments_of(project.env_files, project.given_variables):
        _add_substitutions(found, path, variable)
    for path, text in texts_of(project).items():
        variables = _of_env_file(path, text, project)
        for variable in variables or ():
            _add_substitutions(found, path, variable)
        for use in _inputs.uses_of_variables(text) if variables is None else ():
            is_needed = not use.modifier or (strictly and use.modifier.lstrip(":")[:1] == "?")
            if use.name not in defined and is_needed and not (strictly and path not in project.layers):
                found.in_layers.setdefault(use.name, []).append(f"{path}:{use.line}")
    return found


def _of_env_file(path: str, text: str, project: Project) -> list[_dotenv.Variable] | None:
    """The assignments of a service's env file; ``None`` for another text."""
    if path.endswith((".yml", ".yaml", ".json")) or path in project.layers:
        return None
    try:
        return _dotenv.read(text, {**allowed_environment(), **project.defined}, os.path.basename(path))
    except ComposeFailure:
        return None


def _add_substitutions(found: Undefined, path: str, variable: _dotenv.Variable) -> None:
    for name in variable.undefined:
        found.in_env_files.setdefault(name, []).append((variable.name, f"{path}:{variable.line}"))
