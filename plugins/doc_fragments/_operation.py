# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that hold the lock of a project. Private to strata.compose."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  project_moved_from:
    description:
      - The O(project_dir) that the project had before, when it has moved. A project belongs to one project directory,
        compared as it is given, and to one environment. Another one is refused before anything is touched, so that two
        applications in folders of the same name never take each other over.
      - It is needed once, as in C(-e compose_env_project_moved_from=/old/path), and has no effect afterwards. The
        variable is the same for all modules, C(compose_env_project_moved_from).
    type: path
  environment_renamed_from:
    description:
      - The O(environment) that the project was before, when it was renamed and keeps its project name. An env file that
        was copied with its C(COMPOSE_PROJECT_NAME) would take the other environment over else.
      - It is needed once, as in C(-e compose_env_environment_renamed_from=prod).
    type: str
  adopt_from:
    description:
      - The state folder of another user, or of another O(state_dir), by way of which the project was deployed, to take
        the project over from it. Each state folder has its own history of releases, and two of them would undo each
        other's, so that a project with containers of another one is refused before anything is touched.
      - It is needed once, as in C(-e compose_env_adopt_from=/home/deploy/.local/state/strata/shop-prod). Containers
        that need not change go on running. The history, generated passwords and the ledger of the init phase stay
        where they are; to go on with those, run as that user, or give its O(state_dir).
    type: path
  lock_wait:
    description:
      - Seconds to wait for another operation on the same project to end. With V(0) it fails at once and names who is at
        work. Choose more for jobs that may meet, such as a deployment and the backup of every night. The collection's
        playbooks and roles wait 900 seconds, or what C(compose_env_lock_wait) says.
    type: int
    default: 0
  actor:
    description:
      - Who does this, for the lock, the history and the audit log. By default the user on the controller and the number
        of the AWX job.
    type: str
"""
