# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret leaves the host: canaries go through a life of an environment, run by ansible-runner as AWX does it.

A play with ``-vvv --diff`` deploys, fails in several ways, rolls back, executes commands and asks for everything.
Then every canary, in every form, is searched for in all that was printed, recorded or started.
"""

from __future__ import annotations

import json
import os
import random
import stat
import sys
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

from tests.integration.canaries import KINDS, Watch, canaries, forms, hits, needles, texts_in
from tests.integration.conftest import IMAGE, Environment, ansible_environment, service

SEED = int(os.environ["CANARY_SEED"])
WAYS = ("variable", "address", "environment")
"""How a secret comes to its container by its env file; the others are files. Each comes one way only, so that nothing
else teaches the redactor."""
FILES = 4

TELL = r"""
tell() {
  env; export -p; export -p | sed 's/[$]/&&/g'
  cat /run/secrets/*; cat /run/secrets/* | base64; for each in /run/secrets/*; do base64 -w 0 "$each"; done; echo
  all | sed 's/"/\\"/g'; all
}
all() {
  env | sed -n 's/^CANARY_[0-9]*_URL=.*shop:\(.*\)@db.*/\1/p' | while read -r each; do
    printf '%b || ' "$(printf %s "$each" | sed 's/%/\\x/g')"
  done
  for each in /run/secrets/*; do cat "$each"; printf ' || '; done
  for each in $(env | sed -n 's/^\(CANARY_[0-9]*_PASSWORD\)=.*/\1/p'); do eval "printf '%s || ' \"\$$each\""; done; echo
}
"""
"""A shell that knows its secrets and tells them all: raw last, so that the tail of a log has them."""


@dataclass(frozen=True)
class Generation:
    """The canaries of one env file, and how they are handed over."""

    secrets: dict[str, str]
    ways: dict[str, str]

    def of(self, way: str) -> dict[str, str]:
        return {f"CANARY_{at}": self.secrets[kind] for at, kind in enumerate(KINDS) if self.ways[kind] == way}

    def variables(self, **others: str) -> dict[str, str]:
        return {
            "MODE": "serve",
            **{f"{name}_PASSWORD": secret for name, secret in self.of("variable").items()},
            **{f"{name}_URL": address(secret) for name, secret in self.of("address").items()},
            **{f"{name}_VALUE": secret for name, secret in self.of("environment").items()},
            **others,
        }

    def files(self) -> dict[str, str]:
        return {name.lower(): secret for name, secret in self.of("file").items()}


def address(secret: str) -> str:
    return f"postgres://shop:{urllib.parse.quote(secret, safe='')}@db:5432/shop"


def generation(seed: int) -> Generation:
    kinds = random.Random(SEED).sample(list(KINDS), len(KINDS))
    ways = {kind: WAYS[at % len(WAYS)] for at, kind in enumerate(kinds[FILES:])}
    return Generation(canaries(seed), {**ways, **dict.fromkeys(kinds[:FILES], "file")})


OLD, NEW = generation(SEED), generation(SEED + 1)
EXTRA = canaries(SEED + 2)
"""Secrets that no env file has: handed to one command, or in a file that Compose cannot read."""
IN_ARGV = next(iter(OLD.of("variable").values()))
"""A task hands it to a command as an argument: that shows it to the host's users, and to no others."""
ALL = {
    f"{kind} ({name})": secret
    for name, each in (("old", OLD.secrets), ("new", NEW.secrets), ("extra", EXTRA))
    for kind, secret in each.items()
}


class Unsafe(str):
    """A text that Ansible does not take for a template."""


class Dumper(yaml.SafeDumper):
    pass


Dumper.add_representer(Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text), style='"'))


def vaulted(variables: dict[str, Any], password: str) -> bytes:
    text = yaml.dump(_unsafe(variables), Dumper=Dumper, allow_unicode=True)
    return bytes(VaultLib([("default", VaultSecret(password.encode()))]).encrypt(text))


def _unsafe(value: Any) -> Any:
    return {key: _unsafe(each) for key, each in value.items()} if isinstance(value, dict) else Unsafe(value)


def write_project(environment: Environment) -> None:
    variables, files = OLD.variables(), OLD.files()
    values = {name for name in variables if name.endswith("_VALUE")}
    secrets = {name.lower(): {"environment": name} for name in values}
    secrets.update({name: {"file": f"./secrets/{name}"} for name in files})
    script = f'{TELL}\ntell; [ "$MODE" = serve ] && exec sleep 3600; exit 1\n'
    web = service(
        command=["sh", "-c", script.replace("$", "$$")],
        environment={name: f"${{{name}}}" for name in variables if name not in values},
        secrets=sorted(secrets),
    )
    environment.write("compose.yml", {"services": {"web": web}, "secrets": secrets})
    step = {**web, "command": ["sh", "-c", f"{TELL}\ntell; exit 3\n".replace("$", "$$")]}
    environment.write("init.yml", {"services": {"migrate": step}, "secrets": secrets})
    password = next(name for name in variables if name.endswith("_PASSWORD"))
    environment.write("command.yml", {"services": {"broken": {"image": IMAGE, "command": [f"${{{password}}}"]}}})
    environment.write("malformed.yml", {"services": {"malformed": service(env_file=["bad.env"])}})
    secret = EXTRA["letters"]
    environment.write("bad.env", f"GOOD_PASSWORD={secret}\nBAD PASSWORD {EXTRA['hexadecimal']}\n").chmod(0o600)


