#!/usr/bin/python
# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_backup
short_description: Make backups of a database of an environment that are proven to be whole
version_added: 0.2.0
description:
  - Dumps a database with the C(pg_dump) of its container, in the custom format, into a folder on the host. A backup has
    its name only when all of it is there, was read back and decoded to its end, and a manifest tells its SHA-256, the
    rows of each table in the very snapshot that was dumped, and what else a dump does not hold.
  - Restores a backup for a test with O(state=verified), which is the only proof that it is worth something.
  - Needs nothing on the host but the Docker CLI. The memory that it takes does not depend on the size of the database.
author:
  - The strata.compose authors (@strata-collections)
extends_documentation_fragment:
  - strata.compose._attributes
  - strata.compose._project
  - strata.compose._operation
  - strata.compose._postgres
attributes:
  async:
    description: With O(fetch), the action part takes more than one remote call.
    support: none
  check_mode:
    description: Tells what would be done, and whether there is space for a backup.
    support: full
  diff_mode:
    description: A backup changes nothing that could be shown.
    support: none
options:
  state:
    description:
      - V(present) makes a backup, each time. V(verified) restores one into a server of its own, a container of the same
        image without a network, and compares the rows of each table. It asks O(assertions) there, and writes the
        outcome into the manifest. A backup that fails keeps its place unless its file is another one than was written,
        for then it is damaged and not taken for the latest one any more. A full disk, a limit or the end of the server
        that tests says nothing of the backup, which then counts as not tested.
      - V(scheduled) has the host make one every day at O(schedule) by itself, with the options of this task. A timer of
        systemd starts it, or C(/etc/cron.d) where there is no systemd. It runs without Ansible, by a copy of the
        collection's code in C(/usr/local/lib/strata-backup). Run the task again after an update of the collection. A
        backup that fails is a failed unit of systemd with its message in the journal, or a mail of cron, and
        M(strata.compose.compose_env_info) tells it with C(gather=backups). V(unscheduled) ends that, and keeps the
        backups. Both need root.
    type: str
    choices: [present, verified, scheduled, unscheduled]
    default: present
  schedule:
    description:
      - With O(state=scheduled), the time of day, such as V(02:30), in the host's time zone.
    type: str
  schedule_verify:
    description:
      - With O(state=scheduled), restore each of these backups for a test, with O(assertions).
    type: bool
    default: false
  backup_dir:
    description:
      - Folder on the managed host for the backups. By default C(/var/backups/strata/<project name>) for root, and
        C(strata/backups/<project name>) in E(XDG_DATA_HOME) or C(~/.local/share) for other users. Choose another disk
        than that of the database, if there is one.
    type: path
  backup:
    description:
      - With O(state=verified), which backup. V(latest), V(latest_verified), the name of a file in O(backup_dir), or a
        path.
    type: str
    default: latest
  assertions:
    description:
      - With O(state=verified) or O(schedule_verify), queries that have to return one true value in the restored
        database, such as C(SELECT max(created) > now() - interval '1 day' FROM orders).
    type: list
    elements: str
    default: []
  keep_last:
    description:
      - So many of the last backups of this environment and database are kept. All backups are kept if this and
        O(keep_daily), O(keep_weekly) and O(keep_monthly) are V(0).
      - Whatever the numbers are, the newest backup stays, and so does the last one that was verified.
      - Which one is newer is told by a number in the manifests that only grows, and not by the clock, which may have
        been wrong. Those that an earlier version made have none, and are older than all that have.
    type: int
    default: 7
  keep_daily:
    description: The last backup of each of so many days is kept. Days without a backup do not count.
    type: int
    default: 7
  keep_weekly:
    description: The last backup of each of so many weeks is kept.
    type: int
    default: 4
  keep_monthly:
    description: The last backup of each of so many months is kept.
    type: int
    default: 6
  timeout:
    description:
      - Seconds that the dump may take, and that each reading of it may take. See O(time_limit) for all together.
    type: int
    default: 21600
  time_limit:
    description:
      - Seconds that the whole operation may take once it has the project's lock, which keeps deployments waiting. Raise
        it together with O(timeout) for a database whose dump and test take longer than a night, lower it where a
        deployment must not wait that long. Then the backup fails, and earlier ones stay.
      - Nothing waits longer than 30 seconds for a lock in the database; a table that somebody has locked exclusively
        for longer fails the backup, which tells the session that holds the lock.
    type: int
    default: 28800
  fetch:
    description:
      - Copy the new backup and its manifest to the controller too, and check its SHA-256 there.
      - The host is not trusted with the controller. The copy has mode 0600 and a name with O(environment) and
        O(database) as the task or the inventory has them. It never takes the place of a file that is there, and no link
        leads out of the folder.
    type: bool
    default: false
  fetch_dir:
    description:
      - Folder on the controller for O(fetch). By default C(backups/<project name>) beside the playbook, with the name
        that O(project_name) gives, or O(project_dir) and O(environment). One that an env file on the host gives does
        not count here.
    type: path
  fetch_limit:
    description:
      - The largest dump that O(fetch) copies, as V(500M) or V(2T). A larger one stays on the host and the task fails.
      - Raise it for a database that needs it. Lower it where the disk of the controller is small, for the hosts say how
        large their backups are.
    type: bytes
    default: 100G
