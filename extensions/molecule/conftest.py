"""The managed hosts from outside: over HTTP, over ssh, and their engines through the Docker SDK."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import docker
import pytest
import yaml
from docker.models.containers import Container

REPOSITORY = Path(__file__).resolve().parents[2]
LABS = REPOSITORY / ".cache" / "lab"
INVENTORY = (REPOSITORY / "extensions" / "molecule" / "inventory", LABS / "molecule" / "hosts.yml")
SERVICE = "com.docker.compose.service"
PROJECT = "com.docker.compose.project"


@dataclass(frozen=True)
class Host:
    """A managed host."""

    name: str
    address: str
    ssh_config: Path
    engine: docker.DockerClient

    def shell(self, command: str) -> str:
        """What a command on the host prints."""
        argv = ["ssh", "-F", str(self.ssh_config), self.name, command]
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout

    def containers(self, project: str | None = None) -> dict[str, Container]:
        """Everything that its engine has, or has of a project, by service.

        A service with two containers is an error, and so is a stranger.
        """
        label = [] if project is None else [f"{PROJECT}={project}"]
        found = self.engine.containers.list(all=True, filters={"label": label})
        by_service = {each.labels[SERVICE]: each for each in found}
        assert len(by_service) == len(found), found
        return by_service

    def ids(self) -> dict[str, str]:
        """The containers' ids by service."""
        return {service: str(each.id) for service, each in self.containers().items()}

    def starts(self) -> dict[str, tuple[str, str, str]]:
        """What any touch of a container would change, by service: its id, its state, and when it was started."""
        found = {service: (str(each.id), each.attrs["State"]) for service, each in self.containers().items()}
        return {service: (id_, state["Status"], state["StartedAt"]) for service, (id_, state) in found.items()}

    def states(self) -> dict[str, str]:
        """State and health by service, as in "running, healthy"."""
        states = {service: each.attrs["State"] for service, each in self.containers().items()}
        return {
            service: ", ".join([state["Status"], *([state["Health"]["Status"]] if state["Running"] else [])])
            for service, state in states.items()
        }

    def get(self, port: int, path: str = "/") -> str:
        """What a browser gets from a port of the host."""
        with urlopen(f"http://{self.address}:{port}{path}", timeout=10) as response:
            return str(response.read().decode())

    def post(self, port: int, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to JSON that is posted to a port of the host."""
        request = Request(
            f"http://{self.address}:{port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urlopen(request, timeout=10) as response:
            return dict(json.load(response))


Hosts = dict[str, Host]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """The host of each environment."""
    groups = yaml.safe_load((INVENTORY[0] / "hosts.yml").read_text())["all"]["children"]
    with hosts_of("molecule", tmp_path_factory.mktemp("engines")) as found:
        yield {group: found[name] for group, content in groups.items() for name in content["hosts"]}


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Host]]:
    """The same hosts as those of one environment."""
    with hosts_of("molecule", tmp_path_factory.mktemp("engines")) as found:
        yield list(found.values())


@pytest.fixture(scope="session", params=["molecule-bare-1", "molecule-bare-2"], ids=["nothing", "a client"])
def bare_host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The hosts that came without an engine; one had a client."""
    with hosts_of("molecule-bare", tmp_path_factory.mktemp("engines")) as found:
        yield found[request.param]


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a command of Ansible in the repository, as its users do, with the inventory of the scenarios."""
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
        "ANSIBLE_INVENTORY": ",".join(map(str, INVENTORY)),
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_NOCOLOR": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    return run


@contextlib.contextmanager
def hosts_of(lab: str, folder: Path) -> Iterator[Hosts]:
    """The hosts of a lab of tests/lab/hosts.py, for as long as the block runs."""
    (group,) = yaml.safe_load((LABS / lab / "hosts.yml").read_text()).values()
    addresses = {name: str(variables["ansible_host"]) for name, variables in group["hosts"].items()}
    ssh_config = LABS / lab / "ssh_config"
    with contextlib.ExitStack() as stack:
        yield {
            name: Host(name, address, ssh_config, stack.enter_context(engine_of(name, ssh_config, folder)))
            for name, address in addresses.items()
        }


@contextlib.contextmanager
def engine_of(host: str, ssh_config: Path, folder: Path) -> Iterator[docker.DockerClient]:
    """The engine of a host, through an ssh that insists on the host's key."""
    socket = folder / host
    forward = ["-o", "ExitOnForwardFailure=yes", "-L", f"{socket}:/var/run/docker.sock"]
    tunnel = subprocess.Popen(["ssh", "-F", str(ssh_config), "-N", *forward, host], stdin=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert tunnel.poll() is None, f"ssh to {host} ended"
            time.sleep(0.05)
        with contextlib.closing(docker.DockerClient(base_url=f"unix://{socket}")) as engine:
            yield engine
    finally:
        tunnel.terminate()
        tunnel.wait()
