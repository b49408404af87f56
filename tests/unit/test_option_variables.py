# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody who runs a playbook sets, for the options that a refusal names."""

from __future__ import annotations

import pytest
from ansible_collections.strata.compose.plugins.plugin_utils._option_variables import variable_in, with_variables

VARIABLES = {
    "confirm": "compose_env_confirm",
    "lock_wait": "deploy_lock_wait",
    "state": "compose_env_state",
    "volumes": "compose_env_volumes",
    "services": "compose_env_services",
    "state_dir": "compose_env_state_dir",
    "project_moved_from": "compose_env_project_moved_from",
}


@pytest.mark.parametrize(
    ("message", "added"),
    [
        ("it loses data: say so with confirm=dev. Nothing was changed.", "-e compose_env_confirm=dev"),
        ("give lock_wait seconds to wait", "-e deploy_lock_wait=..."),
        ("say once project_moved_from=/srv/old if it has moved", "-e compose_env_project_moved_from=/srv/old"),
        ("(state=absent volumes=true confirm=dev)", "-e compose_env_state=absent -e compose_env_volumes=true -e comp"),
        ("Give state_dir=/home/ann/.local/state.", "-e compose_env_state_dir=/home/ann/.local/state`)"),
    ],
)
def test_options_are_named_as_variables(message, added):
    found = with_variables(message, VARIABLES)
    assert found.startswith(f"{message} (To a playbook: ")
    assert added in found


@pytest.mark.parametrize(
    "message",
    [
        "the state of its services is not known, confirm nothing",
        "/srv/state_dir=x/lock_wait cannot be read",
        "say -e compose_env_confirm=dev, that is confirm=dev",
        "VOLUME_confirm=1 and ${confirm=2}",
        "state=1 confirm=2 volumes=3 services=4 state_dir=5",
    ],
)
def test_other_words_are_left_alone(message):
    assert with_variables(message, VARIABLES) == message


@pytest.mark.parametrize(
    ("template", "variable"),
    [
        ("{{ deploy_lock_wait }}", "deploy_lock_wait"),
        ("{{ compose_env_lock_wait | default('') | string or 900 }}", "compose_env_lock_wait"),
        ("prod", None),
        (900, None),
    ],
)
def test_variable_that_a_task_takes_an_option_from(template, variable):
    assert variable_in(template) == variable
