"""Networks, volumes and names that a deployment runs into: told before anything is touched.

Each way out that a message names is tried.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import docker
import pytest

from tests.integration.conftest import IMAGE, Environment, service
from tests.integration.test_preflight import refused


@dataclass
class Outside:
    """Names on the engine that belong to no environment of a test, and go when the test ends."""

    engine: docker.DockerClient
    prefix: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:8]}")

    @property
    def network(self) -> str:
        return f"{self.prefix}-net"

    @property
    def volume(self) -> str:
        return f"{self.prefix}-vol"

    @property
    def container(self) -> str:
        return f"{self.prefix}-box"

    def remove_containers(self) -> None:
        for container in self.engine.containers.list(all=True, filters={"name": self.prefix}):
            container.remove(force=True)

    def clean_up(self) -> None:
        for network in self.engine.networks.list(names=[self.prefix]):
            network.remove()
        for volume in self.engine.volumes.list(filters={"name": self.prefix}):
            volume.remove()


@pytest.fixture
def outside(environment: Environment) -> Iterator[Outside]:
    """Cleaned up after the environment's containers have gone, which is cleaned up once more by its own fixture."""
    names = Outside(environment.engine)
    yield names
    names.remove_containers()
    environment.clean_up()
    names.clean_up()


@pytest.fixture
def second(environment: Environment) -> Iterator[Environment]:
    """Another environment of the same folder."""
    other = replace(environment, name="test")
    yield other
    other.clean_up()


def exists(engine: docker.DockerClient, kind: str, name: str) -> bool:
    collection = {"network": engine.networks, "volume": engine.volumes}[kind]
    return name in [each.name for each in collection.list()]


def external_layers(outside: Outside) -> dict[str, object]:
    return {
        "services": {
            "web": service(networks=["proxy"], volumes=["shared:/shared"]),
            "db": service(),
        },
        "networks": {"proxy": {"external": True, "name": outside.network, "internal": True}},
        "volumes": {"shared": {"external": True, "name": outside.volume}},
    }


def test_missing_externals_are_told_and_can_be_created_by_hand(environment: Environment, outside: Outside) -> None:
    environment.write("compose.yml", {"services": {"web": service()}})
    environment.deploy()
    environment.write("compose.yml", external_layers(outside))
    message = refused(environment).message
    assert f"service web: external network {outside.network} does not exist" in message
    assert f"service web: external volume {outside.volume} does not exist" in message
    assert f"docker network create {outside.network}" in message
    assert f"docker volume create {outside.volume}" in message
    outside.engine.networks.create(outside.network)
    outside.engine.volumes.create(outside.volume)
    assert environment.deploy().actions == {("web", "recreate"), ("db", "create")}


def test_missing_externals_are_created_as_the_layers_say_and_never_removed(
    environment: Environment, outside: Outside
) -> None:
    environment.write("compose.yml", external_layers(outside))
    planned = environment.plan(external="create")
    created = {(f"network {outside.network}", "create"), (f"volume {outside.volume}", "create")}
    assert planned.actions == {*created, ("web", "create"), ("db", "create")}
    assert not exists(outside.engine, "network", outside.network)
    assert environment.deploy(external="create").actions == planned.actions
    network = outside.engine.networks.get(outside.network)
    assert network.attrs["Internal"]
    assert not network.attrs["Labels"]
    assert not outside.engine.volumes.get(outside.volume).attrs["Labels"]
    assert not environment.deploy().changed
    removed = environment.deploy(state="absent", volumes=True, confirm="dev").actions
    assert not {each for each in removed if outside.prefix in each[0]}
    assert exists(outside.engine, "network", outside.network)
    assert exists(outside.engine, "volume", outside.volume)


def test_init_phase_has_missing_externals_created(environment: Environment, outside: Outside) -> None:
    step = service(command=["true"], profiles=["init"], networks=["proxy"], volumes=["shared:/shared"])
    layers = {**external_layers(outside), "services": {"migrations": step}}
    environment.write("compose.yml", layers)
    refusal = environment.run("compose_init")
    assert f"service migrations: external network {outside.network} does not exist" in refusal.message
    assert environment.run("compose_init", "--check").message == refusal.message
    created = {(f"network {outside.network}", "create"), (f"volume {outside.volume}", "create")}
    for flags in (["--check"], []):
        outcome = environment.run("compose_init", *flags, external="create")
        assert not outcome.failed, outcome.message
        assert outcome.actions == {*created, ("migrations", "init")}
    assert not outside.engine.volumes.get(outside.volume).attrs["Labels"]


