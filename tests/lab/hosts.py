"""Bring up managed hosts on this machine: containers with ssh, a file system and an engine of their own.

    python tests/lab/hosts.py up --name strata --count 3 --image shop-api:1.0.0 --inventory lab.yml
    python tests/lab/hosts.py down --name strata

A lab is a docker network and the hosts on it. Its key, host keys, ssh configuration and inventory are in
`.cache/lab/<name>`; `ssh -F .cache/lab/strata/ssh_config strata-1` logs in by hand.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import json
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "lab"
LABEL = "strata.lab"
HOST_IMAGE = "strata-managed-host:latest"
REGISTRY_IMAGE = "strata-registry:latest"
REGISTRY_PORT = 5000
READY_SECONDS = 60
PARALLEL = 8

# What `--privileged` gives, except SYS_RESOURCE: an engine does without it, and machines that are containers
# themselves cannot give it.
RIGHTS = (
    "--cap-add=ALL",
    "--cap-drop=SYS_RESOURCE",
    "--cgroupns=private",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined",
    "--device-cgroup-rule=a *:* rwm",
)


@dataclass(frozen=True)
class Host:
    """A managed host."""

    name: str
    address: str


@dataclass(frozen=True)
class Registry:
    """An image registry in a lab, as image names begin: for this machine's engine, and for the hosts' engines."""

    here: str
    on_hosts: str


@dataclass(frozen=True)
class Lab:
    """Managed hosts on a network of their own."""

    name: str
    hosts: tuple[Host, ...]
    inventory: Path

    @property
    def folder(self) -> Path:
        """Where its key and its ssh configuration are."""
        return CACHE / self.name

    def __getitem__(self, number: int) -> Host:
        return self.hosts[number]

    def ssh(self, host: Host, *command: str, user: str = "root") -> subprocess.CompletedProcess[str]:
        """Run a command on a host over ssh."""
        return run("ssh", "-F", str(self.folder / "ssh_config"), "-l", user, host.name, *command, check=False)


def up(
    name: str,
    count: int,
    images: Sequence[str] = (),
    inventory: Path | None = None,
    host_image: str = HOST_IMAGE,
    group: str = "lab",
) -> Lab:
    """Have a lab of so many hosts that answer and hold these images; hosts that exist already are kept."""
    make_image(host_image)
    key = make_key(CACHE / name)
    subnet = make_network(name)
    hosts = tuple(Host(f"{name}-{number}", str(subnet[10 + number])) for number in range(1, count + 1))
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(lambda host: bring_up(host, name, subnet, host_image, key, images), hosts))
    lab = Lab(name, hosts, inventory or CACHE / name / "hosts.yml")
    write_ssh_files(lab)
    write_inventory(lab, group)
    return lab


def down(name: str) -> None:
    """Remove a lab with all that is in it."""
    containers = lines("docker", "ps", "--all", "--quiet", "--filter", f"label={LABEL}={name}")
    if containers:
        run("docker", "rm", "--force", "--volumes", *containers)
    networks = lines("docker", "network", "ls", "--quiet", "--filter", f"label={LABEL}={name}")
    if networks:
        run("docker", "network", "rm", *networks)
    shutil.rmtree(CACHE / name, ignore_errors=True)


@contextlib.contextmanager
def lab_of(name: str, count: int, images: Sequence[str] = (), host_image: str = HOST_IMAGE) -> Iterator[Lab]:
    """A lab for as long as the block runs."""
    try:
        yield up(name, count, images, host_image=host_image)
    finally:
        down(name)


def make_image(image: str) -> None:
    """Have an image of tests/images in the engine."""
    subprocess.run([sys.executable, str(ROOT / "tests" / "images" / "build.py"), image], check=True)


def make_key(folder: Path) -> Path:
    """The key that the hosts let in."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = folder / "id_ed25519"
    if not key.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(key))
    return key


