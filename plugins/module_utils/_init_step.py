# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An init step: a service with its own command, or with another one. Pure. Private to strata.compose."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

Command = t.Union[str, tuple[str, ...]]
Definition = t.Mapping[str, t.Any]

KEYS = ("name", "service", "command")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What Compose allows as the name of a service, and the engine in that of a container."""

OF_A_SERVER = (
    *("ports", "expose", "container_name", "healthcheck", "restart", "scale", "labels", "mac_address"),
    *("depends_on", "profiles", "stdin_open", "tty", "command"),
)
"""Keys by which a service serves, and that another command in its image must not share with it: what it publishes, its
names, its health check, and the labels by which a reverse proxy would send it requests."""


@dataclass(frozen=True)
class InitStep:
    """One step of the init phase."""

    name: str
    """what ledger, reports and its container know it by"""
    service: str
    command: Command | None = None
    """the words, or a text that Compose splits into words; ``None`` for the service's own command"""


def step_of(given: t.Any) -> InitStep:
    """A step as the option ``steps`` has it: the name of a service, or a mapping. Raises `ComposeFailure`."""
    if isinstance(given, str):
        return InitStep(given, given)
    if not isinstance(given, dict):
        raise ComposeFailure(f"init step {given!r} is neither the name of a service nor a mapping with service.")
    unknown = sorted(set(given) - set(KEYS))
    if unknown:
        raise ComposeFailure(
            f"init step {given} has unknown keys: {', '.join(unknown)}. It can have {', '.join(KEYS)}."
        )
    service = given.get("service")
    if not isinstance(service, str) or not service:
        raise ComposeFailure(
            f"init step {given} names no service: give it service, and command if it runs another one."
        )
    name = service if given.get("name") is None else str(given["name"])
    if not NAME.fullmatch(name):
        raise ComposeFailure(f"init step {name!r}: a name has letters, digits, dots, hyphens and underscores only.")
    return InitStep(name, service, _command(name, given.get("command")))


def _command(name: str, given: t.Any) -> Command | None:
    if given is None or (isinstance(given, str) and given.strip()):
        return given
    words = given if isinstance(given, (list, tuple)) else ()
    if not words or any(isinstance(each, bool) or not isinstance(each, (str, int, float)) for each in words):
        raise ComposeFailure(f"init step {name}: command is {given!r}: give a text, or a list of words.")
    return tuple(str(each) for each in words)


def as_given(step: InitStep) -> t.Any:
    """A step as the ledger keeps it: as short as it can be given."""
    if step.command is None:
        return step.name if step.name == step.service else {"name": step.name, "service": step.service}
    command = step.command if isinstance(step.command, str) else list(step.command)
    return {"name": step.name, "service": step.service, "command": command}


def definition_of(definition: Definition, step: InitStep, escape: bool = False) -> Definition:
    """What a step is run from, given the service's definition.

    ``escape`` is for a definition that Compose reads again: there a ``$`` stands for a variable, and ``$$`` for itself.
    """
    if step.command is None:
        return definition
    command = step.command if isinstance(step.command, str) else list(step.command)
    kept = {key: value for key, value in definition.items() if key not in OF_A_SERVER}
    if kept.get("deploy"):
        kept["deploy"] = {key: value for key, value in kept["deploy"].items() if key == "resources"}
    if kept.get("networks"):
        kept["networks"] = dict.fromkeys(kept["networks"])
    return {**kept, "command": _escaped(command) if escape else command}


def _escaped(command: str | list[str]) -> str | list[str]:
    return command.replace("$", "$$") if isinstance(command, str) else [each.replace("$", "$$") for each in command]
