# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data that init steps work on, and by what one tells that they are other data now. Reads only.

A volume is another one when it was made anew; what a container keeps in memory goes when it stops. Private to
strata.compose.
"""

from __future__ import annotations

import os
import posixpath
import re
import typing as t
from datetime import datetime, timezone

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli, parsed_json
from ansible_collections.strata.compose.plugins.module_utils._endpoint import is_local
from ansible_collections.strata.compose.plugins.module_utils._ledger import ABSENT, UNKNOWN

Model = t.Mapping[str, t.Any]

FIRST_TRUE_CREATION = 23
"""Major version of the Docker Engine from which on ``CreatedAt`` of a volume tells when it was made. Before, it moves
with each change in the volume's topmost folder, as at each start of a database (moby#38274, moby#44364)."""

SCRATCH = ("/tmp", "/var/tmp", "/run", "/var/run", "/var/cache", "/var/log", "/dev/shm")
"""Folders whose content no data is, by the Filesystem Hierarchy Standard."""


def volumes_made(cli: Cli, model: Model, services: t.Collection[str]) -> dict[str, str]:
    """When each volume of the services was made, or that it is absent: another one has other data."""
    wanted = {each for service in services for each in volumes_of(model, service)}
    existing = set(cli.docker("volume", "ls", "--quiet").text.split()) & wanted if wanted else set()
    return {**dict.fromkeys(wanted, ABSENT), **_made(cli, existing)}


def _made(cli: Cli, names: t.Collection[str]) -> dict[str, str]:
    if not names:
        return {}
    told = parsed_json(cli.docker("volume", "inspect", *sorted(names)))
    if _tells_creation(cli):
        return {each["Name"]: each.get("CreatedAt") or UNKNOWN for each in told}
    is_here = is_local(cli)
    return {each["Name"]: _made_on_disk(each) if is_here else UNKNOWN for each in told}


def _tells_creation(cli: Cli) -> bool:
    version = cli.docker("version", "--format", "{{.Server.Version}}", accept=None).text
    major = re.match(r"\d+", version.strip())
    return major is None or int(major[0]) >= FIRST_TRUE_CREATION


def _made_on_disk(volume: Model) -> str:
    """When the folder was made that an engine of this host keeps a volume in: newer engines tell just that.

    The engine puts nothing more into it, for the data are in a folder below. Unknown where this user may not look.
    """
    if volume.get("Driver") != "local" or not volume.get("Mountpoint"):
        return UNKNOWN
    try:
        made = os.stat(os.path.dirname(volume["Mountpoint"])).st_mtime
    except OSError:
        return UNKNOWN
    return datetime.fromtimestamp(made, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def volumes_of(model: Model, service: str) -> list[str]:
    """The engine's names of the named volumes of a service."""
    declared = model.get("volumes") or {}
    mounts = model["services"][service].get("volumes") or ()
    sources = [each.get("source") for each in mounts if each.get("type") == "volume"]
    return [declared[each]["name"] for each in sources if each in declared]


def is_fleeting(definition: Model) -> bool:
    """Whether a service has data that go when its container stops: in memory, and neither scratch nor part of a volume.

    A read-only container has its temporary folders in memory, and a database on a volume its lock files.
    """
    mounts = definition.get("volumes") or ()
    lasting = [posixpath.normpath(each["target"]) for each in mounts if each["type"] in ("volume", "bind")]
    tmpfs = definition.get("tmpfs") or ()
    paths = [each.partition(":")[0] for each in ([tmpfs] if isinstance(tmpfs, str) else tmpfs)]
    paths += [each["target"] for each in mounts if each["type"] == "tmpfs"]
    return any(not _is_below(posixpath.normpath(path), (*SCRATCH, *lasting)) for path in paths)


def _is_below(path: str, folders: t.Iterable[str]) -> bool:
    return any(path == each or path.startswith(each.rstrip("/") + "/") for each in folders)
