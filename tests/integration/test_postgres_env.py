"""The database of an environment on a real Postgres: there, with its roles, and with nothing told that is secret."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import time
from collections.abc import Collection, Iterator
from typing import Any

import pytest

from tests.integration.conftest import Environment, service
from tests.integration.databases import (
    actions,
    ask,
    connection,
    have,
    kept,
    log,
    login,
    postgres,
    project,
    refused,
    succeed,
)

STRANGE_NAMES = {
    "quotes": ('o\'ne "two"', "it's", '"q"'),
    "spaces": ("a b", " begins", "ends "),
    "pairs": ("a=b", "host=x user=y", "postgresql://x"),
    "dollars": ("$user", "$$", "a$s0$b"),
    "beyond ASCII": ("größe漢", "Ж", "é ü"),
    "percents": ("%I", "%", "100%L"),
    "backslashes": ("\\q", "a\\b", "\\"),
    "capitals": ("Shop", "SELECT", "user"),
    "63 bytes": ("d" * 63, "r" * 63, "ü" * 31),
}
STRANGE_PASSWORDS = {
    "dollars": "a$b$$c${D}",
    "quotes": 'it\'s "q" `b`',
    "address": "p@ss:/?#[]&=+;,%41",
    "spaces": " begins and ends ",
    "backslashes": "\\n\\\\",
    "beyond ASCII": "pä$ßЖ漢é",
    "compatibility": "ﬁne ª①",
    "mapped to nothing": "soft\u00adhyphen\u200b\u00a0space",
    "newer than the rule": "①😀",
    "both directions": "①אa",
    "template": "{{ 1 + 1 }}{% x %}",
    "hash": "#no comment #",
    "long": "x" * 500,
    "one": "z",
}


def some_of(kinds: Collection[str], *always: str) -> list[Any]:
    """All of them, the others among what takes long."""
    return [pytest.param(kind, marks=() if kind in always else pytest.mark.thorough) for kind in kinds]


@pytest.fixture(scope="module")
def shop(engine, tmp_path_factory) -> Iterator[Environment]:
    """A project whose database runs, for all tests that need no server of their own; each has its own database."""
    with project(engine, tmp_path_factory.mktemp("shop")) as made:
        succeed(made, database="first")
        yield made


@pytest.fixture
def fresh(engine, tmp_path) -> Iterator[Environment]:
    with project(engine, tmp_path) as made:
        yield made


def test_from_nothing_to_an_application_that_finds_its_database(fresh: Environment):
    web = service(environment={"URL": "${SHOP_URL}"})
    fresh.write("compose.yml", {"services": {"postgres": postgres(), "web": web}})
    names = {"url": "SHOP_URL", "host": ["DB_HOST", "PGHOST"], "port": "DB_PORT", "user": "U", "password": "W"}
    told = connection(fresh, database="shop", variables=names)
    assert list(told) == ["SHOP_URL", "DB_HOST", "PGHOST", "DB_PORT", "U", "W"]
    assert (told["DB_HOST"], told["DB_PORT"], told["U"]) == ("postgres", "5432", "shop")
    assert len(told["W"]) == 32
    assert told["W"].isalnum()
    assert kept(fresh) == {f"{fresh.project}/postgres": {"shop": told["W"]}}
    written = have(fresh, module="compose_env_file", variables=told, state_dir=None)
    assert not written.failed, written.message
    first = succeed(fresh, database="shop", variables=names)
    assert actions(first)[0] == "create"
    assert fresh.containers("web") == []
    assert login(fresh, told["SHOP_URL"]) == ["shop_owner"]
    database = fresh.ids()["postgres"]
    assert fresh.deploy().actions == {("web", "create")}
    assert fresh.ids()["postgres"] == database
    assert login(fresh, fresh.variable("web", "URL")) == ["shop_owner"]
    assert not fresh.deploy().changed
    second = succeed(fresh, database="shop", variables=names)
    assert not second.changed
    assert told["W"] not in str(second.result)
    assert second.result["connection"]["SHOP_URL"] == "postgresql://shop:********@postgres:5432/shop"


def test_failed_deployment_goes_back_to_the_database_alone(fresh: Environment):
    fresh.write("compose.yml", {"services": {"postgres": postgres(), "web": service(command=["false"])}})
    succeed(fresh, database="shop")
    database = fresh.ids()["postgres"]
    outcome = fresh.run()
    assert outcome.failed
    assert "degraded" not in outcome.message
    assert fresh.ids() == {"postgres": database}
    fresh.write("compose.yml", {"services": {"postgres": postgres(), "web": service()}})
    assert fresh.deploy().actions == {("web", "create")}


def test_started_server_leaves_pending_changes_of_others_to_the_deployment(fresh: Environment):
    fresh.write("compose.yml", {"services": {"postgres": postgres(), "web": service()}})
    fresh.deploy()
    before = fresh.ids()
    succeed(fresh, database="shop")
    fresh.write("compose.yml", {"services": {"postgres": postgres(), "web": service(environment={"A": "1"})}})
    fresh.container("postgres").stop()
    outcome = succeed(fresh, database="shop")
    assert fresh.ids() == before
    assert actions(outcome) == ["start"]
    assert fresh.plan().actions == {("web", "recreate")}
    fresh.write("compose.yml", {"services": {"postgres": postgres(), "web": service(command=["false"])}})
    failed = fresh.run()
    assert failed.failed
    assert "degraded" not in failed.message
    assert fresh.container("web").status == "running"


def test_second_run_changes_nothing_and_sends_no_alter(shop: Environment):
    options = {
        "database": "calm",
        "readonly_role": "calm_reader",
        "extensions": ["pg_trgm", "pgcrypto"],
        "settings": {"work_mem": "5MB", "search_path": ["calm", "public", "$user"], "TimeZone": "UTC", "jit": False},
    }
    first = succeed(shop, "diff", **options)
    assert first.changed
    assert "role calm: exists, can log in with its password" in first.result["diff"]["after"]
    at = len(log(shop))
    second = succeed(shop, "diff", **options)
    assert not second.changed
    assert second.result["diff"]["after"] == ""
    new = log(shop)[at:]
    assert [word for word in ("ALTER", "GRANT", "CREATE", "REVOKE") if f"{word} " in new] == []
    assert ask(shop, "SHOW search_path", "calm") == ['calm, public, "$user"']
    assert ask(shop, "SHOW jit", "calm") == ["off"]
    assert ask(shop, "SELECT extname FROM pg_extension ORDER BY 1", "calm") == ["pg_trgm", "pgcrypto", "plpgsql"]
    third = succeed(shop, **{**options, "settings": {"work_mem": None}})
    assert actions(third) == ["alter database"]
    assert ask(shop, "SHOW work_mem", "calm") == ["4MB"]
    assert ask(shop, "SHOW timezone", "calm") == ["UTC"]


def test_check_mode_foretells_what_then_happens_and_changes_nothing(shop: Environment):
    options = {"database": "foretold", "readonly_role": "foretold_reader", "extensions": ["citext"]}
    foretold = succeed(shop, "check_mode", "diff", **options)
    assert ask(shop, "SELECT count(*) FROM pg_database WHERE datname = 'foretold'") == ["0"]
    assert "foretold" not in kept(shop)[f"{shop.project}/postgres"]
    real = succeed(shop, "diff", **options)
    assert foretold.result["actions"] == real.result["actions"]
    assert foretold.result["diff"] == real.result["diff"]
    assert not succeed(shop, "check_mode", **options).changed


def test_what_the_application_makes_belongs_to_the_owner(shop: Environment):
    url = connection(shop, database="owned")["DATABASE_URL"]
    succeed(shop, database="owned")
    login(shop, url, "CREATE TABLE one (id int)")
    login(shop, url, "DISCARD ALL; CREATE TABLE two (id int)")
    owners = ask(
        shop, "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relname IN ('one', 'two')", "owned"
    )
    assert owners == ["owned_owner"]
    assert "permission denied" in refused(shop, url, "CREATE ROLE another")
    assert "permission denied" in refused(shop, url, "COPY one FROM PROGRAM 'true'")


def test_readonly_role_reads_what_is_there_and_what_comes_later(shop: Environment):
    options = {"database": "read", "readonly_role": "reader"}
    url = connection(shop, database="read")["DATABASE_URL"]
    succeed(shop, database="read")
    login(
        shop, url, "CREATE SCHEMA inner_one; CREATE TABLE inner_one.early (id serial); CREATE TABLE early (id serial)"
    )
    told = connection(shop, **options, variables={"readonly_url": "R", "readonly_user": "U", "readonly_password": "P"})
    assert told["U"] == "reader"
    assert told["P"] in told["R"]
    outcome = succeed(shop, **options)
    assert {"grant usage", "grant select", "grant connect"} <= set(actions(outcome))
    assert not succeed(shop, **options).changed
    login(shop, url, "CREATE TABLE inner_one.late (id serial); CREATE SCHEMA two; CREATE TABLE two.late (id serial)")
    for table in ("early", "inner_one.early", "inner_one.late", "two.late"):
        assert login(shop, told["R"], f"SELECT count(*) FROM {table}") == ["0"]
    assert "read-only" in refused(shop, told["R"], "INSERT INTO early VALUES (1)")
    write = "SET default_transaction_read_only TO off; INSERT INTO early VALUES (1)"
    assert "permission denied for table early" in refused(shop, told["R"], write)
    assert "permission denied" in refused(
        shop, told["R"], "SET default_transaction_read_only TO off; CREATE TABLE x ()"
    )
    assert not succeed(shop, **options).changed


def test_environments_are_refused_by_each_others_databases(shop: Environment):
    urls = {}
    for name in ("dev_db", "prod_db"):
        urls[name] = connection(shop, database=name)["DATABASE_URL"]
        succeed(shop, database=name)
    login(shop, urls["prod_db"], "CREATE TABLE secret (id int)")
    for own, other in (("dev_db", "prod_db"), ("prod_db", "dev_db")):
        stranger = urls[own].removesuffix(own) + other
        assert f'permission denied for database "{other}"' in refused(shop, stranger)
        assert login(shop, urls[own]) == [f"{own}_owner"]


@pytest.mark.parametrize("kind", some_of(STRANGE_NAMES, "quotes", "dollars", "63 bytes"))
def test_strange_names(shop: Environment, kind: str):
    database, role, reader = STRANGE_NAMES[kind]
    options = {"database": database, "role": role, "readonly_role": reader, "owner": f"{role[:50]} o"}
    told = connection(shop, **options, variables={"url": "URL", "readonly_url": "READ", "database": "D", "user": "U"})
    assert (told["D"], told["U"]) == (database, role)
    outcome = succeed(shop, **options, settings={"search_path": ["a b", '"', "select"], "my.own": "it's $1"})
    assert outcome.changed
    again = succeed(shop, **options, settings={"search_path": ["a b", '"', "select"], "my.own": "it's $1"})
    assert again.result["actions"] == []
    assert login(shop, told["URL"], "SELECT current_database(), current_user") == [f"{database}|{role[:50]} o"]
    assert login(shop, told["READ"], "SELECT current_database(), current_user") == [f"{database}|{reader}"]
    assert ask(shop, "SHOW my.own", database) == ["it's $1"]


@pytest.mark.parametrize("kind", some_of(STRANGE_PASSWORDS, "quotes", "address", "beyond ASCII"))
def test_strange_passwords(shop: Environment, kind: str):
    password = STRANGE_PASSWORDS[kind]
    options = {"database": "strange", "password": password}
    told = connection(shop, **options, variables={"url": "URL", "password": "PASSWORD"})
    assert told["PASSWORD"] == password
    at = len(log(shop))
    succeed(shop, **options)
    assert login(shop, told["URL"]) == ["strange_owner"]
    assert succeed(shop, **options).result["actions"] == []
    assert len(password) < 5 or password not in log(shop)[at:]
    env_file = have(shop, module="compose_env_file", variables=told, path=".env.strange", state_dir=None)
    assert not env_file.failed, env_file.message
    shop.write("strange.yml", {"services": {"web": service(environment={"URL": "${URL}", "PASSWORD": "${PASSWORD}"})}})
    (shop.folder / "strange.yml").chmod(0o600)
    config = shop.run(
        "compose_env", files=["strange.yml"], env_files=[".env.strange"], project_name="strange-" + shop.project
    )
    try:
        assert not config.failed, config.message
        web = Environment(shop.folder, shop.state_dir, shop.engine)
        (container,) = shop.engine.containers.list(
            filters={"label": f"com.docker.compose.project=strange-{shop.project}"}
        )
        _code, output = container.exec_run(["sh", "-c", 'printf "%s\n%s" "$URL" "$PASSWORD"'])
        assert output.decode() == f"{told['URL']}\n{password}", web
    finally:
        for each in shop.engine.containers.list(
            all=True, filters={"label": f"com.docker.compose.project=strange-{shop.project}"}
        ):
            each.remove(force=True)
        for network in shop.engine.networks.list(
            filters={"label": f"com.docker.compose.project=strange-{shop.project}"}
        ):
            network.remove()


@pytest.mark.parametrize("password", ["", "two\nlines"])
def test_password_that_postgres_or_its_clients_could_not_take(shop: Environment, password: str):
    outcome = have(shop, database="first", password=password)
    assert outcome.failed
    assert "password is empty or has a line break" in outcome.message


def test_other_password_is_set_once_and_the_old_one_is_refused(shop: Environment):
    old = connection(shop, database="changed", password="OldPassword1")["DATABASE_URL"]
    succeed(shop, database="changed", password="OldPassword1")
    at = len(log(shop))
    outcome = succeed(shop, "diff", database="changed", password="NewPassword2")
    assert actions(outcome) == ["set password"]
    assert outcome.result["diff"]["before"] == "password of role changed: another one\n"
    new = connection(shop, database="changed", password="NewPassword2")["DATABASE_URL"]
    assert login(shop, new) == ["changed_owner"]
    assert "password authentication failed" in refused(shop, old)
    assert not succeed(shop, database="changed", password="NewPassword2").changed
    assert "Password" not in log(shop)[at:]
    assert "SCRAM" not in log(shop)[at:]


def test_lost_password_is_an_error_with_the_choices(shop: Environment):
    url = connection(shop, database="lost")["DATABASE_URL"]
    succeed(shop, database="lost")
    path = shop.state_dir / shop.project / "secrets.json"
    content = path.read_text()
    path.write_text("{}")
    for state in ("present", "prepared"):
        outcome = have(shop, database="lost", state=state)
        assert outcome.failed
        assert outcome.result["error_kind"] == "password_mismatch"
        assert "password_mismatch=replace" in outcome.message
        assert str(path) in outcome.message
        assert path.read_text() == "{}"
    assert login(shop, url) == ["lost_owner"]
    replaced = succeed(shop, database="lost", password_mismatch="replace")
    assert actions(replaced) == ["make password", "set password"]
    assert "password authentication failed" in refused(shop, url)
    new = connection(shop, database="lost")["DATABASE_URL"]
    assert login(shop, new) == ["lost_owner"]
    assert not succeed(shop, database="lost", password_mismatch="replace").changed
    path.write_text(content)
    other = have(shop, database="lost")
    assert "holds another one" in other.message
    back = succeed(shop, database="lost", password_mismatch="replace")
    assert actions(back) == ["set password"]
    assert login(shop, url) == ["lost_owner"]


def test_superuser_is_never_the_applications_role(shop: Environment):
    outcome = have(shop, database="super", role="postgres")
    assert outcome.failed
    assert "role postgres is the superuser of the server" in outcome.message
    ask(shop, "CREATE ROLE mighty LOGIN CREATEROLE")
    outcome = have(shop, database="super", role="mighty")
    assert "may do more than use a database" in outcome.message
    assert ask(shop, "SELECT count(*) FROM pg_database WHERE datname = 'super'") == ["0"]


def test_what_cannot_be_is_refused_before_anything_is_changed(shop: Environment):
    ask(shop, "CREATE ROLE walker LOGIN")
    for options, told in (
        ({"owner": "walker"}, "role walker, which is to own database never, can log in"),
        ({"owner": "never"}, "three different roles"),
        ({"extensions": ["no_such"]}, "extension no_such is not in the server's image"),
        ({"settings": {"no_such": 1}}, "knows no no_such"),
        ({"settings": {"role": "x"}}, "role is made by role and owner"),
        ({"database": "x" * 64}, "from 1 to 63"),
        ({"variables": {"readonly_url": "X"}}, "there is no readonly_url; readonly_role is not set"),
        ({"consumer": "outside"}, "publishes no port"),
    ):
        outcome = have(shop, **{"database": "never", **options})
        assert outcome.failed, options
        assert told in outcome.message
    assert ask(shop, "SELECT count(*) FROM pg_database WHERE datname = 'never'") == ["0"]
    assert ask(shop, "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'never%'") == ["0"]


def test_database_of_an_earlier_scheme_is_adopted(shop: Environment):
    ask(shop, "CREATE ROLE old LOGIN PASSWORD 'OldScheme1'")
    ask(shop, "CREATE DATABASE old OWNER old")
    ask(shop, "CREATE TABLE by_superuser (id int)", "old")
    host = connection(shop, database="first", variables={"host": "H"})["H"]
    url = f"postgresql://old:OldScheme1@{host}:5432/old"
    login(shop, url, "CREATE TABLE mine (id int); INSERT INTO mine VALUES (7)")
    outcome = succeed(shop, database="old", password="OldScheme1")
    assert {"alter database", "reassign owned", "revoke connect"} <= set(actions(outcome))
    assert "1 tables, views or sequences in database old belong neither to" in str(outcome.result["warnings"])
    assert login(shop, url, "SELECT current_user, id FROM mine") == ["old_owner|7"]
    assert actions(succeed(shop, database="old", password="OldScheme1")) == []


def test_functions_of_the_application_are_not_run_by_the_superuser(shop: Environment):
    """As in CVE-2018-1058: a better match in the database's own schema wins, if that is searched."""
    url = connection(shop, database="trap")["DATABASE_URL"]
    succeed(shop, database="trap")
    body = "BEGIN ALTER ROLE trap SUPERUSER; RETURN $1; END"
    login(
        shop,
        url,
        f"CREATE FUNCTION public.format(text, text) RETURNS text LANGUAGE plpgsql AS '{body}';"
        f"CREATE FUNCTION public.lower(text) RETURNS text LANGUAGE plpgsql AS '{body}';"
        f"CREATE FUNCTION public.lower(name) RETURNS text LANGUAGE plpgsql AS '{body}';"
        "ALTER DATABASE trap SET search_path TO public, pg_catalog",
    )
    succeed(shop, database="trap", extensions=["hstore"], readonly_role="trap_reader")
    assert ask(shop, "SELECT rolsuper FROM pg_roles WHERE rolname = 'trap'") == ["f"]


