# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a password is, results differ only where values stand: one life of an environment, told by every module.

It is run with a random password first, and then with a word that stands in the results anyway.
"""

from __future__ import annotations

import re
import secrets
import shutil
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from ansible_collections.strata.compose.plugins.module_utils._redact import PUBLIC_VALUES, fingerprint
from ansible_collections.strata.compose.plugins.module_utils._spec import GATHER

from tests.integration.conftest import IMAGE, Environment, Outcome, process, service
from tests.integration.databases import login, postgres

MASK = "********"
PASSING = re.compile(
    r"\d{4}-\d\d-\d\dT?[\d:.Z+ -]*|\d{8}T\d{6}Z?|(?<![0-9a-z])[0-9a-f]{8,64}(?![0-9a-z])"
    r"|\b\d+(?:\.\d+)? (?:s|ms|B|kB|MB|MiB|GB)\b|\b\d{4,5}(?=/|->)"
)
"""Ids, digests, times and durations, which differ from one run to the next."""
MEASURED = {"seconds", "bytes", "pid", "ppid", "swap_seconds", "processes", "inputs", "size", "tags"}
"""``tags`` are those of other projects too, whose images are the same."""
FREE = {"log", "lines", "stdout", "stderr", "output", "health_output", "report"}
"""What processes wrote: only that no more of it is masked."""

WORDS = ("postgres", "web", "a", "1", "{project}", "postgres:17", "{folder}/compose.yml", "running")
"""Names of services, of the project, of an image, of a path; a switch, which is none of anybody's secrets; a state."""


def random_password() -> str:
    return "".join(secrets.choice(string.ascii_letters) for _number in range(20))