def make_network(name: str) -> ipaddress.IPv4Network:
    """The lab's network; with a subnet of its own choice, so that hosts keep their addresses when they restart."""
    if not lines("docker", "network", "ls", "--quiet", "--filter", f"name=^{name}$"):
        subnet = free_subnet(f"{name}-probe")
        run("docker", "network", "create", "--label", f"{LABEL}={name}", "--subnet", subnet, name)
    return ipaddress.IPv4Network(subnet_of(name))


def free_subnet(probe: str) -> str:
    """A subnet that the engine would choose."""
    run("docker", "network", "create", probe)
    try:
        return subnet_of(probe)
    finally:
        run("docker", "network", "rm", probe)


def subnet_of(network: str) -> str:
    """The subnet of a docker network."""
    configs = json.loads(output("docker", "network", "inspect", "--format", "{{json .IPAM.Config}}", network))
    return str(configs[0]["Subnet"])


def bring_up(host: Host, lab: str, subnet: ipaddress.IPv4Network, image: str, key: Path, images: Sequence[str]) -> None:
    """Have the host run, answer, and hold the images."""
    if not lines("docker", "ps", "--all", "--quiet", "--filter", f"name=^{host.name}$"):
        create(host, lab, subnet, image, key)
    run("docker", "start", host.name)
    wait_until(lambda: ssh_answers(host), f"ssh of {host.name}")
    if has_engine(host):
        wait_until(lambda: engine_answers(host), f"the engine of {host.name}")
        seed(host, images)


def create(host: Host, lab: str, subnet: ipaddress.IPv4Network, image: str, key: Path) -> None:
    """Make the host's container; its engine may pull from registries inside the lab, and asks our name servers."""
    public_key = key.with_suffix(".pub").read_text().strip()
    placed = ("--network", lab, "--ip", host.address, "--hostname", host.name, "--label", f"{LABEL}={lab}")
    engine_options = (f"--insecure-registry={subnet}", *(f"--dns={address}" for address in name_servers()))
    run(
        *("docker", "create", "--name", host.name, *RIGHTS, *placed, "--volume", "/var/lib/docker"),
        *("--env", f"AUTHORIZED_KEYS={public_key}", image, *engine_options),
    )


def name_servers() -> list[str]:
    """The name servers of this machine that containers can reach too."""
    words = [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines()]
    addresses = [word[1] for word in words if word[:1] == ["nameserver"]]
    return [address for address in addresses if not ipaddress.ip_address(address.partition("%")[0]).is_loopback]


def ssh_answers(host: Host) -> bool:
    """Whether the host's ssh server greets."""
    with contextlib.suppress(OSError), socket.create_connection((host.address, 22), timeout=1) as connection:
        return connection.recv(4) == b"SSH-"
    return False


def has_engine(host: Host) -> bool:
    """Whether an engine is installed on the host."""
    return run("docker", "exec", host.name, "sh", "-c", "command -v dockerd", check=False).returncode == 0


def engine_answers(host: Host) -> bool:
    """Whether the host's engine is ready."""
    return run("docker", "exec", host.name, "docker", "info", check=False).returncode == 0


