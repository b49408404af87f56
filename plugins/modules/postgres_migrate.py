#!/usr/bin/python
# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_migrate
short_description: Run plain SQL migrations in an environment's database, each once, or revert them
version_added: 0.2.0
description:
  - Runs the SQL files of a folder on the managed host, through the C(psql) in the database's container. Nothing else is
    needed on the host, and no port is published.
  - Which files were run is kept in dbmate's table C(schema_migrations), so C(dbmate status) agrees and dbmate can be
    used before and after this module. Checksums are kept in a table of their own beside it, C(strata_migrations).
  - Each file and the record that it was run are one transaction. A file that fails, or is cut off by a restart, leaves
    nothing, and a run that follows goes on with it. A module that is cancelled takes back the file that it is at. One
    that is killed leaves the server to finish what it was given, and a run that follows waits for that.
  - Several runs at once apply each file once. They wait for each other up to O(lock_wait) seconds, by a lock of the
    project on the host and an advisory lock in the database.
  - All files are read and checked before the database is touched, and all errors are told at once. Files are SQL for
    the server. Commands of C(psql), such as C(\!), are syntax errors.
  - Migrations of other tools, such as Alembic or Flyway, are run by M(strata.compose.compose_init).
author:
  - The strata.compose authors (@strata-collections)
extends_documentation_fragment:
  - strata.compose._attributes
  - strata.compose._incoming
  - strata.compose._project
  - strata.compose._operation
  - strata.compose._postgres
attributes:
  check_mode:
    description: Tells which files would be run, and runs none. Where the database is not there yet, all of them are.
    support: full
  diff_mode:
    description: Shows the SQL of the files that are run.
    support: full
options:
  directory:
    description:
      - Folder with the migrations, relative to O(project_dir). Its subfolders are left alone.
      - The number at the beginning of a file's name is its version. Files are run in the order of their names. Numbers
        of different length that sort otherwise as text than as numbers are an error, and so are two files of a version.
      - A file such as V(001_create_users.sql) is run as a whole. With dbmate's directives C(-- migrate:up) and
        C(-- migrate:down) it holds both ways. C(001_create_users.up.sql) and C(001_create_users.down.sql) are a pair
        as golang-migrate has them.
      - C(-- migrate:up transaction:false) runs each statement of a file by itself, for what Postgres refuses in a
        transaction, such as C(CREATE INDEX CONCURRENTLY). Such a file is recorded as begun before and as applied after.
      - C(COPY ... FROM stdin) is an error. C(BEGIN) and C(COMMIT) around a whole file are left out, and are an error
        within it.
    type: path
    default: migrations
  state:
    description:
      - V(up) runs what has not been run. V(down) reverts what was, the last first, and needs O(confirm).
    type: str
    choices: [up, down]
    default: up
  steps:
    description:
      - How many files are run or reverted at most. By default V(up) runs all and V(down) reverts one.
      - Mutually exclusive with O(to).
    type: int
  to:
    description:
      - The version to stop at. V(up) runs the files up to it. V(down) reverts the ones after it, and all for V("0").
      - Leading zeros do not count.
    type: str
  role:
    description:
      - Role that the migrations run as, and that owns what they make. By default the owner of the database.
      - It is taken on with C(SET ROLE), which a migration can undo. That is no protection against one's own migrations.
    type: str
  out_of_order:
    description:
      - What to do with a file that has not been run and comes before one that has, as merged branches bring it.
        V(refuse) is an error before anything is run. V(allow) runs it.
    type: str
    choices: [refuse, allow]
    default: refuse
  modified:
    description:
      - What to do when a file differs from what was run. V(fail) is an error that names it, V(warn) a warning.
        V(accept) takes its new content for what was run.
      - Line ends and a byte order mark do not count. Files that dbmate has run are known from the next run on.
    type: str
    choices: [fail, warn, accept]
    default: fail
  lock_timeout:
    description:
      - Seconds that a statement waits for a lock that another session has, before the file fails. A statement that
        waits for long holds up all others on the same table. V(0) is for ever. A file can set its own.
    type: int
    default: 60
  statement_timeout:
    description:
      - Seconds that a statement may take, V(0) for any. A file can set its own.
    type: int
    default: 0
  confirm:
    description:
      - Name of the environment, needed with O(state=down), since reverting loses the data of what is reverted.
    type: str
seealso:
  - module: strata.compose.postgres_env
  - module: strata.compose.compose_init
  - name: dbmate
    description: The tool whose table and directives these are.
    link: https://github.com/amacneil/dbmate