@pytest.fixture(scope="module")
def shop(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    root = tmp_path_factory.mktemp("masked")
    made = Environment(root / f"shop{secrets.token_hex(3)}", root / "state", engine)
    yield made
    remove(made)


def remove(shop: Environment) -> None:
    for each in (shop.folder, shop.state_dir, shop.folder.parent / "backups", source_of(shop)):
        shutil.rmtree(each, ignore_errors=True)
    shop.clean_up()


def source_of(shop: Environment) -> Path:
    """What compose_files brings from the controller."""
    return shop.folder.parent / "source"


def write(shop: Environment) -> None:
    remove(shop)
    shop.folder.mkdir(parents=True)
    addresses = {"DATABASE_URL": "postgres://shop:${DB_PASSWORD}@postgres:5432/shop", "LEVEL": "${LEVEL}"}
    web = service(environment={**addresses, "DB_PASSWORD": "${DB_PASSWORD}"}, ports=["5432"], labels={"a": "1"})
    database = postgres(environment={"POSTGRES_PASSWORD": "${DB_PASSWORD}"}, tmpfs=["/var/lib/postgresql/data"])
    seed = {"image": IMAGE, "command": ["echo", "a database"], "profiles": ["init"]}
    shop.write("compose.yml", {"services": {"postgres": database, "web": web, "seed": seed}})
    shop.write("migrations/001_users.sql", "CREATE TABLE a (id int);\n")
    shop.write("broken/compose.yml", {"services": {"web": {**web, "command": ["sh", "-c", "echo 1 postgres; exit 1"]}}})
    shutil.copytree(shop.folder, source_of(shop))
    (source_of(shop) / "postgres").write_text("a\n")


def short(shop: Environment, password: str) -> Iterator[tuple[str, Outcome]]:
    """A representative of each module."""
    write(shop)
    yield "files", bring(shop)
    yield "env file", env_file(shop, password)
    yield "init", shop.run("compose_init")
    yield "deploy", shop.run(wait_timeout=60)
    yield "ask", shop.run("compose_env_info", gather=list(GATHER))
    yield "execute", shop.run("compose_exec", service="web", argv=["sh", "-c", "echo $DB_PASSWORD"])
    yield "database", on_database(shop, "postgres_env", password=password)
    yield "migrate", on_database(shop, "postgres_migrate")
    yield "back up", on_database(shop, "postgres_backup")
    yield "restore", on_database(shop, "postgres_restore", replace=True, confirm=shop.name)


def whole(shop: Environment, password: str) -> Iterator[tuple[str, Outcome]]:
    """The life of an environment, with all that goes wrong in it."""
    write(shop)
    yield "foresee files", bring(shop, "--check", "--diff")
    yield "files", bring(shop, "--diff")
    yield "files again", bring(shop)
    yield "foresee the env file", env_file(shop, password, "--check", "--diff")
    yield "env file", env_file(shop, password)
    yield "foresee init", shop.run("compose_init", "--check")
    yield "init", shop.run("compose_init")
    yield "foresee", shop.run("compose_env", "--check", "--diff")
    yield "deploy", shop.run("compose_env", "--diff", wait_timeout=60)
    yield "deploy again", shop.run()
    for each in GATHER:
        yield f"ask for {each}", shop.run("compose_env_info", gather=[each])
    yield from executed(shop)
    yield "database", on_database(shop, "postgres_env", "diff", password=password)
    yield "database again", on_database(shop, "postgres_env", "check_mode", password=password)
    yield "foresee migrations", on_database(shop, "postgres_migrate", "check_mode", "diff")
    yield "migrate", on_database(shop, "postgres_migrate")
    yield "back up", on_database(shop, "postgres_backup")
    yield "verify", on_database(shop, "postgres_backup", state="verified")
    yield "not confirmed", on_database(shop, "postgres_restore")
    yield "restore", on_database(shop, "postgres_restore", replace=True, confirm=shop.name)
    yield "ask for backups", shop.run("compose_env_info", gather=["backups"])
    yield "set a level", env_file(shop, password, "--diff", level="debug")
    yield "foresee the level", shop.run("compose_env", "--check", "--diff")
    yield "drift", shop.run("compose_env_info", gather=["drift", "variables"])
    yield "deploy the level", shop.run("compose_env", "--diff")
    yield "roll back", shop.run(state="rolled_back")
    yield "restart", shop.run(state="restarted", services=["web"])
    yield "fail", shop.run(files=["compose.yml", "broken/compose.yml"])
    yield "ask for failures", shop.run("compose_env_info", gather=["releases", "services", "drift", "lock"])
    yield "undefined", shop.run(files=["compose.yml"], variables={"LEVEL": "$UNKNOWN"})
    yield "stop", shop.run(state="stopped")
    yield "execute nowhere", shop.run("compose_exec", service="web", argv=["true"])
    yield "start", shop.run(state="started")
    yield "remove", shop.run(state="absent", volumes=True, confirm=shop.name)


def executed(shop: Environment) -> Iterator[tuple[str, Outcome]]:
    for name, argv in {
        "value": ["sh", "-c", "echo $DB_PASSWORD"],
        "all": ["env"],
        "failure": ["sh", "-c", "env; exit 3"],
    }.items():
        yield f"execute {name}", shop.run("compose_exec", service="web", argv=argv)
    yield "execute once", shop.run("compose_exec", service="web", argv=["env"], one_off=True, env={"A": "1"})
    yield "execute for none", shop.run("compose_exec", service="none", argv=["env"])


def bring(shop: Environment, *flags: str) -> Outcome:
    return shop.run("compose_files", *flags, src=str(source_of(shop)), environment=None)


def env_file(shop: Environment, password: str, *flags: str, level: str = "info") -> Outcome:
    variables = {"DB_PASSWORD": password, "LEVEL": level}
    own = {"project_dir": str(shop.folder), "environment": shop.name, "state_dir": str(shop.state_dir)}
    modes = {f"_ansible_{'check_mode' if flag == '--check' else 'diff'}": True for flag in flags}
    return process("compose_env_file", {**own, "variables": variables, **modes})


def on_database(shop: Environment, module: str, *modes: str, **options: Any) -> Outcome:
    folder = {} if module == "postgres_migrate" else {"backup_dir": str(shop.folder.parent / "backups")}
    given = {**folder, **options, "database": "shop", **{f"_ansible_{mode}": True for mode in modes}}
    return process(module, shop.options(module, given))


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each text and number of a result with its keys, which are those of mappings and the places in lists."""
    if isinstance(value, dict):
        for key in sorted(value):
            yield from leaves(value[key], (*path, PASSING.sub("#", str(key))))
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from leaves(each, (*path, str(at)))
    else:
        yield path, value


def compared(result: dict[str, Any]) -> dict[tuple[str, ...], Any]:
    found = {}
    for path, value in leaves(result):
        if "warnings" in path or "no_log" in path or any(each in MEASURED for each in path):
            continue
        found[path] = PASSING.sub("#", value) if isinstance(value, str) else value
    return found


def differences(plain: dict[str, Any], other: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """What differs although no value stands there, and what is masked although it is no secret."""
    left, right = compared(plain), compared(other)
    wrong = [("/".join(path), left.get(path), right.get(path)) for path in left.keys() ^ right.keys() if not free(path)]
    for path in left.keys() & right.keys():
        a, b = left[path], right[path]
        masked = str(b).count(MASK) > str(a).count(MASK)
        told_whole = a == MASK and b.strip() not in (MASK, *PUBLIC_VALUES)
        other_text = a != b and MASK not in str(a) and not free(path)
        if masked or told_whole or other_text:
            wrong.append(("/".join(path), a, b))
    return wrong


def free(path: tuple[str, ...]) -> bool:
    return any(each in FREE for each in path)


@pytest.fixture(scope="module")
def plain(shop: Environment) -> dict[str, dict[str, Any]]:
    return {name: outcome.result for name, outcome in short(shop, random_password())}


def test_the_word_of_a_service_as_a_password(shop: Environment, plain: dict[str, dict[str, Any]]) -> None:
    assert {name: result.get("msg") for name, result in plain.items() if result["failed"]} == {}
    found = {name: outcome.result for name, outcome in short(shop, "postgres")}
    assert {name: differences(plain[name], found[name]) for name in plain} == dict.fromkeys(plain, [])
    assert plain["execute"]["stdout"].strip() == found["execute"]["stdout"].strip() == MASK
    assert found["ask"]["config"]["services"]["postgres"]["environment"] == {
        "POSTGRES_PASSWORD": fingerprint("postgres")
    }
    assert "is a public word of the project" in str(found["deploy"]["warnings"])
    assert login(shop, "postgresql://shop:postgres@postgres/shop") == ["shop_owner"]


FAILING = {"not confirmed", "fail", "execute failure", "execute for none", "execute nowhere"}


@pytest.fixture(scope="module")
def all_plain(shop: Environment) -> dict[str, dict[str, Any]]:
    found = {name: outcome.result for name, outcome in whole(shop, random_password())}
    assert {name: each.get("msg") for name, each in found.items() if each["failed"] and name not in FAILING} == {}
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("word", ["{random}", *WORDS])
def test_words_as_passwords(shop: Environment, all_plain: dict[str, dict[str, Any]], word: str) -> None:
    password = word.format(project=shop.project, folder=shop.folder, random=random_password())
    wrong = {}
    for name, outcome in whole(shop, password):
        wrong[name] = differences(all_plain[name], outcome.result)
    assert {name: each for name, each in wrong.items() if each} == {}
