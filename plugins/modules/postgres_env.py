#!/usr/bin/python
# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_env
short_description: Have the Postgres database of an environment
version_added: 0.2.0
description:
  - Has a Postgres server run and answer, and in it a database with its roles, extensions and settings. The server is a
    service of the environment's layers, or with O(dedicated) one of its own, which this module brings.
  - All objects belong to a role that cannot log in, the owner. The application logs in as O(role), which is a member of
    the owner and acts as the owner in this database. Nobody else may connect, so an environment's role is refused by
    the databases of the others on the same server. The superuser is for this collection alone.
  - Passwords are given or made once on the host. They are compared and set by SCRAM verifiers, so that a second run
    changes nothing, and no password is ever sent to the server.
  - Nothing is needed on the host besides the CLI. C(psql) runs in the container, and no port has to be published.
  - What is left out of the options stays as it is, such as further extensions, settings and roles.
author:
  - The strata.compose authors (@strata-collections)
extends_documentation_fragment:
  - strata.compose._attributes
  - strata.compose._incoming
  - strata.compose._project
  - strata.compose._external
  - strata.compose._resolution
  - strata.compose._operation
  - strata.compose._postgres
attributes:
  check_mode:
    description:
      - Of a server that does not run it tells only that it would be started. What is in its database is not known then.
    support: full
  diff_mode:
    description: Tells no password and no verifier of one.
    support: full
