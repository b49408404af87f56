"""The projects that are deployed, and what is left of them on the engine."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from measure import run

ROOT = Path(__file__).resolve().parents[2]
SHOP = ROOT / "examples" / "shop"
IMAGE = "busybox:1"
ENVIRONMENT = "dev"
SMALL_FILES = 21
PORTS = ("API_PORT", "APP_PORT", "POSTGRES_PORT", "REDIS_PORT")


@dataclass(frozen=True)
class Project:
    """A folder with layers and an env file, and what Compose calls it."""

    name: str
    folder: Path
    layers: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def env_file(self) -> Path:
        return self.folder / f".env.{ENVIRONMENT}"

    @property
    def compose(self) -> tuple[str, ...]:
        """What every call by hand begins with."""
        layers = [word for layer in self.layers for word in ("--file", str(self.folder / layer))]
        named = ("--project-name", self.name, "--project-directory", str(self.folder))
        return ("docker", "compose", *named, *layers, "--env-file", str(self.env_file))

    def write_env(self, **changed: str) -> None:
        """Write the env file as somebody would who changes a value."""
        lines = [f"{name}={value}\n" for name, value in {**self.variables, **changed}.items()]
        self.env_file.write_text("".join(lines))


def small_project(folder: Path, name: str, services: int) -> Project:
    """A project of two layers whose services need next to nothing, with about as many files as the example."""
    names = [f"service-{number:02}" for number in range(1, services + 1)]
    base = {"services": {each: _sleeping() for each in names}}
    mounted = {"volumes": ["./conf/01.conf:/etc/service.conf:ro"]}
    titled = {each: {"environment": {"TITLE": "${TITLE}"}} for each in names}
    layer = {"services": {**titled, names[0]: {**titled[names[0]], **mounted}}}
    (folder / "conf").mkdir(parents=True)
    (folder / "compose.yaml").write_text(yaml.safe_dump(base))
    (folder / f"compose.{ENVIRONMENT}.yaml").write_text(yaml.safe_dump(layer))
    (folder / ".env.example").write_text("LEVEL=info\nTITLE=Tea\n")
    for number in range(1, SMALL_FILES + 1):
        (folder / "conf" / f"{number:02}.conf").write_text(f"number = {number}\n" * 40)
    (folder / "README.md").write_text("A project for the benchmark.\n")
    project = Project(
        name, folder, ("compose.yaml", f"compose.{ENVIRONMENT}.yaml"), {"LEVEL": "info", "TITLE": "Tea shop"}
    )
    project.write_env()
    return project


def chained_project(folder: Path, name: str, services: int, chains: int) -> Project:
    """A project with chains of three services, of which a change of CHANGED reaches both ends, and services beside."""
    found = {f"beside-{number:02}": _sleeping() for number in range(1, services - 3 * chains + 1)}
    for number in range(1, chains + 1):
        database, middle, web = (f"{kind}-{number}" for kind in ("database", "middle", "web"))
        found[database] = _changing()
        found[middle] = {**_sleeping(), "depends_on": [database]}
        found[web] = {**_changing(), "depends_on": [middle]}
    folder.mkdir(parents=True)
    (folder / "compose.yaml").write_text(yaml.safe_dump({"services": found}))
    project = Project(name, folder, ("compose.yaml",), {"LEVEL": "info", "CHANGED": "0"})
    project.write_env()
    return project


def _changing() -> dict[str, Any]:
    service = _sleeping()
    return {**service, "environment": {**service["environment"], "CHANGED": "${CHANGED}"}}


def _sleeping() -> dict[str, Any]:
    """A service that runs for days and stops at once."""
    return {
        "image": IMAGE,
        "command": ["sleep", "1000000"],
        "init": True,
        "stop_grace_period": "1s",
        "environment": {"LEVEL": "${LEVEL}"},
    }


def shop_project(folder: Path, name: str) -> Project:
    """A copy of the example, with ports that nobody uses and images at hand."""
    shutil.copytree(SHOP, folder, ignore=shutil.ignore_patterns(".env", ".env.*[!e]", "secrets", "__pycache__"))
    variables = {
        "SHOP_VERSION": "1.0.0",
        "SHOP_TITLE": "Tea shop",
        "LOG_LEVEL": "info",
        "POSTGRES_DB": "shop",
        "POSTGRES_USER": "shop",
        "POSTGRES_PASSWORD": "bench",
        **dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True)),
    }
    project = Project(name, folder, ("docker-compose.yml", f"docker-compose.{ENVIRONMENT}.yml"), variables)
    project.write_env()
    have_images(project)
    return project


def have_images(project: Project) -> None:
    """Build what is missing, so that no side has to."""
    wanted = run(*project.compose, "config", "--images").split()
    have = run("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    if not set(wanted) <= set(have):
        run(*project.compose, "build", env={**os.environ, "DOCKER_BUILDKIT": "1"})


def free_ports(count: int) -> list[int]:
    """Ports on which nothing listens."""
    listeners = [socket.create_server(("", 0)) for _number in range(count)]
    ports = [int(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def remove(name: str) -> None:
    """Remove all that the engine has of a project, by its label; again if something came while it was removed."""
    label = f"label=com.docker.compose.project={name}"
    kinds = {
        ("ps", "--all", "--quiet"): ("rm", "--force", "--volumes"),
        ("network", "ls", "--quiet"): ("network", "rm"),
        ("volume", "ls", "--quiet"): ("volume", "rm", "--force"),
    }
    for attempt in range(3):
        time.sleep(attempt)
        found = {remove: run("docker", *look, "--filter", label).split() for look, remove in kinds.items()}
        if not any(found.values()):
            return
        for command, ids in found.items():
            if ids:
                run("docker", *command, *ids, check=False)
