# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operation that failed has changed until then: found by comparing what the engine has, as after a success.

Containers count with their ids and runs, so one that was replaced or restarted and serves again has changed, and the
same ones that ran all along have not. The project's networks and volumes count, and the images that were obtained or
removed. Records of ours and names that images had for a moment do not. Private to strata.compose.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field

from ansible_collections.strata.compose.plugins.module_utils import _report, _step
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli, failure_of
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._snapshot import LABEL, Snapshot, observe

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._step import Step

Action = dict[str, str]
REASON = "done before the failure"


@dataclass(frozen=True)
class Seen:
    """What of a project is compared."""

    project: str
    snapshot: Snapshot
    objects: t.Mapping[str, str] = field(default_factory=dict)
    """its networks and volumes, such as ``network shop-prod_default``, with the ids of the networks"""
    services: t.Collection[str] | None = None
    """those that are compared; ``None`` for all"""

    @classmethod
    def of(cls, project: str, snapshot: Snapshot, cli: Cli, services: t.Collection[str] | None = None) -> Seen:
        return cls(project, snapshot, _objects(project, cli), services)

    def again(self, cli: Cli) -> Seen:
        return Seen.of(self.project, observe(cli, self.project, self.snapshot.images), cli, self.services)


def _objects(project: str, cli: Cli) -> dict[str, str]:
    label = ("--filter", f"label={LABEL}project={project}", "--format")
    networks, volumes = cli.docker_side_by_side(
        ("network", "ls", "--no-trunc", *label, "{{.Name}}\t{{.ID}}"), ("volume", "ls", *label, "{{.Name}}")
    )
    for each in (networks, volumes):
        if each.rc:
            raise failure_of(each)
    pairs = (line.partition("\t") for line in networks.text.splitlines())
    return {
        **{f"network {name}": identity for name, _tab, identity in pairs},
        **{f"volume {name}": "" for name in volumes.text.splitlines()},
    }


def changes(before: Seen, after: Seen, steps: t.Sequence[Step]) -> list[Action]:
    """What is not as it was before, as actions. Pure."""
    earlier, now = before.snapshot.only(before.services), after.snapshot.only(before.services)
    containers = _report.actions_between(earlier, now, steps, has_failed=True)
    images = _compared(_images(before), _images(after))
    return [*containers, *_compared(before.objects, after.objects), *images]


def _images(seen: Seen) -> dict[str, str]:
    return {f"image {name}": identity for name, identity in seen.snapshot.images.items()}


def _compared(before: t.Mapping[str, str], after: t.Mapping[str, str]) -> t.Iterator[Action]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            action = _step.CREATE if name not in before else _step.RECREATE if name in after else _step.REMOVE
            yield {"service": name, "action": action, "reason": REASON}


def facts_of(before: Seen, steps: t.Sequence[Step], cli: Cli) -> dict[str, t.Any]:
    """What a failure tells of changes; an engine that cannot be asked any more may have changed anything."""
    try:
        after = before.again(cli)
    except ComposeFailure:
        return {"changed": True}
    actions = changes(before, after, steps)
    told = _report.services_told(after.snapshot)
    return {"changed": bool(actions), "actions": actions, "services": told}


@contextlib.contextmanager
def following(done: t.Sequence[Action]) -> t.Iterator[None]:
    """A failure inside tells also what was done before, such as images that were pulled."""
    try:
        yield
    except ComposeFailure as failure:
        if not done:
            raise
        facts = {**failure.facts, "changed": True, "actions": [*done, *failure.facts.get("actions", ())]}
        raise ComposeFailure(failure.message, **facts) from failure
