# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of services that follow another one: they share its namespaces or volumes, or ask to restart with it. Pure.

A container that shares a namespace has that of one run of one container (its id is in the engine's `HostConfig`): when
that is started again the follower is cut off, without a word from the engine, until it is restarted too; when that is
another container, the follower cannot even start. Volumes outlive a run, so they are only lost with the container.
Private to strata.compose.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._creation import passed_by_replacing
from ansible_collections.strata.compose.plugins.module_utils._model import (
    NAMESPACES,
    dependencies,
    in_start_order,
    is_done,
    shared_services,
)
from ansible_collections.strata.compose.plugins.module_utils._plan_service import is_done_in
from ansible_collections.strata.compose.plugins.module_utils._step import (
    CREATE,
    RECREATE,
    REMOVE,
    RESTART,
    START,
    Policy,
    Step,
)

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Made, Release
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container, Snapshot

IS = {CREATE: "created", RECREATE: "recreated", START: "started", RESTART: "restarted"}


@dataclass(frozen=True)
class Following:
    """What decides on followers: the wanted release, what runs, and the steps on the services that they follow."""

    wanted: Release
    running: Snapshot
    made: t.Mapping[str, Made]
    policy: Policy = Policy()
    selected: t.Collection[str] | None = None

    def steps(self, own: t.Sequence[Step], may_recreate: bool = True) -> list[Step]:
        """The steps of all followers, those that are not selected too when there is a step on what they follow.

        What a follower's step means for one that comes before it in the order is only known afterwards.
        """
        found: list[Step] = []
        while more := self._more([*own, *found], may_recreate):
            found += more
        return found

    def _more(self, known: t.Sequence[Step], may_recreate: bool) -> list[Step]:
        """The steps of followers that are not known yet."""
        found: list[Step] = []
        for name in in_start_order(self.wanted.model):
            so_far = [*known, *found]
            if self._is_left_alone(name, so_far):
                continue
            step = (may_recreate and self._replacement(name, so_far)) or self._restart(name, so_far)
            if step:
                found.append(step)
        return found

    def _is_left_alone(self, name: str, known: t.Sequence[Step]) -> bool:
        going = {each for step in known if step.action == REMOVE for each in step.containers}
        is_there = any(each.id not in going for each in self.running.of(name))
        if self.wanted.parts[name].replicas == 0 or _has_step(known, name, RECREATE) or not is_there:
            return True
        is_meant = self.selected is None or name in self.selected
        leaders = {*self._shared(name).values(), *self._restarting(name)}
        return not is_meant and leaders.isdisjoint(step.service for step in known)

    def _shared(self, name: str) -> dict[str, str]:
        shared = shared_services(self.wanted.model, name)
        return {kind: leader for kind, leader in shared.items() if self.wanted.parts[leader].replicas}

    def _restarting(self, name: str) -> list[str]:
        return [each for each, how in dependencies(self.wanted.model, name).items() if how.get("restart")]

    def _replacement(self, name: str, known: t.Sequence[Step]) -> Step | None:
        """Recreate a follower, or remove what Compose would make anew though its work is done."""
        existing = self.running.of(name)
        reasons = filter(
            None, (self._reason_to_recreate(existing, *each, known) for each in self._shared(name).items())
        )
        reason = next(reasons, "")
        if not reason:
            return None
        ids, is_live = tuple(each.id for each in existing), bool(self._live(name))
        if not is_live and name not in passed_by_replacing(self.wanted.model, known, self.running.services):
            return None
        if not is_live and is_done_in(self.wanted, name, self.running, self.made.get(name)):
            return Step(name, REMOVE, f"its work is done, and {reason}: Compose would run it again", ids)
        return None if self.policy.recreation_of(name) == "never" else Step(name, RECREATE, reason, ids)

    def _reason_to_recreate(
        self, existing: t.Sequence[Container], kind: str, leader: str, known: t.Sequence[Step]
    ) -> str:
        if _has_step(known, leader, RECREATE):
            return f"{leader}, which it is tied to, is recreated"
        if not self.running.of(leader) and _has_step(known, leader, CREATE):
            return f"{leader}, which it is tied to, is created"
        going = {each for step in known if step.action == REMOVE for each in step.containers}
        left = {each.id for each in self.running.of(leader)} - going
        is_cut_off = any(dict(each.shares).get(kind, "") not in {"", *left} for each in existing)
        return f"{leader}, which it is tied to, is another container now" if left and is_cut_off else ""

    def _restart(self, name: str, known: t.Sequence[Step]) -> Step | None:
        """Restart what has no step of its own that starts it."""
        taken = {each for step in known if step.action in (START, RESTART, REMOVE) for each in step.containers}
        reasons = {each.id: self._reason_to_restart(each, known) for each in self._live(name) if each.id not in taken}
        ids = tuple(each for each, reason in reasons.items() if reason)
        return Step(name, RESTART, reasons[ids[0]], ids) if ids else None

    def _reason_to_restart(self, container: Container, known: t.Sequence[Step]) -> str:
        for leader in self._restarting(container.service):
            for action in (RECREATE, RESTART):
                if _has_step(known, leader, action):
                    return f"{leader}, which it is tied to, is {IS[action]}"
        for kind, leader in self._shared(container.service).items():
            if kind in NAMESPACES and (how := self._new_run(container, kind, leader, known)):
                return f"{leader}, which it is tied to, {how}"
        return ""

    def _new_run(self, container: Container, kind: str, leader: str, known: t.Sequence[Step]) -> str:
        """How the container whose namespace this one shares gets or got another run; empty when it did not."""
        shared = dict(container.shares).get(kind, "")
        for step in known:
            if step.service == leader and step.action in (START, RESTART) and {shared} & {"", *step.containers}:
                return f"is {IS[step.action]}"
        both = [each for each in self.running.of(leader) if each.id == shared and each.is_running]
        is_later = container.is_running and any(each.started_at > container.started_at for each in both)
        return "was started after it" if is_later else ""

    def _live(self, name: str) -> list[Container]:
        made = self.made.get(name)
        return [each for each in self.running.of(name) if not is_done(self.wanted.model, each, made)]


def _has_step(steps: t.Iterable[Step], service: str, action: str) -> bool:
    return any(step.service == service and step.action == action for step in steps)


def cut_off(model: t.Mapping[str, t.Any], running: Snapshot) -> dict[str, str]:
    """The services with a container that cannot start, for what it shares is of a container that is gone, by leader."""
    ids = {each.id for each in running.containers}
    return {
        name: leader
        for name in model["services"]
        for kind, leader in shared_services(model, name).items()
        for each in running.of(name)
        if dict(each.shares).get(kind, "") not in {"", *ids}
    }
