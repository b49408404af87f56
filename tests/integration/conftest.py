"""A real engine, real projects in folders of their own, and the Docker SDK as the independent witness."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml
from ansible_collections.strata.compose.plugins.module_utils._images import repository
from docker.models.containers import Container

from tests.integration.module_server import run_module
from tests.unit.modules import SPECS

REPOSITORY = Path(__file__).resolve().parents[2]
ANSIBLE = Path(sys.executable).with_name("ansible")
IMAGE = "busybox:1"
"""A process, a shell and a web server in 2 MB; built by tests/images."""


# Chosen here, so that all workers of one run agree; DOTENV_SEED=... CANARY_SEED=... repeat a run.
os.environ.setdefault("DOTENV_SEED", str(random.SystemRandom().randrange(10**6)))
os.environ.setdefault("CANARY_SEED", str(random.SystemRandom().randrange(10**6)))


def pytest_report_header() -> list[str]:
    return [
        f"seed of generated env files: {os.environ['DOTENV_SEED']}",
        f"seed of canaries: {os.environ['CANARY_SEED']}",
    ]


@dataclass
class Outcome:
    """What a module told, and all that Ansible printed."""

    result: dict[str, Any]
    printed: str

    @property
    def changed(self) -> bool:
        return bool(self.result.get("changed"))

    @property
    def failed(self) -> bool:
        return bool(self.result.get("failed"))

    @property
    def actions(self) -> set[tuple[str, str]]:
        return {(each["service"], each["action"]) for each in self.result["actions"]}

    @property
    def message(self) -> str:
        return str(self.result.get("msg", ""))


@dataclass
class Environment:
    """A project folder with layers, run as one environment on the local engine."""

    folder: Path
    state_dir: Path
    engine: docker.DockerClient
    name: str = "dev"
    variables: dict[str, Any] = field(default_factory=dict)
    adopts: Path | None = None
    """the state folder of another one that stands for the same project on another host, which shares its engine here"""

    @property
    def project(self) -> str:
        return f"{self.folder.name}-{self.name}"

    def write(self, name: str, content: str | dict[str, Any]) -> Path:
        """Write a layer or another file of the project; replaced by rename, as Ansible's own modules do."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + ".new")
        new.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        new.replace(path)
        return path

    def options(self, module: str, given: dict[str, Any]) -> dict[str, Any]:
        """What a module is told: the environment, and the options given."""
        own = {"project_dir": str(self.folder), "environment": self.name, "state_dir": str(self.state_dir)}
        gate = {"stable_for": 1} if module == "compose_env" else {}
        shared = {"adopt_from": str(self.adopts)} if self.adopts and "adopt_from" in SPECS[module] else {}
        told = {**own, **gate, **shared, **self.variables, **given}
        return {key: value for key, value in told.items() if value is not None}

    def on_another_host(self, name: str = "other") -> Environment:
        """The same project as another host has it, with a state of its own; both are on this engine here."""
        self.adopts = self.state_dir.with_name(name)
        return replace(self, state_dir=self.adopts, adopts=self.state_dir)

    def run(self, module: str = "compose_env", *flags: str, **options: Any) -> Outcome:
        """Run a module on this machine: as the process that Ansible starts on a host, or through Ansible as a whole.

        The latter costs a second more, so it is left to tests of what Ansible has a part in, and to compose_files.
        """
        told = self.options(module, options)
        if module != "compose_files" and set(flags) <= {"--check", "--diff"}:
            return process(module, {**told, **{f"_ansible_{MODES[flag]}": True for flag in flags}})
        return adhoc(module, told, *flags)

    def adhoc(self, module: str, *flags: str, **options: Any) -> Outcome:
        """Run a module through Ansible."""
        return adhoc(module, self.options(module, options), *flags)

    def deploy(self, **options: Any) -> Outcome:
        outcome = self.run(**options)
        assert not outcome.failed, outcome.message
        return outcome

    def plan(self, **options: Any) -> Outcome:
        return self.run("compose_env", "--check", "--diff", **options)

    def containers(self, service: str | None = None) -> list[Container]:
        """What the engine has of the project, one-off containers left out."""
        labels = [f"com.docker.compose.project={self.project}", "com.docker.compose.oneoff=False"]
        if service:
            labels.append(f"com.docker.compose.service={service}")
        found: list[Container] = self.engine.containers.list(all=True, filters={"label": labels}, ignore_removed=True)
        return sorted(found, key=lambda each: str(each.name))

    def container(self, service: str) -> Container:
        (found,) = self.containers(service)
        return found

    def ids(self) -> dict[str, list[str]]:
        """Container ids by service."""
        found: dict[str, list[str]] = {}
        for each in self.containers():
            found.setdefault(each.labels["com.docker.compose.service"], []).append(str(each.id))
        return {name: sorted(ids) for name, ids in found.items()}

    def inside(self, service: str, *argv: str) -> str:
        """What a command in the service's container prints."""
        code, output = self.container(service).exec_run(list(argv))
        assert code == 0, output
        return str(output.decode())

    def variable(self, service: str, name: str) -> str:
        """The value that the engine gives to the processes of a service; empty when it gives none."""
        given = dict(each.partition("=")[::2] for each in self.container(service).attrs["Config"]["Env"])
        return str(given.get(name, ""))

    def clean_up(self) -> None:
        for each in self.engine.containers.list(
            all=True, filters={"label": f"com.docker.compose.project={self.project}"}
        ):
            each.remove(force=True, v=True)
        label = {"label": f"com.docker.compose.project={self.project}"}
        for network in self.engine.networks.list(filters=label):
            network.remove()
        for volume in self.engine.volumes.list(filters=label):
            volume.remove(force=True)
        held = repository(self.project)
        for image in self.engine.images.list(name=held):
            for tag in [each for each in image.tags if each.startswith(f"{held}:")]:
                self.engine.images.remove(tag)


