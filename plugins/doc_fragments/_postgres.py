# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that all modules on databases share. Private to strata.compose."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  project_dir:
    description:
      - Folder on the managed host that holds the Compose files.
      - Usually set once in the inventory as C(compose_env_project_dir). So are all options that the modules share. An
        option of one module alone is taken from C(<module>_<option>), as in C(postgres_backup_keep_daily).
    type: path
    required: true
  environment:
    description:
      - Name of the environment, such as V(dev), V(test) or V(prod).
    type: str
    required: true
  project_name:
    description:
      - Compose's project name. By default the name of O(project_dir) and the environment, joined by a hyphen, as for
        M(strata.compose.compose_env).
    type: str
  env_files:
    description:
      - Env files of the environment, relative to O(project_dir), discovered by default. Their secrets are masked.
    type: list
    elements: path
  docker_host:
    description:
      - Address of the engine, as in E(DOCKER_HOST). By default the C(docker) command's own choice, its contexts
        included.
    type: str
  state_dir:
    description:
      - Folder for releases, generated passwords and other state of this collection.
      - By default C(/var/lib/strata) for root, and C($XDG_STATE_HOME/strata) or C(~/.local/state/strata) for other
        users.
    type: path
  command_timeout:
    description:
      - Seconds after which a single call of the Docker CLI is ended as failed.
    type: int
    default: 1800
  service:
    description:
      - The service of the environment's layers that is the database. Set it to V("") where the database is one of its
        own that M(strata.compose.postgres_env) brought.
      - Usually set once in the inventory as C(postgres_service), for all modules on databases.
    type: str
    default: postgres
  database:
    description:
      - Name of the database, any that Postgres allows. Usually set once in the inventory as C(postgres_database).
    type: str
    required: true
  lock_wait:
    description:
      - Seconds to wait for another operation on the same project to end. With V(0) it fails at once and names who is at
        work. The collection's playbooks wait 900 seconds.
    type: int
    default: 0
  actor:
    description:
      - Who does this, for the lock and the audit log. By default the user on the controller and the number of the AWX
        job.
    type: str
"""
