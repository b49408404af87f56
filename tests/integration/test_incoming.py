# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan with files, variables and secret files that are still on the controller."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible_collections.strata.compose.plugins.module_utils._env_file import content_of
from ansible_collections.strata.compose.plugins.plugin_utils import _incoming

from tests.integration.conftest import REPOSITORY, Environment, Outcome, service

INIT = {"profiles": ["init"], "restart": "no"}


@dataclass
class Controller:
    """What the controller has for an environment, and the two ways of its modules to use it."""

    environment: Environment
    source: Path
    variables: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, content: str | dict[str, Any]) -> None:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))

    @property
    def incoming(self) -> dict[str, Any]:
        return {"source": str(self.source), "variables": self.variables, "secrets": self.secrets}

    def packed(self, module: str = "compose_env") -> str:
        """What the part on the controller sends."""
        loader = SimpleNamespace(get_real_file=str)
        action: Any = SimpleNamespace(_find_needle=lambda _kind, path: path, _loader=loader)
        told = _incoming.packed(action, self.incoming, f"strata.compose.{module}", self.environment.name)
        assert told is not None
        return told

    def plan(self, module: str = "compose_env", **options: Any) -> Outcome:
        return self.environment.run(module, "--check", incoming=self.packed(module), **options)

    def bring(self) -> None:
        """Have on the host what the modules for files and env file would bring there."""
        folder, arguments = self.environment.folder, {"src": str(self.source), "environment": None}
        brought = self.environment.run("compose_files", **arguments)
        assert not brought.failed, brought.message
        (folder / f".env.{self.environment.name}").write_bytes(content_of(self.variables, self.environment.name))
        (folder / "secrets").mkdir(exist_ok=True)
        for name, content in self.secrets.items():
            (folder / "secrets" / name).write_text(content)


@pytest.fixture
def controller(environment: Environment, tmp_path: Path) -> Controller:
    """A project that uses all ways by which a file can become a part of it."""
    made = Controller(environment, tmp_path / "source", {"LEVEL": "low"}, {"token": "s3cret-token"})
    (tmp_path / "outside.yml").write_text(yaml.safe_dump({"services": {"far": service()}}))
    layer = {
        "include": ["parts/included.yml", "../outside.yml"],
        "services": {
            "layer": service(),
            "value": service(environment={"LEVEL": "${LEVEL}"}),
            "mounted": service(volumes=["./conf/app.conf:/app.conf:ro", "./data:/data"]),
            "large": service(volumes=["./conf/large.conf:/large.conf:ro"]),
            "secret": service(secrets=["token"]),
            "config": service(configs=["settings"]),
            "env-file": service(env_file=["conf/app.env"]),
            "extended": {"extends": {"file": "parts/base.yml", "service": "base"}},
            "optional": service(profiles=["optional"]),
            "built": {**service(), "image": f"{environment.folder.name}:1", "build": {"context": "./image"}},
            "seed": {**service(command=["true"], volumes=["./sql:/sql:ro"]), **INIT},
        },
        "secrets": {"token": {"file": "./secrets/token"}},
        "configs": {"settings": {"file": "./conf/settings"}},
    }
    made.write("compose.yml", layer)
    made.write("parts/included.yml", {"services": {"included": service()}})
    made.write("parts/base.yml", {"services": {"base": service()}})
    made.write("conf/app.conf", "one\n")
    made.write("conf/large.conf", "one" * (1 << 18))
    made.write("conf/app.env", "NAME=one\n")
    made.write("conf/settings", "one\n")
    made.write("sql/001.sql", "SELECT 1;\n")
    made.write("image/Dockerfile", "FROM busybox:1\nARG LEVEL=0\nLABEL level=$LEVEL\n")
    yield made
    environment.clean_up()
    for image in environment.engine.images.list(name=environment.folder.name):
        environment.engine.images.remove(image.id, force=True)


def edit(controller: Controller, name: str, change: Any) -> None:
    """Change a Compose file of the source."""
    layer = yaml.safe_load((controller.source / name).read_text())
    change(layer["services"])
    controller.write(name, layer)


CONTENT = {
    "layer": lambda c: edit(c, "compose.yml", lambda s: s["layer"].update(environment={"A": "1"})),
    "mounted": lambda c: c.write("conf/app.conf", "two\n"),
    "large": lambda c: c.write("conf/large.conf", "two" * (1 << 18)),
    "value": lambda c: c.variables.update(LEVEL="high"),
    "secret": lambda c: c.secrets.update(token="another-token"),
    "config": lambda c: c.write("conf/settings", "two\n"),
    "env-file": lambda c: c.write("conf/app.env", "NAME=two\n"),
    "included": lambda c: edit(c, "parts/included.yml", lambda s: s["included"].update(environment={"A": "1"})),
    "extended": lambda c: edit(c, "parts/base.yml", lambda s: s["base"].update(environment={"A": "1"})),
    "built": lambda c: edit(c, "compose.yml", lambda s: s["built"]["build"].update(args={"LEVEL": "1"})),
}
"""What changes a service of this name, and no other."""

