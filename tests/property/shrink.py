"""Smaller cases that fail in the same way: delta debugging on steps, services, changes and keys."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.property.case import Case, Change, Document, Step, without_step
from tests.property.document import problems, services

Fails = Callable[[Case], bool]
KEPT = frozenset({"image", "command", "labels", "environment", "init", "stop_grace_period"})
"""Keys of a service without which it would be another kind of service."""


def shrunk(case: Case, fails: Fails, tries: int) -> Case:
    """The smallest case found with so many tries; each smaller one that still fails is where the next begins."""
    seen = 0
    found, is_smaller = case, True
    while is_smaller:
        is_smaller = False
        for candidate in smaller(found):
            if seen == tries:
                return found
            seen += 1
            if fails(candidate):
                found, is_smaller = candidate, True
                break
    return found


def smaller(case: Case) -> Iterator[Case]:
    """Valid cases with something less, the biggest cuts first."""
    for candidate in _smaller(case):
        if candidate != case and candidate.steps and not any(map(problems, candidate.documents())):
            yield candidate


def _smaller(case: Case) -> Iterator[Case]:
    for number in reversed(range(1, len(case.steps))):
        yield replace(case, steps=case.steps[:number])
    for number in reversed(range(len(case.steps))):
        yield without_step(case, number)
    for name in services(case.document):
        yield without_service(case, name)
    for number, step in enumerate(case.steps):
        for less in _smaller_steps(step):
            yield replace(case, steps=(*case.steps[:number], less, *case.steps[number + 1 :]))
    for document in _smaller_documents(case.document):
        yield replace(case, document=document)


def _smaller_steps(step: Step) -> Iterator[Step]:
    if step.by_hand:
        yield replace(step, by_hand=())
    for number in range(len(step.changes)):
        yield replace(step, changes=step.changes[:number] + step.changes[number + 1 :])
    if step.services and len(step.services) > 1:
        for name in step.services:
            yield replace(step, services=tuple(each for each in step.services if each != name))


def without_service(case: Case, name: str) -> Case:
    """The case in which a service never was, and nothing refers to it."""
    document = copy.deepcopy(case.document)
    services(document).pop(name)
    for each in services(document).values():
        _forget(each, name)
    return replace(case, document=document, steps=tuple(_step_without(step, name) for step in case.steps))


def _forget(service: dict[str, object], name: str) -> None:
    for key in ("network_mode", "pid", "ipc"):
        if service.get(key) == f"service:{name}":
            del service[key]
    if service.get("volumes_from") == [name]:
        del service["volumes_from"]
    needs = service.get("depends_on")
    if isinstance(needs, dict):
        needs.pop(name, None)
        if not needs:
            del service["depends_on"]


def _step_without(step: Step, name: str) -> Step:
    limit = step.services and tuple(each for each in step.services if each != name)
    return replace(
        step,
        changes=tuple(_change_without(each, name) for each in step.changes if not _is_about(each, name)),
        services=limit or None,
        operation="check then deploy" if step.operation == "services" and not limit else step.operation,
        by_hand=tuple(each for each in step.by_hand if each[1] != name),
    )


def _is_about(change: Change, name: str) -> bool:
    return change.at[2:3] == (name,) or name in change.at[3:] or change.to == f"service:{name}"


def _change_without(change: Change, name: str) -> Change:
    if isinstance(change.to, dict) and len(change.at) == 3:
        made = copy.deepcopy(change.to)
        _forget(made, name)
        return replace(change, to=made)
    return change


def _smaller_documents(document: Document) -> Iterator[Document]:
    for name, service in services(document).items():
        for key in service:
            if key not in KEPT:
                less = copy.deepcopy(document)
                del services(less)[name][key]
                yield less
        for other in service.get("depends_on", {}) if len(service.get("depends_on", {})) > 1 else ():
            less = copy.deepcopy(document)
            del services(less)[name]["depends_on"][other]
            yield less
    if document["profiles"]:
        yield {**document, "profiles": []}
    yield _without_unused(document)


def _without_unused(document: Document) -> Document:
    """Without the volumes, networks, configs and secrets that no service names."""
    words = str(services(document))
    less = copy.deepcopy(document)
    for kind in ("networks", "volumes", "configs", "secrets"):
        named = less["layer"].get(kind, {})
        less["layer"][kind] = {name: each for name, each in named.items() if f"'{name}" in words}
        if not less["layer"][kind]:
            del less["layer"][kind]
    return less
