# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is recorded of containers after a switch: the files that each of them has."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _record, _step
from ansible_collections.strata.compose.plugins.module_utils._step import Step

from tests.unit.tables import made_of, release_of, snapshot_of

CONFIGURED = "/srv/shop/site.conf"


def recorded(then, now, there, *steps):
    """What is recorded of web, which had container old from file content ``then``, with ``now`` in the release."""
    before = release_of({"web": {}}, {"web": {CONFIGURED: then}})
    made = made_of(before, {"web": {"old": "running"}})
    release = replace(release_of({"web": {}}, {"web": {CONFIGURED: now}}), made=made)
    snapshot = snapshot_of({"web": [{"id": each} for each in there]}, {"web:1": "id of web:1"})
    none: frozenset[str] = frozenset()
    scene = SimpleNamespace(snapshot=snapshot, made=made, services=frozenset({"web"}), left=none, built=none)
    found = _record.made_now(scene, release, [Step("web", action, "", ids) for action, *ids in steps])["web"]
    return found.files[CONFIGURED], set(found.containers)


@pytest.mark.parametrize(
    ("steps", "there", "expected"),
    [
        ([], ["old"], ("one", {"old"})),
        ([(_step.RECREATE, "old")], ["new"], ("two", {"new"})),
        ([(_step.START, "old")], ["old"], ("two", {"old"})),
        ([(_step.RESTART, "old")], ["old"], ("two", {"old"})),
        ([(_step.UNPAUSE, "old")], ["old"], ("one", {"old"})),
        ([(_step.CREATE,)], ["old", "new"], ("one", {"old"})),
        ([(_step.CREATE,), (_step.START, "old")], ["old", "new"], ("two", {"old", "new"})),
    ],
)
def test_containers_have_the_files_of_when_they_were_made_or_started(steps, there, expected):
    assert recorded("one", "two", there, *steps) == expected


def test_a_replica_beside_others_is_recorded_with_them_when_the_files_are_the_same():
    assert recorded("one", "one", ["old", "new"], (_step.CREATE,)) == ("one", {"old", "new"})
