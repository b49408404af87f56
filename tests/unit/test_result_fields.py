# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names are never masked, whatever the passwords are: masked and unmasked results differ only in values."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _public_words, _result_fields, _secrets
from ansible_collections.strata.compose.plugins.module_utils._differences import masked_definition
from ansible_collections.strata.compose.plugins.module_utils._errors import options_of, told_as_module_result
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._report import services_told

from tests.unit.modules import FOLDER, MODULES
from tests.unit.tables import release_of, snapshot_of

MASK = "********"

PASSWORDS = (
    *("postgres", "minio", "app", "environment", "shop-prod", "shop", "prod", "makeplane/plane-admin:stable", "plane"),
    *("a", "1", "/srv/shop/.env.prod", "srv", "compose.yml", "sha256", "running", "healthy", "password", "service"),
    *("POSTGRES_PASSWORD", "5432", "shop-prod-postgres-1", "postgres-1", "orders", "stable", "image", "reason", "ak"),
    *("http", "web_data", "0007", "migrate", "services", "name", "state", "changed", "container", "project"),
)

SERVICES: dict[str, Any] = {
    "postgres": {"image": "postgres:16", "environment": {"POSTGRES_PASSWORD": "", "POSTGRES_DB": "orders"}},
    "minio": {"image": "minio:stable", "volumes": [{"type": "volume", "source": "web_data", "target": "/data"}]},
    "app": {"image": "makeplane/plane-admin:stable", "depends_on": {"postgres": {"condition": "service_started"}}},
    "environment": {"image": "a:1", "networks": {"default": None}, "container_name": "shop-environment"},
}


def told(password: str) -> tuple[dict[str, Any], Any]:
    """What modules tell of an environment whose password it is, and its release."""
    release = release_of(
        {**SERVICES, "postgres": {**SERVICES["postgres"], "environment": {"P": "", "B_PASSWORD": password}}}
    )
    snapshot = snapshot_of({name: [{"ports": ["0.0.0.0:5432->5432/tcp"], "health": "healthy"}] for name in SERVICES})
    state = "/var/lib/strata/shop-prod"
    result = {
        "changed": False,
        "project": "shop-prod",
        "environment": "prod",
        "release": 1,
        "state_folder": state,
        "services": services_told(snapshot),
        "actions": [{"service": name, "action": "recreate", "reason": f"image {name}:1 changed"} for name in SERVICES],
        "config": {key: masked_definition(value) for key, value in release.model.items()},
        "images": [{"service": "app", "image": "makeplane/plane-admin:stable", "id": "sha256:a1", "tags": ["a:1"]}],
        "processes": [
            {"service": "app", "container": "shop-prod-app-1", "processes": [{"user": "postgres", "pid": "1"}]}
        ],
        "variables": [
            {
                "name": "POSTGRES_PASSWORD",
                "value": "sha256:1",
                "origin": "/srv/shop/.env.prod:1",
                "used_in": ["compose.yml:1"],
            }
        ],
        "releases": [{"release": 1, "outcome": "deployed", "images": {"postgres": "sha256:1"}}],
        "drift": [{"service": "minio", "action": "start", "reason": "it is exited"}],
        "lock": {"held": False, "path": f"{state}/lock"},
        "sources": {
            "layers": [{"path": "/srv/shop/compose.yml", "why": "base"}],
            "project_name": {"name": "shop-prod"},
        },
        "inputs": {"/srv/shop/compose.yml": "sha256:1"},
        "database": "orders",
        "owner": "postgres",
        "psql": ["docker", "exec", "-it", "shop-prod-postgres-1", "psql", "-U", "postgres", "orders"],
        "file": "/var/backups/postgres/prod-orders-1.dump",
        "sha256": "a1" * 32,
        "path": "/srv/shop/.env.prod",
        "backups": [{"file": "/var/backups/postgres/prod-orders-1.dump", "sha256": "a1" * 32, "database": "orders"}],
        "removed": ["postgres/minio.yml"],
        "failed_services": [{"service": "app", "image": "a:1", "state": "exited"}],
    }
    return result, release


class Module:
    """What modules need of Ansible."""

    _diff = check_mode = False
    argument_spec = {"variables": {"no_log": True}, "project_dir": {}}

    def __init__(self, password: str) -> None:
        self.params = {
            "variables": {"A": password},
            "project_dir": "/srv/shop",
            "service": "postgres",
            "files": ["compose.yml"],
        }
        self.no_log_values = {password}
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def exit_json(self, **result: Any) -> None:
        self.result = result
        raise SystemExit

    fail_json = exit_json


def ended(password: str) -> tuple[Module, dict[str, Any]]:
    result, release = told(password)
    module, redactor = Module(password), Redactor()
    options_of(module)
    _secrets.learn_secrets(redactor, release, ())
    with pytest.raises(SystemExit), told_as_module_result(module, redactor) as tell:
        tell(result)
    return module, result


def without_values(result: dict[str, Any]) -> dict[str, Any]:
    """A result without the environments of services, where values stand."""
    services = {name: {**each, "environment": None} for name, each in result["config"]["services"].items()}
    return {**result, "config": {**result["config"], "services": services}}


@pytest.mark.parametrize("password", PASSWORDS)
def test_results_differ_only_in_values(password):
    module, result = ended(password)
    assert without_values(module.result) == without_values(result)
    assert module.result["config"]["services"].keys() == SERVICES.keys()
    assert module.params["project_dir"] == "/srv/shop"
    assert module.params["files"] == ["compose.yml"]
    assert module.no_log_values == set()


