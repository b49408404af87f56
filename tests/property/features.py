"""What a case has in it, by name: so that the chosen cells have everything, and no kind of input dries up. Pure."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from tests.property.case import Case, Document
from tests.property.document import active, dependencies, is_one_shot, leaders, replicas, services
from tests.property.generate import case_of


@functools.cache
def features(seed: int) -> frozenset[str]:
    return frozenset(features_of(case_of(seed)))


def features_of(case: Case) -> Iterator[str]:
    for document in case.documents():
        yield from _of_document(document)
    for step in case.steps:
        yield step.operation
        yield from (f"{how} by hand" for how, _service in step.by_hand)
        if step.operation == "restarted":
            yield "restarted with services" if step.services else "restarted"
        if len(step.changes) > 1:
            yield "several changes at once"
        yield from (f"changes {'.'.join(_kind(change.at))}" for change in step.changes)


def _kind(at: tuple[str, ...]) -> tuple[str, ...]:
    """The key that changes: ``services.depends_on``, ``files``, ``profiles``."""
    if at[:2] == ("layer", "services"):
        return ("services", *at[3:4]) if len(at) > 3 else ("services",)
    return at[1:2] if at[0] == "layer" else at[:1]


def _of_document(document: Document) -> Iterator[str]:
    known, on = services(document), active(document)
    yield f"{min(len(known), 7)} services"
    if len(on) < len(known):
        yield "a profile that is off"
    if any(each.get("profiles") for each in on.values()):
        yield "a profile that is on"
    for each in known.values():
        yield from _of_service(each, document)
    for name in _middles(document):
        yield "a one-shot in the middle of a chain" if is_one_shot(known[name]) else "a chain of three"


def _of_service(service: dict[str, object], document: Document) -> Iterator[str]:
    yield f"{replicas(service)} replicas"
    yield from (f"{key} of another" for key in leaders(service))
    yield from (key for key in ("container_name", "build", "pull_policy", "healthcheck", "restart") if key in service)
    yield from (key for key in ("configs", "secrets", "env_file", "networks", "volumes") if key in service)
    for name, how in dependencies(service).items():
        yield str(how["condition"])
        if how.get("restart") and name not in leaders(service).values():
            yield "restart: true"
        if how.get("required") is False:
            yield "required: false" if name in active(document) else "required: false, and off"


def _middles(document: Document) -> set[str]:
    """Services that lean on one and are leaned on by another."""
    known = services(document)
    wanted = {other for each in known.values() for other in dependencies(each)}
    return {name for name, each in known.items() if name in wanted and dependencies(each)}
