# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: the steps that turn what runs into what is wanted, with reasons. Pure. Private to strata.compose."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._differences import as_reason, changed_fields

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Made, Part, Release
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container, Snapshot

BUILD, PULL = "build", "pull"
CREATE, RECREATE, START, RESTART, UNPAUSE, CONNECT = "create", "recreate", "start", "restart", "unpause", "connect"
STOP, REMOVE = "stop", "remove"
Action = str

REPLACES = frozenset({CREATE, RECREATE})
ABSENT_IMAGE = "absent"
ASKED_FOR = "asked for"


@dataclass(frozen=True)
class Step:
    """One action on one service, and why."""

    service: str
    action: Action
    reason: str
    """told to the user: ``environment.LEVEL changed``"""
    containers: tuple[str, ...] = ()
    """ids that it acts on, where it acts on existing containers one by one"""
    network: str = ""

    def told(self) -> dict[str, str]:
        return {"service": self.service, "action": self.action, "reason": self.reason}


@dataclass(frozen=True)
class Policy:
    """What the user allows and asks for beyond the files."""

    recreate: str = "auto"
    remove_orphans: bool = True
    build: str = "missing"
    pull: str = "missing"
    restart: bool = False


def plan(
    wanted: Release,
    running: Snapshot,
    made: t.Mapping[str, Made],
    policy: Policy,
    selected: t.Collection[str] | None = None,
) -> tuple[Step, ...]:
    """The steps that turn what runs into what is wanted; empty when nothing differs.

    ``made`` is the record of what the existing containers were made from, ``selected`` the services it is limited to.
    """
    names = [name for name in in_start_order(wanted.model) if selected is None or name in selected]
    own = [step for name in names for step in _service(wanted, name, running, made.get(name), policy)]
    followers = _followers(wanted, own, names, running, made)
    orphans = _orphans(wanted, running) if policy.remove_orphans and selected is None else []
    return (*orphans, *_in_order(own + followers, names))


def plan_images(
    wanted: Release, here: Snapshot, made: t.Mapping[str, Made], policy: Policy, selected: t.Collection[str]
) -> tuple[Step, ...]:
    """The images to build or pull before anything else; a service that builds its image never pulls it."""
    steps = []
    for name in sorted(selected):
        part = wanted.parts[name]
        if part.replicas == 0:
            continue
        build = wanted.model["services"][name].get("build")
        rule = policy.build if build else policy.pull
        is_here = part.image_name in here.images
        if rule != "never" and not is_here:
            steps.append(Step(name, BUILD if build else PULL, f"image {part.image_name} is not here"))
        elif rule == "always":
            steps.append(Step(name, BUILD if build else PULL, ASKED_FOR))
        elif rule == "missing" and build and _is_build_changed(build, made.get(name)):
            steps.append(Step(name, BUILD, "its build section changed"))
    return tuple(steps)


def _is_build_changed(build: t.Mapping[str, t.Any], made: Made | None) -> bool:
    return made is not None and made.build is not None and made.build != build


def selected_with_dependencies(model: t.Mapping[str, t.Any], services: t.Iterable[str]) -> set[str]:
    """The services and all that they depend on, as Compose selects them."""
    selected: set[str] = set()
    waiting = list(services)
    while waiting:
        name = waiting.pop()
        if name not in selected:
            selected.add(name)
            waiting.extend(each for each in dependencies(model, name) if each in model["services"])
    return selected


def dependencies(model: t.Mapping[str, t.Any], service: str) -> dict[str, dict[str, t.Any]]:
    """``depends_on`` of a service, by the names of the services in the model."""
    declared = model["services"][service].get("depends_on") or {}
    return {name: details for name, details in declared.items() if name in model["services"]}


def in_start_order(model: t.Mapping[str, t.Any]) -> list[str]:
    """All services, each after those that it depends on; Compose has refused circles already."""
    ordered: dict[str, None] = {}

    def visit(name: str) -> None:
        for dependency in sorted(dependencies(model, name)):
            if dependency not in ordered:
                visit(dependency)
        ordered[name] = None

    for name in sorted(model.get("services") or {}):
        visit(name)
    return list(ordered)


def may_complete(model: t.Mapping[str, t.Any], service: str) -> bool:
    """Whether an exit with code 0 can be a service's purpose rather than its end.

    A service that another one awaits by ``service_completed_successfully`` says so. Else one that is restarted, that
    has a health check or that publishes ports is meant to stay.
    """
    if is_awaited(model, service):
        return True
    definition = model["services"][service]
    restart = _restart_condition(definition)
    stays = definition.get("ports") or _has_health_check(definition)
    return not stays and (restart in ("no", "none") or restart.startswith("on-failure"))


def _restart_condition(definition: t.Mapping[str, t.Any]) -> str:
    """When the engine starts a container again; ``deploy`` wins over ``restart`` (compose pkg/compose/create.go)."""
    policy = (definition.get("deploy") or {}).get("restart_policy") or {}
    return str(policy.get("condition") or definition.get("restart") or "no")


