"""Run a second Docker Engine, of another Debian release, beside this machine's own, as root on Debian 12 or 13.

    python tests/lab/second_engine.py up --suite forky        # Engine 28.5 and Compose 2.40; trixie: 26.1 and 2.26
    python tests/lab/second_engine.py run --suite forky CMD   # a command there, in the folder where one is
    python tests/lab/second_engine.py down --suite forky

It lives in namespaces of its own (mounts, network, processes, ipc) above this machine's files: what it writes stays in
memory, except for this repository, which is shared, and the engine's images, which have a folder until `down`. Its
packages are installed before it is cut off, so it needs no network, and both engines run at once.

Known limits: the network has no way out, so images are carried over from this machine's engine; and `pivot_root` makes
the root, for with `chroot` alone the engine cannot give containers a root of their own, and `docker exec` fails.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SUITES = ("forky", "trixie")
PACKAGES = (
    "docker.io",
    "docker-cli",
    "docker-compose",
    "docker-buildx",
    "containerd",
    "runc",
    "iptables",
    "iproute2",
    "tini",
)
MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
READY_SECONDS = 120
PLUGINS = ("root/.docker/cli-plugins", "usr/local/lib/docker/cli-plugins", "usr/local/libexec/docker/cli-plugins")
"""Where the CLI looks for plugins before it looks where Debian's packages put them."""

INSTALL = """
set -eu
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/run"
exec chroot "$1" sh -c "apt-get update && $2"
"""

ENTER = """
set -eu
root=$1 images=$2
shift 2
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mkdir -p "$root/run/lock" "$root/var/lib/docker" "$root/pivoted"
mount --bind "$images" "$root/var/lib/docker"
for shared; do
    mkdir -p "$root$shared"
    mount --rbind "$shared" "$root$shared"
done
cd "$root"
pivot_root . pivoted
cd /
umount -l /pivoted
ip link set lo up
exec tini -s -- sleep infinity
"""
"""Makes the overlay the root of its namespaces, and stays as their first process."""


@dataclass(frozen=True)
class Place:
    """Where an engine of a Debian release lives."""

    suite: str

    @property
    def base(self) -> Path:
        return Path("/var/tmp") / f"strata-engine-{self.suite}"

    @property
    def root(self) -> Path:
        return self.base / "root"

    @property
    def memory(self) -> Path:
        return self.base / "memory"

    @property
    def images(self) -> Path:
        return self.base / "images"

    @property
    def log(self) -> Path:
        return REPOSITORY / ".cache" / f"engine-{self.suite}.log"

    @property
    def cgroup(self) -> str:
        return f"strata-engine-{self.suite}"

    @property
    def first_process(self) -> int | None:
        """The process that holds the namespaces, as this machine numbers it; None before they are ready, and after."""
        with contextlib.suppress(OSError, ValueError):
            number = int((self.base / "pid").read_text())
            if Path(f"/proc/{number}/comm").read_text().strip() == "tini":
                return number
        return None


def up(place: Place, shared: Sequence[str] = ()) -> None:
    """Have the engine run, with the images of the tests that this machine's engine has, and share folders with it."""
    if place.first_process is not None:
        print(f"an engine of {place.suite} runs already")
        return
    down(place)
    try:
        lay_out(place)
        install(place)
        enter(place, (str(REPOSITORY), *shared))
        start(place)
        carry_images(place)
    except BaseException:
        down(place)
        raise
    print(output(*inside(place), "docker", "version", "--format", "Engine {{.Server.Version}}"), end=" with ")
    print(output(*inside(place), "docker", "compose", "version"))


def lay_out(place: Place) -> None:
    """Lay a root in memory over this machine's."""
    for folder in (place.root, place.memory, place.images):
        folder.mkdir(parents=True, exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", "size=8g", "tmpfs", str(place.memory))
    upper, work = place.memory / "upper", place.memory / "work"
    upper.mkdir()
    work.mkdir()
    run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work}", str(place.root))


def install(place: Place) -> None:
    """Put the release's packages into the new root, over this machine's network."""
    source = f"Types: deb\nURIs: {mirror()}\nSuites: {place.suite}\nComponents: main\nSigned-By: {KEYRING}\n"
    (place.root / "etc/apt/sources.list.d/second-engine.sources").write_text(source)
    preference = f"Package: *\nPin: release n={place.suite}\nPin-Priority: 50\n"
    (place.root / "etc/apt/preferences.d/second-engine").write_text(preference)
    (place.root / "usr/local/bin/docker").unlink(missing_ok=True)
    for folder in PLUGINS:
        shutil.rmtree(place.root / folder, ignore_errors=True)
    command = f"apt-get install --yes --no-install-recommends --target-release {place.suite} {' '.join(PACKAGES)}"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    argv = ("unshare", "--mount", "--propagation", "private", "sh", "-c", INSTALL, "sh", str(place.root), command)
    run(*argv, environment=environment)


def mirror() -> str:
    """The mirror that this machine's packages come from."""
    folder = Path("/etc/apt")
    for path in (folder / "sources.list.d/debian.sources", folder / "sources.list"):
        if path.exists() and (found := re.search(r"^(?:URIs:|deb)\s+(?:\[[^\]]*\]\s+)?(\S+)", path.read_text(), re.M)):
            return found[1]
    return MIRROR


