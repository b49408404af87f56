"""Images that the disk cannot hold are refused before they are pulled: an engine with little space, and a registry."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible
import docker
import pytest
import yaml
from docker.models.containers import Container

from tests.integration.conftest import IMAGE, REPOSITORY, Environment, service
from tests.integration.test_pull import answers
from tests.lab.hosts import HOST_IMAGE, REGISTRY_IMAGE, REGISTRY_PORT, RIGHTS, make_image, output, wait_until

MEGABYTE = 10**6
DISK = 130 * MEGABYTE
LAYER = 45 * MEGABYTE
"""Of random bytes, which nothing compresses: one image and its archive fit on the disk, and then no other one does."""

MODULES = "/strata"


@dataclass
class SmallHost:
    """A host whose engine has a small disk; the registry is on its loopback address."""

    container: Container
    registry: str
    """the same registry as this machine's engine calls it"""
    engine: docker.DockerClient

    def image(self, name: str, size: int, base: str = IMAGE) -> str:
        """Publish an image with so many random bytes on top of another; its name on the host."""
        made = self.engine.containers.create(base, ["true"])
        made.put_archive("/", archive_of(os.urandom(size), name))
        made.commit(f"{self.registry}/{name}", "1")
        made.remove()
        assert "error" not in self.engine.images.push(f"{self.registry}/{name}", "1")
        return f"127.0.0.1:{REGISTRY_PORT}/{name}:1"

    def run(self, layer: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Run compose_env on the host."""
        self.container.exec_run(["mkdir", "-p", "/opt/shop"])
        self.container.put_archive("/opt/shop", archive_of(yaml.safe_dump({"services": layer}).encode(), "compose.yml"))
        told = {"project_dir": "/opt/shop", "environment": "dev", "stable_for": 0, **options}
        self.container.put_archive("/tmp", archive_of(json.dumps({"ANSIBLE_MODULE_ARGS": told}).encode(), "arguments"))
        argv = ["python3", "-m", "ansible_collections.strata.compose.plugins.modules.compose_env", "/tmp/arguments"]
        variables = {"PYTHONPATH": MODULES, "PYTHONDONTWRITEBYTECODE": "1"}
        printed = self.container.exec_run(argv, environment=variables).output
        return {"failed": False, **json.loads(printed)}

    def inside(self, *argv: str) -> str:
        code, printed = self.container.exec_run(list(argv))
        assert code == 0, printed
        return str(printed.decode())

    def images(self) -> set[str]:
        return set(self.inside("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split())


def archive_of(content: bytes, name: str) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


@pytest.fixture(scope="module")
def host(engine: docker.DockerClient) -> Iterator[SmallHost]:
    make_image(HOST_IMAGE)
    make_image(REGISTRY_IMAGE)
    plugins = f"{MODULES}/ansible_collections/strata/compose/plugins"
    mounts = {REPOSITORY / "plugins": plugins, Path(ansible.__file__).parent: f"{MODULES}/ansible"}
    volumes = [word for here, there in mounts.items() for word in ("--volume", f"{here}:{there}:ro")]
    disk = ("--tmpfs", f"/var/lib/docker:size={DISK},exec", "--publish", f"127.0.0.1::{REGISTRY_PORT}")
    container = engine.containers.get(output("docker", "run", "--detach", *RIGHTS, *disk, *volumes, HOST_IMAGE))
    registry = engine.containers.run(REGISTRY_IMAGE, detach=True, network_mode=f"container:{container.id}")
    try:
        container.reload()
        port = container.ports[f"{REGISTRY_PORT}/tcp"][0]["HostPort"]
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/v2/"), "the registry")
        wait_until(lambda: container.exec_run(["docker", "info"]).exit_code == 0, "the engine")
        yield SmallHost(container, f"127.0.0.1:{port}", engine)
    finally:
        for each in (registry, container):
            each.remove(force=True, v=True)
        for image in engine.images.list(name=f"127.0.0.1:{port}/*"):
            engine.images.remove(image.id, force=True)


def test_space_is_compared_before_anything_is_pulled(host: SmallHost) -> None:
    first = host.image("first", LAYER)
    own = service(image=first)
    assert not (deployed := host.run({"web": own}))["failed"], deployed["msg"]
    before = host.inside("docker", "ps", "--quiet")

    second = host.image("second", LAYER)
    twice = {"web": own, "api": service(image=second), "worker": service(image=second)}
    for options in ({}, {"_ansible_check_mode": True}, {"state": "pulled", "services": ["api"]}):
        refused = host.run(twice, **options)
        assert refused["failed"], options
        assert f"pulling {second} needs about {2 * LAYER // MEGABYTE} MB" in refused["msg"]
        assert "/var/lib/docker has 8" in refused["msg"]
        assert "docker image prune" in refused["msg"]
        assert refused["msg"].endswith("Nothing was changed.")
    assert second not in host.images()
    assert host.inside("docker", "ps", "--quiet") == before
    assert not host.run({"web": own})["changed"]

    # The refusal was right: the engine itself runs out of space.
    code, printed = host.container.exec_run(["docker", "pull", second])
    assert code != 0
    assert b"no space left on device" in printed

    # Layers that are here cost nothing, though the image as a whole would not fit.
    third = host.image("third", MEGABYTE, base=f"{host.registry}/first:1")
    assert not (deployed := host.run({"web": own, "api": service(image=third)}))["failed"], deployed["msg"]
    assert third in host.images()


def test_without_a_size_nothing_is_checked(environment: Environment) -> None:
    """A registry that does not answer: the pull itself tells so, as ever."""
    environment.write("compose.yml", {"services": {"web": service(image="127.0.0.1:9/none:1")}})
    assert not environment.plan().failed
    assert "cannot be had" in environment.run().message