def is_awaited(model: t.Mapping[str, t.Any], service: str) -> bool:
    """Whether another service waits for this one to complete."""
    return any(
        dependencies(model, other).get(service, {}).get("condition") == "service_completed_successfully"
        for other in model["services"]
    )


def is_done(model: t.Mapping[str, t.Any], container: Container, made: Made | None) -> bool:
    """Whether a container ended because its work was done, and not because somebody stopped it.

    An exit code of 0 alone does not tell: servers that are stopped exit with 0 too. What the gate saw decides.
    """
    if not container.has_completed or not may_complete(model, container.service):
        return False
    seen = made.containers.get(container.id) if made else None
    return seen != "running" or is_awaited(model, container.service)


def _has_health_check(definition: t.Mapping[str, t.Any]) -> bool:
    check = definition.get("healthcheck") or {}
    return bool(check) and not check.get("disable") and check.get("test") != ["NONE"]


def _service(wanted: Release, name: str, running: Snapshot, made: Made | None, policy: Policy) -> t.Iterator[Step]:
    part, existing = wanted.parts[name], running.of(name)
    if part.replicas == 0 or not existing:
        yield from _appearance(name, part, existing)
        return
    reason = _reason_to_recreate(part, existing, made, running, policy)
    if reason:
        yield Step(name, RECREATE, reason, tuple(each.id for each in existing))
        return
    if len(existing) < part.replicas:
        yield Step(name, CREATE, f"{part.replicas} replicas wanted, {len(existing)} exist")
    kept, surplus = existing[: part.replicas], existing[part.replicas :]
    if surplus:
        ids = tuple(each.id for each in surplus)
        yield Step(name, REMOVE, f"{part.replicas} replicas wanted, {len(existing)} exist", ids)
    yield from _repairs(wanted, name, kept, made, policy)


def _appearance(name: str, part: Part, existing: t.Sequence[Container]) -> t.Iterator[Step]:
    if part.replicas == 0 and existing:
        yield Step(name, REMOVE, "no replicas wanted", tuple(each.id for each in existing))
    elif part.replicas:
        yield Step(name, CREATE, "no container")


def _reason_to_recreate(
    part: Part, existing: t.Sequence[Container], made: Made | None, running: Snapshot, policy: Policy
) -> str:
    if policy.recreate == "always":
        return ASKED_FOR
    if policy.recreate == "never":
        return ""
    image = running.images.get(part.image_name, ABSENT_IMAGE)
    if made is None or any(each.id not in made.containers for each in existing):
        return _reason_without_record(part, existing, image)
    if fields := changed_fields(made.definition, part.definition):
        return as_reason(fields)
    contents = changed_fields(made.files, part.files)
    if contents:
        return f"content of {', '.join(contents)} changed"
    return _reason_of_image(part, existing, image)


def _reason_of_image(part: Part, existing: t.Sequence[Container], image: str) -> str:
    if image != ABSENT_IMAGE and any(each.image != image for each in existing):
        return f"image {part.image_name} is another one now"
    return ""


def _reason_without_record(part: Part, existing: t.Sequence[Container], image: str) -> str:
    """Containers that we did not make are kept when Compose's own hash and the image prove them equal."""
    proven = part.config_hash and all(each.config_hash == part.config_hash for each in existing)
    if part.files or not proven:
        return "its containers are not those that were deployed last"
    return _reason_of_image(part, existing, image)


def _repairs(
    wanted: Release, name: str, existing: t.Sequence[Container], made: Made | None, policy: Policy
) -> t.Iterator[Step]:
    """What brings containers of the right kind back to work."""
    live = [each for each in existing if not is_done(wanted.model, each, made)]
    yield from _awakenings(name, live)
    for network in _networks(wanted, name):
        cut = tuple(each.id for each in live if network not in each.networks)
        if cut:
            yield Step(name, CONNECT, f"disconnected from network {network}", cut, network)
    sick = [each for each in live if each.health == "unhealthy" and each.is_running]
    up = [each for each in live if each.is_running or each.state in ("restarting", "paused")]
    if policy.restart and up:
        yield Step(name, RESTART, ASKED_FOR, tuple(each.id for each in up))
    elif sick:
        yield Step(name, RESTART, f"unhealthy: {_first_line(sick[0].health_output)}", tuple(each.id for each in sick))


def _awakenings(name: str, live: t.Sequence[Container]) -> t.Iterator[Step]:
    stopped = [each for each in live if each.state in ("created", "exited", "dead")]
    if stopped:
        yield Step(name, START, _state_told(stopped[0]), tuple(each.id for each in stopped))
    paused = tuple(each.id for each in live if each.state == "paused")
    if paused:
        yield Step(name, UNPAUSE, "paused", paused)


def _networks(wanted: Release, name: str) -> list[str]:
    """Engine names of the networks that the service's containers belong to."""
    attached = wanted.model["services"][name].get("networks") or {}
    defined = wanted.model.get("networks") or {}
    return [defined[each]["name"] for each in attached if each in defined]


