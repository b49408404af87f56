"""Images from a real registry on loopback: pulled when missing, looked for again when asked, and never twice."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import docker
import pytest

from tests.integration.conftest import IMAGE, Environment, service
from tests.lab.hosts import REGISTRY_IMAGE, REGISTRY_PORT, make_image, wait_until


@pytest.fixture(scope="module")
def address(engine: docker.DockerClient) -> Iterator[str]:
    make_image(REGISTRY_IMAGE)
    ports = {f"{REGISTRY_PORT}/tcp": ("127.0.0.1", None)}
    container = engine.containers.run(REGISTRY_IMAGE, detach=True, ports=ports)
    try:
        container.reload()
        port = int(container.ports[f"{REGISTRY_PORT}/tcp"][0]["HostPort"])
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/v2/"), "the registry")
        yield f"127.0.0.1:{port}"
    finally:
        container.remove(force=True, v=True)


def answers(url: str) -> bool:
    """Whether the registry itself answers; its published port accepts connections before."""
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def publish(engine: docker.DockerClient, name: str, label: str) -> str:
    """Push an image under a name and forget it here; its id."""
    base = engine.containers.create(IMAGE, ["true"])
    repository, tag = name.rsplit(":", 1)
    image = base.commit(repository, tag, changes=[f"LABEL version={label}"])
    base.remove()
    assert "error" not in engine.images.push(repository, tag)
    engine.images.remove(name)
    return str(image.id)


def test_missing_image_is_pulled(environment: Environment, engine: docker.DockerClient, address: str) -> None:
    name = f"{address}/{environment.folder.name}:1"
    publish(engine, name, "one")
    environment.write("compose.yml", {"services": {"web": service(image=name), "twin": service(image=name)}})
    pulls = {("web", "pull"), ("twin", "pull")}
    assert environment.plan().actions == pulls | {("web", "create"), ("twin", "create")}
    assert environment.deploy().actions == pulls | {("web", "create"), ("twin", "create")}
    assert environment.container("web").labels["version"] == "one"
    assert not environment.deploy().changed
    environment.clean_up()
    engine.images.remove(name)


def test_release_with_digests_comes_back(environment: Environment, engine: docker.DockerClient, address: str) -> None:
    """No tag can be given to a name with a digest, and none is needed: it always means the same image."""
    pinned = []
    for version in ("1", "2"):
        name = f"{address}/{environment.folder.name}:{version}"
        publish(engine, name, version)
        pinned.append(f"{name}@{engine.images.get_registry_data(name).id}")
    environment.write("compose.yml", {"services": {"web": service(image=pinned[0])}})
    environment.deploy()
    environment.write("compose.yml", {"services": {"web": service(image=pinned[1], command=["false"])}})
    assert environment.run().result["state"] == "rolled_back"
    assert environment.container("web").labels["version"] == "1"
    environment.write("compose.yml", {"services": {"web": service(image=pinned[1])}})
    environment.deploy()
    assert environment.container("web").labels["version"] == "2"
    environment.deploy(state="rolled_back")
    assert environment.container("web").labels["version"] == "1"
    environment.deploy()
    first = environment.engine.images.get(pinned[0])
    engine.images.remove(pinned[0])
    outcome = environment.run(state="rolled_back")
    assert outcome.failed
    assert f"image {pinned[0]} is missing. Nothing was changed" in outcome.message
    assert environment.container("web").labels["version"] == "2"
    environment.clean_up()
    engine.images.remove(pinned[1])
    assert first.id


def test_moved_tag_is_found_only_by_pull_always(
    environment: Environment, engine: docker.DockerClient, address: str
) -> None:
    name = f"{address}/{environment.folder.name}:moving"
    publish(engine, name, "one")
    environment.write("compose.yml", {"services": {"web": service(image=name), "idle": service()}})
    environment.deploy()
    here = engine.images.get(name)
    publish(engine, name, "two")
    here.tag(name)
    assert not environment.deploy().changed
    assert not environment.plan(pull="always").changed, "what a registry will say cannot be foretold"
    environment.write("compose.yml", {"services": {"web": service(image=name), "idle": service()}})
    outcome = environment.deploy(state="pulled", services=["web"])
    assert outcome.actions == {("web", "pull")}
    assert not environment.deploy(state="pulled", services=["web"]).changed
    assert environment.deploy(services=["web"], pull="always").actions == {("web", "recreate")}
    assert environment.container("web").labels["version"] == "two"
    environment.clean_up()
    engine.images.remove(name, force=True)


def test_pull_policy_of_a_service_is_obeyed(
    environment: Environment, engine: docker.DockerClient, address: str
) -> None:
    name = f"{address}/{environment.folder.name}:policy"
    publish(engine, name, "one")
    environment.write("compose.yml", {"services": {"web": service(image=name, pull_policy="never")}})
    reason = "pull_policy of service web is never"
    for flags in (["--check"], []):
        outcome = environment.run("compose_env", *flags)
        assert outcome.failed
        assert f"image {name} is not here and may not be pulled ({reason})" in outcome.message
    assert not engine.images.list(name)
    environment.write("compose.yml", {"services": {"web": service(image=name, pull_policy="always")}})
    environment.deploy()
    here = engine.images.get(name)
    publish(engine, name, "two")
    here.tag(name)
    assert environment.deploy().actions == {("web", "pull"), ("web", "recreate")}
    assert environment.container("web").labels["version"] == "two"
    environment.clean_up()
    engine.images.remove(name, force=True)