def test_networks_of_the_engine_need_not_be_created(environment: Environment) -> None:
    layers = {
        "services": {"web": service(networks=["lan"])},
        "networks": {"lan": {"external": True, "name": "host"}},
    }
    environment.write("compose.yml", layers)
    assert not environment.plan().failed


def test_volume_that_became_external_outlives_its_environment(environment: Environment) -> None:
    layers = {"services": {"web": service(volumes=["data:/data"])}, "volumes": {"data": {}}}
    environment.write("compose.yml", layers)
    environment.deploy()
    environment.inside("web", "touch", "/data/kept")
    name = f"{environment.project}_data"
    environment.write("compose.yml", {**layers, "volumes": {"data": {"external": True, "name": name}}})
    environment.deploy()
    assert environment.inside("web", "ls", "/data") == "kept\n"
    outcome = environment.deploy(state="absent", volumes=True, confirm="dev")
    assert (f"volume {name}", "remove") not in outcome.actions
    assert exists(environment.engine, "volume", name)


def test_label_of_a_volume_loses_nothing(environment: Environment) -> None:
    layers = {"services": {"web": service(volumes=["data:/data"])}, "volumes": {"data": {}}}
    environment.write("compose.yml", layers)
    environment.deploy()
    environment.inside("web", "touch", "/data/kept")
    environment.write("compose.yml", {**layers, "volumes": {"data": {"labels": {"backup": "yes"}}}})
    environment.deploy()
    assert environment.inside("web", "ls", "/data") == "kept\n"
    assert not environment.deploy().changed


def memory_volume(**keys: object) -> dict[str, object]:
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    layers = {"data": {"driver_opts": options, **keys}}
    return {"services": {"web": service(volumes=["data:/data"])}, "volumes": layers}


@pytest.mark.parametrize("way_out", ["name", "remove"])
def test_options_of_a_volume_that_exists(environment: Environment, way_out: str) -> None:
    environment.write("compose.yml", {**memory_volume(), "volumes": {"data": {}}})
    environment.deploy()
    environment.write("compose.yml", memory_volume())
    message = refused(environment).message
    name = f"{environment.project}_data"
    assert f"service web: volume {name} was made with another driver option device" in message
    if way_out == "name":
        environment.write("compose.yml", memory_volume(name=f"{environment.project}-new"))
        environment.deploy()
        assert exists(environment.engine, "volume", name), "the old data was not asked to be removed"
    else:
        assert "state=absent volumes=true confirm=dev" in message
        environment.deploy(state="absent", volumes=True, confirm="dev")
        environment.deploy()
    assert "tmpfs on /data" in environment.inside("web", "mount")


def fixed_names(outside: Outside) -> dict[str, object]:
    return {
        "services": {"db": service(container_name=outside.container, volumes=["data:/data"], networks=["lan"])},
        "volumes": {"data": {"name": outside.volume}},
        "networks": {"lan": {"name": outside.network}},
    }


def test_fixed_names_of_another_environment(environment: Environment, outside: Outside, second: Environment) -> None:
    environment.write("compose.yml", fixed_names(outside))
    environment.deploy()
    message = refused(second).message
    owner = f"project {environment.project}"
    assert f"container name {outside.container} belongs to service db of {owner}" in message
    assert f"service db: volume {outside.volume} already exists and was made by {owner}" in message
    assert f"service db: network {outside.network} already exists and was made by {owner}" in message
    layer = {
        "services": {"db": {"container_name": f"{outside.container}-2"}},
        "volumes": {"data": {"external": True, "name": outside.volume}},
        "networks": {"lan": {"name": f"{outside.network}-2"}},
    }
    environment.write("compose.test.yml", layer)
    second.deploy()
    assert second.container("db").name == f"{outside.container}-2"


