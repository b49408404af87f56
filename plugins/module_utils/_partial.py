# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment that leaves some services as they are: what its release is to be. Pure. Private to strata.compose."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils._release import Release, parts_of

SECTIONS = ("networks", "volumes", "secrets", "configs")


def narrowed(wanted: Release, last: Release | None, left: t.Collection[str], selected: t.Collection[str]) -> Release:
    """A release that has the selected services of the wanted one, and those that are left as they were deployed last.

    What the layers say of these was never tried out, and a roll back must not be the first to do so.
    ``resolved_from`` tells that it is none that the layers resolve to.
    """
    before: t.Mapping[str, t.Any] = last.model if last else {}
    kept = {name: each for name, each in (before.get("services") or {}).items() if name in left}
    fresh = {name: each for name, each in wanted.model["services"].items() if name in selected}
    model = {**wanted.model, "services": {**kept, **fresh}, **_sections(before, wanted.model, kept)}
    digests = {name: last.parts[name].files for name in kept} if last else {}
    parts = parts_of(model, {**digests, **{name: wanted.parts[name].files for name in fresh}})
    looked_at = {
        name: replace(parts[name], config_hash=wanted.parts[name].config_hash, mounts=wanted.parts[name].mounts)
        for name in fresh
    }
    return replace(
        wanted,
        model=model,
        parts={**parts, **looked_at},
        variables={**(last.variables if last else {}), **wanted.variables},
        resolved_from={**wanted.resolved_from, "only": sorted(selected)},
    )


def _sections(
    before: t.Mapping[str, t.Any], wanted: t.Mapping[str, t.Any], kept: t.Mapping[str, t.Mapping[str, t.Any]]
) -> dict[str, dict[str, t.Any]]:
    """The networks, volumes, secrets and configs: those that a kept service uses as they were."""
    found = {}
    for section in SECTIONS:
        old, new = before.get(section) or {}, wanted.get(section) or {}
        used = {name for service in kept.values() for name in _used(service, section)}
        merged = {**old, **new, **{name: old[name] for name in used if name in old}}
        if merged:
            found[section] = merged
    return found


def _used(service: t.Mapping[str, t.Any], section: str) -> list[str]:
    """What a service uses of a section, as ``docker compose config`` writes it."""
    told = service.get(section) or ()
    return list(told) if section == "networks" else [each["source"] for each in told if each.get("source")]