@pytest.mark.parametrize("password", PASSWORDS)
def test_what_stands_where_a_value_stands_is_masked(password):
    redactor = Redactor()
    redactor.learn({password: "B_PASSWORD"})
    given = {"environment": {"B": password}, "labels": {"B": password}, "variables": [{"name": "B", "value": password}]}
    masked = {"environment": {"B": MASK}, "labels": {"B": MASK}, "variables": [{"name": "B", "value": MASK}]}
    assert redactor.mask(given) == masked
    assert redactor.mask({"stdout": password, "lines": [password]}) == {"stdout": MASK, "lines": [MASK]}


@pytest.mark.parametrize(
    ("password", "why"),
    [("postgres", "a public word"), ("minio", "shorter than 6"), ("1", ""), ("a", "shorter than 6"), ("hunter2", "")],
)
def test_what_cannot_be_masked_in_free_text_is_named_once(password, why):
    module, _result = ended(password)
    assert len(module.warnings) == bool(why)
    assert why in "".join(module.warnings)
    assert "B_PASSWORD" in "".join(module.warnings) or not why


def test_other_secrets_are_masked_in_messages_and_not_in_names():
    redactor = Redactor()
    redactor.learn(["hunter2"])
    result = {"service": "hunter2", "msg": "is hunter2", "reason": "a hunter2 b", "image": "http://u:hunter2@db/a"}
    masked = {"service": "hunter2", "msg": f"is {MASK}", "reason": f"a {MASK} b", "image": f"http://u:{MASK}@db/a"}
    assert redactor.mask(result) == masked


def calls(module: str) -> set[str]:
    tree = ast.parse((FOLDER / f"{module}.py").read_text())
    return {each.func.id for each in ast.walk(tree) if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)}


@pytest.mark.parametrize("module", MODULES)
def test_ansible_masks_no_values_of_options(module):
    """It would mask them in every text and number of the result."""
    own = "no_log_values.clear()" in (FOLDER / f"{module}.py").read_text()
    assert "options_of" in calls(module) or own or module == "compose_files"


HOLDING = (
    {"environment": ["B_PASSWORD=hunter22", "LEVEL=info"]},
    {"source": "https://u:hunter22@nas/share"},
    {"source": "username=u,password=hunter22"},
    {"database": "host=db user=u password='hunter22'"},
    {"steps": ['{"name": "seed", "command": "seed --url=postgres://u:hunter22@db/a"}']},
    {"file": "backup.sh password=hunter22"},
    {"server": "redis://:hunter22@redis:6379"},
)
"""What users write where a name is due, each with a password that nobody has named."""


@pytest.mark.parametrize("value", HOLDING, ids=str)
def test_a_password_where_a_name_is_due_is_no_name(value):
    redactor = Redactor()
    assert "hunter22" not in str(redactor.mask(value))
    assert not any("hunter22" in each for each in _result_fields.names_in(value))
    redactor.learn(["hunter22"])
    redactor.publish(_result_fields.names_in(value))
    assert redactor.mask({"msg": "is hunter22"}) == {"msg": f"is {MASK}"}


@pytest.mark.parametrize(
    "variables",
    [
        {"DB_HOST": "postgres://shop:hunter22@db/shop"},
        {"CACHE_HOST": "redis://:hunter22@redis"},
        {"DASHBOARD_USER": "admin:hunter22"},
        {"DB_NAME": "host=db password=hunter22"},
        {"APP_USERNAME": "admin:hunter22"},
    ],
    ids=str,
)
def test_no_password_is_published_with_the_name_that_it_stands_beside(variables):
    published = [*_public_words.of_variables(variables)]
    assert not any("hunter22" in each for each in published)
    assert "db" in published or "@db" not in str(variables)


@pytest.mark.parametrize(
    "service",
    [{"image": "https://u:hunter22@registry/app"}, {"volumes": [{"source": "//u:hunter22@nas/share"}]}],
    ids=str,
)
def test_no_password_is_published_with_the_field_of_a_service(service):
    redactor = Redactor()
    redactor.learn(["hunter22"])
    redactor.publish(_public_words.of_model({"services": {"app": service}}))
    assert redactor.mask({"msg": "is hunter22"}) == {"msg": f"is {MASK}"}


@pytest.mark.parametrize("name", ["app:1", "registry:5000/app:1", "db:5432", "/srv/a=b", "0.0.0.0:80->80/tcp"])
def test_what_looks_like_one_and_is_none_stays_a_name(name):
    redactor = Redactor()
    redactor.learn([name])
    assert redactor.mask({"image": name}) == {"image": name}
    assert [*_result_fields.names_in({"image": name})] == ["image", name]


@pytest.mark.parametrize("key", ["output", "health_output"])
def test_what_a_command_printed_is_a_value(key):
    redactor = Redactor()
    redactor.learn(["abc"])
    assert redactor.mask({key: "abc\n"}) == {key: MASK}


@pytest.mark.parametrize("key", ["settings", "url_parameters"])
def test_settings_are_values(key):
    redactor = Redactor()
    redactor.learn(["abc"])
    assert redactor.mask({key: {"name": "abc", "app.jwt_secret": "abc"}}) == {
        key: {"name": MASK, "app.jwt_secret": MASK}
    }
