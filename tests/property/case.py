"""A case: an environment as its user wrote it, and what is done to it, step by step. Pure.

An environment is one tree, a *document*, so that every change of it is a path and a value::

    layer: {services: ..., networks: ..., volumes: ...}   what compose.yml holds
    files: {conf/a.txt: text}                             what layers mount or read, below the project directory
    variables: {LEVEL: info}                              the env file
    profiles: [tools]                                     those that are on
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

Document = dict[str, Any]

OPERATIONS = (
    "deploy",
    "check then deploy",
    "services",
    "restarted",
    "stopped",
    "started",
    "rolled_back",
    "failing gate",
    "plain up",
)
BY_HAND = ("remove", "stop", "kill", "pause", "prune")


@dataclass(frozen=True)
class Change:
    """A value set, or with ``None`` removed, somewhere in the document."""

    at: tuple[str, ...]
    to: Any = None


@dataclass(frozen=True)
class Step:
    """Inputs change, somebody meddles by hand, then an operation runs."""

    operation: str
    changes: tuple[Change, ...] = ()
    services: tuple[str, ...] | None = None
    """what the operation is limited to"""
    by_hand: tuple[tuple[str, str], ...] = ()
    """what is done to a service's first container before, as (how, service)"""


@dataclass(frozen=True)
class Case:
    document: Document
    steps: tuple[Step, ...]
    seed: int | None = None
    it: str = field(default="", compare=False)
    """the behaviour that a kept case shows"""

    def documents(self) -> list[Document]:
        """The document as it is at each step; one that fails the gate is taken back before the next step."""
        return [after for _step, after in self.transitions()]

    def transitions(self) -> list[tuple[Document, Document]]:
        """The document before each step, and with the step's changes."""
        found, now = [], self.document
        for step in self.steps:
            changed = applied(now, step.changes)
            found.append((now, changed))
            now = now if step.operation == "failing gate" else changed
        return found


def applied(document: Document, changes: tuple[Change, ...]) -> Document:
    """The document with all changes; what a change of something absent leads through is made."""
    changed = copy.deepcopy(document)
    for change in changes:
        place = changed
        for key in change.at[:-1]:
            place = place.setdefault(key, {})
        if change.to is None:
            place.pop(change.at[-1], None)
        else:
            place[change.at[-1]] = copy.deepcopy(change.to)
    return changed


def as_yaml(case: Case) -> str:
    """The case as a file that a person reads and `parsed` takes."""
    about = {"it": case.it} if case.it else {}
    seed = {} if case.seed is None else {"seed": case.seed}
    steps = [_step_as_data(step) for step in case.steps]
    data = {**about, **seed, "document": case.document, "steps": steps}
    return yaml.dump(data, Dumper=_Plain, sort_keys=False, width=118, default_flow_style=None)


class _Plain(yaml.SafeDumper):
    """Without anchors: a value that occurs twice is written twice. Lists are indented, as ansible-lint wants them."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Plain.add_representer(str, _text)


def _step_as_data(step: Step) -> dict[str, Any]:
    data: dict[str, Any] = {"operation": step.operation}
    if step.services is not None:
        data["services"] = list(step.services)
    if step.by_hand:
        data["by_hand"] = [list(each) for each in step.by_hand]
    if step.changes:
        data["changes"] = [{"at": list(each.at), "to": each.to} for each in step.changes]
    return data


def parsed(text: str) -> Case:
    """The case that a file holds."""
    data = yaml.safe_load(text)
    return Case(data["document"], tuple(map(_step, data["steps"])), data.get("seed"), data.get("it", ""))


def _step(data: Mapping[str, Any]) -> Step:
    changes = tuple(Change(tuple(each["at"]), each.get("to")) for each in data.get("changes", ()))
    services = tuple(data["services"]) if "services" in data else None
    return Step(data["operation"], changes, services, tuple((how, who) for how, who in data.get("by_hand", ())))


def without_step(case: Case, number: int) -> Case:
    return replace(case, steps=case.steps[:number] + case.steps[number + 1 :])