options:
  state:
    description:
      - V(present) has the server run, and the database be as the options say. A service of the layers that runs is left
        as it is, for changes to it are a matter of the environment's own deployment. One that does not run is started
        as M(strata.compose.compose_env) would do it, which then finds nothing to change in it.
      - V(prepared) only has the passwords and tells the connection. The server need not run, and the layers need not
        resolve. So the env file, which the layers need, can have the connection before the first deployment.
      - V(absent) takes away the database and its roles, and the server with its volume if this module brought it. It
        wants O(confirm).
    type: str
    choices: [present, prepared, absent]
    default: present
  files:
    description:
      - The layers in the order of Compose's C(-f), relative to O(project_dir), discovered by default as for
        M(strata.compose.compose_env).
    type: list
    elements: path
  profiles:
    description:
      - Profiles to switch on, by default those of E(COMPOSE_PROFILES) in the env file.
    type: list
    elements: str
  owner:
    description:
      - Role that owns the database and all in it, and cannot log in. By default the name of O(role) with C(_owner).
      - A database that exists is given to it, and so is what O(role) owns in it.
    type: str
  role:
    description:
      - Role that the application logs in as. By default it is named as O(database).
    type: str
  readonly_role:
    description:
      - Role that may read all tables and sequences of the database, those to come included, and change nothing. By
        default there is none.
    type: str
  password:
    description:
      - Password of O(role). By default it is made once and kept on the host, in C(secrets.json) of the project's state
        folder with mode 0600. It has 32 letters and digits then.
      - One that differs from the database's is set there. A given password is not kept.
    type: str
  readonly_password:
    description:
      - Password of O(readonly_role), as O(password) is of O(role).
    type: str
  password_mismatch:
    description:
      - What to do when a role exists with a password that is neither given nor kept on the host, as after the state
        folder was lost or somebody changed it by hand.
      - With V(fail) it is an error. With V(replace) the role gets the one that is kept, or a new one, and applications
        are locked out until they have got it too.
    type: str
    choices: [fail, replace]
    default: fail
  extensions:
    description:
      - Extensions that the database has to have, with those that they need. The server's image must have them.
    type: list
    elements: str
    default: []
  settings:
    description:
      - Settings of the database and their values, as of C(ALTER DATABASE ... SET). A list is for settings that are
        lists of names, such as C(search_path). A null takes a setting back.
      - They hold for sessions that begin afterwards.
    type: dict
    default: {}
  variables:
    description:
      - Names of the variables in RV(connection) by part of the connection. A part may have a list of names.
      - The parts are C(url), C(host), C(port), C(database), C(user) and C(password), and with O(readonly_role) also
        C(readonly_url), C(readonly_user) and C(readonly_password).
    type: dict
    default:
      url: DATABASE_URL
  compose_variables:
    description:
      - What O(strata.compose.compose_env#module:variables) is for M(strata.compose.compose_env), variables for the
        interpolation of the layers, which win over the env files. It has a name of its own here, for O(variables) names
        the parts of the connection, and is taken from C(compose_env_variables) like that of the other modules.
    type: dict
  consumer:
    description:
      - Whether who connects is V(inside) of the server's Compose network, or V(outside), where its published port is
        used.
      - For a server of its own, the network and the host are both named C(<project>-postgres). Layers name that network
        as an external one.
    type: str
    choices: [inside, outside]
    default: inside
  host:
    description:
      - Host that consumers find the server by. By default it is O(service) or C(<project>-postgres) for consumers
        inside, and the address of the published port for those outside.
    type: str
  url_scheme:
    description:
      - What the URL begins with, such as V(postgres) or V(postgresql+asyncpg).
    type: str
    default: postgresql
  url_parameters:
    description:
      - Parameters at the end of the URL, such as C(sslmode).
    type: dict
    default: {}
  reveal:
    description:
      - Tell RV(connection) as it is, so that another task can write it into an env file. The task has to be C(no_log)
        then. By default passwords are masked in it.
    type: bool
    default: false
  image:
    description:
      - Image of a server of its own. Another major version than that of the data is refused before anything stops. So
        it is for a service of the layers, where the layers tell the image.
    type: str
    default: postgres:17
  port:
    description:
      - Port of the host that a server of its own is published on, for this host only, or an address and a port as in
        V(0.0.0.0:5433). By default it is not published.
    type: str
  volume:
    description:
      - Volume of a server of its own. By default it is named C(<project>-postgres).
    type: str
  shm_size:
    description:
      - Shared memory of a server of its own. The engine's own 64 MB are too little for parallel queries.
    type: str
    default: 256mb
  wait_timeout:
    description:
      - Seconds that the server has to answer a query, after what it does on its first start.
    type: int
    default: 120
  confirm:
    description:
      - The name of the environment, to confirm O(state=absent).
    type: str
  backup:
    description:
      - With O(state=absent), take a backup first as M(strata.compose.postgres_backup) does, and restore it for a test.
        Without success nothing is removed. Backups that there are already are kept.
    type: bool
    default: true
  backup_dir:
    description:
      - Folder for that backup, by default that of M(strata.compose.postgres_backup).
    type: path
seealso:
  - module: strata.compose.compose_env
  - module: strata.compose.compose_env_file
  - module: strata.compose.postgres_backup
"""

EXAMPLES = r"""
- name: Have the database of an environment, in its service postgres
  strata.compose.postgres_env:
    project_dir: /opt/shop
    environment: prod
    database: shop

- name: Have a Postgres of its own, a role for reports, and what the application needs
  strata.compose.postgres_env:
    project_dir: /opt/ledger
    environment: staging
    dedicated: true
    database: ledger
    readonly_role: ledger_reports
    extensions: [pgcrypto, pg_trgm]
    settings:
      statement_timeout: 30s
      search_path: [ledger, public]

- name: Read the connection, so that the next task can write it
  strata.compose.postgres_env:
    project_dir: /opt/ledger
    environment: staging
    dedicated: true
    database: ledger
    state: prepared
    variables:
      url: [DATABASE_URL, POSTSTACK_DATABASE_URL]
      host: DB_HOST
      password: DB_PASSWORD
    reveal: true
  register: ledger_database
  no_log: true

- name: Write the env file
  strata.compose.compose_env_file:
    project_dir: /opt/ledger
    environment: staging
    variables: "{{ {'LOG_LEVEL': 'info'} | combine(ledger_database.connection) }}"
"""

RETURN = r"""
project:
  description: Compose's project name of the environment.
  returned: success
  type: str
  sample: shop-prod
environment:
  description: The environment.
  returned: success
  type: str
  sample: prod
release:
  description: Number of the release of the environment that the host runs, V(none) before the first.
  returned: success
  type: int
  sample: 7
actions:
  description: What was done, or in check mode would be, with containers, passwords and in the database.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: The service.
      type: str
    action:
      description: The kind of it, such as V(create), V(make password), V(create role) or V(set password).
      type: str
    reason:
      description: What, and what for.
      type: str
services:
  description: The services of the project that the server belongs to, as in M(strata.compose.compose_env).
  returned: success
  type: list
  elements: dict
service:
  description: The service that is the server.
  returned: success
  type: str
  sample: postgres
database:
  description: The database.
  returned: success
  type: str
  sample: shop
owner:
  description: The role that owns it.
  returned: success
  type: str
  sample: shop_owner
roles:
  description: The roles that may log in to it.
  returned: success
  type: list
  elements: str
  sample: [shop]
server_version:
  description: Version of the server, V(none) if it was not asked.
  returned: success, except for O(state=absent)
  type: str
  sample: "17.2"
connection:
  description: Variables for the env file. Passwords in it are masked without O(reveal).
  returned: success, except for O(state=absent)
  type: dict
  sample:
    DATABASE_URL: postgresql://shop:********@postgres:5432/shop
psql:
  description:
    - The command, to be typed on the host, that opens C(psql) as the superuser. V(none) if the server does not run.
  returned: success, except for O(state=absent)
  type: list
  elements: str
  sample: [docker, exec, --interactive, --tty, shop-prod-postgres-1, psql]
backup_file:
  description: The backup that was taken first.
  returned: O(state=absent), with O(backup)
  type: str
failed_services:
  description: The server with the cause, its exit code and last log lines, if it did not answer in time.
  returned: failure of the server
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
error_kind:
  description:
    - V(locked) when another operation is at work on the project, V(cancelled) after SIGTERM or SIGINT, V(timeout) when
      a call of the Docker CLI took longer than O(command_timeout).
    - V(password_mismatch) when a password is not known here, see O(password_mismatch). V(major_version) when the data
      are of another major version than the image. V(not_ready) when the server did not answer in O(wait_timeout)
      seconds, V(not_running) when it does not run.
    - With O(state=absent), those of M(strata.compose.postgres_backup) too.
  returned: failure of one of these kinds
  type: str
  sample: password_mismatch
data_version:
  description: Major version of Postgres that the data are of.
  returned: failure, with RV(error_kind) V(major_version)
  type: str
image_version:
  description: Major version of Postgres in the image.
  returned: failure, with RV(error_kind) V(major_version)
  type: str
sqlstate:
  description: Postgres' code for its error.
  returned: failure of a statement
  type: str
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
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._spec import POSTGRES_ENV
from ansible_collections.strata.compose.plugins.module_utils.postgres._environment import run


def main() -> None:
    module = AnsibleModule(argument_spec=POSTGRES_ENV, supports_check_mode=True)
    options = options_of(module)
    redactor = Redactor()
    plain = ("connection",) if options["reveal"] else ()
    with told_as_module_result(module, redactor, plain) as tell:
        tell(run(options, redactor, module.check_mode, module._diff))


if __name__ == "__main__":
    main()
