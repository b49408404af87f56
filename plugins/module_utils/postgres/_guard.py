# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No server of one major version on the data of another: it would not start, again and again.

Rule: documentation, `Upgrading a PostgreSQL Cluster`: data of another major version has to be converted.
Private to strata.compose.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli, failure_of
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container

LOOK = r"""
for file in "$0"/PG_VERSION "$0"/*/PG_VERSION "$0"/*/docker/PG_VERSION; do
  [ -s "$file" ] && echo "data $(cat "$file")"
done
echo "image ${PG_MAJOR:-$(postgres --version)}"
"""
"""Tells the major versions of the data under a folder: as older images keep it, in a folder of its own, as since 18."""

PLACE = "/strata-data"
DATA = ("/var/lib/postgresql", "/var/lib/postgresql/data")
"""Where volumes of the official image are mounted."""


def require_same_major(
    definition: t.Mapping[str, t.Any],
    volumes: t.Mapping[str, t.Any],
    image: str,
    containers: t.Sequence[Container],
    cli: Cli,
) -> None:
    """Raise `ComposeFailure` when a service's data is of another major version than its image, which is here.

    ``volumes`` are those of the model, by the names that the service's definition has for them.
    """
    mount = data_mount(definition)
    source = _source(mount, volumes, containers, cli)
    if source is None:
        return
    where, options, folder = source
    argv = ("run", "--rm", "--network", "none", *options, "--entrypoint", "sh", image, "-c", LOOK, folder)
    completed = cli.docker(*argv, accept=None)
    if completed.rc and "does not exist" in completed.error_text:
        return  # a folder that is still to be made, on the engine's host
    if completed.rc:
        raise failure_of(completed)
    found, wanted = majors(completed.text)
    if found and wanted not in found:
        raise _refusal(" and ".join(sorted(found)), wanted, where, image)


def data_mount(definition: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    """The mount that holds the data: that of ``PGDATA``, or the image's own volume. Pure."""
    data = (definition.get("environment") or {}).get("PGDATA")
    places = (data,) if data else DATA
    mounts = definition.get("volumes") or ()
    found = [each for each in mounts if any(_holds(each["target"], place) for place in places)]
    return max(found, key=lambda each: len(each["target"])) if found else {"type": "volume", "target": data or DATA[1]}


def _holds(target: str, place: str) -> bool:
    return place == target or place.startswith(target.rstrip("/") + "/")


def _source(
    mount: t.Mapping[str, t.Any], volumes: t.Mapping[str, t.Any], containers: t.Sequence[Container], cli: Cli
) -> tuple[str, list[str], str] | None:
    """Where the data is, in words and as options of ``docker run``, and where it is then; ``None`` without any data."""
    if mount["type"] == "bind":
        return mount["source"], ["--mount", f"type=bind,source={mount['source']},target={PLACE},readonly"], PLACE
    if mount["type"] == "volume" and mount.get("source"):
        name = (volumes.get(mount["source"]) or {}).get("name") or mount["source"]
        is_here = cli.docker("volume", "inspect", name, accept=(0, 1)).rc == 0
        return (f"volume {name}", ["--volume", f"{name}:{PLACE}:ro"], PLACE) if is_here else None
    if mount["type"] == "volume" and containers:
        place = f"the volume of container {containers[0].name}"
        return place, ["--volumes-from", f"{containers[0].id}:ro"], str(mount["target"])
    return None


def majors(told: str) -> tuple[set[str], str]:
    """The major versions of the data, and that of the image, from what `LOOK` printed. Pure."""
    found = {line.split()[1] for line in told.splitlines() if line.startswith("data ") and len(line.split()) > 1}
    line = next((line for line in told.splitlines() if line.startswith("image ")), "")
    wanted = re.search(r"\d+", line)
    return found, wanted.group() if wanted else ""


def _refusal(found: str, wanted: str, where: str, image: str) -> ComposeFailure:
    return ComposeFailure(
        f"{where} holds the data of Postgres {found}, and image {image} has Postgres {wanted}, which cannot read it. "
        f"Either go on with an image of Postgres {found}, such as postgres:{found.split()[0]}. Or take a backup with "
        f"that one, give the service an empty volume, deploy, and restore the backup: its format is for any later "
        f"version. Nothing was stopped or changed.",
        error_kind="major_version",
        data_version=found,
        image_version=wanted,
    )