def test_container_name_that_a_stranger_has(environment: Environment, outside: Outside) -> None:
    stranger = outside.engine.containers.create(IMAGE, name=outside.container)
    environment.write("compose.yml", {"services": {"db": service(container_name=outside.container)}})
    message = refused(environment).message
    assert f"container name {outside.container} belongs to a container that Compose did not make" in message
    assert f"docker rename {outside.container} NEW_NAME" in message
    stranger.rename(f"{outside.container}-old")
    environment.deploy()


def test_container_name_moves_with_a_renamed_service(environment: Environment, outside: Outside) -> None:
    environment.write("compose.yml", {"services": {"db": service(container_name=outside.container)}})
    environment.deploy()
    environment.write("compose.yml", {"services": {"database": service(container_name=outside.container)}})
    assert environment.deploy().actions == {("db", "remove"), ("database", "create")}


def test_replicas_that_cannot_share(environment: Environment, outside: Outside) -> None:
    environment.write("compose.yml", {"services": {"web": service(ports=["28431-28432:80"])}})
    environment.deploy(scale={"web": 2})
    assert "3 replicas cannot share the host ports 28431-28432" in refused(environment, scale={"web": 3}).message
    environment.write("compose.yml", {"services": {"web": service(ports=["28431:80"])}})
    message = refused(environment, scale={"web": 2}).message
    assert "2 replicas cannot share host port 28431: publish a range that is wide enough (28431-28432:80)" in message
    environment.write("compose.yml", {"services": {"web": service(container_name=outside.container)}})
    assert (
        f"2 replicas cannot share container_name {outside.container}" in refused(environment, scale={"web": 2}).message
    )


def test_changed_network_with_a_stranger_in_it(environment: Environment, outside: Outside) -> None:
    layers = {"services": {"web": service(networks=["lan"])}, "networks": {"lan": {}}}
    environment.write("compose.yml", layers)
    environment.deploy()
    name = f"{environment.project}_lan"
    stranger = outside.engine.containers.run(IMAGE, ["sleep", "600"], name=outside.container, network=name, detach=True)
    environment.write("compose.yml", {**layers, "networks": {"lan": {"internal": True}}})
    message = refused(environment).message
    assert f"network {name} has to be made anew" in message
    assert f"docker network disconnect {name} {outside.container}" in message
    removed = environment.run(state="absent")
    assert (f"network {name}", "remove") not in removed.actions
    (warning,) = removed.result["warnings"]
    assert f"network {name} is not removed, for container {outside.container} uses it" in str(warning)
    assert exists(environment.engine, "network", name)
    again = environment.run(state="absent")
    assert not again.changed
    outside.engine.networks.get(name).disconnect(stranger)
    assert (f"network {name}", "remove") in environment.deploy(state="absent").actions
    environment.deploy()
    assert environment.engine.networks.get(name).attrs["Internal"]


def test_network_with_another_name_leaves_a_stranger_its_own(environment: Environment, outside: Outside) -> None:
    layers = {"services": {"web": service(networks=["lan"])}, "networks": {"lan": {}}}
    environment.write("compose.yml", layers)
    environment.deploy()
    name = f"{environment.project}_lan"
    outside.engine.containers.run(IMAGE, ["sleep", "600"], name=outside.container, network=name, detach=True)
    environment.write("compose.yml", {**layers, "networks": {"lan": {"name": f"{outside.network}"}}})
    environment.deploy()
    assert exists(environment.engine, "network", name)
    assert environment.container("web").attrs["NetworkSettings"]["Networks"].keys() == {outside.network}


def test_failed_release_with_another_network_leaves_the_old_one_serving(environment: Environment) -> None:
    """The subnet goes back too, or the old container's fixed address would not fit it."""
    web = service(networks={"lan": {"ipv4_address": "10.211.7.9"}})
    environment.write("compose.yml", {"services": {"web": web}, "networks": {"lan": subnet("10.211.7.0/24")}})
    environment.deploy()
    web = service(networks={"lan": {"ipv4_address": "10.211.8.9"}}, command=["false"])
    environment.write("compose.yml", {"services": {"web": web}, "networks": {"lan": subnet("10.211.8.0/24")}})
    outcome = environment.run()
    assert outcome.failed
    networks = environment.container("web").attrs["NetworkSettings"]["Networks"]
    assert [each["IPAddress"] for each in networks.values()] == ["10.211.7.9"], outcome.message


