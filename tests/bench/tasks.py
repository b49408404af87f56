"""The tasks of both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from projects import ENVIRONMENT, Project

Task = dict[str, Any]
RIVAL = "docker_compose_v2"


def ping() -> Task:
    """What a task costs that does nothing."""
    return {"name": "Ping", "ansible.builtin.ping": {}}


def ours(project: Project, state_dir: Path) -> Task:
    """Our deployment."""
    options = {**_which(project, state_dir), "stable_for": 1}
    return {"name": "Deploy", "strata.compose.compose_env": options}


def rivals(project: Project) -> Task:
    """The rival's deployment of the same project."""
    options = {
        "project_src": str(project.folder),
        "project_name": project.name,
        "files": list(project.layers),
        "env_files": [project.env_file.name],
        "state": "present",
    }
    return {"name": "Deploy", "community.docker.docker_compose_v2": options}


def command(project: Project, state_dir: Path, service: str) -> Task:
    """A command that does nothing, in a container."""
    options = {**_which(project, state_dir), "service": service, "argv": ["true"], "read_only": True}
    return {"name": "Run a command", "strata.compose.compose_exec": options}


def repeated(task: Task, times: int) -> Task:
    """The task in a loop, which leaves only what one more task costs."""
    return {**task, "loop": list(range(times))}


def rivals_files(source: Path, template: Path, folder: str) -> tuple[Task, Task]:
    """What a plain play does before the rival's deployment: bring the folder and render the env file."""
    copied = {"src": f"{source}/", "dest": folder, "mode": "0644", "directory_mode": "0755"}
    rendered = {"src": str(template), "dest": f"{folder}/.env.{ENVIRONMENT}", "mode": "0600"}
    return (
        {"name": "Bring the files", "ansible.builtin.copy": copied},
        {"name": "Render the env file", "ansible.builtin.template": rendered},
    )


def _which(project: Project, state_dir: Path) -> dict[str, Any]:
    return {
        "project_dir": str(project.folder),
        "project_name": project.name,
        "environment": ENVIRONMENT,
        "state_dir": str(state_dir),
    }
