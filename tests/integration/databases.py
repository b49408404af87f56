"""A Postgres beside the tests: projects with one, and a witness that asks it by its own psql."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import yaml

from tests.integration.conftest import Environment, Outcome, process, service

IMAGE, OLDER = "postgres:17", "postgres:15"
SUPERUSER_PASSWORD = "SuperUser0of0all"
CLIENT = ["sh", "-c", 'printf %s "$SQL" | psql "$URL" -qXAt -v ON_ERROR_STOP=1']
"""A client that has nothing but a URL and statements, each a transaction of its own."""


def postgres(**keys: Any) -> dict[str, Any]:
    """A service as users write it, that tells all statements and does not wait for the disk."""
    command = ["postgres", "-c", "log_statement=all", "-c", "fsync=off", "-c", "full_page_writes=off"]
    return {
        "image": IMAGE,
        "command": command,
        "environment": {"POSTGRES_PASSWORD": SUPERUSER_PASSWORD},
        "stop_grace_period": "10s",
        **keys,
    }


@contextmanager
def project(engine: docker.DockerClient, folder: Path) -> Iterator[Environment]:
    """A project with an application and a database that is a service of its layers; all goes when the block ends."""
    made = Environment(folder / f"p{uuid.uuid4().hex[:8]}", folder / "state", engine)
    made.folder.mkdir(parents=True)
    made.write("compose.yml", {"services": {"postgres": postgres(), "web": service()}})
    try:
        yield made
    finally:
        own = Environment(made.folder, made.state_dir, engine, f"{made.name}-postgres")
        made.clean_up()
        own.clean_up()
        shutil.rmtree(made.folder)


def have(environment: Environment, *flags: str, module: str = "postgres_env", **options: Any) -> Outcome:
    """Run a module on databases as the process that Ansible starts on a host."""
    modes = {f"_ansible_{flag}": True for flag in flags}
    return process(module, {**environment.options(module, options), **modes})


def succeed(environment: Environment, *flags: str, **options: Any) -> Outcome:
    outcome = have(environment, *flags, **options)
    assert not outcome.failed, outcome.message
    return outcome


def ask(environment: Environment, sql: str, database: str = "postgres", name: str = "postgres") -> list[str]:
    """What psql in the container prints for a query of the superuser, line by line."""
    return run(environment, ["psql", "-U", "postgres", "-XAtc", sql], {"PGDATABASE": database}, name)


def login(environment: Environment, url: str, sql: str = "SELECT current_user", name: str = "postgres") -> list[str]:
    """What a client gets that has nothing but a URL, over the network and so with its password."""
    return run(environment, CLIENT, {"URL": url, "SQL": sql}, name)


def run(environment: Environment, argv: list[str], variables: dict[str, str], name: str) -> list[str]:
    code, output = server(environment, name).exec_run(argv, environment=variables)
    text = output.decode()
    assert code == 0, text
    return [line for line in text.splitlines() if line]


def refused(environment: Environment, url: str, sql: str = "SELECT 1", name: str = "postgres") -> str:
    """The words in which a client is refused."""
    code, output = server(environment, name).exec_run(CLIENT, environment={"URL": url, "SQL": sql})
    assert code != 0, output
    return str(output.decode())


def server(environment: Environment, name: str = "postgres") -> Any:
    """The container of the environment's service, or of the Postgres of its own for ``own``."""
    if name != "own":
        return environment.container(name)
    own = Environment(environment.folder, environment.state_dir, environment.engine, f"{environment.name}-postgres")
    return own.container("postgres")


def log(environment: Environment, name: str = "postgres") -> str:
    return str(server(environment, name).logs().decode())


def kept(environment: Environment) -> dict[str, Any]:
    """The passwords that were made on the host."""
    path = environment.state_dir / environment.project / "secrets.json"
    assert path.stat().st_mode & 0o777 == 0o600
    return dict(json.loads(path.read_text()).get("postgres", {}))


def connection(environment: Environment, **options: Any) -> dict[str, str]:
    """The variables for the env file, as a task with no_log gets them."""
    return dict(succeed(environment, state="prepared", reveal=True, **options).result["connection"])


def actions(outcome: Outcome) -> list[str]:
    return [each["action"] for each in outcome.result["actions"]]


def play(folder: Path, tasks: list[dict[str, Any]], **variables: Any) -> Path:
    """A playbook for this machine."""
    path = folder / f"play-{os.urandom(4).hex()}.yml"
    content = [{"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": tasks}]
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path