def write_generated(path: Path) -> None:
    """A password that was made on the host, as its state folder keeps it."""
    path.parent.mkdir(parents=True, mode=0o700)
    path.touch(0o600)
    path.write_text(json.dumps({"database": EXTRA["JSON"]}))


def task(name: str, module: str, options: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    return {"name": name, f"strata.compose.{module}": options or {}, **keys}


def failing(name: str, module: str, options: dict[str, Any] | None = None) -> dict[str, Any]:
    rescue = [{"name": "It failed as it should", "ansible.builtin.debug": {"msg": "on"}}]
    return {"name": name, "block": [task(name, module, options)], "rescue": rescue}


def configure(name: str, mode: str = "serve") -> dict[str, Any]:
    variables = f"{{{{ {name}.variables | combine({{'MODE': '{mode}'}}) }}}}"
    role = {"env_file_variables": variables, "env_file_secrets": f"{{{{ {name}.files }}}}"}
    return {
        "name": f"Configure ({name})",
        "ansible.builtin.include_role": {"name": "strata.compose.env_file"},
        "vars": role,
    }


def ask(name: str) -> dict[str, Any]:
    gather = ["services", "processes", "logs", "config", "images", "variables", "releases", "drift"]
    return task(f"Ask {name}", "compose_env_info", {"gather": gather, "tail": 10000})


def tasks() -> list[dict[str, Any]]:
    """The life of an environment."""
    tell = ["sh", "-c", f"{TELL}\ntell; tell >&2; exit ${{1:-0}}", "sh"]
    in_env = {"HARMLESS": "{{ extra.dollars }}", "LINES": "{{ extra.lines }}", "ACCENTS": "{{ extra['quotes'] }}"}
    into_log = ["sh", "-c", "cat > /proc/1/fd/1"]
    layers = ["compose.yml"]
    return [
        configure("old"),
        task("Deploy", "compose_env"),
        task("Tell in the container", "compose_exec", {"service": "web", "argv": tell, "env": in_env}),
        task(
            "Tell in a container of its own",
            "compose_exec",
            {"service": "web", "argv": tell, "env": in_env, "one_off": True},
        ),
        task("Tell every form", "compose_exec", {"service": "web", "argv": ["cat"], "stdin": "{{ forms }}"}),
        task(
            "Tell every form to the log", "compose_exec", {"service": "web", "argv": into_log, "stdin": "{{ forms }}"}
        ),
        task(
            "Tell a generated password",
            "compose_exec",
            {"service": "web", "argv": ["cat"], "stdin": "{{ extra.JSON }}"},
        ),
        failing("Fail after telling", "compose_exec", {"service": "web", "argv": [*tell, "3"], "env": in_env}),
        failing("Execute a secret", "compose_exec", {"service": "web", "argv": ["{{ in_argv }}"]}),
        ask("the deployed"),
        configure("new", "fail"),
        task("Foresee", "compose_env", check_mode=True),
        failing("Deploy what tells and dies", "compose_env"),
        failing("Deploy a secret as a command", "compose_env", {"files": [*layers, "command.yml"]}),
        failing("Deploy what does not resolve", "compose_env", {"files": [*layers, "malformed.yml"]}),
        ask("after failures"),
        configure("new"),
        task("Deploy anew", "compose_env"),
        task("Roll back", "compose_env", {"state": "rolled_back"}),
        ask("after the roll back"),
        *init_tasks(),
    ]


FAILING = {
    "Fail after telling",
    "Execute a secret",
    "Deploy what tells and dies",
    "Deploy a secret as a command",
    "Deploy what does not resolve",
    "Fail in the init phase",
}


def init_tasks() -> list[dict[str, Any]]:
    """The init phase, with a step that fails after telling."""
    return [failing("Fail in the init phase", "compose_init", {"steps": ["migrate"], "file": "init.yml"})]


@dataclass
class Told:
    """All that a run let out."""

    runner: Any
    environment: Environment
    watch: Watch
    started: float

    @property
    def folder(self) -> Path:
        return Path(self.runner.config.artifact_dir)

    @property
    def printed(self) -> str:
        return (self.folder / "stdout").read_text() + (self.folder / "stderr").read_text()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted((self.folder / "job_events").glob("*.json"))]

    def failed_tasks(self) -> set[str]:
        return {each["event_data"]["task"] for each in self.events if each["event"] == "runner_on_failed"}


pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def told(engine, tmp_path_factory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("canaries")
    environment = Environment(folder / f"t{random.SystemRandom().randrange(16**8):08x}", folder / "state", engine)
    environment.folder.mkdir()
    write_project(environment)
    write_generated(environment.state_dir / environment.project / "secrets.json")
    began = time.time()
    try:
        yield run(environment, folder / "runner", began)
    finally:
        environment.clean_up()


def run(environment: Environment, folder: Path, began: float) -> Told:
    folder.mkdir()
    password = "canary"
    (folder / "password").write_text(password)
    variables = {
        "old": {"variables": OLD.variables(), "files": OLD.files()},
        "new": {"variables": NEW.variables(), "files": NEW.files()},
        "extra": EXTRA,
        "forms": "\n".join(sorted(form for each in OLD.secrets.values() for form in forms(each))),
        "in_argv": IN_ARGV,
    }
    (folder / "vault.yml").write_bytes(vaulted(variables, password))
    (folder / "play.yml").write_text(yaml.safe_dump([play(environment)]))
    with Watch() as watch:
        runner = ansible_runner.run(
            private_data_dir=str(folder),
            project_dir=str(folder),
            playbook=str(folder / "play.yml"),
            inventory="localhost,",
            cmdline=f"-vvv --diff --vault-password-file {folder}/password",
            envvars=process_environment(),
            quiet=True,
        )
    return Told(runner, environment, watch, began)


def play(environment: Environment) -> dict[str, Any]:
    own = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "compose_env_project_dir": str(environment.folder),
        "compose_env_environment": environment.name,
        "compose_env_state_dir": str(environment.state_dir),
        "compose_env_stable_for": 1,
    }
    return {"hosts": "localhost", "gather_facts": False, "vars_files": ["vault.yml"], "vars": own, "tasks": tasks()}


def process_environment() -> dict[str, str]:
    """Tracebacks on: with them Ansible shows exceptions that it keeps to itself otherwise."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**ansible_environment(), "PATH": path, "ANSIBLE_DISPLAY_TRACEBACK": "always"}


def test_the_play_went_as_it_should(told):
    assert told.runner.rc == 0, told.printed[-5000:]
    assert told.failed_tasks() == FAILING
    log = told.environment.container("web").logs().decode()
    assert log.count("CANARY") > 10
    assert told.printed.count("********") > 100


def test_nothing_is_printed(told):
    assert hits(told.printed, needles(ALL)) == []


def test_no_event_tells(told):
    wanted = needles(ALL)
    texts = "\n\0\n".join(text for event in told.events for text in texts_in(event))
    assert len(told.events) > 50
    assert hits(texts, wanted) == []
    assert [hit for path in told.folder.rglob("*") if path.is_file() for hit in hits(path.read_text(), wanted)] == []


def test_no_process_was_given_one(told):
    print(f"{told.watch.looks} looks at {len(told.watch.processes)} processes, {len(told.watch.seen)} command lines")
    assert told.watch.looks > 500
    assert "compose" in told.watch.text
    given = {name: secret for name, secret in ALL.items() if secret != IN_ARGV}
    assert hits(told.watch.text, needles(given)) == []


def test_no_record_tells(told):
    folder = told.environment.state_dir / told.environment.project
    records = [(folder / "audit.log").read_text(), *(path.read_text() for path in folder.rglob("release.json"))]
    told_causes = [json.loads(record)["about"].get("cause") for record in records[1:]]
    assert any(told_causes)
    assert hits("\n".join([records[0], json.dumps(told_causes)]), needles(ALL)) == []


def test_only_their_owner_reads_the_files(told):
    wanted = [needle.encode() for needle in needles({**OLD.secrets, **NEW.secrets})]
    holding = [path for path in files_since(told.started) if any(each in content(path) for each in wanted)]
    project = told.environment.folder
    assert {project / ".env.dev", project / "secrets" / next(iter(OLD.files()))} <= set(holding)
    modes = {str(path): f"{stat.S_IMODE(path.stat().st_mode):04o}" for path in holding}
    assert {path: mode for path, mode in modes.items() if mode not in ("0600", "0400")} == {}


def files_since(began: float) -> Iterator[Path]:
    """Files that this run may have written: below ``/tmp``, with project and state, and in Ansible's own folder."""
    for top in (Path("/tmp"), Path("/var/tmp"), Path.home() / ".ansible" / "tmp"):
        for folder, _folders, names in os.walk(top):
            for name in names:
                path = Path(folder, name)
                if is_own(path, began):
                    yield path


def content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # it was another test's
        return b""


def is_own(path: Path, began: float) -> bool:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_mtime >= began - 1 and status.st_size < 1 << 24
