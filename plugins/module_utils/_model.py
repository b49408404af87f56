# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a resolved model says of its services: their order, and which may end. Pure. Private to strata.compose."""

from __future__ import annotations

import json
import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Made, Release
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container

NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")

NAMESPACES = ("network_mode", "ipc", "pid")
"""Keys of a service that can say ``service:<name>``: it joins the namespace of that service's container."""


def as_json(value: t.Any, **options: t.Any) -> bytes:
    """A model for Compose, which takes JSON for YAML.

    YAML knows no pairs of surrogates, as which JSON may spell an emoji, and has control characters only escaped.
    """
    text = json.dumps(value, ensure_ascii=False, **options)
    return NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


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


def without_dangling(model: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The model without what services depend on and is not there: with ``required: false``, and its profile is off.

    `docker compose config` leaves such an entry in and refuses to read it again. Compose's ``up`` drops it too before
    it hashes a service (compose 2.26; 2.40 hashes no dependencies), so the hash stays what it is for the layers.
    """
    services = model.get("services") or {}
    whole = {
        name: {**each, "depends_on": dependencies(model, name)}
        for name, each in services.items()
        if set(each.get("depends_on") or ()) - set(services)
    }
    empty = {name for name, each in whole.items() if not each["depends_on"]}
    kept = {name: alone(each) if name in empty else each for name, each in whole.items()}
    return {**model, "services": {**services, **kept}}


def alone(definition: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A service without its dependencies."""
    return {key: value for key, value in definition.items() if key != "depends_on"}


def shared_services(model: t.Mapping[str, t.Any], service: str) -> dict[str, str]:
    """The services whose namespaces or volumes a service's containers share, by the key of its definition.

    Each entry of ``volumes_from`` has a key of its own, by its place: ``volumes_from 0``.
    """
    definition = model["services"][service]
    modes = {kind: str(definition.get(kind) or "") for kind in NAMESPACES}
    shared = {kind: mode.partition(":")[2] for kind, mode in modes.items() if mode.startswith("service:")}
    volumes = [each.partition(":")[0] for each in definition.get("volumes_from") or ()]
    named = {f"volumes_from {place}": each for place, each in enumerate(volumes)}
    return {kind: each for kind, each in {**shared, **named}.items() if each in model["services"]}


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


def is_past(release: Release, service: str) -> bool:
    """Whether all that the record has of a service ended because its work was done: its containers may be gone."""
    made = release.made.get(service)
    return made is not None and made.has_completed and may_complete(release.model, service)


def _has_health_check(definition: t.Mapping[str, t.Any]) -> bool:
    check = definition.get("healthcheck") or {}
    return bool(check) and not check.get("disable") and check.get("test") != ["NONE"]