def enter(place: Place, shared: Sequence[str]) -> None:
    """Start the first process of the namespaces, in which these folders are this machine's own."""
    place.log.parent.mkdir(parents=True, exist_ok=True)
    argv = (
        "unshare",
        "--mount",
        "--net",
        "--pid",
        "--ipc",
        "--fork",
        "--propagation",
        "private",
        "sh",
        "-c",
        ENTER,
        "sh",
    )
    with place.log.open("w") as log:
        holder = subprocess.Popen(
            [*argv, str(place.root), str(place.images), *shared],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    wait_until(lambda: bool(child_of(holder.pid)) or holder.poll() is not None, place)
    number = child_of(holder.pid)
    (place.base / "pid").write_text(str(number))
    wait_until(lambda: place.first_process is not None or holder.poll() is not None, place)
    if place.first_process is None:
        raise RuntimeError(f"the namespaces could not be made: {place.log.read_text()}")


def child_of(number: int) -> int:
    """The first child of a process, 0 when there is none."""
    with contextlib.suppress(OSError):
        return int((Path(f"/proc/{number}/task/{number}/children").read_text().split() or ["0"])[0])
    return 0


def start(place: Place) -> None:
    """Start the engine and wait until it answers."""
    with place.log.open("a") as log:
        argv = [*inside(place), "dockerd", f"--cgroup-parent=/{place.cgroup}"]
        subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    wait_until(lambda: run(*inside(place), "docker", "info", check=False).returncode == 0, place)


def carry_images(place: Place) -> None:
    """Copy the images of the tests that this machine's engine has."""
    sys.path.insert(0, str(REPOSITORY))
    from tests.images.build import RECIPES

    names = [each.image for each in RECIPES]
    here = [name for name in names if run("docker", "image", "inspect", name, check=False).returncode == 0]
    if not here:
        return
    with subprocess.Popen(["docker", "save", *here], stdout=subprocess.PIPE) as archive:
        load = [*inside(place), "docker", "load", "--quiet"]
        subprocess.run(load, stdin=archive.stdout, stdout=subprocess.DEVNULL, check=True)


def inside(place: Place) -> list[str]:
    """What begins a command that is to run beside the engine, in the folder where this one runs."""
    number = place.first_process
    if number is None:
        raise SystemExit(f"no engine of {place.suite} runs: second_engine.py up --suite {place.suite}")
    enter = ["nsenter", "--target", str(number), "--mount", "--net", "--pid", "--ipc"]
    clean = ["env", "--unset=DOCKER_HOST", "--unset=DOCKER_CONTEXT", "--unset=DOCKER_CONFIG"]
    return [*enter, *clean, "sh", "-c", 'cd "$0" && exec "$@"', str(Path.cwd())]


def down(place: Place) -> None:
    """End everything that runs there, and take away what it has left."""
    if (number := place.first_process) is not None:
        os.kill(number, signal.SIGKILL)  # The kernel ends all processes of the namespace with its first.
        wait_until(lambda: not Path(f"/proc/{number}").exists(), place)
    for mount in (place.root, place.memory):
        while os.path.ismount(mount):
            run("umount", "--lazy", str(mount))
    shutil.rmtree(place.base, ignore_errors=True)
    if place.base.exists():
        raise RuntimeError(f"{place.base} could not be removed")
    remove_cgroups(place.cgroup)


def remove_cgroups(name: str) -> None:
    """Remove the engine's control groups, each hierarchy's when there are several."""
    for top in (*Path("/sys/fs/cgroup").glob(name), *Path("/sys/fs/cgroup").glob(f"*/{name}")):
        for folder, _folders, _files in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()


def wait_until(condition: object, place: Place) -> None:
    """Ask again and again until the condition holds."""
    deadline = time.monotonic() + READY_SECONDS
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise TimeoutError(f"the engine of {place.suite} was not ready within {READY_SECONDS} s: see {place.log}")
        time.sleep(0.1)


def run(
    *command: str, check: bool = True, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command; the error of one that fails names what it said."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, check=False
    )
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed ({done.returncode}):\n{done.stdout[-3000:]}{done.stderr}")
    return done


def output(*command: str) -> str:
    return run(*command).stdout.strip()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Run a second Docker Engine beside this machine's own.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, about in (("up", "start it"), ("run", "run a command there"), ("down", "end it and take all away")):
        command = commands.add_parser(name, help=about)
        command.add_argument("--suite", choices=SUITES, default=SUITES[0], help="Debian release (default: %(default)s)")
    sharing = "folder besides this repository that is written through; repeatable"
    commands.choices["up"].add_argument("--share", action="append", type=Path, default=[], help=sharing)
    commands.choices["run"].add_argument("argv", nargs=argparse.REMAINDER, metavar="CMD")
    options = parser.parse_args(arguments)
    if os.geteuid() != 0:
        parser.error("it needs root, for namespaces and mounts")
    place = Place(options.suite)
    if options.command == "run":
        return subprocess.run([*inside(place), *options.argv], check=False).returncode
    if options.command == "up":
        up(place, [str(each.resolve()) for each in options.share])
    else:
        down(place)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
