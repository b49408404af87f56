"""Count the processes of the docker CLI that a task starts, with wrappers that write a line and exec the real ones."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from measure import run

DOCKER = """\
#!/bin/sh
printf 'docker %s\\n' "$(echo "$*" | tr '\\n' ' ')" >> '{log}'
exec '{real}' "$@"
"""
# A plugin that the docker CLI starts is a second process of the same call.
COMPOSE = """\
#!/bin/sh
by=compose
[ "$1" = docker-cli-plugin-metadata ] || [ -n "$DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND" ] && by=plugin
printf "$by %s\\n" "$(echo "$*" | tr '\\n' ' ')" >> '{log}'
exec '{real}' "$@"
"""


@dataclass(frozen=True)
class Counter:
    """Wrappers in a folder, and the log that they write."""

    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def variables(self) -> dict[str, str]:
        """The process environment in which the wrappers are found first."""
        return {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "DOCKER_CONFIG": str(self.folder / "config"),
        }

    def lines(self) -> list[str]:
        """What was started since the last time, and forget it."""
        found = self.log.read_text().splitlines()
        self.log.write_text("")
        return found


def counter(folder: Path) -> Counter:
    """Write the wrappers; the user's own configuration of the docker CLI still holds."""
    made = Counter(folder)
    plugins = folder / "config" / "cli-plugins"
    for each in (folder / "bin", plugins):
        each.mkdir(parents=True)
    users = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    for each in (each for each in users.glob("*") if each.name != "cli-plugins"):
        (folder / "config" / each.name).symlink_to(each)
    _write(folder / "bin" / "docker", DOCKER, made.log, shutil.which("docker") or "docker")
    _write(plugins / "docker-compose", COMPOSE, made.log, compose_program())
    made.log.touch()
    return made


def compose_program() -> str:
    """The file of the Compose plugin, as the docker CLI tells it."""
    plugins = json.loads(run("docker", "info", "--format", "{{json .ClientInfo.Plugins}}"))
    return str(next(each["Path"] for each in plugins if each["Name"] == "compose"))


def _write(path: Path, script: str, log: Path, real: str) -> None:
    path.write_text(script.format(log=log, real=real))
    path.chmod(0o755)
