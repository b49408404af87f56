"""What has to hold after an operation, from what the witness saw and not from what the collection says. Pure.

Each rule yields violations as ``<kind>: <what>``; the kind is what shrinking keeps.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from tests.property.case import Document
from tests.property.document import (
    active,
    closure,
    dependencies,
    has_health,
    is_one_shot,
    leaders,
    mounted,
    replicas,
    services,
)
from tests.property.witness import Seen, Sight, deeds

Actions = Iterable[Mapping[str, Any]]
IMAGES = frozenset({"build", "pull"})
CONTAINER = "container:"


def on_containers(actions: Actions) -> set[tuple[str, str]]:
    return {(each["service"], each["action"]) for each in actions if each["action"] not in IMAGES}


def is_the_plan(planned: Actions, told: Actions, before: Sight, after: Sight, can_stop: bool) -> Iterator[str]:
    """The plan, the result and what was done are one and the same; what a build decides may be done or not."""
    done = {each for each in deeds(before, after) if each[1] != "stop" or can_stop}
    plan, result = on_containers(planned), on_containers(told)
    missing = on_containers(each for each in planned if each.get("certain", True)) - done
    if missing or done - plan:
        yield f"plan is not the deed: planned {sorted(missing)} not done, done {sorted(done - plan)} not planned"
    if result != done:
        yield f"result is not the deed: told {sorted(result - done)} not done, done {sorted(done - result)} not told"


def is_what_layers_say(
    document: Document, after: Sight, only: Collection[str] | None = None, done_and_gone: Collection[str] = ()
) -> Iterator[str]:
    """So many containers of each service, and all of them up or done; of services that are off none.

    A one-shot service that was done, and whose containers somebody removed since, needs none.
    """
    on = active(document)
    for name in sorted(services(document).keys() | {each.service for each in after.values()}):
        if only is not None and name not in only:
            continue
        here = [each for each in after.values() if each.service == name]
        number = replicas(on[name]) if name in on else 0
        if len(here) != number and (here or name not in done_and_gone):
            yield f"number: {name} has {len(here)} containers instead of {number}"
        for each in here if name in on else ():
            yield from _is_well(each, on[name])


def _is_well(container: Seen, service: Mapping[str, Any]) -> Iterator[str]:
    done = is_one_shot(service) and container.has_completed
    if container.state != "running" and not done:
        yield f"state: {container.service} is {container.state} ({container.exit_code})"
    elif has_health(service) and container.health != "healthy":
        yield f"state: {container.service} is {container.health or 'without health'}"


def has_its_variables(document: Document, after: Sight, only: Collection[str] | None = None) -> Iterator[str]:
    """Containers have the values that the layers, the env file and `env_file` give now."""
    for name, service in active(document).items():
        wanted = {
            key: value.replace("${LEVEL}", document["variables"]["LEVEL"])
            for key, value in service["environment"].items()
        }
        for path in service.get("env_file", ()):
            wanted |= dict([document["files"][path].split("=")])
        for each in _of(after, name) if only is None or name in only else ():
            for key in sorted(wanted):
                if each.environment.get(key) != wanted[key]:
                    yield f"stale: {name} has {key}={each.environment.get(key)} instead of {wanted[key]}"


def none_is_left_created(after: Sight) -> Iterator[str]:
    for each in after.values():
        if each.state == "created":
            yield f"left created: {each.service}"


def lacks_a_server(document: Document, sight: Sight) -> bool:
    """Whether a service that does not end has no container: there is nothing to start then."""
    return any(
        replicas(each) and not is_one_shot(each) and not _has(sight, name) for name, each in active(document).items()
    )


def follows_its_leader(document: Document, after: Sight, only: Collection[str] | None = None) -> Iterator[str]:
    """What lives in another one's namespaces lives in those that the other has now.

    Of services that an operation leaves out, the layers may say already what their containers do not have yet.
    """
    for name, service in active(document).items():
        if only is not None and name not in only:
            continue
        for key, leader in leaders(service).items():
            there = {each.id: each for each in after.values() if each.service == leader}
            for each in after.values():
                if each.service == name and each.state == "running":
                    yield from _lives_in(each, key, there, leader)


def shares_what_is_there(after: Sight) -> Iterator[str]:
    """What runs in another container's namespaces runs in those of one that is there, whatever the layers say."""
    for each in after.values():
        for key, where in each.namespaces.items() if each.state == "running" else ():
            if where.startswith(CONTAINER) and where.removeprefix(CONTAINER) not in after:
                yield f"lost its leader: {key} of {each.service} leads to a container that is gone"


def _lives_in(container: Seen, key: str, there: Mapping[str, Seen], leader: str) -> Iterator[str]:
    target = container.namespaces[key].removeprefix(CONTAINER).partition(":")[0]
    if target not in there:
        yield f"lost its leader: {key} of {container.service} leads to a container that {leader} no longer has"
    elif key != "volumes_from" and there[target].started > container.started:
        yield f"lost its leader: {container.service} is older than the run of {leader} whose {key} it has"


def starts_in_order(document: Document, before: Sight, after: Sight) -> Iterator[str]:
    """What was started here was started after what it depends on, if that was started here too."""
    known = {each.started for each in before.values()}
    fresh = [each for each in after.values() if each.started not in known and each.state != "created"]
    for name, service in active(document).items():
        own = [each for each in fresh if each.service == name]
        for other in dependencies(service):
            first = [each for each in fresh if each.service == other]
            if own and first and min(each.started for each in own) < max(each.started for each in first):
                yield f"order: {name} was started before {other}"