def _followers(
    wanted: Release, steps: t.Sequence[Step], names: t.Sequence[str], running: Snapshot, made: t.Mapping[str, Made]
) -> list[Step]:
    """Services that live in another one's namespaces or ask to be restarted with it."""
    replaced = {step.service for step in steps if step.action == RECREATE}
    found: list[Step] = []
    for name in names:
        live = [each for each in running.of(name) if not is_done(wanted.model, each, made.get(name))]
        leader, action = _strongest_tie(wanted.model, name, replaced)
        if not leader or not live or name in replaced or wanted.parts[name].replicas == 0:
            continue
        ids = [each.id for each in running.of(name)] if action == RECREATE else _not_yet_restarted(live, steps)
        if ids:
            found.append(Step(name, action, f"{leader}, which it is tied to, is recreated", tuple(ids)))
        if action == RECREATE:
            replaced.add(name)
    return found


def _strongest_tie(model: t.Mapping[str, t.Any], name: str, replaced: t.Collection[str]) -> tuple[str, Action]:
    """The recreated service that has the most say in what becomes of this one; none is told as empty."""
    ties = [(how != RECREATE, leader, how) for leader, how in _leaders(model, name).items() if leader in replaced]
    return min(ties)[1:] if ties else ("", "")


def _not_yet_restarted(live: t.Sequence[Container], steps: t.Sequence[Step]) -> list[str]:
    others = {each for step in steps if step.action in (START, RESTART, REMOVE) for each in step.containers}
    return [each.id for each in live if each.id not in others]


def _leaders(model: t.Mapping[str, t.Any], name: str) -> dict[str, Action]:
    """Services whose recreation this one must follow, and how (compose-spec: network_mode, volumes_from, restart)."""
    definition = model["services"][name]
    restarts = {each: RESTART for each, how in dependencies(model, name).items() if how.get("restart")}
    modes = [str(definition.get(key) or "") for key in ("network_mode", "ipc", "pid")]
    shared = [mode.partition(":")[2] for mode in modes if mode.startswith("service:")]
    volumes = [each.partition(":")[0] for each in definition.get("volumes_from") or ()]
    return {**restarts, **{each: RECREATE for each in [*shared, *volumes] if each in model["services"]}}


def _orphans(wanted: Release, running: Snapshot) -> list[Step]:
    gone = [name for name in running.services if name not in wanted.parts]
    return [
        Step(name, REMOVE, "no longer in the layers or profiles", tuple(each.id for each in running.of(name)))
        for name in gone
    ]


def _in_order(steps: t.Sequence[Step], names: t.Sequence[str]) -> list[Step]:
    """In the order of the services, without the steps that a greater one on the same containers makes needless."""
    needed = [step for step in steps if not any(_covers(greater, step) for greater in steps)]
    return sorted(needed, key=lambda step: names.index(step.service))


def _covers(greater: Step, smaller: Step) -> bool:
    """A recreation does all else on the service too; a restart unpauses, and what it stopped cannot be unpaused."""
    if greater.service != smaller.service:
        return False
    if greater.action == RECREATE:
        return smaller.action != RECREATE
    restarts = greater.action == RESTART and smaller.action == UNPAUSE
    return restarts and set(smaller.containers) <= set(greater.containers)


def _state_told(container: Container) -> str:
    return f"exited ({container.exit_code})" if container.state == "exited" else container.state


def _first_line(text: str) -> str:
    return (text.splitlines() or ["its health check says nothing"])[0]


def changed_networks(wanted: Release, made: t.Mapping[str, Made]) -> tuple[str, ...]:
    """Engine names of the networks that exist with another definition: they are made anew.

    Seen with Compose 2.26: it keeps the old network without a word.
    """
    old = {
        key: value for each in made.values() for key, value in each.definition.items() if _is_own_network(key, value)
    }
    new = {key: value for part in wanted.parts.values() for key, value in part.definition.items()}
    return tuple(sorted(value["name"] for key, value in old.items() if key in new and new[key] != value))


def _is_own_network(key: str, definition: t.Any) -> bool:
    return key.startswith("network ") and bool(definition) and not definition.get("external")


def plan_stop(running: Snapshot) -> tuple[Step, ...]:
    """The steps that stop everything that is up."""
    up = {each.service: each for each in running.containers if each.state in ("running", "paused", "restarting")}
    return tuple(Step(name, STOP, f"is {up[name].state}") for name in sorted(up))


def plan_start(model: t.Mapping[str, t.Any], existing: Snapshot, made: t.Mapping[str, Made]) -> tuple[Step, ...]:
    """The steps that start what stands still and unpause what is paused, completed one-shot services left out."""
    steps = []
    for name in [each for each in in_start_order(model) if existing.of(each)]:
        live = [each for each in existing.of(name) if not is_done(model, each, made.get(name))]
        steps += list(_awakenings(name, live))
    return tuple(steps)


def plan_remove(existing: Snapshot) -> tuple[Step, ...]:
    """The steps that remove all containers."""
    return tuple(
        Step(name, REMOVE, "asked for", tuple(each.id for each in existing.of(name))) for name in existing.services
    )
