# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release as its record ``release.json`` and the files beside it have it. Pure. Private to strata.compose.

``compose.json`` and ``env`` are for Docker Compose and for people, so they are as these read them; the record has their
digests.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _dotenv
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._model import as_json
from ansible_collections.strata.compose.plugins.module_utils._records import Damage, checked, made_of
from ansible_collections.strata.compose.plugins.module_utils._release import Made, Release, parts_of

CONTENTS = ("compose.json", "env")
REQUIRED = {"project": str, "environment": str, "resolved_from": dict, "inputs": dict, "made": dict, "about": dict}
OPTIONAL = {"findings": dict, "gate": list, "contents": dict, "committed": int, "retired": bool}
INIT = {"selection": dict, "steps": list, "model": dict, "files": dict, "resolved_from": dict, "variables": dict}
MADE = {"definition": dict, "files": dict, "image": str, "containers": dict}


def checked_record(content: dict[str, t.Any]) -> dict[str, t.Any]:
    """The record; raises `TypeError` or the like when it is not whole."""
    checked(content, REQUIRED, OPTIONAL)
    for each in content["made"].values():
        made_of(Made, each, **MADE)
    if "contents" in content and content["contents"].keys() != set(CONTENTS):
        raise KeyError("contents")
    return content


def checked_init(content: dict[str, t.Any]) -> dict[str, t.Any]:
    """The record of a release's init steps, ``init.json`` beside its own."""
    return checked(content, INIT, {})


def record_of(release: Release) -> dict[str, t.Any]:
    return {
        "project": release.project,
        "environment": release.environment,
        "resolved_from": release.resolved_from,
        "inputs": release.inputs,
        "made": {name: vars(made) for name, made in release.made.items()},
        "about": release.about,
        "findings": release.findings,
        "gate": list(release.gate),
        "contents": release.contents,
        "committed": release.committed,
    }


def release_of(
    record: t.Mapping[str, t.Any], number: int, files: t.Mapping[str, bytes | None], path: str
) -> Release | Damage:
    """The release of a proven record; that of a version before is believed when its model is one."""
    try:
        model = json.loads(files["compose.json"] or b"")
        variables = _dotenv.values((files["env"] or b"").decode())
    except (ValueError, RecursionError, ComposeFailure):
        return Damage(path, "or the file env beside it is damaged")
    is_proven = "contents" in record
    if not is_proven and not _is_model_of(record["project"], model):
        return Damage(path, "is not the model of the release")
    made = made_of_record(record)
    return Release(
        project=record["project"],
        environment=record["environment"],
        model=model,
        variables=variables,
        parts=parts_of(model, {name: each.files for name, each in made.items()}),
        resolved_from=record["resolved_from"],
        inputs=record["inputs"],
        number=number,
        made=made,
        about=record["about"],
        findings=record.get("findings", {}),
        gate=tuple(record.get("gate", ())),
        contents=record.get("contents", {}),
        committed=record.get("committed", 0),
    )


def made_of_record(record: t.Mapping[str, t.Any]) -> dict[str, Made]:
    return {name: Made(**each) for name, each in record["made"].items()}


def _is_model_of(project: str, model: t.Any) -> bool:
    return isinstance(model, dict) and model.get("name") == project and isinstance(model.get("services"), dict)


def as_text(model: t.Mapping[str, t.Any]) -> bytes:
    """The model as it is stored."""
    return as_json(model, indent=1, sort_keys=True, default=dict) + b"\n"
