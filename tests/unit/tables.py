# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of cases, and the releases and containers that they speak of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.strata.compose.plugins.module_utils._release import Made, Release, parts_of
from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container, Snapshot

FOLDER = Path(__file__).parent / "cases"


def table(name: str) -> Any:
    """The content of ``cases/<name>.yml``."""
    return yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))


def each(cases: list[dict[str, Any]]) -> pytest.MarkDecorator:
    """Run a test once for each case, under the name that the case gives it."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["it"]) for case in cases])


def container(service: str = "web", **differs: Any) -> Container:
    """A container that runs undisturbed, but for what is said to differ."""
    usual = {
        "id": f"{service}-1",
        "name": f"shop-prod-{service}-1",
        "service": service,
        "number": 1,
        "state": "running",
        "exit_code": 0,
        "health": "",
        "health_output": "",
        "restarts": 0,
        "restart_policy": "no",
        "started": "2025-01-01T00:00:00Z",
        "image": f"id of {service}:1",
        "image_name": f"{service}:1",
        "config_hash": "",
        "networks": (),
        "ports": (),
        "error": "",
    }
    lists = {key: tuple(value) for key, value in differs.items() if isinstance(value, list)}
    shares = {"shares": tuple(map(tuple, differs["shares"]))} if "shares" in differs else {}
    return Container(**{**usual, **differs, **lists, **shares})


def containers(told: dict[str, list[dict[str, Any]]]) -> tuple[Container, ...]:
    """Containers by service; ids are ``web-1``, ``web-2`` where the case does not give others."""
    return tuple(
        container(service, **{"id": f"{service}-{number}", "number": number, **differs})
        for service, rows in sorted(told.items())
        for number, differs in enumerate(rows, 1)
    )


def model_of(services: dict[str, Any], **others: Any) -> dict[str, Any]:
    """A resolved model; a service without an image has that of its name, with the tag 1."""
    named = {name: {"image": f"{name}:1", **(definition or {})} for name, definition in services.items()}
    return {"name": "shop-prod", "services": named, **others}


def release_of(services: dict[str, Any], files: dict[str, Any] | None = None, **others: Any) -> Release:
    """A release of services, of the digests of their files, and of top-level networks, volumes and the like."""
    model = model_of(services, **others)
    return Release("shop-prod", "prod", model, {}, parts_of(model, files or {}), {}, {})


def made_of(release: Release, recorded: dict[str, dict[str, str]]) -> dict[str, Made]:
    """The record that the given containers, id to how the gate left them, were made from a release."""
    return {
        name: Made(
            definition=release.parts[name].definition,
            files=release.parts[name].files,
            image=f"id of {release.parts[name].image_name}",
            containers=ids,
            build=release.model["services"][name].get("build"),
        )
        for name, ids in recorded.items()
        if name in release.parts
    }


def snapshot_of(told: dict[str, list[dict[str, Any]]], images: dict[str, str] | None = None) -> Snapshot:
    """What the engine runs."""
    return Snapshot(containers(told), images or {})
