# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Subnets and fixed addresses that the engine would refuse in the middle of a switch.

Pure. Private to strata.compose.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._step import RECREATE, REMOVE

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._engine_objects import (
        EngineNetwork,
        EngineObjects,
    )
    from ansible_collections.strata.compose.plugins.module_utils._networks_and_volumes import Used
    from ansible_collections.strata.compose.plugins.module_utils._release import Release
    from ansible_collections.strata.compose.plugins.module_utils._step import Step

Subnet = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

FAMILIES = ("ipv4_address", "ipv6_address")
WITHOUT_POOL = ("overlay", "host", "null")
"""Drivers whose networks share no address space with the others of this host (moby libnetwork/ipam)."""


class Fixed(t.NamedTuple):
    """An address that the layers give to a service."""

    service: str
    network: str
    """its name in the layers"""
    key: str
    address: Address


def fixed_addresses(release: Release, services: t.Iterable[str]) -> list[Fixed]:
    """The fixed addresses of these services; what is none is left to Compose, which refuses it when it resolves."""
    return [
        Fixed(service, network, key, address)
        for service in services
        for network, details in (release.model["services"][service].get("networks") or {}).items()
        for key in FAMILIES
        if (address := _address(str((details or {}).get(key) or ""))) is not None
    ]


def address_problems(
    release: Release, services: t.Sequence[str], steps: t.Sequence[Step], objects: EngineObjects
) -> t.Iterator[str]:
    """Fixed addresses outside of their subnets, that somebody else has, or that two containers are to have."""
    wanted = fixed_addresses(release, services)
    for each in wanted:
        definition = (release.model.get("networks") or {})[each.network]
        if problem := _outside(each, definition, objects) or _taken(each, release, definition, steps, objects):
            yield problem
        elif release.parts[each.service].replicas > 1:
            yield (
                f"service {each.service}: {release.parts[each.service].replicas} replicas cannot share {each.key} "
                f"{each.address} of network {each.network}: leave it out, or run one replica"
            )
    for place, each in enumerate(wanted):
        for other in wanted[:place]:
            if (other.network, other.address) == (each.network, each.address):
                yield f"service {each.service}: {each.key} {each.address} is that of service {other.service} too"


def _outside(fixed: Fixed, definition: t.Mapping[str, t.Any], objects: EngineObjects) -> str:
    """The engine takes an address of a subnet that the user configured only (moby daemon, validateNetworkingConfig)."""
    network = objects.networks.get(definition["name"])
    is_external = bool(definition.get("external"))
    if is_external and network is None:
        return ""
    texts = network.subnets if is_external and network else tuple(_texts_of(definition))
    of_family = [each for each in map(_subnet, texts) if each and each.version == fixed.address.version]
    if any(fixed.address in each for each in of_family):
        return ""
    begin, name = f"service {fixed.service}: {fixed.key} {fixed.address}", f"network {fixed.network}"
    if not of_family:
        return f"{begin} needs a subnet, and {name} has none in the layers: give it one (ipam: config: - subnet: ...)"
    listed = ", ".join(map(str, of_family))
    return f"{begin} is not in the subnet of {name}, {listed}: choose an address of it, or change the subnet"


def _taken(
    fixed: Fixed,
    release: Release,
    definition: t.Mapping[str, t.Any],
    steps: t.Iterable[Step],
    objects: EngineObjects,
) -> str:
    begin = f"service {fixed.service}: {fixed.key} {fixed.address} of network {fixed.network}"
    pools = (definition.get("ipam") or {}).get("config") or ()
    if any(_address(str(pool.get("gateway") or "")) == fixed.address for pool in pools):
        return f"{begin} is that of its gateway: choose another one"
    network = objects.networks.get(definition["name"])
    holder = next((each for text, each in (network.addresses if network else {}).items() if _is(text, fixed)), None)
    owner = objects.container(holder) if holder else None
    if owner is None or (owner.project, owner.service) == (release.project, fixed.service):
        return ""
    leaving = {each for step in steps if step.action in (RECREATE, REMOVE) for each in step.containers}
    return "" if owner.id in leaving else f"{begin} is that of {owner}: choose another one, or stop that container"


def _is(text: str, fixed: Fixed) -> bool:
    return _address(text) == fixed.address


def overlaps(used: t.Iterable[Used], remade: t.Collection[str], there: t.Iterable[EngineNetwork]) -> t.Iterator[str]:
    """Subnets of networks that are to be created and that the engine has, or is to have, for another one.

    Engine: "Pool overlaps with other one on this address space".
    """
    coming = to_be_created(used, remade, [each.name for each in there])
    known = [(f"network {each.name}, which exists", each.subnets) for each in there if _has_pool(each, remade)]
    for each in coming:
        own = list(_texts_of(each.definition))
        for owner, subnets in known:
            for mine, theirs in ((mine, theirs) for mine in own for theirs in subnets):
                if _do_overlap(mine, theirs):
                    yield f"{each}: its subnet {mine} overlaps {theirs} of {owner}: give it another one in the layers"
        known.append((f"network {each.name}", tuple(own)))


def to_be_created(used: t.Iterable[Used], remade: t.Collection[str], there: t.Collection[str]) -> list[Used]:
    """The networks with a subnet of their own in the layers that a switch creates."""
    return [
        each
        for each in used
        if each.kind == "network"
        and not each.is_external
        and (each.name in remade or each.name not in there)
        and each.definition.get("driver") not in WITHOUT_POOL
        and (each.definition.get("ipam") or {}).get("driver") in (None, "", "default")
        and any(_texts_of(each.definition))
    ]


def _has_pool(network: EngineNetwork, remade: t.Collection[str]) -> bool:
    return network.name not in remade and network.driver not in WITHOUT_POOL


def _texts_of(definition: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    for pool in (definition.get("ipam") or {}).get("config") or ():
        if pool.get("subnet"):
            yield str(pool["subnet"])


def _do_overlap(one: str, other: str) -> bool:
    mine, theirs = _subnet(one), _subnet(other)
    return mine is not None and theirs is not None and mine.version == theirs.version and mine.overlaps(theirs)


def _subnet(text: str) -> Subnet | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