SHAPE = {
    "optional": lambda c: c.variables.update(COMPOSE_PROFILES="optional"),
    "new": lambda c: edit(c, "compose.yml", lambda s: s.update(new=service())),
    "value": lambda c: edit(
        c, "compose.yml", lambda s: s["value"].update(volumes=["./data/kept:/a:ro", "${PWD}/data:/b"])
    ),
    "built": lambda c: edit(c, "compose.yml", lambda s: s["built"].update(image=f"{c.environment.folder.name}:2")),
    "layer": lambda c: c.write("compose.dev.yml", {"services": {"layer": {"environment": {"A": "2"}}}}),
}

GONE = {
    "optional": lambda c: c.variables.pop("COMPOSE_PROFILES"),
    "new": lambda c: edit(c, "compose.yml", lambda s: s.pop("new")),
    "layer": lambda c: (c.source / "compose.dev.yml").unlink(),
}


def test_what_is_planned_with_what_is_on_the_controller_is_what_is_then_done(controller: Controller):
    environment = controller.environment
    environment.write("data/kept", "kept")
    plan = controller.plan()
    controller.bring()
    assert plan.result["actions"] == environment.deploy().result["actions"]
    for changes in (CONTENT, SHAPE, GONE):
        for change in changes.values():
            change(controller)
        before = environment.ids()
        plan = controller.plan()
        assert {service for service, _action in plan.actions} == set(changes), plan.message
        assert environment.ids() == before
        controller.bring()
        assert plan.result["actions"] == environment.deploy().result["actions"]
    assert not controller.plan().changed


def test_on_a_host_that_has_nothing_each_module_plans_what_it_will_make(controller: Controller):
    environment, folder = controller.environment, controller.environment.folder
    server = {"image": "postgres:17", "environment": {"POSTGRES_PASSWORD": "${LEVEL}"}, "volumes": ["data:/var"]}
    layer = {
        "services": {"web": service(), "postgres": server, "seed": {**service(), **INIT}},
        "volumes": {"data": None},
    }
    controller.write("compose.yml", layer)
    controller.write(".env.example", "LEVEL=\n")
    controller.write("migrations/001.sql", "CREATE TABLE a ();\n")
    folder.rmdir()
    env_file = environment.run(
        "compose_env_file", "--check", incoming=controller.packed("compose_env_file"), variables=controller.variables
    )
    assert env_file.changed, env_file.message
    database = controller.plan("postgres_env", database="shop", service="postgres")
    assert {("postgres", "create"), ("postgres", "create database")} <= database.actions, database.message
    migrations = controller.plan("postgres_migrate", database="shop", directory="migrations")
    assert migrations.actions == {("postgres", "migrate")}, migrations.message
    assert ("seed", "init") in controller.plan("compose_init").actions
    assert {("web", "create"), ("postgres", "create")} <= controller.plan("compose_env").actions
    assert not folder.exists() and not environment.state_dir.exists() and environment.containers() == []
    folder.mkdir()


def test_it_arrives_through_ansible_and_is_in_nothing_that_is_printed(environment: Environment, tmp_path: Path):
    layer = {"services": {"web": service(environment={"PASSWORD": "${PASSWORD}"})}}
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "compose.yml").write_text(yaml.safe_dump(layer))
    variables, secrets = {"PASSWORD": "canary-in-the-env-file"}, {"token": "canary-in-a-secret-file"}
    incoming = {"source": str(tmp_path / "source"), "variables": variables, "secrets": secrets}
    plan = environment.adhoc("compose_env", "--check", "--diff", "-vvvv", incoming=incoming)
    assert plan.actions == {("web", "create")}, plan.message
    assert "canary" not in plan.printed
    assert not list(environment.folder.iterdir()) and environment.containers() == []


@pytest.mark.parametrize("strike", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_of_it_is_left_by_a_plan_that_is_killed(controller: Controller, tmp_path: Path, strike: signal.Signals):
    compose = tmp_path / "docker" / "cli-plugins" / "docker-compose"
    compose.parent.mkdir(parents=True)
    compose.write_text(
        f'#!/bin/sh\ncase "$*" in *config*) echo "$*" > {tmp_path}/seen; exec sleep 60;; *) echo 2.26;; esac\n'
    )
    compose.chmod(0o755)
    options = controller.environment.options(
        "compose_env", {"incoming": controller.packed(), "_ansible_check_mode": True}
    )
    argv = [sys.executable, "-m", "ansible_collections.strata.compose.plugins.modules.compose_env"]
    where = {"PYTHONPATH": str(REPOSITORY / ".ansible/collections"), "DOCKER_CONFIG": str(tmp_path / "docker")}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **where}) as module:
        assert module.stdin
        module.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode())
        module.stdin.close()
        awaited(lambda: (tmp_path / "seen").exists() and (tmp_path / "seen").read_text().endswith("\n"))
        (mirror,) = set(re.findall(r"\S*/strata-[0-9a-f]{32}", (tmp_path / "seen").read_text()))
        seen = Path(mirror + str(controller.environment.folder)) / "secrets" / "token"
        assert seen.read_text() == "s3cret-token" and Path(mirror).stat().st_mode & 0o777 == 0o700
        module.send_signal(strike)
    awaited(lambda: not os.path.lexists(mirror))


def awaited(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
