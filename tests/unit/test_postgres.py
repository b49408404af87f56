# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What postgres_env decides: statements, passwords, connections, layers, versions."""

from __future__ import annotations

import re

import pytest
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._spec import POSTGRES_ENV
from ansible_collections.strata.compose.plugins.module_utils.postgres import (
    _connection,
    _converge,
    _guard,
    _own,
    _passwords,
    _removal,
    _scram,
)
from ansible_collections.strata.compose.plugins.module_utils.postgres._observed import Observed, Role, Schema, query
from ansible_collections.strata.compose.plugins.module_utils.postgres._sql import literal
from ansible_collections.strata.compose.plugins.module_utils.postgres._wish import Wish, wish_of

from tests.unit.tables import each, table

CASES = table("postgres")
DEFAULTS = {name: option.get("default") for name, option in POSTGRES_ENV.items()}


def wished(case):
    return wish_of({**DEFAULTS, "database": "shop", **case["wish"]})


def seen(case):
    """A server that has all that the usual wish wants, but for what differs."""
    told = dict(case["seen"])
    known = frozenset(("work_mem", "search_path", "timezone", "jit"))
    available = frozenset(told.pop("available", ()))
    if told.pop("nothing", False):
        return Observed(known=known, available=available)
    login = {"login": True, "verifier": "SCRAM old", "member_of": ("shop_owner",), "settings": ("role=shop_owner",)}
    roles = {"shop_owner": Role(**told.pop("owner_role", {})), "shop": Role(**{**login, **told.pop("login", {})})}
    reading = {}
    if told.pop("reader", False):
        roles["reader"] = Role(login=True, verifier="SCRAM", settings=(_converge.READ_ONLY,))
        reading = {"defaults": frozenset(sign for sign, *_rest in _converge.LATER), "connect": ("shop", "reader")}
    schemas = {name: Schema(**schema) for name, schema in told.pop("schemas", {}).items()}
    lists = {name: tuple(value) for name, value in told.items() if isinstance(value, list)}
    lists.update({name: frozenset(value) for name, value in lists.items() if name == "extensions"})
    usual = {"exists": True, "owner": "shop_owner", "connect": ("shop", "shop_owner"), "roles": roles, "known": known}
    return Observed(**{**usual, **reading, **({"schemas": schemas} if schemas else {}), **told, **lists})


@each(CASES["changes"])
def test_changes(case):
    found = _converge.changes(wished(case), seen(case), case.get("verifiers", {}))
    told = [[change.action, change.statement.template, *change.statement.arguments] for change in found]
    assert told == case["changes"]


def test_wish_without_more_is_made_of_names_alone():
    wish = Wish("shop", "shop_owner", "shop")
    found = _converge.changes(wish, Observed(), {})
    assert {change.subject for change in found} >= {"database shop", "role shop"}
    assert wish.settings == {}


@each(CASES["changes"])
def test_no_change_tells_a_verifier(case):
    found = _converge.changes(wished(case), seen(case), case.get("verifiers", {}))
    assert "SCRAM" not in " ".join(f"{each.subject} {each.before} {each.after} {each.reason}" for each in found)


@each(CASES["changes"])
def test_each_place_of_a_statement_has_its_argument(case):
    for change in _converge.changes(wished(case), seen(case), case.get("verifiers", {})):
        assert len(re.findall("%[IL]", change.statement.template)) == len(change.statement.arguments)


@each(CASES["impossible"])
def test_impossible(case):
    with pytest.raises(ComposeFailure, match=re.escape(case["message"])):
        _converge.require_possible(wished(case), seen(case))


@each(CASES["possible"])
def test_possible(case):
    _converge.require_possible(wished(case), seen(case))


@each(CASES["passwords"])
def test_passwords(case):
    stored = case.get("stored")
    verifier = None if stored == "none" else _scram.verifier(stored or "", b"salt" * 4)
    role = Role(verifier=verifier) if stored else None
    arguments = ("shop", case.get("given"), case.get("kept"), role, case.get("replaces", False), "secrets.json")
    if "message" in case:
        with pytest.raises(ComposeFailure, match=re.escape(case["message"])):
            _passwords.decided(*arguments)
    else:
        assert _passwords.decided(*arguments) == case["password"]


def test_verifiers_are_for_roles_that_have_another_password_or_none():
    roles = {
        "same": Role(verifier=_scram.verifier("a", b"salt")),
        "other": Role(verifier=_scram.verifier("b", b"salt")),
    }
    found = _passwords.verifiers({"same": "a", "other": "a", "new": "a"}, roles)
    assert sorted(found) == ["new", "other"]
    assert all(_scram.matches(each, "a") for each in found.values())


