#!/usr/bin/python
# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_exec
short_description: Run a command in a container of a Docker Compose environment
version_added: 0.1.0
description:
  - Runs a command in a service's container, or in a one-off container of the service that goes afterwards.
  - Input and output are exact to the byte. Values of variables never show in a process list, a log or a result.
  - A service that does not run and a command that failed are told apart by RV(error_kind).
  - A host on which M(strata.compose.compose_env) deployed the environment knows the service's container, so one process
    of the Docker CLI is all it takes. Elsewhere, and with O(index), the container is looked for first.
author:
  - The strata.compose authors (@strata-collections)
extends_documentation_fragment:
  - strata.compose._attributes
  - strata.compose._project
  - strata.compose._resolution
attributes:
  check_mode:
    description: Looks at what can be looked at without a change.
    support: partial
    details: A command that is said to be O(read_only) is run in check mode too. Others are skipped.
  diff_mode:
    description: What a command changes is not known.
    support: none
options:
  files:
    description:
      - The layers in the order of Compose's C(-f), relative to O(project_dir), discovered by default. Only a one-off
        container of a service that was never deployed is made from them.
    type: list
    elements: path
  profiles:
    description:
      - Profiles to switch on for O(one_off), where the service is in one that the deployment left out. By default those
        that C(COMPOSE_PROFILES) in the env file names.
    type: list
    elements: str
  command_timeout:
    description:
      - Seconds that each further call of the Docker CLI may take, such as a look at the engine after a failure. The
        command itself has O(timeout).
    type: int
    default: 1800
  service:
    description:
      - The service whose container the command runs in.
    type: str
    required: true
  index:
    description:
      - Number of the container, for a service with several of them. By default any one that runs.
    type: int
  argv:
    description:
      - The command as a list of words, each of which arrives as it stands. Choose it over O(command) for words with
        spaces or quotes, or from variables. Secrets belong in O(env) or O(stdin), for every user of the host can read
        a command's words.
    type: list
    elements: str
  command:
    description:
      - The command as one text, split into words as a shell does it. No shell runs, so C(|), C(>) and C($NAME) mean
        nothing unless O(argv) names a shell of the container.
    type: str
  user:
    description:
      - User in the container, by name or number, also with a group as in V(www-data:www-data). By default the
        container's own.
    type: str
  workdir:
    description:
      - Folder in the container to run in. By default the container's own.
    type: str
  env:
    description:
      - Variables for the command, over those of the container. Numbers and booleans are written as Compose does it.
      - The values are taken for secrets and masked in the result, but for those that the task shows anyway, such as a
        database that has the project's name.
    type: dict
  stdin:
    description:
      - Text for the command to read, exactly as it stands. No line break is added. By default it finds an empty input.
      - It is told nowhere, but not masked in what the command itself prints.
    type: str
  stdin_base64:
    description:
      - The same for data that is no text, in base64.
    type: str
  stdin_file:
    description:
      - The same from a file on the managed host, of any size.
    type: path
  one_off:
    description:
      - Run in a new container of the service, with its image, networks, volumes and environment. It is removed when the
        command ends, fails or exceeds O(timeout). What the service depends on is neither started nor changed.
      - It is made from the current release, or from the layers if there is none. The image's entrypoint gets the
        command, as with C(docker compose run). Without O(argv) and O(command), the service's own command runs.
      - The service may have a profile that is off, such as one that runs the tests.
    type: bool
    default: false
  creates:
    description:
      - A path in the container. If it exists, the command is not run. The container needs C(sh) for that.
    type: str
  removes:
    description:
      - A path in the container. If it does not exist, the command is not run. The container needs C(sh) for that.
    type: str
  ok_rc:
    description:
      - Exit codes that are no failure.
    type: list
    elements: int
    default: [0]
  changed_rc:
    description:
      - Exit codes that mean that something changed, no failures either. All other good ones then mean that nothing did.
        By default every command that was run counts as a change, unless O(read_only) is set.
    type: list
    elements: int
  read_only:
    description:
      - Say that the command changes nothing. It then runs in check mode, and is never reported as changed.
    type: bool
    default: false
  detach:
    description:
      - Return as soon as the command is started. How it ends and what it prints is not told.
    type: bool
    default: false
  timeout:
    description:
      - Seconds that the command may take. After that it is killed, and its children with it.
      - In a running container its processes are found by a variable C(STRATA_EXEC) that it gets. That takes C(sh) and
        C(grep) in the container and, if it has changed its user, an engine that allows privileged processes. Otherwise
        it may go on. The message says which it is.
    type: int
    default: 600
  max_output:
    description:
      - Bytes of standard output and of standard error that the result may hold. Of more, it holds the end, and a file
        on the host the whole, see RV(stdout_file). V(0) keeps all output on the host.
    type: int
    default: 65536