def wait_until(condition: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
    """Ask again and again until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not answer within {seconds:.0f} s")
        time.sleep(0.1)


def seed(host: Host, images: Sequence[str]) -> None:
    """Copy images of this machine's engine to the host's, those that it lacks."""
    missing = [image for image in images if image_id(image) != image_id(image, "docker", "exec", host.name)]
    if not missing:
        return
    with subprocess.Popen(["docker", "save", *missing], stdout=subprocess.PIPE) as archive:
        load = ["docker", "exec", "--interactive", host.name, "docker", "load", "--quiet"]
        subprocess.run(load, stdin=archive.stdout, stdout=subprocess.DEVNULL, check=True)


def image_id(image: str, *where: str) -> str | None:
    """The id of an image in this machine's engine, or in the one that the command `where` leads to."""
    shown = run(*where, "docker", "image", "inspect", "--format", "{{.Id}}", image, check=False)
    return shown.stdout.strip() if shown.returncode == 0 else None


def write_ssh_files(lab: Lab) -> None:
    """Write known_hosts with the keys that the hosts really have, and an ssh configuration that insists on them."""
    keys = [output("docker", "exec", host.name, "cat", "/etc/ssh/ssh_host_ed25519_key.pub") for host in lab.hosts]
    known = [f"{host.name},{host.address} {key}" for host, key in zip(lab.hosts, keys)]
    (lab.folder / "known_hosts").write_text("\n".join(known) + "\n")
    each = [f"Host {host.name} {host.address}\n  HostName {host.address}\n" for host in lab.hosts]
    common = {
        "User": "root",
        "IdentityFile": f'"{lab.folder / "id_ed25519"}"',
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": f'"{lab.folder / "known_hosts"}"',
        "StrictHostKeyChecking": "yes",
    }
    (lab.folder / "ssh_config").write_text("".join([*each, "Host *\n", *(f"  {k} {v}\n" for k, v in common.items())]))


def write_inventory(lab: Lab, group: str) -> None:
    """Write an inventory with the hosts in one group; the variables are each host's own, so that labs combine."""
    variables = {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(lab.folder / "id_ed25519"),
        "ansible_ssh_common_args": f"-F {shlex.quote(str(lab.folder / 'ssh_config'))}",
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    hosts = {host.name: {"ansible_host": host.address, **variables} for host in lab.hosts}
    lab.inventory.parent.mkdir(parents=True, exist_ok=True)
    lab.inventory.write_text(yaml.safe_dump({group: {"hosts": hosts}}, explicit_start=True))


def registry(lab: Lab) -> Registry:
    """Have a registry in the lab; it ends with the lab."""
    name = f"{lab.name}-registry"
    if not lines("docker", "ps", "--quiet", "--filter", f"name=^{name}$"):
        make_image(REGISTRY_IMAGE)
        placed = ("--network", lab.name, "--label", f"{LABEL}={lab.name}", "--publish", f"127.0.0.1::{REGISTRY_PORT}")
        run("docker", "run", "--detach", "--name", name, *placed, REGISTRY_IMAGE)
    address = output("docker", "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name)
    wait_until(lambda: port_answers(address, REGISTRY_PORT), name)
    return Registry(output("docker", "port", name, str(REGISTRY_PORT)), f"{address}:{REGISTRY_PORT}")


def port_answers(address: str, port: int) -> bool:
    """Whether something listens there."""
    with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
        return True
    return False


def lines(*command: str) -> list[str]:
    """What a command prints, by line."""
    return output(*command).splitlines()


def output(*command: str) -> str:
    """What a command prints."""
    return run(*command).stdout.strip()


def run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command; the error of one that fails names what it said."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed ({done.returncode}): {done.stderr.strip()}")
    return done


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Bring up managed hosts as containers, or take them down.")
    commands = parser.add_subparsers(dest="command", required=True)
    bring = commands.add_parser("up", help="bring up hosts, or those that are missing")
    bring.add_argument("--count", type=int, default=3, help="how many (default: %(default)s)")
    bring.add_argument("--image", action="append", default=[], help="image that each host shall hold; repeatable")
    bring.add_argument("--inventory", type=Path, help="file to write (default: .cache/lab/<name>/hosts.yml)")
    bring.add_argument("--group", default="lab", help="their group in the inventory (default: %(default)s)")
    bring.add_argument("--host-image", default=HOST_IMAGE, help="what they are made of (default: %(default)s)")
    for command in (bring, commands.add_parser("down", help="remove the hosts")):
        command.add_argument("--name", default="strata", help="name of the lab (default: %(default)s)")
    return parser.parse_args()


def main() -> None:
    """Do what the command line says."""
    wish = arguments()
    if wish.command == "down":
        down(wish.name)
        return
    lab = up(wish.name, wish.count, wish.image, wish.inventory, wish.host_image, wish.group)
    print(f"{len(lab.hosts)} hosts: {lab.inventory}")


if __name__ == "__main__":
    main()