def test_server_that_initialises_is_awaited(fresh: Environment):
    """The script takes its time while a server on the socket answers."""
    fresh.write("init/slow.sql", "SELECT pg_sleep(4); CREATE TABLE seeded (id int); INSERT INTO seeded VALUES (1);")
    database = postgres(volumes=["./init:/docker-entrypoint-initdb.d:ro"])
    fresh.write("compose.yml", {"services": {"postgres": database}})
    succeed(fresh, database="shop")
    assert ask(fresh, "SELECT count(*) FROM seeded") == ["1"]


def test_server_that_does_not_start_is_told_with_its_log(fresh: Environment):
    fresh.write("compose.yml", {"services": {"postgres": postgres(command=["postgres", "-c", "no_such_setting=1"])}})
    began = time.monotonic()
    outcome = have(fresh, database="shop", wait_timeout=60)
    assert outcome.failed
    assert time.monotonic() - began < 60
    assert "no_such_setting" in outcome.message
    fresh.write("compose.yml", {"services": {"db": postgres()}})
    assert "unknown service: postgres" in have(fresh, database="shop").message


def test_options_of_the_environment(fresh: Environment):
    database = postgres(profiles=["data"], image="${IMAGE}", ports=["127.0.0.1::5432"])
    fresh.write("layer.yml", {"services": {"db": database}})
    fresh.write("values.env", "IMAGE=postgres:17\n")
    fresh.variables = {
        "files": ["layer.yml"],
        "env_files": ["values.env"],
        "profiles": ["data"],
        "project_name": f"named-{fresh.folder.name}",
        "docker_host": "unix:///var/run/docker.sock",
        "command_timeout": 120,
        "lock_wait": 5,
        "actor": "somebody",
        "service": "db",
        "database": "shop",
    }
    named = Environment(fresh.folder, fresh.state_dir, fresh.engine)
    try:
        outcome = succeed(fresh)
        assert outcome.result["project"] == f"named-{fresh.folder.name}"
        told = connection(
            fresh,
            consumer="outside",
            host="db.example.org",
            url_scheme="postgresql+asyncpg",
            url_parameters={"sslmode": "prefer", "application_name": "a b"},
        )
        (container,) = fresh.engine.containers.list(
            filters={"label": f"com.docker.compose.project=named-{fresh.folder.name}"}
        )
        port = container.attrs["NetworkSettings"]["Ports"]["5432/tcp"][0]["HostPort"]
        scheme, _sign, rest = told["DATABASE_URL"].partition("://")
        assert scheme == "postgresql+asyncpg"
        assert rest.endswith(f"@db.example.org:{port}/shop?sslmode=prefer&application_name=a%20b")
        assert "somebody" in (fresh.state_dir / f"named-{fresh.folder.name}" / "audit.log").read_text()
    finally:
        named.name = "x"
        for each in fresh.engine.containers.list(
            all=True, filters={"label": f"com.docker.compose.project=named-{fresh.folder.name}"}
        ):
            each.remove(force=True, v=True)
        for network in fresh.engine.networks.list(
            filters={"label": f"com.docker.compose.project=named-{fresh.folder.name}"}
        ):
            network.remove()


