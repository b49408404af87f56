# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which environments a project's files speak of, so that a misspelt one is no new project. Pure.

Private to strata.compose.
"""

from __future__ import annotations

import difflib
import re
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

WORDS = frozenset(
    (
        *("dev", "develop", "development", "devel", "local", "sandbox", "playground", "demo", "preview", "review"),
        *("test", "testing", "tests", "ci", "qa", "uat", "int", "integration", "acceptance", "acc", "e2e", "nightly"),
        *("stage", "staging", "stg", "preprod", "pre", "canary", "blue", "green"),
        *("prod", "production", "prd", "live", "eu", "us", "asia"),
    )
)
"""Names that environments have everywhere."""

LAYER = re.compile(r"(?:docker-)?compose\.([A-Za-z0-9][\w-]*)(?:\.(?:swarm|pod))?\.ya?ml")
ENV_FILE = re.compile(r"\.env\.([A-Za-z0-9][\w-]*)")
ENV_FILE_LIKE = re.compile(r"\.?([A-Za-z0-9][\w-]*)\.env")
"""May as well be what a service has under ``env_file:``, such as ``db.env``."""

NONE = frozenset(
    (
        *("override", "example", "examples", "sample", "template", "tmpl", "dist", "default", "defaults", "bak", "old"),
        *("backup", "orig", "vault", "schema", "swarm", "pod", "docker", "compose", "container", "local"),
    )
)
"""What stands where an environment's name would, and is none; ``local`` only of env files."""

SIMILAR = 0.6
"""How much a name has to be like another to be taken for a slip of it (difflib's own default)."""


def environments_of(listing: t.Mapping[str, t.Iterable[str]], wanted: str) -> dict[str, list[str]]:
    """The environments that have layers or env files, each with these; ``listing`` has the names by folder.

    ``compose.gpu.yml`` is no environment by its name alone, and ``db.env`` is none either: a word of unknown meaning
    counts when it has a layer and an env file, or when ``wanted`` may be a slip of it.
    """
    sure: dict[str, list[str]] = {}
    layers: dict[str, list[str]] = {}
    env_files: dict[str, list[str]] = {}
    for folder, names in sorted(listing.items()):
        for name in sorted(names):
            place = f"{folder}/{name}" if folder else name
            if (found := LAYER.fullmatch(name)) and found[1] not in NONE - {"local"}:
                (sure if found[1].lower() in WORDS else layers).setdefault(found[1], []).append(place)
            elif (found := ENV_FILE.fullmatch(name)) and found[1] not in NONE:
                sure.setdefault(found[1], []).append(place)
            elif (found := ENV_FILE_LIKE.fullmatch(name)) and found[1] not in NONE:
                named = folder == "environments" or found[1].lower() in WORDS
                (sure if named else env_files).setdefault(found[1], []).append(place)
    similar = set(difflib.get_close_matches(wanted, layers, max(len(layers), 1), SIMILAR))
    meant = {*sure, *(layers.keys() & env_files.keys()), *similar}
    return {
        each: [*sure.get(each, ()), *layers.get(each, ()), *env_files.get(each, ())]
        for each in sorted(meant)
        if each != wanted
    }


def unknown_environment(directory: str, wanted: str, others: t.Mapping[str, t.Sequence[str]]) -> ComposeFailure:
    """The failure for an environment of which nothing is found while there are others."""
    there = "; ".join(f"{name} ({', '.join(files)})" for name, files in others.items())
    nearest = (difflib.get_close_matches(wanted, others, 1) or [next(iter(others))])[0]
    return ComposeFailure(
        f"environment {wanted} has neither a layer nor an env file of its own in {directory}. There are {there}. "
        f"Correct the name, use the files of another environment with layers_of={nearest}, or name the layers of "
        f"{wanted} in files. Nothing was changed.",
        environments=list(others),
    )
