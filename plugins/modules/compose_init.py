#!/usr/bin/python
# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_init
short_description: Run migrations and other one-shot services of an environment once, before it is deployed
version_added: 0.2.0
description:
  - Runs one-shot services, the steps of the init phase, in their new image while the old containers go on serving. Each
    must exit with code 0. M(strata.compose.compose_env) then refuses to deploy what its steps have not succeeded for.
  - A step that succeeded is not run again for the same content, that is, its part of the resolved layers, the content
    of its files, its image, and the volumes that it works on. A ledger on the host keeps that.
  - A mounted folder is content of a step if the step mounts it read-only (C(:ro)) and it lies in O(project_dir), such
    as a folder of SQL files. Folders in it that some service can write to are left out, and so are C(.git), C(.hg),
    C(.svn) and C(__pycache__). More than 50000 entries or 1 GiB in it are an error, and so is what cannot be read.
  - A volume counts as another one when it was made anew. On Docker Engine before 23, which does not tell of that, this
    is seen by root on the engine's own host. Otherwise a volume that was removed and made again by hand, between two
    operations, is taken for the one before, for a step that inserts must not run twice.
  - A folder that a step mounts writable is data. A new file in it does not make the step run again.
  - Services that the steps depend on and that do not run, such as the database of a first deployment, are started
    first. What runs is left as it is. An optional dependency (C(required) is V(false)) on a service whose profile is
    off is left alone, as in a deployment. Any other dependency on such a service is an error before anything runs.
  - A step whose operation was killed goes on. The next operation awaits its end and does not start it again, unless the
    step has other content or another image by now.
author:
  - The strata.compose authors (@strata-collections)
extends_documentation_fragment:
  - strata.compose._attributes
  - strata.compose._incoming
  - strata.compose._project
  - strata.compose._external
  - strata.compose._resolution
  - strata.compose._data_paths
  - strata.compose._operation
attributes:
  check_mode:
    description: Tells which steps would run, and runs none.
    support: full
  diff_mode:
    description: What a step changes is not known.
    support: none
