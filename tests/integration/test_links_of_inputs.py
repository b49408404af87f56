# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stranger's links among the inputs of a deployment: what belongs to root is neither read, nor told, nor stored."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.integration.conftest import Environment, service

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, and files of another user")

STRANGER = 65534
TARGETS = {
    "layer": ("compose.dev.yml", "services: {web: {environment: {A: of-root-only}}}\n"),
    "env file": (".env.dev", "A=of-root-only\n"),
    "env file of a service": ("service.env", "of-root-only:x:0:0\n"),
    "mounted file": ("app.conf", "of-root-only"),
    "config": ("config.txt", "of-root-only"),
    "secret": ("secret.txt", "of-root-only"),
}


def of_stranger(path: Path, target: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)
    os.chown(path, STRANGER, STRANGER, follow_symlinks=False)


@pytest.fixture
def project(environment: Environment) -> Environment:
    web = service(env_file=["service.env"], volumes=["./app.conf:/app.conf:ro"], configs=["config"], secrets=["secret"])
    files = {"configs": {"config": {"file": "config.txt"}}, "secrets": {"secret": {"file": "secret.txt"}}}
    environment.write("compose.yml", {"services": {"web": web}, **files})
    environment.write("compose.dev.yml", "services: {web: {environment: {A: mine}}}\n")
    for name in ("service.env", ".env.dev"):
        environment.write(name, "A=mine\n")
    for name in ("app.conf", "config.txt", "secret.txt"):
        environment.write(name, "mine")
    return environment


@pytest.mark.parametrize("kind", TARGETS)
def test_a_planted_link_is_refused_by_name(project: Environment, tmp_path: Path, kind: str) -> None:
    name, content = TARGETS[kind]
    target = tmp_path / "of-root"
    target.write_text(content)
    target.chmod(0o600)
    of_stranger(project.folder / name, target)
    refused = project.run("compose_env", "--check", "--diff")
    assert refused.failed
    assert f"{project.folder / name} is not followed: it is a link of user {STRANGER}" in refused.message
    assert "of-root-only" not in refused.printed + json.dumps(refused.result)
    assert project.containers() == []


def test_links_to_files_of_their_owner_are_inputs_as_ever(project: Environment, tmp_path: Path) -> None:
    """Whoever brings the project has them, and root deploys it."""
    for name, _content in TARGETS.values():
        target = tmp_path / f"shared-{name}"
        target.write_bytes((project.folder / name).read_bytes())
        os.chown(target, STRANGER, STRANGER)
        of_stranger(project.folder / name, target)
    project.deploy()
    assert not project.deploy().changed
    (tmp_path / "shared-app.conf").write_text("other")
    assert project.deploy().actions == {("web", "recreate")}
