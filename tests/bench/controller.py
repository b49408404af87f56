"""One ansible-playbook for both sides, so that only the modules differ."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measure import CommandError, Sample, load, run, timed, told
from projects import ROOT

VENV = ROOT / ".cache" / "bench-venv"
REQUIREMENT = "ansible>=12,<13"
"""Brings ansible-core 2.19 and community.docker."""
PARTS = ("plugins", "meta", "roles", "playbooks")
QUIET = re.compile(r"changed=0 .*unreachable=0 .*failed=0 ")
GOOD = re.compile(r"unreachable=0 .*failed=0 ")

Play = dict[str, Any]


def have_venv() -> Path:
    """The virtual environment with the rival, made when it is missing."""
    if not (VENV / "made").exists():
        told(f"installing {REQUIREMENT} in {VENV.relative_to(ROOT)}")
        run(sys.executable, "-m", "venv", "--clear", VENV)
        run(VENV / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", REQUIREMENT)
        (VENV / "made").touch()
    return VENV


@dataclass(frozen=True)
class Controller:
    """Runs plays with the repository's ansible.cfg; everything that it writes is in a folder of its own."""

    folder: Path
    venv: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    """process environment over that of this process"""

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        return {
            **inherited,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
            "ANSIBLE_NOCOLOR": "1",
            **self.variables,
        }

    @property
    def collection(self) -> Path:
        return self.folder / "collections" / "ansible_collections" / "strata" / "compose"

    def install(self) -> None:
        """Copy the collection: whoever edits this checkout meanwhile does not change what is measured."""
        for name in PARTS:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, self.collection / name, ignore=ignored)

    def write(self, name: str, *tasks: dict[str, Any], hosts: str = "all") -> Path:
        """Write a playbook with these tasks."""
        playbook = self.folder / f"{name}.yml"
        play = {"name": name, "hosts": hosts, "gather_facts": False, "tasks": list(tasks)}
        playbook.write_text(json.dumps([play], indent=2))
        return playbook

    def play(self, playbook: Path, *options: str, quiet: bool = True) -> Sample:
        """Run a playbook and time it; ``quiet`` says that it has to find nothing to change."""
        local = ("-i", "bench,", "-e", "ansible_connection=local", "-e", f"ansible_python_interpreter={self.python}")
        printed: list[str] = []
        command = (self.venv / "bin" / "ansible-playbook", playbook, *(() if "-i" in options else local), *options)
        sample = timed(lambda: printed.append(run(*command, env=self.environment)))
        recap = printed[0].partition("PLAY RECAP")[2].strip().splitlines()[1:]
        if not all((QUIET if quiet else GOOD).search(line) for line in recap):
            raise CommandError(f"{playbook.name} did not find everything done:\n{printed[0]}")
        return sample

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"


def machine(controller: Controller) -> dict[str, Any]:
    """What the figures depend on."""
    ask = "import importlib.metadata as m; print(m.version('ansible-core'), m.version('ansible'))"
    core, ansible = run(controller.python, "-c", ask).split()
    return {
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "engine": run("docker", "version", "--format", "{{.Server.Version}}"),
        "cli": run("docker", "version", "--format", "{{.Client.Version}}"),
        "compose": run("docker", "compose", "version", "--short"),
        "ansible-core": core,
        "ansible": ansible,
        "community.docker": rival_version(controller.venv),
        "strata.compose": commit(),
        "load": load(),
    }


def commit() -> str:
    """Which state of this checkout is measured."""
    with contextlib.suppress(CommandError, FileNotFoundError):
        return run("git", "-C", ROOT, "describe", "--always", "--dirty")
    return "unknown"


def rival_version(venv: Path) -> str:
    """The version of community.docker that the venv has."""
    (manifest,) = venv.glob("lib/python*/site-packages/ansible_collections/community/docker/MANIFEST.json")
    return str(json.loads(manifest.read_text())["collection_info"]["version"])
