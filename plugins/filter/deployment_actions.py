# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All actions of a deployment as one list, from the results of its tasks: the same for a plan and for what was done."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: deployment_actions
short_description: List all actions of a deployment
version_added: 0.2.0
description:
  - Makes one list of the results that the tasks of a deployment have registered, in the order of the tasks. It serves a
    plan and a deployment alike, so that the two can be compared line by line.
  - An action that one task foresees and an earlier one takes already is listed once, as that of a database's container.
    Where one of them is not certain, the certain one is listed.
author:
  - The strata.compose authors (@strata-collections)
options:
  _input:
    description:
      - Results by what they are about, in the order of the tasks. C(files) is the result of
        M(strata.compose.compose_files), C(env_file) that of M(strata.compose.compose_env_file), C(secrets) a list of
        names of secret files that are written. All others have C(actions).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Plan the services
  strata.compose.compose_env:
  check_mode: true
  register: planned

- name: List the actions
  ansible.builtin.debug:
    msg: "{{ {'files': deploy_files, 'services': planned} | strata.compose.deployment_actions }}"
"""

RETURN = r"""
_value:
  description:
    - Mappings with C(service), C(action) and C(reason); of a file its kind, the action and its path. What a plan cannot
      be sure of has C(certain) as V(false).
  type: list
  elements: dict
"""

Action = dict[str, t.Any]
Results = t.Mapping[str, t.Any]

WRITTEN = {"created": "create", "changed": "change", "removed": "remove"}
NOT_DONE_TO_IT = frozenset({"prove"})
"""Actions that only note what happened on another host, which a plan cannot know."""


def deployment_actions(results: Results) -> list[Action]:
    """One list of all actions, each once."""
    actions: list[Action] = []
    for kind, result in results.items():
        taken = {_key(each): place for place, each in enumerate(actions)}
        for each in _of(kind, result or {}):
            place = taken.get(_key(each))
            if place is None:
                actions.append(each)
            elif not actions[place].get("certain", True) and each.get("certain", True):
                actions[place] = each
    return actions


def _key(action: Action) -> tuple[str, str]:
    return action["service"], action["action"]


def _of(kind: str, result: t.Any) -> t.Iterator[Action]:
    if kind == "files":
        for written, paths in (result.get("files") or {}).items():
            yield from (_action("file", WRITTEN[written], path) for path in paths)
    elif kind == "env_file":
        if result.get("changed"):
            yield _action("env file", "write", str(result["path"]))
    elif kind == "secrets":
        yield from (_action("secret file", "write", name) for name in result)
    else:
        yield from (each for each in result.get("actions") or () if each["action"] not in NOT_DONE_TO_IT)


def _action(service: str, action: str, reason: str) -> Action:
    return {"service": service, "action": action, "reason": reason}


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"deployment_actions": deployment_actions}