seealso:
  - module: strata.compose.postgres_restore
"""

EXAMPLES = r"""
- name: Make a backup
  strata.compose.postgres_backup:
    project_dir: /opt/shop
    environment: prod
    database: shop

- name: Make one before something risky, and have it on the controller too
  strata.compose.postgres_backup:
    project_dir: /opt/shop
    environment: prod
    database: shop
    fetch: true

- name: Restore the latest backup for a test
  strata.compose.postgres_backup:
    project_dir: /opt/shop
    environment: prod
    database: shop
    state: verified
    assertions:
      - SELECT count(*) > 1000 FROM orders
      - SELECT max(created) > now() - interval '1 day' FROM orders

- name: Have the host make a backup every night, and restore it for a test
  strata.compose.postgres_backup:
    project_dir: /opt/shop
    environment: prod
    database: shop
    state: scheduled
    schedule: "02:30"
    schedule_verify: true
  become: true
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
      description: V(backup), V(prune), V(verify), V(schedule) or V(unschedule).
      type: str
    reason:
      description: Of what.
      type: str
services:
  description: The services of the project that the server belongs to, as in M(strata.compose.compose_env).
  returned: success, except for O(state=scheduled) and O(state=unscheduled), which need no engine
  type: list
  elements: dict
file:
  description: Path of the dump on the managed host. Its manifest lies beside it, as C(.json).
  returned: when a backup was made or verified
  type: str
  sample: /var/backups/strata/shop-prod/prod-shop-20261121T013000Z-5f0c2a11.dump
sha256:
  description: SHA-256 of the dump.
  returned: when a backup was made or verified
  type: str
bytes:
  description: Size of the dump.
  returned: when a backup was made
  type: int
seconds:
  description: How long it took, with the reading back.
  returned: when a backup was made
  type: float
finished_at:
  description: When it was done, in UTC.
  returned: when a backup was made
  type: str
verified:
  description: V(decode) for a backup that was read to its end, V(restore) for one that was restored for a test.
  returned: when a backup was made or verified
  type: str
verification:
  description: The last test of it, with C(finished_at), C(seconds), C(assertions), and the C(cause) of a failure.
  returned: when a backup was made or verified
  type: dict
rows:
  description: Rows of each table.
  returned: when a backup was made or verified
  type: dict
migrations:
  description: The newest migration by table of migrations, of the tools that are known.
  returned: when a backup was made
  type: dict
pruned:
  description: Paths of the backups that were removed.
  returned: when a backup was made
  type: list
  elements: str
fetched:
  description: Path of the copy on the controller.
  returned: with O(fetch)
  type: str
error_kind:
  description:
    - V(disk_full) when there is too little space, V(archive_failed) when C(pg_dump) or C(pg_restore) failed, V(cut_off)
      when it was ended in the middle. Nothing with the name of a backup is left then.
    - V(verification_failed) when a backup did not stand its test, V(not_tested) when the server for the test was in
      trouble, V(no_backup) when there is none to test, V(backup_gone) when it vanished while it was made.
    - V(lock_timeout) when somebody held an exclusive lock in the database for too long.
    - V(locked) when another operation is at work on the project, V(not_running) and V(no_database) when there is
      nothing to back up, V(cancelled) after SIGTERM or SIGINT, V(timeout) when a command took too long.
  returned: failure of one of these kinds
  type: str
  sample: verification_failed
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
from ansible_collections.strata.compose.plugins.module_utils._spec import POSTGRES_BACKUP
from ansible_collections.strata.compose.plugins.module_utils.postgres._backup_states import run


def main() -> None:
    module = AnsibleModule(argument_spec=POSTGRES_BACKUP, supports_check_mode=True)
    redactor = Redactor()
    with told_as_module_result(module, redactor) as tell:
        tell(run(options_of(module), redactor, module.check_mode))


if __name__ == "__main__":
    main()
