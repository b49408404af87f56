# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind every module: it fills unset options from inventory variables. Private to strata.compose."""

from __future__ import annotations

import getpass
import os
import socket
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.strata.compose.plugins.module_utils._spec import ENVIRONMENT, INCOMING, OWNERSHIP
from ansible_collections.strata.compose.plugins.plugin_utils._option_variables import variable_in, with_variables

SHARED = "compose_env_"
"""Prefix of the variables for options that all modules have."""

DATABASES = "postgres_"
OF_DATABASES = ("service", "dedicated", "database")
"""Options that all modules on databases have, and the prefix of their variables."""

TEXTS = ("str", "path")
"""Types of options for which a task may mean the empty text, such as ``service``, which is none of the layers then."""


class FromVariables(ActionBase):
    """Run ``module``, with host variables for the options that the task leaves out.

    The variable is ``compose_env_<option>`` for options that all modules share, ``postgres_<option>`` for what tells
    the database, and ``<module>_<option>`` for a module's own: a timeout of one means nothing to another. Which one is
    shared tells its spec and not its name, which may be another option's here: ``variables`` of postgres_env. A task's
    option always wins, also when it is null. Variables are templated; one that is undefined fails with its name. An
    empty text from a variable is no value, for that is what a survey gives for a question without an answer; in a task
    it is one for options that are texts.
    """

    _supports_check_mode = True
    _supports_async = True
    _supports_diff = True

    module: str
    spec: t.ClassVar[dict[str, dict[str, t.Any]]]

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = {**self._actor(variables), **self._from_variables(variables), **self._given()}
        self._require(arguments, variables)
        self._pack_incoming(arguments)
        result.update(self._answer(arguments, variables))
        if not self._task.async_val:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _answer(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """What the host answers. No module of ours has facts, and a forged one would be variables of this host."""
        answer: dict[str, t.Any] = self._execute_module(
            module_name=self.module,
            module_args=arguments,
            task_vars=variables,
            wrap_async=self._task.async_val,
        )
        answer.pop("ansible_facts", None)
        if answer.get("failed") and isinstance(answer.get("msg"), str):
            answer["msg"] = with_variables(answer["msg"], self._settable())
        return answer

    def _settable(self) -> dict[str, str]:
        """The variables by which the options of this task are set from outside of it."""
        template = (self._task.get_ds() or {}).get(self._task.action, {})
        written = template if isinstance(template, dict) else {}
        own = {name: variable_in(written[name]) if name in written else self._variable(name) for name in self.spec}
        return {name: variable for name, variable in own.items() if variable and name not in INCOMING}

    def _from_variables(self, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        given = self._given()
        unset = [option for option in self.spec if option not in given]
        if not self._task.check_mode:
            unset = [option for option in unset if option not in INCOMING]
        found = {option: variables.get(self._variable(option)) for option in unset}
        templated = {option: self._templar.template(value) for option, value in found.items() if value is not None}
        return {option: value for option, value in templated.items() if not is_empty(value)}

    def _given(self) -> dict[str, t.Any]:
        """The options of the task, without those whose empty text can only come from a variable without a value."""
        arguments: dict[str, t.Any] = self._task.args
        return {
            option: value
            for option, value in arguments.items()
            if not is_empty(value) or self.spec.get(option, {}).get("type", "str") in TEXTS
        }

    def _pack_incoming(self, arguments: dict[str, t.Any]) -> None:
        """Only a check plans with what is still here; otherwise it is on the host already."""
        given = arguments.pop("incoming", None)
        if not given or not self._task.check_mode or "incoming" not in self.spec:
            return
        from ansible_collections.strata.compose.plugins.plugin_utils._incoming import packed

        arguments["incoming"] = packed(self, given, self.module, str(arguments["environment"]))
        self._loader.cleanup_all_tmp_files()

    def _actor(self, variables: dict[str, t.Any]) -> dict[str, str]:
        """Who runs this, for modules that write it down: only the controller knows."""
        if "actor" not in self.spec:
            return {}
        user = variables.get("awx_user_name") or _user()
        job = variables.get("awx_job_id")
        return {"actor": f"{user}@{socket.gethostname()}" + (f" (AWX job {job})" if job else "")}

    def _variable(self, option: str) -> str:
        everywhere = {**ENVIRONMENT, **OWNERSHIP, **INCOMING}
        shared = next((name for name, details in everywhere.items() if details is self.spec[option]), None)
        if shared:
            return SHARED + shared
        module = self.module.rpartition(".")[2]
        return (DATABASES if module.startswith(DATABASES) and option in OF_DATABASES else f"{module}_") + option

    def _require(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> None:
        """Fail with the variable to set and the place for it, which the module alone could not name."""
        for option, details in self.spec.items():
            if details.get("required") and arguments.get(option) in (None, ""):
                host = variables.get("inventory_hostname", "this host")
                raise AnsibleActionFail(
                    f"{option} is not set for host {host}: set the variable {self._variable(option)} in the inventory "
                    f"(for example in group_vars/all.yml, or group_vars/<environment>.yml), "
                    f"or give {option}=... to this task."
                )


def is_empty(value: object) -> bool:
    """Whether it is a text without anything in it but space."""
    return isinstance(value, str) and not value.strip()


def _user() -> str:
    """Who runs Ansible; an execution environment may run as a user that its /etc/passwd does not have."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
