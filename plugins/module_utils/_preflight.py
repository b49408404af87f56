# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that can be checked before anything is built, pulled, started or stopped. Private to strata.compose."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _disk
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._endpoint import is_local
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._inputs import granted
from ansible_collections.strata.compose.plugins.module_utils._ports import (
    HostPort,
    listening_ports,
    process_of,
    published_ports,
    wanted_ports,
)
from ansible_collections.strata.compose.plugins.module_utils._step import CREATE, RECREATE, REMOVE, START, Policy, Step

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Made, Release
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Snapshot

NOTHING_CHANGED = "Nothing was changed."


def check_before_change(
    release: Release,
    steps: t.Sequence[Step],
    made: t.Mapping[str, Made],
    snapshot: Snapshot,
    policy: Policy,
    cli: Cli,
    images: t.Sequence[Step],
) -> None:
    """Raise one `ComposeFailure` that tells all that stands in the way of these steps and of having these images first.

    In ``snapshot``, images that are about to be built or pulled count as here.
    """
    concerned = sorted({step.service for step in steps if step.action in (CREATE, RECREATE, START)})
    problems = [
        *_missing_files(release, concerned),
        *_changed_volumes(release, concerned, made),
        *_missing_images(release, concerned, snapshot, policy),
        *_taken_ports(release, concerned, steps, cli),
        *_disk.shortage(release, images, cli),
    ]
    if problems:
        raise ComposeFailure(f"{'; '.join(problems)}. {NOTHING_CHANGED}", problems=problems)


def _missing_files(release: Release, services: t.Iterable[str]) -> t.Iterator[str]:
    for service in services:
        for kind in ("configs", "secrets"):
            files = [each["file"] for each in granted(release.model, service, kind) if "file" in each]
            missing = [each for each in files if not os.path.exists(each)]
            yield from (f"service {service}: {kind[:-1]} file {each} is missing" for each in missing)
            names = [each["environment"] for each in granted(release.model, service, kind) if "environment" in each]
            yield from (
                f"service {service}: the {kind[:-1]} wants variable {each}, which no env file defines"
                for each in names
                if each not in release.variables
            )
        for mount in release.model["services"][service].get("volumes") or ():
            if mount.get("type") == "bind" and not os.path.exists(mount["source"]) and _is_meant_as_file(mount):
                source = mount["source"]
                yield f"service {service}: mounted file {source} is missing (the engine would make a folder of it)"


def _is_meant_as_file(mount: t.Mapping[str, t.Any]) -> bool:
    """A missing source is made as a folder by the engine: right for ``./data``, never for ``./nginx.conf``."""
    strict = not (mount.get("bind") or {}).get("create_host_path", False)
    extension = os.path.splitext(mount["target"])[1]
    return strict or (bool(extension) and extension != ".d")


def _changed_volumes(release: Release, services: t.Iterable[str], made: t.Mapping[str, Made]) -> t.Iterator[str]:
    for service in services:
        before = made[service].definition if service in made else {}
        after = release.parts[service].definition
        shared = [key for key in after if key.startswith("volume ") and key in before]
        yield from (
            f"service {service}: the definition of {key} changed, and a volume can only be changed by losing its data: "
            f"give the new one another name, or remove the old one first (state absent with volumes and confirm)"
            for key in shared
            if before[key] != after[key]
        )


def _missing_images(release: Release, services: t.Iterable[str], snapshot: Snapshot, policy: Policy) -> t.Iterator[str]:
    for service in services:
        image = release.parts[service].image_name
        if image not in snapshot.images:
            option, verb = ("build", "built") if release.model["services"][service].get("build") else ("pull", "pulled")
            rule = getattr(policy, option)
            yield f"service {service}: image {image} is not here and may not be {verb} ({option} is {rule})"


def _taken_ports(release: Release, services: t.Sequence[str], steps: t.Sequence[Step], cli: Cli) -> t.Iterator[str]:
    wanted = {name: wanted_ports(release.parts[name].definition) for name in services}
    if not any(wanted.values()):
        return
    giving_up = {step.service for step in steps if step.action in (RECREATE, REMOVE)}
    holders = published_ports(cli)
    others = [each for each in holders if each.project != release.project or each.service not in giving_up]
    sockets = [each for each in _local_sockets(cli) if not any(each[0].meets(holder.port) for holder in holders)]
    for service, ports in wanted.items():
        for port in ports:
            if owner := _owner(port, service, release.project, others, sockets):
                yield f"service {service}: host port {port} is in use by {owner}"
    yield from _claimed_twice(wanted)


def _local_sockets(cli: Cli) -> list[tuple[HostPort, str]]:
    """Sockets of this host, which say nothing when the engine is elsewhere."""
    return listening_ports() if is_local(cli) else []


def _owner(
    port: HostPort, service: str, project: str, holders: t.Sequence[t.Any], sockets: t.Sequence[tuple[HostPort, str]]
) -> str:
    for holder in holders:
        if port.meets(holder.port) and (holder.project, holder.service) != (project, service):
            return str(holder)
    return next((process_of(inode) for taken, inode in sockets if port.meets(taken)), "")


def _claimed_twice(wanted: t.Mapping[str, t.Sequence[HostPort]]) -> t.Iterator[str]:
    claims = [(service, port) for service, ports in wanted.items() for port in ports]
    for index, (service, port) in enumerate(claims):
        for other, taken in claims[:index]:
            if other != service and port.meets(taken):
                yield f"service {service}: host port {port} is wanted by service {other} too"
