#!/usr/bin/python
# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_env_info
short_description: Tell what a Docker Compose environment is and does
version_added: 0.1.0
description:
  - Gathers services, processes, logs, the resolved configuration, images, variables with the origin of their values,
    releases, drift, or the lock of one environment. Changes nothing, on the engine or on the host.
  - Secrets are masked in all of it.
author:
  - The strata.compose authors (@strata-collections)
extends_documentation_fragment:
  - strata.compose._attributes
  - strata.compose._project
  - strata.compose._layers
  - strata.compose._resolution
  - strata.compose._data_paths
attributes:
  check_mode:
    description: Gathers the same in check mode.
    support: full
  diff_mode:
    description: Changes nothing, so there is nothing to show.
    support: none
options:
  gather:
    description:
      - V(services) are the containers with their states, V(processes) what runs in them, V(logs) what they wrote.
      - V(config) is the configuration that the layers resolve to now, V(images) what the containers were made from.
      - V(variables) are those that layers use or env files define, each with the file and line that its value comes
        from.
      - V(releases) are the stored ones, newest first. V(drift) is what differs from the current one although nobody
        deployed it.
      - V(lock) is whether an operation is at work on the project, whose, and whether one was cut off. It is read
        without taking the lock, and needs neither the engine nor the project's files.
      - V(backups) is how the last backup of each database ended, and the last test of one, also where the host itself
        makes them at night. It needs neither the engine nor the project's files.
      - Only V(config) and V(variables) need the project's files on the host.
    type: list
    elements: str
    choices: [services, processes, logs, config, images, variables, releases, drift, lock, backups]
    default: [services]
  tail:
    description:
      - With V(logs), the number of lines from the end of each container's log.
    type: int
    default: 100
  since:
    description:
      - With V(logs), only lines after this time, such as V(10m) or V(2026-11-21T08:00:00Z).
    type: str
seealso:
  - module: strata.compose.compose_env
"""

EXAMPLES = r"""
- name: See what runs
  strata.compose.compose_env_info:
    project_dir: /opt/shop
    environment: prod

- name: Read the last ten minutes of two services
  strata.compose.compose_env_info:
    project_dir: /opt/shop
    environment: prod
    gather: [logs]
    services: [api, app]
    since: 10m

- name: Fail a scheduled job when somebody changed the environment by hand
  strata.compose.compose_env_info:
    project_dir: /opt/shop
    environment: prod
    gather: [drift]
  register: found
  failed_when: found.drift | length > 0

- name: See who is at work
  strata.compose.compose_env_info:
    project_dir: /opt/shop
    environment: prod
    gather: [lock]
"""

RETURN = r"""
sources:
  description:
    - What was taken and why, as C(project_name), C(layers), C(env_files), C(profiles) and C(base_directory), each with
      C(path) or C(name) and C(why); the C(variables) of the option, secrets as the beginning of their digest; and in
      C(left_out) what was near and not taken, such as C(compose.override.yml) or the top-level C(name) of a layer.
    - It is that of the current release, as M(strata.compose.compose_env) told it.
  returned: success
  type: dict
project:
  description: Compose's project name.
  returned: success
  type: str
environment:
  description: The environment.
  returned: success
  type: str
release:
  description: Number of the current release, V(none) before the first.
  returned: success
  type: int
state_folder:
  description:
    - Folder on the managed host with the project's releases, generated passwords and logs. It is in O(state_dir), and
      comes with the first operation that changes something.
  returned: success
  type: str
  sample: /var/lib/strata/shop-prod
services:
  description: As M(strata.compose.compose_env) returns them.
  returned: when gathered
  type: list
  elements: dict
processes:
  description: For each running container its service, name and processes with pid, user, cpu, rss, elapsed and command.
  returned: when gathered
  type: list
  elements: dict
logs:
  description: For each container its service, name and lines. Each line begins with its time.
  returned: when gathered
  type: list
  elements: dict