"""

EXAMPLES = r"""
- name: Run what has not been run
  strata.compose.postgres_migrate:
    project_dir: /opt/ledger
    environment: prod
    database: ledger

- name: Run the migrations up to a version, and give up on locks early
  strata.compose.postgres_migrate:
    project_dir: /opt/ledger
    environment: prod
    database: ledger
    directory: db/migrations
    to: "20251120093000"
    lock_timeout: 5

- name: Revert the last two
  strata.compose.postgres_migrate:
    project_dir: /opt/ledger
    environment: staging
    database: ledger
    state: down
    steps: 2
    confirm: staging
"""

RETURN = r"""
project:
  description: Compose's project name.
  returned: success, and failure of a file
  type: str
  sample: ledger-prod
environment:
  description: The environment.
  returned: success, and failure of a file
  type: str
  sample: prod
release:
  description: Number of the release that the host runs, V(none) before the first.
  returned: success, and failure of a file
  type: int
  sample: 7
actions:
  description: What was done, or in check mode would be. After a failure, what was done before it.
  returned: success, and failure of a file
  type: list
  elements: dict
  contains:
    service:
      description: The service of the database.
      type: str
    action:
      description: V(migrate), V(revert), or V(accept) for a modified file that was taken over.
      type: str
    reason:
      description: The file.
      type: str
services:
  description: The services as they are now, as in M(strata.compose.compose_env).
  returned: success, and failure of a file
  type: list
  elements: dict
applied:
  description: The files that were run.
  returned: success, and failure of a file
  type: list
  elements: dict
  contains:
    version:
      description: The version.
      type: str
    file:
      description: The file.
      type: str
    seconds:
      description: How long it took, V(none) when the session was cut off before it could be told.
      type: float
reverted:
  description: The files that were reverted, the same way.
  returned: success, and failure of a file
  type: list
  elements: dict
adopted:
  description: Files that another tool has run, of which the checksums were taken down.
  returned: success, and failure of a file
  type: list
  elements: str
pending:
  description: What is not run, in its order. In check mode, before this run would be.
  returned: success, and failure of a file
  type: list
  elements: dict
  contains:
    version:
      description: The version.
      type: str
    file:
      description: The file.
      type: str
file:
  description: The file that failed.
  returned: failure of a file
  type: str
  sample: 007_unique_mail.sql
line:
  description: The line in it, V(none) when it failed at its end.
  returned: failure of a file
  type: int
  sample: 12
sqlstate:
  description: Postgres' code for the error.
  returned: failure of a file
  type: str
  sample: "23505"
invalid_indexes:
  description: Indexes that were not built to their end. The message tells the commands that remove them.
  returned: failure of a file without a transaction, at once and in later runs
  type: list
  elements: str
problems:
  description: What is wrong with the files, with file and line.
  returned: failure of reading the files
  type: list
  elements: str
modified:
  description: Files that differ from what was run.
  returned: failure by reason of them, see O(modified)
  type: list
  elements: str
out_of_order:
  description: Files that come before one that was run.
  returned: failure by reason of them, see O(out_of_order)
  type: list
  elements: str
failed_services:
  description: The service of the database, and the cause.
  returned: failure of a file
  type: list
  elements: dict
error_kind:
  description:
    - V(migration_failed) when a file failed, V(cut_off) when the session ended in the middle, V(not_begun) when it
      failed before the first file.
    - V(invalid_migrations), V(modified), V(out_of_order), V(renumbered), V(unknown_version), V(no_way_down) and
      V(invalid_index) when the files do not allow it, V(foreign_history) when the table of migrations is not dbmate's.
    - V(locked) when another operation is at work on the project or another run on the database, V(not_running),
      V(not_ready) and V(no_database) when there is nothing to migrate yet, V(cancelled) after SIGTERM or SIGINT,
      V(timeout) when a call of the Docker CLI took longer than O(command_timeout).
  returned: failure of one of these kinds
  type: str
  sample: migration_failed
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
from ansible_collections.strata.compose.plugins.module_utils._spec import POSTGRES_MIGRATE
from ansible_collections.strata.compose.plugins.module_utils.postgres._migrate import migrate


def main() -> None:
    module = AnsibleModule(
        argument_spec=POSTGRES_MIGRATE, mutually_exclusive=[("steps", "to")], supports_check_mode=True
    )
    redactor = Redactor()
    with told_as_module_result(module, redactor) as tell:
        tell(migrate(options_of(module), redactor, module.check_mode, module._diff))


if __name__ == "__main__":
    main()
