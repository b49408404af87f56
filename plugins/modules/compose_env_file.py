#!/usr/bin/python
# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_env_file
short_description: Write the env file and the secret files of a Docker Compose environment
version_added: 0.1.0
description:
  - Writes variables, as a rule from the inventory and its vault, to the env file. From it Compose takes the values for
    C(${NAME}) in the layers.
  - Values arrive bit for bit. Quotes, C($), C(#), backslashes and line breaks need no thought.
  - Before it writes, it compares the names with the project's C(.env.example), so that a forgotten or misspelled
    variable is found here and not by the application.
  - The file is replaced in one step and is readable for its owner only.
  - Where the host has an engine that the user of the task may not use, it says so and writes nothing.
  - With O(secrets), it writes the files behind Compose's C(secrets) as well, or only those.
author:
  - The strata.compose authors (@strata-collections)
extends_documentation_fragment:
  - strata.compose._attributes
  - strata.compose._incoming
attributes:
  check_mode:
    description: Compares everything and writes nothing.
    support: full
  diff_mode:
    description: Shows the names of variables and secret files, and of each value the beginning of a digest.
    support: full
options:
  project_dir:
    description:
      - Folder on the managed host that holds the Compose files. It has to exist.
      - Usually set once in the inventory as C(compose_env_project_dir), for all modules. So is O(environment), as
        C(compose_env_environment). The others are this module's own, so C(compose_env_file_example) is for O(example).
    type: path
    required: true
  environment:
    description:
      - Name of the environment, such as V(dev), V(test) or V(prod). It is in the default of O(path).
    type: str
    required: true
  state_dir:
    description:
      - Folder for the state of this collection, where O(incoming) finds the list of files that were brought earlier.
      - By default C(/var/lib/strata) for root, and C($XDG_STATE_HOME/strata) or C(~/.local/state/strata) for other
        users.
    type: path
  path:
    description:
      - The env file, relative to O(project_dir). By default it is C(.env.<environment>), which
        M(strata.compose.compose_env) finds by itself.
      - Of a symbolic link, the file that it points to is replaced, if the link and that file belong to root or to the
        user of the task. Any other link is refused, for the owner of a project directory could lead root anywhere with
        it. Give a link to root with C(chown -h).
    type: path
  variables:
    description:
      - Names and values of the variables. Strings and numbers are written as they are, booleans as C(true) and
        C(false).
      - Null and nested values are refused. So is what no container can receive, such as a NUL character.
      - The file holds these variables and no others, sorted by name.
      - Leave it out for a task that writes O(secrets) only. One of the two is needed.
    type: dict
  example:
    description:
      - The file that tells which variables there are, relative to O(project_dir). It has to exist.
      - By default it is C(.env.example), if that exists.
      - Every variable of the example has to be in O(variables) and the other way round. A line that is commented out,
        as in C(# SENTRY_DSN=), allows a variable without requiring it.
    type: path
  check_example:
    description:
      - Compare O(variables) with the example. Set it to V(false) where the example is no list of what this environment
        has.
    type: bool
    default: true
  owner:
    description:
      - Name or number of the user who owns the file. By default that of the existing file, or else the user who runs
        the module.
    type: str
  group:
    description:
      - Name or number of the group of the file. By default that of the existing file, or else the group of the user who
        runs the module.
    type: str
  secrets:
    description:
      - Names and contents of files for C(file) entries of Compose's C(secrets). They hold exactly this text; no line
        break is added.
      - A file that is no longer listed stays.
      - Links are followed as for O(path), and no others. A pipe or a device in the place of a file is refused.
    type: dict
  secrets_folder:
    description:
      - The folder of the secret files, relative to O(project_dir). It is made if it is missing, and lets nobody in but
        its owner.
      - Give an absolute path for files that are to be kept elsewhere, such as in memory.
    type: path
    default: secrets
  secrets_in_memory:
    description:
      - Keep the secret files in memory, so that no disk and no backup holds them. After a reboot they are gone until
        they are written again, and containers that mount them do not come up until then.
      - They are in a folder of the project with mode 0700, in C(/run/strata) for root and in C(/run/user/<uid>/strata)
        for other users, or in C(/dev/shm/strata-<uid>) where the former is no C(tmpfs). O(secrets_folder) becomes a
        link to it.
      - An O(secrets_folder) with files that O(secrets) does not name is an error, for it becomes a link.
      - Set it to V(false) again, and the next run brings the files back to the disk. Either way nothing is recreated.
    type: bool
    default: false
  secrets_state:
    description:
      - Set it to V(absent) for a project that leaves the host. It removes O(secrets_folder) with all that is in it, or
        the link, and what the project has in memory. Removing the project directory alone would leave that.
      - A folder that is not below O(project_dir) is not removed.
    type: str
    choices: [present, absent]
    default: present
  secrets_mode:
    description:
      - Mode of the secret files, as octal digits in quotes. Compose mounts them as they are, so the user of the
        container must be able to read them. Set O(secrets_owner) for that, or V("0444").
    type: str
    default: "0400"
  secrets_owner:
    description:
      - Name or number of the user who owns the secret files, for example the number of the container's user. By default
        it is the user who runs the module.
    type: str
seealso:
  - module: strata.compose.compose_env
"""

EXAMPLES = r"""
- name: Have a project folder
  ansible.builtin.file:
    path: /tmp/shop
    state: directory
    mode: "0750"

- name: Write /tmp/shop/.env.prod
  strata.compose.compose_env_file:
    project_dir: /tmp/shop
    environment: prod
    variables:
      TAG: 1.4.2
      WORKERS: 4
      DEBUG: false
      DATABASE_PASSWORD: it's $ecret # exactly as it stands

- name: Write it elsewhere, and without a look at the example
  strata.compose.compose_env_file:
    project_dir: /tmp/shop
    environment: prod
    path: environments/prod.env
    check_example: false
    variables:
      TAG: 1.4.2

- name: Write /tmp/shop/secrets/signing.key, and no env file
  strata.compose.compose_env_file:
    project_dir: /tmp/shop
    environment: prod
    secrets:
      signing.key: from the vault

- name: Keep it in memory instead
  strata.compose.compose_env_file:
    project_dir: /tmp/shop
    environment: prod
    secrets:
      signing.key: from the vault
    secrets_in_memory: true

- name: Remove it from memory and disk
  strata.compose.compose_env_file:
    project_dir: /tmp/shop
    environment: prod
    secrets_state: absent
"""

RETURN = r"""
path:
  description: The env file.
  returned: success, with O(variables)
  type: str
  sample: /srv/shop/.env.prod
variables:
  description: Names of the variables that it holds, sorted.
  returned: success, with O(variables)
  type: list
  elements: str
  sample: [DATABASE_PASSWORD, DEBUG, TAG, WORKERS]
secrets_written:
  description: Names of the secret files that were written, or would be in check mode.
  returned: success, with O(secrets)
  type: list
  elements: str
  sample: [signing.key]
missing:
  description: Variables of the example that were not given.
  returned: failure, when the variables do not fit the example
  type: list
  elements: str
unknown:
  description: Variables that were given and that the example does not know.
  returned: failure, when the variables do not fit the example
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.strata.compose.plugins.module_utils._env_file import place_all
from ansible_collections.strata.compose.plugins.module_utils._errors import told_as_module_result
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._spec import COMPOSE_ENV_FILE


def main() -> None:
    module = AnsibleModule(argument_spec=COMPOSE_ENV_FILE, supports_check_mode=True)
    params = dict(module.params)
    # Ansible would mask each value wherever it occurs: with WORKERS=2 every 2 in the result. So the values leave the
    # parameters, which the result shows as its invocation; what is told has none, and the redactor watches over that.
    for option in ("variables", "secrets"):
        module.params[option] = sorted(map(str, params[option] or ()))
    module.no_log_values.clear()
    redactor = Redactor()
    with told_as_module_result(module, redactor) as tell:
        tell(place_all(params, redactor, module.check_mode, module._diff))


if __name__ == "__main__":
    main()