seealso:
  - module: strata.compose.compose_env
"""

EXAMPLES = r"""
- name: Ask the database how large it is
  strata.compose.compose_exec:
    project_dir: /opt/shop
    environment: prod
    service: postgres
    command: psql -U shop -Atc "SELECT pg_database_size('shop')"
    read_only: true
  register: size

- name: Load an extract, without a password in any process list
  strata.compose.compose_exec:
    project_dir: /opt/shop
    environment: test
    service: postgres
    argv: [psql, -U, shop, -v, ON_ERROR_STOP=1]
    env:
      PGPASSWORD: "{{ lookup('ansible.builtin.env', 'SHOP_DATABASE_PASSWORD') }}"
    stdin_file: /opt/shop/extract.sql

- name: Migrate in a container of its own
  strata.compose.compose_exec:
    project_dir: /opt/shop
    environment: prod
    service: api
    command: alembic upgrade head
    one_off: true
    timeout: 1800

- name: Compact the cache, which exits with 3 when there was something to do
  strata.compose.compose_exec:
    project_dir: /opt/shop
    environment: prod
    service: redis
    argv: [sh, -c, "test $(redis-cli dbsize) -eq 0 || { redis-cli flushall; exit 3; }"]
    changed_rc: [3]

- name: Prepare a folder of a volume once
  strata.compose.compose_exec:
    project_dir: /opt/shop
    environment: prod
    service: app
    command: mkdir /data/thumbnails
    user: root
    creates: /data/thumbnails
"""

RETURN = r"""
project:
  description: Compose's project name.
  returned: success, and failure of the command
  type: str
  sample: shop-prod
environment:
  description: The environment.
  returned: success, and failure of the command
  type: str
  sample: prod
release:
  description: Number of the release that the host runs, V(none) where M(strata.compose.compose_env) deployed nothing.
  returned: success, and failure of the command
  type: int
  sample: 7
service:
  description: The service.
  returned: success, and failure of the command
  type: str
  sample: api
container:
  description: Id of the container, or name of the one-off container.
  returned: when the command was run
  type: str
  sample: shop-prod-api-run-0b5e3a91c2d4
argv:
  description: The words of the command, secrets masked. Empty when the service's own command ran.
  returned: success, and failure of the command
  type: list
  elements: str
  sample: [alembic, upgrade, head]
rc:
  description: Exit code of the command, V(none) when it was not run, was ended or is detached.
  returned: success, and failure of the command
  type: int
  sample: 0
stdout:
  description: Standard output as text, its last line break included, secrets masked.
  returned: when the command was run
  type: str
stdout_base64:
  description: Standard output in base64, secrets masked.
  returned: when it is not valid UTF-8
  type: str
stdout_file:
  description:
    - File on the managed host with all of the standard output, unmasked and for its owner only. The last 20 are kept.
  returned: when it exceeds O(max_output)
  type: str
  sample: /var/lib/strata/shop-prod/output/20261121T080000-api-0b5e3a91c2d4.stdout
stderr:
  description: Standard error as text, secrets masked.
  returned: when the command was run
  type: str
stderr_base64:
  description: Standard error in base64, secrets masked.
  returned: when it is not valid UTF-8
  type: str
stderr_file:
  description: File on the managed host with all of the standard error.
  returned: when it exceeds O(max_output)
  type: str
seconds:
  description: How long it took.
  returned: when the command was run
  type: float
  sample: 1.205
actions:
  description: The command as an action, if it counts as a change.
  returned: success, and failure of the command
  type: list
  elements: dict
  contains:
    service:
      description: The service.
      type: str
    action:
      description: Always V(exec).
      type: str
    reason:
      description: The command.
      type: str
error_kind:
  description:
    - V(not_running) when there was no container to run in, V(command_failed) when the command ended with a wrong exit
      code or could not be executed, V(timeout) when it took longer than O(timeout), or another call of the Docker CLI
      longer than O(command_timeout), or the engine did not answer a question in time.
  returned: failure of one of these kinds
  type: str
  sample: command_failed
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.strata.compose.plugins.module_utils import _exec
from ansible_collections.strata.compose.plugins.module_utils._errors import options_of, told_as_module_result
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._spec import COMPOSE_EXEC


def main() -> None:
    module = AnsibleModule(
        argument_spec=COMPOSE_EXEC,
        supports_check_mode=True,
        required_if=[["one_off", False, ["argv", "command"], True]],
        mutually_exclusive=[["argv", "command"], ["stdin", "stdin_base64", "stdin_file"]],
    )
    redactor = Redactor()
    with told_as_module_result(module, redactor) as tell:
        tell(_exec.execute(options_of(module), redactor, module.check_mode))


if __name__ == "__main__":
    main()