options:
  state:
    description:
      - V(present) runs the steps that have not succeeded for their present content.
      - V(assume) writes down that they have, and runs none. For a database that was migrated by other means, and when
        the ledger was damaged or lost, which stops every deployment until it is said whether the steps are done. Their
        images are got, for a step is done in its image. Needs O(confirm).
    type: str
    choices: [present, assume]
    default: present
  confirm:
    description:
      - The name of the environment, for O(state=assume).
    type: str
  profiles:
    description:
      - Profiles that are on, as for M(strata.compose.compose_env), so that the steps depend on what is deployed. The
        inventory variable C(compose_env_profiles) gives all modules the same.
      - By default those that C(COMPOSE_PROFILES) in the env file names. That of O(profile) need not be among them, nor
        those of the services in O(steps), which are on for what these depend on, as for C(docker compose run).
    type: list
    elements: str
  files:
    description:
      - The layers in the order of Compose's C(-f), relative to O(project_dir), discovered by default as for
        M(strata.compose.compose_env).
    type: list
    elements: path
  command_timeout:
    description:
      - Seconds after which a single call of the Docker CLI, such as a pull or a build, is ended as failed. The steps
        themselves have O(timeout).
    type: int
    default: 1800
  profile:
    description:
      - The services with this profile are the steps, unless O(steps) or O(file) says otherwise. They run in the order
        of their names, each after the steps that it depends on.
      - An environment without such a service has no init phase, which is no error.
    type: str
    default: init
  steps:
    description:
      - Names of the services that are the steps, whatever their profile. They run in this order, each after the steps
        that it depends on.
      - A step can also be a service of the layers with another command, such as the application's own image that
        migrates. It is a mapping of C(service), C(command) and C(name).
      - C(command) takes the place of the service's, and its entrypoint stays. It is a list of words, or a text that is
        split into words as in a Compose file. A C($) in it stands for itself. It is content of the step.
      - C(name) is what the step is known by in ledger and report. It defaults to the service, and each step needs
        another one.
      - Such a step runs as with C(docker compose run). The service itself may run meanwhile, for the step has none of
        its ports, its container name, its addresses and aliases in networks, its labels and its health check.
    type: list
    elements: raw
  file:
    description:
      - Compose files of their own that hold the steps, such as V(deploy/init-compose.yml), relative to
        O(project_dir). They are taken as further layers in this order, so their services can depend on the
        environment's database and use its networks. Their paths begin where those of the layers do.
    type: list
    elements: path
  run:
    description:
      - V(once) runs a step that has not succeeded for its present content. V(always) runs all of them on every call,
        for steps that are to be repeated, or whose data lives where no volume tells that it is gone. V(always) also
        begins a new ledger where the old one was damaged or lost.
    type: str
    choices: [once, always]
    default: once
  parallel:
    description:
      - Run steps side by side. One that has another step in its C(depends_on) still waits until that has succeeded.
    type: bool
    default: false
  timeout:
    description:
      - Seconds that each step may take. After that its container is stopped and the step has failed. Choose more than
        the longest migration of real data takes.
    type: int
    default: 900
  build:
    description:
      - When to build the steps' images, as for M(strata.compose.compose_env). Give both the same value, so that a step
        runs in the image that is deployed.
    type: str
    choices: [missing, always, never]
    default: missing
  pull:
    description:
      - When to pull the steps' images, as for M(strata.compose.compose_env).
    type: str
    choices: [missing, always, never]
    default: missing
  wait_timeout:
    description:
      - Seconds that the services which the steps depend on have to become ready.
    type: int
    default: 120
  stable_for:
    description:
      - Seconds that such a service must run without a restart if it had to be started and has no health check.
    type: int
    default: 10
  proven:
    description:
      - RV(proof) of another host of the environment, which ran the steps for all of them. It is written down here, and
        nothing is run. The role P(strata.compose.init#role) does that for environments of several hosts.
      - Refused where this host has other content of a step than the other had, and where this host had written the same
        run down before its image or its data changed. The image may have another ID here, as where hosts build it
        for themselves. The word is for the image that is here, or if there is none, or with V(always) for O(build) or
        O(pull), for the one that is deployed next.
    type: dict
seealso:
  - module: strata.compose.compose_env
  - module: strata.compose.compose_exec
"""

EXAMPLES = r"""
- name: Run the services with the profile init that have not succeeded for this version
  strata.compose.compose_init:
    project_dir: /opt/shop
    environment: prod

- name: Migrate, then seed two tables side by side
  strata.compose.compose_init:
    project_dir: /opt/shop
    environment: prod
    steps: [migrate, seed-articles, seed-customers]
    parallel: true

- name: Migrate with the application's own image, and load fixtures
  strata.compose.compose_init:
    project_dir: /opt/shop
    environment: prod
    steps:
      - {name: migrate, service: web, command: [python, manage.py, migrate]}
      - {name: fixtures, service: web, command: python manage.py loaddata countries}

- name: Run the services of a Compose file of their own, and give each half an hour
  strata.compose.compose_init:
    project_dir: /opt/ledger
    environment: staging
    file: deploy/init-compose.yml
    timeout: 1800

- name: Say that the database, which was migrated by hand, has all of its migrations
  strata.compose.compose_init:
    project_dir: /opt/shop
    environment: prod
    state: assume
    confirm: prod

- name: Reset the test data on every deployment
  strata.compose.compose_init:
    project_dir: /opt/shop
    environment: test
    steps: [reset-data]
    run: always
"""

RETURN = r"""
sources:
  description: What was taken and why, as M(strata.compose.compose_env) returns it.
  returned: success, and failure of a step
  type: dict
project:
  description: Compose's project name.
  returned: success, and failure of a step
  type: str
  sample: shop-prod
environment:
  description: The environment.
  returned: success, and failure of a step
  type: str
  sample: prod
release:
  description: Number of the release that the host runs, V(none) before the first.
  returned: success, and failure of a step
  type: int
  sample: 7
actions:
  description: The steps that were run, or in check mode would be.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: Name of the step, which is its service unless O(steps) names it otherwise.
      type: str
    action:
      description:
        - V(init), V(prove) for the word of another host that was taken over, or V(assume).
      type: str
    reason:
      description: Why.
      type: str
services:
  description: The services as they are now, as in M(strata.compose.compose_env).
  returned: success, and failure of a step
  type: list
  elements: dict
steps:
  description: All steps in their order.
  returned: success, and failure of a step
  type: list
  elements: dict
  contains:
    service:
      description: Name of the step, which is its service unless O(steps) names it otherwise.
      type: str
    outcome:
      description: V(succeeded), V(failed), V(done before), V(assumed) or V(not run).
      type: str
    exit_code:
      description: Exit code of its container.
      type: int
    seconds:
      description: How long it ran.
      type: float
    cause:
      description: Why it failed.
      type: str
    log:
      description: The last 20 lines that it wrote, secrets masked.
      type: list
      elements: str
    log_file:
      description:
        - File on the managed host with all that it wrote, unmasked and for its owner only. The last 20 are kept.
      type: str
    container:
      description: Name of its container, which is kept after a failure until the next try.
      type: str
    finished_at:
      description: When it ended, in UTC.
      type: str
    host:
      description: Name of the host on which it ran.
      type: str
report:
  description: The same as a table for people.
  returned: success, and failure of a step
  type: list
  elements: str
  sample:
    - ✔ migrations (exit 0, 2.3 s)
    - ✘ seed-data (exit 1, 0.8 s)
proof:
  description:
    - What the ledger says of each step that has succeeded for its present content, for O(proven) on other hosts.
  returned: success, and failure of a step
  type: dict
runs:
  description: The runs of the steps that RV(proof) is made of.
  returned: always
  type: list
  elements: str
lacking:
  description: The steps that have not succeeded for their present content.
  returned: always
  type: list
  elements: str
outdated:
  description:
    - The runs of steps in RV(lacking), for the same model and files, that this host has written down. It takes no other
      host's word for them, for its images or data have changed since.
  returned: always
  type: list
  elements: str
ran_here:
  description: Whether this host has run steps itself, now or for an earlier content.
  returned: success, and failure of a step
  type: bool
due:
  description: In check mode, whether a run would do anything.
  returned: check mode
  type: bool
failed_services:
  description:
    - The steps that failed, with cause, exit code and last log lines. Or what they depend on and did not get ready, as
      in M(strata.compose.compose_env).
  returned: failure of a step, or of what it depends on
  type: list
  elements: dict
settled:
  description:
    - What an operation before this one had left half done when it was cut off, and how that was brought to an end
      before this one began.
  returned: when there was something to settle, and the module did not fail
  type: str
  sample: >-
    The switch to release 7 that alice began at 2026-11-21T08:00:04Z was cut off; release 6 serves again.
problems:
  description: All that stands in the way, such as missing files and images, taken host ports or too little disk space.
  returned: failure of the checks before the first change
  type: list
  elements: str
undefined:
  description: Names of the variables that the layers use and nothing defines. The message has file and line of each.
  returned: failure, when there are some
  type: list
  elements: str
inputs:
  description:
    - What the plan was made from, by name, each with a digest that only this host can make. So values can be compared
      and not be guessed.
  returned: success, in check mode
  type: dict
  sample:
    init step migrate: 6c1ff09d7d9e3ad7f85cb9e2ae7b12a5a2a2f1b1d1b9c0e4f4a5b6c7d8e9fa0b
error_kind:
  description:
    - V(init_failed) when a step failed, or the phase was cancelled while steps ran. V(locked) when another operation is
      at work on the project, V(cancelled) after SIGTERM or SIGINT, V(timeout) when a call of the Docker CLI took longer
      than O(command_timeout).
    - V(damaged_state) when the ledger is damaged or lost, see O(state). V(unsafe_state) when others can write to the
      state folder.
  returned: failure of one of these kinds
  type: str
  sample: init_failed
lock:
  description: Who is at work on the project, with C(operation), C(actor), C(started) and C(pid).
  returned: failure, when O(lock_wait) is over
  type: dict
rc:
  description: Exit code of a command of the Docker CLI that failed.
  returned: failure of such a command
  type: int
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.strata.compose.plugins.module_utils._errors import options_of, told_as_module_result
from ansible_collections.strata.compose.plugins.module_utils._init import run
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._spec import COMPOSE_INIT


def main() -> None:
    module = AnsibleModule(argument_spec=COMPOSE_INIT, supports_check_mode=True)
    redactor = Redactor()
    with told_as_module_result(module, redactor) as tell:
        tell(run(options_of(module), redactor, module.check_mode))


if __name__ == "__main__":
    main()
