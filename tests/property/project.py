"""A document as a project on this machine: its files, what is done to it by hand, and Compose without us."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import docker
from docker.models.containers import Container

from tests.integration.conftest import IMAGE, Environment
from tests.property.case import Document
from tests.property.document import active, mounted, profiles
from tests.property.witness import Sight, look


@dataclass
class Project:
    """The environment of one cell."""

    environment: Environment
    document: Document = field(default_factory=dict)

    @property
    def engine(self) -> docker.DockerClient:
        return self.environment.engine

    def write(self, document: Document) -> None:
        """Write what differs from what is there; files are replaced, as editors and Ansible do."""
        self.document = document
        contents = {**document["files"], "compose.yml": json.dumps(document["layer"], indent=1)}
        contents[".env.dev"] = "".join(f"{name}={value}\n" for name, value in document["variables"].items())
        for name, content in contents.items():
            path = self.environment.folder / name
            if not path.exists() or path.read_text() != content:
                self.environment.write(name, content)

    def look(self) -> Sight:
        return look(self.engine, self.environment.project)

    def meddle(self, how: str, service: str) -> None:
        """What somebody does by hand to the first container of a service, if there is one that it can be done to."""
        for each in self.environment.containers(service)[:1]:
            if how in ("remove", "prune") and (how == "remove" or each.status == "exited"):
                each.remove(force=True)
            elif how in ("stop", "kill", "pause") and each.status == "running":
                stop(each) if how == "stop" else each.kill() if how == "kill" else each.pause()

    def compose(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """The docker CLI as its user types it in the project directory."""
        folder = self.environment.folder
        begin = ["docker", "compose", "-p", self.environment.project, "--project-directory", str(folder)]
        begin += ["-f", str(folder / "compose.yml"), "--env-file", str(folder / ".env.dev")]
        begin += [word for profile in profiles(self.document) for word in ("--profile", profile)]
        return subprocess.run(
            [*begin, *argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
        )

    def stale_files(self, services: set[str]) -> Iterator[str]:
        """Mounted files that running containers see with another content than the project has."""
        for name in sorted(services & active(self.document).keys()):
            wanted = mounted(self.document, active(self.document)[name])
            for each in self.environment.containers(name) if wanted else ():
                if each.status == "running":
                    yield from _stale(each, wanted, self.document)


def _stale(container: Container, wanted: dict[str, str], document: Document) -> Iterator[str]:
    for target, source in wanted.items():
        code, content = _read(container, target)
        if code or content != document["files"][source].encode():
            yield f"stale: {container.name} has another {source}: {content!r}"


def _read(container: Container, path: str) -> tuple[int | None, Any]:
    """What a container sees there; a busy engine loses the output of an exec now and then, and no file is empty."""
    for _again in range(3):
        code, content = container.exec_run(["cat", path])
        if code or content:
            break
    return code, content


def stop(container: Container) -> None:
    container.stop(timeout=1)


@contextlib.contextmanager
def bystander(engine: docker.DockerClient, project: str, services: list[str]) -> Iterator[dict[str, Any]]:
    """A project whose name differs by a letter, with the same services; what it has when it is made."""
    labels = {"com.docker.compose.project": f"{project}2", "com.docker.compose.oneoff": "False"}
    network = engine.networks.create(f"{project}2_default", labels=labels)
    volume = engine.volumes.create(f"{project}2_data", labels=labels)
    service = {"com.docker.compose.service": services[0], "com.docker.compose.container-number": "1"}
    container = engine.containers.run(
        IMAGE,
        ["sleep", "3600"],
        name=f"{project}2-{services[0]}-1",
        labels={**labels, **service},
        network=network.name,
        volumes=[f"{volume.name}:/data"],
        init=True,
        detach=True,
    )
    try:
        container.reload()
        yield container.attrs["State"]
    finally:
        with contextlib.suppress(docker.errors.NotFound):
            container.remove(force=True)
        network.remove()
        volume.remove()


def bystander_now(engine: docker.DockerClient, project: str) -> dict[str, Any]:
    """What the bystander has now, nothing when it is gone."""
    label = f"com.docker.compose.project={project}2"
    networks, volumes = engine.networks.list(filters={"label": label}), engine.volumes.list(filters={"label": label})
    containers = engine.containers.list(all=True, filters={"label": label})
    return dict(containers[0].attrs["State"]) if containers and networks and volumes else {}