def test_passwords_of_other_servers_and_sections_stay(tmp_path):
    (tmp_path / "secrets.json").write_text('{"redis": "x"}')
    one, two = (_passwords.Kept.of(str(tmp_path), "shop-dev", service) for service in ("one", "two"))
    one.write({"shop": "a"})
    two.write({"shop": "b"})
    assert (one.read(), two.read()) == ({"shop": "a"}, {"shop": "b"})
    one.write({})
    assert (tmp_path / "secrets.json").read_text().count("one") == 0
    assert two.read() == {"shop": "b"}
    assert '"redis": "x"' in (tmp_path / "secrets.json").read_text()
    (tmp_path / "secrets.json").write_text("{ secret")
    with pytest.raises(ComposeFailure, match="is no JSON or was cut off. .*restore it") as failure:
        one.read()
    assert "{ secret" not in failure.value.message


def test_generated_passwords_need_no_quotes_anywhere():
    assert all(re.fullmatch("[A-Za-z0-9]{32}", _passwords.generated()) for _each in range(100))


@each(CASES["wishes"])
def test_wishes(case):
    sized = {key: _sized(value) for key, value in case["options"].items()}
    options = {**DEFAULTS, **sized}
    if "message" in case:
        with pytest.raises(ComposeFailure, match=re.escape(case["message"])):
            wish_of(options)
    else:
        assert list(wish_of(options).roles) == case["roles"]


def _sized(value):
    """``{64}`` stands for so many letters."""
    found = re.fullmatch(r"\{(\d+)\}", value) if isinstance(value, str) else None
    return "x" * int(found.group(1)) if found else value


@pytest.mark.parametrize("name", ["it's", '"', "$s0$", "%s {x}", "\\"])
def test_names_are_literals_in_the_query(name):
    text = query(Wish(name, "o", "r", None, (name,), {"search_path": (name,)}))
    assert text.count(literal(name)) == 3


@each(CASES["urls"])
def test_urls(case):
    endpoint = _connection.Endpoint(case.get("host", "db"), 5432)
    account = _connection.Account(case["user"], case["password"])
    assert _connection.url(endpoint, case["database"], account, "postgresql", case.get("parameters")) == case["url"]


@each(CASES["published"])
def test_published(case):
    found = _connection.published(case["ports"])
    assert (found and [found.host, found.port]) == case["endpoint"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"dsn": "X"}, "there is no dsn. A connection has url, host"),
        ({"readonly_url": "X"}, "readonly_role is not set"),
        ({"url": None}, "url needs the name"),
        ({"url": ["A", ""]}, "url needs the name"),
        ({"url": {"a": 1}}, "url needs the name"),
    ],
)
def test_variables_that_cannot_be(names, message):
    with pytest.raises(ComposeFailure, match=re.escape(message)):
        _connection.require_parts(names, False)


@each(CASES["majors"])
def test_majors(case):
    found, wanted = _guard.majors(case["told"])
    assert [sorted(found), wanted] == case["majors"]


@each(CASES["mounts"])
def test_mount_of_the_data(case):
    volumes = [{"type": "volume", "source": "x", "target": target} for target in case["volumes"]]
    environment = {"PGDATA": case["pgdata"]} if "pgdata" in case else {}
    assert _guard.data_mount({"volumes": volumes, "environment": environment})["target"] == case["target"]


@pytest.mark.parametrize(
    ("data", "mount"),
    [
        ("/var/lib/postgresql/data", "/var/lib/postgresql/data"),
        ("/var/lib/postgresql/18/docker", "/var/lib/postgresql"),
        ("/data/pg", "/data/pg"),
    ],
)
def test_volume_is_where_the_image_keeps_data(data, mount):
    assert _own.mount_of(data) == mount


def test_layer_of_its_own_publishes_nothing_and_shows_no_password():
    layer = _own.layer({**DEFAULTS, "volume": "a$b"}, "shop-dev-postgres", "/data", "/state/superuser_password")
    service = layer["services"]["postgres"]
    assert "ports" not in service
    assert service["environment"]["POSTGRES_PASSWORD_FILE"] == "/run/secrets/superuser_password"
    assert service["stop_grace_period"] == "60s"
    assert "127.0.0.1" in service["healthcheck"]["test"][1]
    assert layer["volumes"]["data"]["name"] == "a$$b"
    assert layer["networks"]["database"]["name"] == "shop-dev-postgres"


def test_roles_go_after_what_belongs_to_them():
    case = {"wish": {"readonly_role": "reader"}, "seen": {"reader": True}}
    found = _removal.removals(wished(case), seen(case))
    assert [each.subject for each in found] == ["database shop", "role reader", "role shop", "role shop_owner"]
    assert _removal.removals(wished(case), Observed()) == ()


@pytest.mark.parametrize(("found", "value"), [(None, "hunter22"), ("hunter22", "other-secret"), ("hunter22", None)])
def test_no_secret_setting_is_shown(found, value):
    (change,) = _converge._setting("shop", "app.jwt_secret", value, found, "")
    assert "hunter22" not in f"{change.reason} {change.before} {change.after}"
    assert "other-secret" not in change.after
    (public,) = _converge._setting("shop", "work_mem", "64MB", "4MB", "")
    assert (public.before, public.after) == ("4MB", "64MB")
