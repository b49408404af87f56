# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where secrets are found, and that nothing leaves a module but through the redactor."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import yaml
from ansible_collections.strata.compose.plugins.module_utils import _errors, _secrets
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure, told_as_module_result
from ansible_collections.strata.compose.plugins.module_utils._model import as_json
from ansible_collections.strata.compose.plugins.module_utils._project import Project
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor

from tests.unit.tables import release_of

MASK = "********"


def learned(release):
    redactor = Redactor()
    _secrets.learn_secrets(redactor, release, ())
    return redactor


@pytest.mark.parametrize(
    "definition",
    [
        {"environment": {"DB_PASSWORD": "hunter2"}},
        {"environment": {"DATABASE_URL": "postgres://shop:hunter2@db"}},
        {"build": {"args": {"NPM_TOKEN": "hunter2"}}},
        {"labels": {"traefik.basicauth.password": "hunter2"}},
        {"logging": {"options": {"splunk-token": "hunter2"}}},
        {"command": ["serve", "--database", "postgres://shop:hunter2@db"]},
        {"entrypoint": ["serve", "password=hunter2"]},
        {"healthcheck": {"test": ["CMD", "curl", "http://shop:hunter2@localhost/"]}},
    ],
)
def test_secrets_of_a_service(definition):
    assert learned(release_of({"web": definition})).mask("it is hunter2") == f"it is {MASK}"


def test_secrets_of_volumes():
    options = {"type": "cifs", "o": "username=shop,password=hunter2,vers=3"}
    release = release_of({"web": {}}, volumes={"data": {"driver_opts": options}, "other": None})
    assert learned(release).mask("it is hunter2") == f"it is {MASK}"


def test_what_is_escaped_for_compose_is_known_as_it_is():
    release = release_of({"web": {"environment": {"DB_PASSWORD": "hunter2$$x"}}})
    assert learned(release).mask("it is hunter2$x") == f"it is {MASK}"


def test_values_of_environment_secrets_and_no_others():
    model = {"secrets": {"db": {"environment": "DATABASE"}}, "configs": {"a": {"environment": "LEVEL"}}}
    release = release_of({"web": {"environment": {"MODE": None}}}, **model)
    release = replace(
        release, variables={"DATABASE": "hunter2", "LEVEL": "debug", "MODE": "true", "A_TOKEN": "hunter3"}
    )
    told = learned(release).mask(["is hunter2", "is hunter3", "is debug", "is true"])
    assert told == [f"is {MASK}", f"is {MASK}", "is debug", "is true"]


def test_files_of_secrets(tmp_path):
    (tmp_path / "key").write_text("hunter2\n")
    (tmp_path / "large").write_text("hunter3" * _secrets.LARGEST)
    files = {name: {"file": str(tmp_path / name)} for name in ("key", "large", "absent")}
    told = learned(release_of({"web": {}}, secrets=files)).mask(["is hunter2", "is hunter3"])
    assert told == [f"is {MASK}", "is hunter3"]


def test_generated_passwords(tmp_path):
    redactor = Redactor()
    _secrets.learn_generated(redactor, str(tmp_path))
    (tmp_path / "secrets.json").write_text('{"postgres": "hunter2", "others": {"redis": "hunter3"}}')
    _secrets.learn_generated(redactor, str(tmp_path))
    assert redactor.mask("hunter2 hunter3") == f"{MASK} {MASK}"


def test_a_damaged_file_of_generated_passwords_is_not_quoted_and_what_is_left_of_it_is_masked(tmp_path):
    (tmp_path / "secrets.json").write_text('{"postgres": "hunter2')
    redactor = Redactor()
    _secrets.learn_generated(redactor, str(tmp_path))
    (warning,) = _errors._noticed
    assert "secrets.json is no JSON or was cut off" in warning
    assert "hunter2" not in warning
    assert redactor.mask("is hunter2") == f"is {MASK}"


def test_what_cannot_be_resolved_is_learned_from_its_texts(tmp_path):
    (tmp_path / "compose.yml").write_text("services: {web: {env_file: [web.env], environment: {A_TOKEN: hunter3}}}\n")
    (tmp_path / "web.env").write_text("export DB_PASSWORD='hunter2'\n")
    project = Project(str(tmp_path), "dev", "shop-dev", (str(tmp_path / "compose.yml"),), (), ())
    redactor = Redactor()
    with pytest.raises(ComposeFailure), _secrets.learning_of_failures(redactor, project):
        raise ComposeFailure("no")
    assert redactor.mask("hunter2") == MASK


class Module:
    """What Ansible's module does at its end."""

    def __init__(self, **params):
        self.params = params
        self.told = SimpleNamespace(result=None, pending=None)
        self.warnings: list[str] = []

    def _end(self, **result):
        self.told = SimpleNamespace(result=result, params=dict(self.params), pending=sys.exc_info()[1])
        raise SystemExit

    def warn(self, warning):
        self.warnings.append(warning)

    exit_json = fail_json = _end


def end(work, **params):
    redactor, module = Redactor(), Module(**params)
    redactor.learn(["hunter2"])
    with pytest.raises(SystemExit), told_as_module_result(module, redactor) as tell:
        work(tell)
    return module.told


def test_results_and_options_are_masked():
    told = end(lambda tell: tell({"msg": "is hunter2"}), argv=["echo", "hunter2"], environment="dev")
    assert told.result == {"msg": f"is {MASK}"}
    assert told.params == {"argv": ["echo", MASK], "environment": "dev"}


def test_failures_are_masked_and_leave_no_exception_to_ansible():
    def work(_tell):
        raise ComposeFailure("is hunter2", cause="hunter2")

    told = end(work, argv=["hunter2"])
    assert told.result == {"changed": False, "msg": f"is {MASK}", "cause": MASK, "exception": None}
    assert told.params == {"argv": [MASK]}


def test_errors_that_nobody_foresaw_are_masked():
    def work(_tell):
        raise KeyError("hunter2")

    result = end(work).result
    assert result["msg"].startswith("strata.compose itself failed, test_secrets.py line ")
    assert "KeyError" in result["msg"]
    assert "hunter2" not in str(result)
    assert "Traceback" in result["exception"]


def test_names_are_told_as_they_are():
    told = end(lambda tell: tell({"project": "hunter2-dev", "environment": "hunter2"}), environment="hunter2")
    assert told.result == {"project": "hunter2-dev", "environment": "hunter2"}
    assert told.params == {"environment": "hunter2"}


def test_models_for_compose_are_json_and_yaml():
    model = {"a": 'hünter2😀 \\ " \x7f\x85\u2028\ufeff\t\0'}
    assert json.loads(as_json(model)) == model
    assert yaml.safe_load(as_json(model).decode()) == model