def restarts_with_what_it_depends_on(
    document: Document, before: Sight, after: Sight, only: Collection[str] | None = None
) -> Iterator[str]:
    """``restart: true``: when the other was replaced, this one is not what it was (compose-spec, depends_on).

    As in Compose, an operation that is limited to other services leaves it alone.
    """
    for name, service in active(document).items():
        if only is not None and name not in only:
            continue
        for other, how in service.get("depends_on", {}).items():
            old = [each for each in before.values() if each.service == other]
            replaced = old and not any(each.id in after for each in old) and _has(after, other)
            same = [each for each in _of(before, name) if _runs_on(each, after)]
            if how.get("restart") and replaced and same:
                yield f"restart: {name} runs on, though {other} was replaced"


def _runs_on(container: Seen, after: Sight) -> bool:
    now = after.get(container.id)
    return container.state == "running" and now is not None and now.started == container.started


def _of(sight: Sight, service: str) -> list[Seen]:
    return [each for each in sight.values() if each.service == service]


def _has(sight: Sight, service: str) -> bool:
    return bool(_of(sight, service))


def nothing_changed(before: Sight, after: Sight, what: str) -> Iterator[str]:
    done = {each for each in deeds(before, after) if each[1] != "stop"}
    if done:
        yield f"{what}: {sorted(done)}"


def made_with_other_files(failed: Document, now: Document, before: Sight, after: Sight) -> set[str]:
    """The services that were made or started while a file that they mount had another content than it has now."""
    return {
        name
        for name, service in active(now).items()
        if any(failed["files"].get(each) != now["files"][each] for each in mounted(now, service).values())
        and any(not _is_same_run(each, before) for each in _of(after, name))
    }


def _is_same_run(container: Seen, before: Sight) -> bool:
    then = before.get(container.id)
    return then is not None and then.started == container.started


def gets_its_files_back(
    document: Document, stale: Collection[str], others: Collection[str], told: Actions
) -> Iterator[str]:
    """Services with ``stale`` files are recreated; ``others`` may be, and with any of them what depends on it."""
    done = on_containers(told)
    yield from (f"stale: {name} was not recreated" for name in sorted(stale) if (name, "recreate") not in done)
    for name, action in sorted(done):
        if closure(document, (name,)).isdisjoint(others):
            yield f"more than the files: {action} {name}"


def done_and_gone(document: Document, before: Sight, after: Sight) -> set[str]:
    """The one-shots that had done their work, and whose containers an operation has removed."""
    return {
        name
        for name, service in active(document).items()
        if is_one_shot(service) and replicas(service) and not _has(after, name)
        if _has(before, name) and all(each.has_completed for each in _of(before, name))
    }


def completed_and_gone(before: Sight, after: Sight) -> set[str]:
    """The services whose containers had all ended with code 0, and have been removed."""
    ended = {each.service for each in before.values()} - {
        one.service for one in before.values() if not one.has_completed
    }
    return {name for name in ended if not _has(after, name)}


def done_and_cut_off(document: Document, sight: Sight) -> set[str]:
    """The one-shots that have done their work, and lived with a container that is gone, and what depends on them.

    Compose makes the one anew, and with it the other.
    """
    on = active(document)
    found = {
        name
        for name, service in on.items()
        if is_one_shot(service) and all(each.has_completed for each in _of(sight, name))
        if lost_its_leader(document, name, sight, sight)
    }
    while more := {name for name, service in on.items() if found & set(dependencies(service))} - found:
        found |= more
    return found


def lost_its_leader(document: Document, name: str, before: Sight, after: Sight) -> bool:
    """Whether a service lived with a container that is another one now, so that Compose would make it anew."""
    keys = leaders(services(document)[name])
    lived_with = {each.namespaces[key] for each in _of(before, name) for key in keys}
    return any(each.removeprefix(CONTAINER).partition(":")[0] not in after for each in lived_with)


def is_the_release(
    record: Mapping[str, list[tuple[str, str]]],
    after: Sight,
    document: Document,
    what: str,
    needing_none: Collection[str] = (),
) -> Iterator[str]:
    """Each service has the containers, by hash and image, that the release had when it was deployed.

    The hash of one that lives with another has the id of the other's container in it, so only its images are compared.
    Services that are done and gone need none.
    """
    now = fingerprints(after)
    for name in sorted((record.keys() | now.keys()) - set(needing_none)):
        start = 1 if leaders(services(document).get(name, {})) else 0
        then = [each[start:] for each in record.get(name, ())]
        if sorted(then) != sorted(each[start:] for each in now.get(name, ())):
            yield f"{what}: {name} is not what it was in that release"


def fingerprints(sight: Sight) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for each in sight.values():
        found.setdefault(each.service, []).append((each.config_hash, each.image))
    return {name: sorted(all_of_it) for name, all_of_it in found.items()}


def serves(before: Sight, after: Sight) -> Iterator[str]:
    """After a failure each service has as many containers up as before."""
    for name in sorted({each.service for each in before.values()}):
        then = [each for each in _of(before, name) if each.state == "running"]
        now = [each for each in _of(after, name) if each.state == "running"]
        if len(now) < len(then):
            yield f"less than before: {name} has {len(now)} containers up, {len(then)} before"
