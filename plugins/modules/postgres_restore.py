#!/usr/bin/python
# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_restore
short_description: Restore a backup of a database without a moment at which it is lost
version_added: 0.2.0
description:
  - Restores a backup of M(strata.compose.postgres_backup) into a new database, compares the rows of each table with
    those that were counted when the backup was made, asks O(assertions), and only then renames it into the place of the
    old one, in one transaction. Clients are cut for a moment, and the old database is kept for O(keep_old).
  - A backup that is damaged, or fails at whatever statement, leaves the database as it was. So does an operation that
    is killed. The next one removes what it left.
  - Privileges, settings, connection limit and comment of the database stay as they are. Where there is none yet, they
    come from the backup.
author:
  - The strata.compose authors (@strata-collections)
extends_documentation_fragment:
  - strata.compose._attributes
  - strata.compose._project
  - strata.compose._operation
  - strata.compose._postgres
attributes:
  check_mode:
    description: Reads the backup, checks all that can be in the way, and tells what would be restored.
    support: full
  diff_mode:
    description: How the contents differ is not known.
    support: none
options:
  state:
    description:
      - V(restored) restores a backup, each time. V(swapped_back) has the database serve again that served before the
        last restore, and keeps the present one in turn. Data that was written since stays where it was written.
    type: str
    choices: [restored, swapped_back]
    default: restored
  backup_dir:
    description:
      - Folder on the managed host with the backups, with the default of M(strata.compose.postgres_backup) for the
        environment that the backup is of.
    type: path
  backup:
    description:
      - Which backup. V(latest), V(latest_verified) for the last one that was restored for a test, the name of a file in
        O(backup_dir), or a path. Its manifest has to lie beside it.
      - One whose file is damaged is not taken for the latest. One that failed its last test in another way is, with a
        warning that tells what was found; V(latest_verified) takes none of them.
    type: str
    default: latest
  from_environment:
    description:
      - The environment whose latest backup is restored, by default O(environment) itself.
      - Owners and privileges of another environment mean nothing here. All objects then belong to the owner of the
        database, and other roles, such as a read-only one, get their privileges by a run of postgres_env.
    type: str
  from_database:
    description:
      - The name that the database had when it was backed up, if that is not O(database).
    type: str
  masking:
    description:
      - SQL files on the managed host, relative to O(project_dir), that take out of the restored data what must not be
        in O(environment), such as names and addresses of customers. They run in this order, each as one transaction
        and as the owner of the database.
      - Until they and O(assertions) have succeeded, nobody but a superuser can connect to the restored database. When
        one fails, it is removed, and the database that serves stays.
      - Files are SQL for the server. Commands of C(psql), such as C(\!), are syntax errors.
    type: list
    elements: path
    default: []
  assertions:
    description:
      - Queries that have to return one true value in the restored database before it takes the old one's place.
    type: list
    elements: str
    default: []
  replace:
    description:
      - Put the restored database in the place of one that is not empty. Needs O(confirm).
    type: bool
    default: false
  confirm:
    description:
      - The name of the environment, as the word that its data may be replaced.
    type: str
  keep_old:
    description:
      - How long the old database is kept, such as V(90m), V(24h) or V(7d). The first restore after that removes it.
      - It takes its space on the disk, and nobody can connect to it.
    type: str
    default: 24h
  timeout:
    description:
      - Seconds that the restore may take, and the C(ANALYZE) after it.
    type: int
    default: 21600
seealso:
  - module: strata.compose.postgres_backup
"""

EXAMPLES = r"""
- name: Restore the last backup that was restored for a test
  strata.compose.postgres_restore:
    project_dir: /opt/shop
    environment: prod
    database: shop
    backup: latest_verified
    replace: true
    confirm: prod

- name: Have yesterday's database back after all
  strata.compose.postgres_restore:
    project_dir: /opt/shop
    environment: prod
    database: shop
    state: swapped_back
    replace: true
    confirm: prod

- name: Bring the data of prod to staging on the same host, without what is personal in it
  strata.compose.postgres_restore:
    project_dir: /opt/shop
    environment: staging
    database: shop
    from_environment: prod
    masking: [masking/customers.sql]
    assertions:
      - SELECT count(*) = 0 FROM customer WHERE email NOT LIKE '%@example.org'
    replace: true
    confirm: staging
"""

RETURN = r"""
project:
  description: Compose's project name.
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
database:
  description: The database.
  returned: success
  type: str
  sample: shop
actions:
  description: What was done, or in check mode would be.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: The service.
      type: str
    action:
      description: V(restore), V(swap), or V(drop) for a database that is not to be kept any longer.
      type: str
    reason:
      description: Of what.
      type: str
services:
  description: The services of the project that the server belongs to, as in M(strata.compose.compose_env).
  returned: success
  type: list
  elements: dict
file:
  description: Path of the dump on the managed host.
  returned: with O(state=restored)
  type: str
sha256:
  description: SHA-256 of the dump.
  returned: with O(state=restored), except in check mode
  type: str
rows:
  description: Rows of each table.
  returned: with O(state=restored), except in check mode
  type: dict
replaced:
  description: Whether a database that was not empty had to make way.
  returned: with O(state=restored)
  type: bool
old_database:
  description: Name of the database that is kept, V(none) when there is none.
  returned: success, except in check mode
  type: str
swap_seconds:
  description: How long the change of databases took, for which clients had to wait at most.
  returned: success, except in check mode
  type: float
error_kind:
  description:
    - V(not_confirmed) when a database that is not empty would be replaced without O(replace) and O(confirm),
      V(no_backup) when there is none, V(nothing_kept) when there is no database to swap back, V(no_masking) when a file
      of O(masking) cannot be read.
    - V(damaged) when the backup is not what its manifest says, V(archive_failed) or V(cut_off) when C(pg_restore)
      failed or was ended, V(not_a_copy) when the rows differ from those of the backup, V(assertion_failed) when one of
      O(assertions) did not hold. The database is as it was then.
    - V(locked) when another operation is at work on the project, V(not_running) when the server does not run,
      V(cancelled) after SIGTERM or SIGINT, V(timeout) when a command took too long.
  returned: failure of one of these kinds
  type: str
  sample: not_confirmed
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
from ansible_collections.strata.compose.plugins.module_utils._spec import POSTGRES_RESTORE
from ansible_collections.strata.compose.plugins.module_utils.postgres._restore import run


def main() -> None:
    module = AnsibleModule(argument_spec=POSTGRES_RESTORE, supports_check_mode=True)
    redactor = Redactor()
    with told_as_module_result(module, redactor) as tell:
        tell(run(options_of(module), redactor, module.check_mode))


if __name__ == "__main__":
    main()