def test_env_file_that_the_connection_is_for_need_not_be_there_yet(shop: Environment):
    (shop.folder / "plain.env").write_text("LEVEL=info\n")
    files = {"env_files": ["plain.env", "to-come.env"]}
    url = connection(shop, database="early", **files)["DATABASE_URL"]
    refused_now = have(shop, database="early", **files)
    assert "to-come.env" in refused_now.message
    (shop.folder / "to-come.env").write_text("\n")
    succeed(shop, database="early", **files)
    assert login(shop, url) == ["early_owner"]


def test_command_that_opens_psql_works_as_it_is_typed(shop: Environment):
    name = 'a "b" $c'
    argv = succeed(shop, database=name).result["psql"]
    assert typed(argv, "SELECT 'in ' || current_database();\n\\q\n").count(f"in {name}") == 1


def typed(argv: list[str], text: str) -> str:
    """What a command prints on a terminal on which somebody types."""
    own, other = pty.openpty()
    with subprocess.Popen(argv, stdin=other, stdout=other, stderr=other) as process:
        os.close(other)
        os.write(own, text.encode())
        printed = b"".join(_read_all(own))
        assert process.wait(timeout=30) == 0, printed
    os.close(own)
    return printed.decode()


def _read_all(terminal: int) -> Iterator[bytes]:
    with contextlib.suppress(OSError):  # the end of a terminal, on Linux
        while part := os.read(terminal, 4096):
            yield part
