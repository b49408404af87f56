# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release: a resolved model with the digests of all that went into it. Pure. Private to strata.compose."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.strata.compose.plugins.module_utils._inputs import granted
from ansible_collections.strata.compose.plugins.module_utils._mounts import Mounts

NOT_IN_CONTAINER = ("build", "pull_policy", "scale")
"""Keys of a service that no container is made from (compose pkg/compose/hash.go leaves them out too)."""


@dataclass(frozen=True)
class Part:
    """One service of a release: what its containers are made from."""

    definition: t.Mapping[str, t.Any]
    files: t.Mapping[str, str]
    """path, or ``variable NAME``, to the SHA-256 of its content"""
    image_name: str
    replicas: int
    mounts: Mounts | None = None
    """what its mounts are on the host now, where that was looked at"""
    config_hash: str = ""
    """Compose's own hash, asked for only where containers exist that we have no record of"""
    changed: float | None = None
    """when its files and variables changed last, looked at only where the record of them is damaged"""


@dataclass(frozen=True)
class Made:
    """What the containers of a service that exist now were made from."""

    definition: t.Mapping[str, t.Any]
    files: t.Mapping[str, str]
    image: str
    containers: t.Mapping[str, str]
    """container id to ``running`` or ``completed``: how the gate left it"""
    build: t.Mapping[str, t.Any] | None = None
    links: t.Mapping[str, str] | None = None
    """as in `Mounts`; ``None`` in records of older versions, like ``inodes``"""
    inodes: t.Mapping[str, str] | None = None
    contexts: t.Mapping[str, str] | None = None
    """as in `Mounts`, when the image was built"""

    @property
    def has_completed(self) -> bool:
        """Whether each of the containers, of which there was one at least, ended by itself without an error."""
        return bool(self.containers) and set(self.containers.values()) == {"completed"}


@dataclass(frozen=True)
class Release:
    """A resolved environment. ``number`` is 0 until it is stored."""

    project: str
    environment: str
    model: t.Mapping[str, t.Any]
    variables: t.Mapping[str, str]
    """values that the model does not carry: of secrets and configs with ``environment:``"""
    parts: t.Mapping[str, Part]
    resolved_from: t.Mapping[str, t.Any]
    inputs: t.Mapping[str, str | None]
    """path to SHA-256 of every file that could change the model, ``None`` for one that is absent"""
    number: int = 0
    made: t.Mapping[str, Made] = field(default_factory=dict)
    about: t.Mapping[str, t.Any] = field(default_factory=dict)
    """time, actor and outcome, for the history"""
    findings: t.Mapping[str, t.Any] = field(default_factory=dict)
    """what resolving found besides the model: ``warnings`` of Compose and ``unused_profiles``"""
    gate: t.Sequence[t.Mapping[str, t.Any]] = ()
    """what the application is asked before the release counts as good, see `_application_gate`"""
    contents: t.Mapping[str, str] = field(default_factory=dict, compare=False)
    """file beside the stored record to the SHA-256 of what it holds"""
    committed: int = field(default=0, compare=False)
    """grows with every release that becomes the current one; 0 for one that has not, or before that was counted"""

    @property
    def image_names(self) -> tuple[str, ...]:
        return tuple(sorted({part.image_name for part in self.parts.values()}))

    @property
    def container_ids(self) -> frozenset[str]:
        """Ids of the containers that were there after the last deployment."""
        return frozenset(each for made in self.made.values() for each in made.containers)

    @property
    def image_ids(self) -> dict[str, str]:
        """What the image names meant when the release was made."""
        return {part.image_name: self.made[name].image for name, part in self.parts.items() if name in self.made}


def parts_of(model: t.Mapping[str, t.Any], digests: t.Mapping[str, t.Mapping[str, str]]) -> dict[str, Part]:
    """The parts of a model, given the digests of each service's files."""
    return {
        name: Part(
            definition=_definition(model, name),
            files=digests.get(name, {}),
            image_name=service.get("image") or f"{model['name']}-{name}",
            replicas=_replicas(service),
        )
        for name, service in (model.get("services") or {}).items()
    }


def _definition(model: t.Mapping[str, t.Any], name: str) -> dict[str, t.Any]:
    """A service and the networks, volumes, configs and secrets that it uses, without what no container is made from."""
    service = {key: value for key, value in model["services"][name].items() if key not in NOT_IN_CONTAINER}
    if service.get("deploy"):
        service["deploy"] = {key: value for key, value in service["deploy"].items() if key != "replicas"}
    volumes = {each.get("source") for each in service.get("volumes") or () if each.get("type") == "volume"}
    used: dict[str, dict[str, t.Any]] = {
        "network": {each: (model.get("networks") or {}).get(each) for each in service.get("networks") or ()},
        "volume": {each: (model.get("volumes") or {}).get(each) for each in volumes if each},
        "config": {each.get("name", ""): each for each in granted(model, name, "configs")},
        "secret": {each.get("name", ""): each for each in granted(model, name, "secrets")},
    }
    return {**service, **{f"{kind} {key}": value for kind, each in used.items() for key, value in each.items()}}


def _replicas(service: t.Mapping[str, t.Any]) -> int:
    replicas = (service.get("deploy") or {}).get("replicas", service.get("scale"))
    return 1 if replicas is None else int(replicas)