def subnet(pool: str) -> dict[str, object]:
    return {"ipam": {"config": [{"subnet": pool}]}}


ADDRESSES = {
    "outside": ({"ipv4_address": "10.199.2.7"}, "10.199.2.7 is not in the subnet of network inner, 10.199.1.0/24"),
    "gateway": ({"ipv4_address": "10.199.1.1"}, "10.199.1.1 of network inner is that of its gateway"),
    "twice": ({"ipv4_address": "10.199.1.8"}, "ipv4_address 10.199.1.8 is that of service first too"),
    "without": (
        {"ipv6_address": "fd00:199::8"},
        "fd00:199::8 needs a subnet, and network inner has none",
    ),
}


def inner(subnet: str = "10.199.1.0/24", gateway: str = "10.199.1.1") -> dict[str, object]:
    return {"ipam": {"config": [{"subnet": subnet, "gateway": gateway}]}}


def test_fixed_addresses_that_the_engine_would_refuse(environment: Environment) -> None:
    services = {name: service(networks={"inner": keys}) for name, (keys, _message) in ADDRESSES.items()}
    services["first"] = service(networks={"inner": {"ipv4_address": "10.199.1.8"}})
    services["many"] = service(networks={"inner": {"ipv4_address": "10.199.1.9"}}, deploy={"replicas": 2})
    environment.write("compose.yml", {"services": services, "networks": {"inner": inner()}})
    message = refused(environment).message
    for told in (*(each for _keys, each in ADDRESSES.values()), "service many: 2 replicas cannot share ipv4_address"):
        assert told in message
    del services["many"]
    for name in ADDRESSES:
        del services[name]
    environment.write("compose.yml", {"services": services, "networks": {"inner": inner()}})
    environment.deploy()


def test_fixed_address_of_a_stranger(environment: Environment, outside: Outside) -> None:
    layer = {"services": {"web": service(networks=["inner"])}, "networks": {"inner": inner()}}
    environment.write("compose.yml", layer)
    environment.deploy()
    stranger = outside.engine.containers.create(IMAGE, ["sleep", "3600"], name=outside.container)
    outside.engine.networks.get(f"{environment.project}_inner").connect(stranger, ipv4_address="10.199.1.20")
    stranger.start()
    layer["services"] = {"web": service(networks={"inner": {"ipv4_address": "10.199.1.20"}})}
    environment.write("compose.yml", layer)
    assert f"10.199.1.20 of network inner is that of container {outside.container}" in refused(environment).message
    stranger.stop(timeout=0)
    environment.deploy()
    assert environment.deploy(recreate="always").actions == {("web", "recreate")}, "its own address is no stranger's"


def test_subnets_that_overlap(environment: Environment, outside: Outside) -> None:
    pool = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet="10.199.4.0/22")])
    taken = outside.engine.networks.create(outside.network, ipam=pool)
    networks = {"inner": inner("10.199.5.0/24", "10.199.5.1"), "one": inner("10.199.8.0/24", "10.199.8.1")}
    networks["two"] = inner("10.199.8.128/25", "10.199.8.129")
    web = service(networks=[*networks])
    environment.write("compose.yml", {"services": {"web": web}, "networks": networks})
    message = refused(environment).message
    assert f"its subnet 10.199.5.0/24 overlaps 10.199.4.0/22 of network {outside.network}, which exists" in message
    assert f"its subnet 10.199.8.128/25 overlaps 10.199.8.0/24 of network {environment.project}_one" in message
    taken.remove()
    networks["two"] = inner("10.199.9.0/24", "10.199.9.1")
    environment.write("compose.yml", {"services": {"web": web}, "networks": networks})
    environment.deploy()
    networks["one"] = inner("10.199.8.0/25", "10.199.8.1")
    environment.write("compose.yml", {"services": {"web": web}, "networks": networks})
    assert environment.deploy().actions == {("web", "recreate")}, "a network that is made anew is not in its own way"
