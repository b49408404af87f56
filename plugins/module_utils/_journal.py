# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a switch that is under way: what the next operation needs when this one is killed.

Private to strata.compose.
"""

from __future__ import annotations

import contextlib
import os
import typing as t
from dataclasses import asdict, dataclass, field, replace

from ansible_collections.strata.compose.plugins.module_utils import _records
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure, notice
from ansible_collections.strata.compose.plugins.module_utils._mounts import Mounts
from ansible_collections.strata.compose.plugins.module_utils._records import Damage

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Part, Release

LOST = (
    "A deployment was cut off, and how far it came is not known: state=present brings all containers to what the "
    "layers say. Names of images that a roll back had moved stay as they are, until they are pulled or built again."
)
TYPES = {"phase": str, "to": int, "back": (int, type(None)), "started": str, "actor": str, "containers": dict}
TYPES.update({"services": (list, tuple), "inputs": dict, "tags": dict, "added": (list, tuple), "gate": dict})

PREPARE, SWITCH, GATE, BACK, DEGRADED = "prepare", "switch", "gate", "roll back", "degraded"


@dataclass(frozen=True)
class Journal:
    """How far a switch has come."""

    phase: str
    """`PREPARE` while only image names stand for something else, `SWITCH` while containers are replaced, `GATE` when
    all are, `BACK` while the earlier release comes back, `DEGRADED` when that has failed"""
    to: int
    back: int | None
    """the last good release; ``None`` when there is none"""
    started: str
    actor: str
    services: tuple[str, ...] = ()
    """whose containers are replaced"""
    containers: t.Mapping[str, t.Sequence[str]] = field(default_factory=dict)
    """container ids by service after the replacement"""
    inputs: t.Mapping[str, t.Mapping[str, t.Mapping[str, str]]] = field(default_factory=dict)
    """what of the host the replacements were made from, by service; see `inputs_of`"""
    tags: t.Mapping[str, str] = field(default_factory=dict)
    """image names that stand for an older image for a while, with the image that they belong to"""
    added: tuple[str, ...] = ()
    """services that had no container before; going back removes theirs"""
    gate: t.Mapping[str, t.Any] = field(default_factory=dict)
    """how the switch is judged, as fields of a ``Manner``: whoever settles it judges it in the same way"""


def inputs_of(part: Part) -> dict[str, t.Mapping[str, str]]:
    """The files that containers get which are made from a part now, as a journal keeps them."""
    mounts = part.mounts or Mounts()
    return {"files": part.files, "links": mounts.links, "inodes": mounts.inodes}


def with_inputs(release: Release, journal: Journal) -> Release:
    """The release with the files that its containers were made from: it is stored with those of the one before."""
    known = {name: part for name, part in release.parts.items() if name in journal.inputs}
    parts = {name: _with_inputs(part, **journal.inputs[name]) for name, part in known.items()}
    return replace(release, parts={**release.parts, **parts})


def _with_inputs(
    part: Part, files: t.Mapping[str, str], links: t.Mapping[str, str], inodes: t.Mapping[str, str]
) -> Part:
    return replace(part, files=files, mounts=Mounts(links, inodes))


class JournalFile:
    """``journal.json`` of a project: there while a switch is under way, and only then."""

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, "journal.json")

    def read(self) -> Journal | None:
        """What the file tells; raises `ComposeFailure` when it is damaged."""
        found = self.found()
        if isinstance(found, Damage):
            raise found.failure(LOST)
        return found

    def found(self) -> Journal | Damage | None:
        """What the file tells, or why it is not believed."""
        return _records.read(self.path, lambda content: _records.made_of(Journal, content, **TYPES))

    def read_or_set_aside(self) -> Journal | None:
        """What the file tells. One that is damaged is set aside: nothing needs it that makes all containers anew."""
        found = self.found()
        if not isinstance(found, Damage):
            return found
        if found.is_newer:
            raise found.failure("Nothing was changed.")
        _records.set_aside(self.path)
        notice(f"{found}. {LOST} It was renamed to journal.json.damaged.")
        return None

    def write(self, journal: Journal) -> Journal:
        _records.write(self.path, asdict(journal))
        return journal

    def advance(self, journal: Journal, **changes: t.Any) -> Journal:
        """Note a new phase or fact of the switch that is under way.

        On the way back it is noted if it can be: a full disk must not keep the earlier containers from serving.
        """
        changed = replace(journal, **changes)
        try:
            self.write(changed)
        except ComposeFailure:
            if changed.phase != BACK:
                raise
        return changed

    def close(self) -> None:
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
        except OSError as error:
            raise ComposeFailure(f"{self.path} cannot be removed: {error.strerror}.") from error