def as_before(record: dict[str, Any]) -> str:
    """A record of the state folder as the version before wrote it, without the digest that would not fit any more."""
    return json.dumps({key: value for key, value in record.items() if key not in ("format", "digest")}, indent=1)


MODES = {"--check": "check_mode", "--diff": "diff"}


def process(module: str, options: dict[str, Any]) -> Outcome:
    """Run a module in a process of its own, with its arguments on standard input."""
    arguments = json.dumps({"ANSIBLE_MODULE_ARGS": options})
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / ".ansible/collections")}
    output, errors = run_module(module, arguments, environment)
    assert output.startswith("\n{"), output + errors
    return Outcome({"failed": False, **json.loads(output)}, output + errors)


def adhoc(module: str, options: dict[str, Any], *flags: str, variables: dict[str, str] | None = None) -> Outcome:
    """``ansible localhost -m strata.compose.<module>`` with the repository's own configuration."""
    argv = [str(ANSIBLE), "localhost", "-i", "localhost,", "-c", "local", *flags]
    argv += ["-e", f"ansible_python_interpreter={sys.executable}"]
    argv += ["-m", f"strata.compose.{module}", "-a", json.dumps(options)]
    completed = subprocess.run(argv, capture_output=True, text=True, env=ansible_environment(variables), check=False)
    return Outcome(parsed(completed.stdout), completed.stdout + completed.stderr)


def ansible_environment(variables: dict[str, str] | None = None) -> dict[str, str]:
    """The process environment under which the repository's collection is found from any folder."""
    return {
        **os.environ,
        "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        **(variables or {}),
    }


def ansible_playbook(
    *arguments: str | Path, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook from the repository's folder: on this machine, unless an inventory is given."""
    where = () if "-i" in arguments else ("-i", "localhost,", "-c", "local")
    argv = [ANSIBLE.with_name("ansible-playbook"), *where, "-e", f"ansible_python_interpreter={sys.executable}"]
    return subprocess.run(
        [*argv, *arguments],
        capture_output=True,
        text=True,
        env=ansible_environment(variables),
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def parsed(printed: str) -> dict[str, Any]:
    """The result in ``localhost | CHANGED => {...}``; a diff may stand before it."""
    if "localhost | SKIPPED" in printed:
        return {"skipped": True, "failed": False, "changed": False}
    start = printed.find("=> {")
    assert start >= 0, printed
    result: dict[str, Any] = json.JSONDecoder().raw_decode(printed[start + 3 :])[0]
    return {**result, "failed": printed[:start].rstrip().endswith("FAILED!")}


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    client.ping()
    client.images.get(IMAGE)
    yield client
    client.close()


@pytest.fixture
def environment(engine: docker.DockerClient, tmp_path: Path) -> Iterator[Environment]:
    """An empty project; everything that a test leaves on the engine goes when it ends."""
    folder = tmp_path / f"t{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    made = Environment(folder, tmp_path / "state", engine)
    yield made
    made.clean_up()
    shutil.rmtree(folder)


def service(**keys: Any) -> dict[str, Any]:
    """A service that runs until it is told to stop, and stops at once."""
    return {"image": IMAGE, "init": True, "command": ["sleep", "3600"], "stop_grace_period": "1s", **keys}
