"""Where a cell of the matrix runs: on this machine's engine, or on a managed host that may be killed as a whole."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import ansible as ansible_package
import docker

from tests import processes
from tests.integration.conftest import ANSIBLE, REPOSITORY, ansible_environment
from tests.lab import hosts

MODULE = "ansible_collections.strata.compose.plugins.modules.compose_env"
COLLECTIONS = REPOSITORY / ".ansible" / "collections"
COPIED = "/opt/faults-modules"
"""Where a managed host has the module for `prepare`, in the way in which Ansible packs it."""

SECONDS = 90
"""So long may any step of a cell take."""


@dataclass
class Attempt:
    """A deployment that was started; its output goes to a file, which orphans of a killed process may keep open."""

    process: subprocess.Popen[bytes]
    output: Path

    def wait(self) -> int:
        return self.process.wait(SECONDS)

    @property
    def printed(self) -> str:
        return self.output.read_text(errors="replace")

    def end(self) -> None:
        """Kill what is left of it on this machine; it has a process group of its own."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait(SECONDS)


class Place(Protocol):
    """What cells need of the machine that they deploy to."""

    @property
    def projects(self) -> str:
        """Folder of project folders, as the module sees it."""

    @property
    def engine(self) -> docker.DockerClient: ...

    @property
    def root(self) -> Path:
        """Its file system, as this process sees it."""

    def process(self, pid: int) -> int | None:
        """The process that has this number there, by its number here."""

    def start(self, source: Path, options: dict[str, Any], output: Path) -> Attempt:
        """Begin the deployment of a folder, as a user does."""

    def prepare(self, source: Path, options: dict[str, Any], output: Path) -> Attempt:
        """Begin a deployment that nobody strikes, as fast as can be."""


def started(argv: list[str], output: Path, stdin: bytes = b"", **more: str) -> Attempt:
    """Start a process in a session of its own."""
    with tempfile.TemporaryFile() as given, output.open("wb") as file:
        given.write(stdin)
        given.seek(0)
        environment = {**ansible_environment(), **more}
        return Attempt(
            subprocess.Popen(
                argv, stdin=given, stdout=file, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            ),
            output,
        )


@dataclass
class Machine:
    """This machine; the module runs as the process that Ansible would start."""

    folder: Path
    name: str = "here"

    @property
    def projects(self) -> str:
        return str(self.folder)

    @cached_property
    def engine(self) -> docker.DockerClient:
        return docker.from_env()

    @property
    def root(self) -> Path:
        return Path("/")

    def process(self, pid: int) -> int | None:
        return pid if processes.exists(pid) else None

    def start(self, source: Path, options: dict[str, Any], output: Path) -> Attempt:
        assert str(source.parent) == self.projects
        arguments = json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode()
        return started([sys.executable, "-m", MODULE], output, arguments, PYTHONPATH=str(COLLECTIONS))

    prepare = start


@dataclass
class ManagedHost:
    """A host with an engine of its own; playbooks/deploy.yml deploys to it over ssh."""

    lab: hosts.Lab
    folder: Path
    """for what runs on the controller"""
    projects: str = "/opt/faults"

    @property
    def name(self) -> str:
        return self.lab[0].name

    @cached_property
    def init(self) -> int:
        """Its first process; another one after each start."""
        return int(hosts.output("docker", "inspect", "--format", "{{.State.Pid}}", self.name))

    @property
    def root(self) -> Path:
        return Path(f"/proc/{self.init}/root")

    @cached_property
    def engine(self) -> docker.DockerClient:
        """Its engine through its own socket, so that nothing depends on the ssh that cells cut."""
        return docker.DockerClient(f"unix:///proc/{self.init}/root/run/docker.sock")

    def process(self, pid: int) -> int | None:
        return processes.in_namespace_of(self.init, pid)

    def start(self, source: Path, options: dict[str, Any], output: Path) -> Attempt:
        told = {f"compose_env_{name}": value for name, value in options.items()}
        variables = output.with_suffix(".json")
        variables.write_text(json.dumps({**told, "deploy_source": str(source)}))
        argv = [str(ANSIBLE.with_name("ansible-playbook")), str(REPOSITORY / "playbooks" / "deploy.yml")]
        argv += ["-i", str(self.lab.inventory), "--limit", self.name, "-e", f"@{variables}"]
        # Masters of ssh connections are each run's own: one that outlived its host would be in the next run's way.
        return started(argv, output, ANSIBLE_SSH_CONTROL_PATH_DIR=tempfile.mkdtemp(dir=self.folder, prefix="cp"))

    def prepare(self, source: Path, options: dict[str, Any], output: Path) -> Attempt:
        if not (self.root / COPIED.lstrip("/")).exists():
            self._copy_module()
        hosts.run("docker", "exec", self.name, "mkdir", "-p", self.projects)
        hosts.run("docker", "cp", str(source), f"{self.name}:{self.projects}/")
        arguments = json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode()
        command = ["docker", "exec", "--interactive", "--env", f"PYTHONPATH={COPIED}", self.name]
        return started([*command, "python3", "-m", MODULE], output, arguments)

    def _copy_module(self) -> None:
        ansible = Path(ansible_package.__file__).parent
        target = self.root / COPIED.lstrip("/")
        parts = {
            ansible / "module_utils": "ansible/module_utils",
            COLLECTIONS / "ansible_collections/strata/compose/plugins": "ansible_collections/strata/compose/plugins",
        }
        for source, name in parts.items():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        (target / "ansible" / "__init__.py").touch()

    def kill(self) -> None:
        """Kill all that runs there, at once, and forget what was known of it."""
        hosts.run("docker", "kill", self.name)
        for name in ("init", "engine"):
            self.__dict__.pop(name, None)

    def bring_up(self) -> None:
        """Start it, and wait until it answers."""
        hosts.run("docker", "start", self.name)
        hosts.wait_until(lambda: hosts.ssh_answers(self.lab[0]), f"ssh of {self.name}")
        self.wait_for_engine()

    @contextlib.contextmanager
    def small_disk(self, folder: str, size: str) -> Iterator[None]:
        """A file system of its own over one of its folders."""
        hosts.run("docker", "exec", self.name, "mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)
        try:
            yield
        finally:
            hosts.run("docker", "exec", self.name, "umount", folder)

    def wait_for_engine(self) -> None:
        hosts.wait_until(lambda: hosts.engine_answers(self.lab[0]), f"the engine of {self.name}")
