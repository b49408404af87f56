# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and folders of the host that services mount: what is missing. Reads the host. Private to strata.compose."""

from __future__ import annotations

import itertools
import os
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._files import exists, is_folder, seen
from ansible_collections.strata.compose.plugins.module_utils._inputs import granted

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Made, Release

Mount = t.Mapping[str, t.Any]


def missing_files(release: Release, services: t.Iterable[str], made: t.Mapping[str, Made]) -> t.Iterator[str]:
    """What has to be on the engine's host before containers are created."""
    recorded = {path for each in made.values() for path in (*each.files, *(each.inodes or ()))}
    for service in services:
        for kind in ("configs", "secrets"):
            files = [each["file"] for each in granted(release.model, service, kind) if "file" in each]
            missing = [each for each in files if not exists(each)]
            yield from (f"service {service}: {kind[:-1]} file {each} is missing" for each in missing)
        for mount in _bind_mounts(release, service):
            yield from _problem_of(service, mount, recorded)


def folders_to_come(release: Release, services: t.Iterable[str]) -> t.Iterator[str]:
    """Sources that the engine makes as empty folders, and that look as if a file were meant."""
    for service in services:
        for mount in _bind_mounts(release, service):
            source, target = mount["source"], mount["target"]
            if not os.path.lexists(seen(source)) and _is_made_on_demand(mount) and _looks_like_file(source, target):
                yield (
                    f"service {service}: {source} does not exist, so an empty folder is made there and mounted at "
                    f"{target}. If a file is meant, put it there first; with the long syntax and bind: "
                    f"{{create_host_path: false}} a missing source is an error."
                )


def unusable_grants(release: Release, services: t.Iterable[str]) -> t.Iterator[str]:
    """Configs and secrets that have no content here."""
    for service, kind in itertools.product(services, ("configs", "secrets")):
        for each in granted(release.model, service, kind):
            if "environment" in each and each["environment"] not in release.variables:
                name = each["environment"]
                yield f"service {service}: the {kind[:-1]} wants variable {name}, which no env file defines"
            if each.get("external"):
                yield (
                    f"service {service}: {kind[:-1]} {each['name']} is external, which Compose supports on Swarm only: "
                    f"give it a file or environment in a layer of this environment"
                )


def _bind_mounts(release: Release, service: str) -> list[Mount]:
    mounts = release.model["services"][service].get("volumes") or ()
    return [each for each in mounts if each.get("type") == "bind"]


def _problem_of(service: str, mount: Mount, recorded: t.Collection[str]) -> t.Iterator[str]:
    """What the name of a source looks like decides nothing: ``sites/example.com`` may well be a folder.

    Compose has the engine make a missing source as a folder in the short syntax (compose-spec, 05-services.md,
    create_host_path). That a file was there is known when a release was deployed with its content.
    """
    source = mount["source"]
    if exists(source):
        return
    if os.path.lexists(seen(source)):
        yield f"service {service}: mounted {source} is a symbolic link that leads nowhere"
    elif obstacle := _file_on_the_way(source):
        yield f"service {service}: mounted {source} cannot be made, for {obstacle} is a file"
    elif source in recorded:
        yield f"service {service}: mounted file {source} is missing (the engine would make a folder of it)"
    elif not _is_made_on_demand(mount):
        yield (
            f"service {service}: mounted {source} is missing, and its mount does not let the engine make it "
            f"(create_host_path)"
        )


def _is_made_on_demand(mount: Mount) -> bool:
    return bool((mount.get("bind") or {}).get("create_host_path", False))


def _file_on_the_way(path: str) -> str:
    """The nearest parent that exists, if no folder can be made in it."""
    parent = os.path.dirname(path)
    while not os.path.lexists(seen(parent)):
        parent = os.path.dirname(parent)
    return "" if is_folder(parent) else parent


def _looks_like_file(source: str, target: str) -> bool:
    extensions = {os.path.splitext(path)[1] for path in (source, target)}
    return len(extensions) == 1 and not extensions & {"", ".d"}