config:
  description: The resolved configuration, secrets as the beginning of a digest.
  returned: when gathered
  type: dict
images:
  description: For each service the name, id, tags, digests, creation time and size in bytes of its image.
  returned: when gathered
  type: list
  elements: dict
variables:
  description:
    - For each variable its name, its value or the beginning of a secret's digest, its origin and where it is used.
  returned: when gathered
  type: list
  elements: dict
  sample:
    - name: LOG_LEVEL
      value: info
      origin: /opt/shop/.env.prod:3
      used_in: ["/opt/shop/docker-compose.yml:21"]
releases:
  description:
    - The stored releases, newest first, with number, whether it is the current one, which one it C(replaced), time,
      actor, source revision, outcome, and the seconds that it took.
    - C(images) has the image id of each service of a release that has served, C(inputs) the SHA-256 of each file that
      it was resolved from, C(init) the steps of the init phase that it needed, C(cause) why it failed.
  returned: when gathered
  type: list
  elements: dict
  sample:
    - release: 7
      current: true
      replaced: 6
      created: "2026-11-21T08:00:00Z"
      actor: "alice@awx-1 (AWX job 4711)"
      revision: 3f2a9c1
      outcome: good
      seconds: 9.6
      images:
        web: sha256:8c1b0f7d2a9e4c3b5a6d7e8f90123456789abcdef0123456789abcdef0123456
      inputs:
        /opt/shop/docker-compose.yml: 5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8
drift:
  description: The steps that would bring the current release back, each with service, action and reason.
  returned: when gathered
  type: list
  elements: dict
lock:
  description:
    - Whether the lock is C(held), what its owner wrote into it, as C(operation), C(actor), C(started) and C(pid),
      whether that process is C(alive) and at work, and the C(holders), each with C(pid) and C(command).
    - A holder that is not the owner is a process of the CLI that a dead owner started and that is still at work.
    - C(journal) tells of a switch that is under way or, when nobody is at work, was cut off, with C(phase), C(to),
      C(back), C(started) and C(actor). The next operation that changes the project settles it.
  returned: when gathered
  type: dict
  sample:
    held: true
    operation: present
    actor: alice
    started: "2026-11-21T08:00:00Z"
    pid: 4711
    alive: false
    holders:
      - pid: 4718
        command: docker-compose --progress plain --project-name shop-prod up --no-start
    journal:
      phase: switch
      to: 7
      back: 6
      started: "2026-11-21T08:00:04Z"
      actor: alice
backups:
  description:
    - How the last operation of each kind on the backups of each database ended. C(operation) is V(backup) or V(verify),
      C(outcome) V(good) or V(failed), with the C(database), the C(time) in UTC, the C(actor), which is V(strata-backup)
      for the host itself, the C(file), and the C(cause) of a failure.
  returned: when gathered
  type: list
  elements: dict
  sample:
    - database: shop
      operation: backup
      outcome: failed
      time: "2026-11-21T02:30:31Z"
      actor: strata-backup
      cause: "database shop of service postgres: canceling statement due to lock timeout (SQLSTATE 55P03)"
undefined:
  description: Names of the variables that the layers use and nothing defines. The message has file and line of each.
  returned: failure to gather C(config) or C(variables), when there are some
  type: list
  elements: str
error_kind:
  description: V(timeout) when the engine did not answer in time.
  returned: failure of this kind
  type: str
rc:
  description: Exit code of a command of the Docker CLI that failed.
  returned: failure of such a command
  type: int
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.strata.compose.plugins.module_utils._errors import options_of, told_as_module_result
from ansible_collections.strata.compose.plugins.module_utils._info import gather
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._spec import COMPOSE_ENV_INFO


def main() -> None:
    module = AnsibleModule(argument_spec=COMPOSE_ENV_INFO, supports_check_mode=True)
    redactor = Redactor()
    with told_as_module_result(module, redactor) as tell:
        tell(gather(options_of(module), redactor))


if __name__ == "__main__":
    main()
