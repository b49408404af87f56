# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Differences of two definitions of a service by field, as reasons and as a diff. Pure. Private to strata.compose."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._redact import fingerprint, is_secret_name

SHOWN = 5
"""A reason names so many fields; more would hide the point."""


def flattened(definition: t.Any, path: str = "") -> dict[str, t.Any]:
    """A nested definition as ``environment.LEVEL`` to value; lists stay whole, for their order is their meaning."""
    if not isinstance(definition, dict) or (path and not definition):
        return {path: definition}
    below = [flattened(value, f"{path}.{key}" if path else str(key)) for key, value in definition.items()]
    return {field: value for each in below for field, value in each.items()}


def changed_fields(before: t.Any, after: t.Any) -> tuple[str, ...]:
    """The fields that one definition has and the other has not, or has otherwise."""
    old, new = flattened(before), flattened(after)
    absent = object()
    return tuple(field for field in sorted({*old, *new}) if old.get(field, absent) != new.get(field, absent))


def as_reason(fields: t.Sequence[str]) -> str:
    """``environment.LEVEL changed``."""
    more = f" and {len(fields) - SHOWN} more" if len(fields) > SHOWN else ""
    return ", ".join(fields[:SHOWN]) + more + " changed"


def shown(definition: t.Any, fields: t.Iterable[str]) -> dict[str, str]:
    """Some fields of a definition as text for a diff; secrets as the beginning of their digest."""
    values = flattened(definition)
    return {field: _shown_value(field, values[field]) for field in fields if field in values}


def masked_definition(definition: t.Any, name: str = "") -> t.Any:
    """A definition, or any part of a model, with its secrets as the beginning of their digest."""
    if isinstance(definition, dict):
        return {key: masked_definition(value, str(key)) for key, value in definition.items()}
    if isinstance(definition, list):
        return [masked_definition(value, name) for value in definition]
    is_secret = isinstance(definition, str) and is_secret_name(name)
    return fingerprint(definition.replace("$$", "$")) if is_secret else definition


def _shown_value(field: str, value: t.Any) -> str:
    text = value.replace("$$", "$") if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return fingerprint(text) if is_secret_name(field.rpartition(".")[2]) and value is not None else text
