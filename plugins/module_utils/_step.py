# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a plan: actions, steps with their reasons, and what the user allows. Pure. Private to strata.compose."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

BUILD, PULL = "build", "pull"
CREATE, RECREATE, START, RESTART, UNPAUSE, CONNECT = "create", "recreate", "start", "restart", "unpause", "connect"
STOP, REMOVE = "stop", "remove"
Action = str
REPLACES = frozenset({CREATE, RECREATE})
ABSENT_IMAGE = "absent"
ASKED_FOR = "asked for"
OTHER_IMAGE = "is another one now"
REQUIRE = "require"


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
    certain: bool = True
    """whether a plan can say that there will be a change"""

    def told(self) -> dict[str, t.Any]:
        """As results show it; ``certain`` is there only where it is not."""
        told = {"service": self.service, "action": self.action, "reason": self.reason}
        return told if self.certain else {**told, "certain": False}


@dataclass(frozen=True)
class Policy:
    """What the user allows and asks for beyond the files."""

    recreate: str = "auto"
    remove_orphans: bool = True
    build: str = "missing"
    no_cache: bool = False
    """whether a build takes no step from the build cache"""
    pull: str = "missing"
    restart: bool = False
    external: str = REQUIRE
    """what is to become of an external network or volume that does not exist: require or create"""
    named: frozenset[str] | None = None
    """the services that the user named; what they depend on is only brought up, as Compose does. ``None`` for all"""

    def names(self, service: str) -> bool:
        return self.named is None or service in self.named

    def recreation_of(self, service: str) -> str:
        """``recreate`` for one service: always is not meant for what the named ones only depend on."""
        return "auto" if self.recreate == "always" and not self.names(service) else self.recreate
