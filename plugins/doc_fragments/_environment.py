# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that all modules share. Private to strata.compose."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  project_dir:
    description:
      - Folder on the managed host that holds the Compose files.
      - Usually set once in the inventory as C(compose_env_project_dir). So are all options that the modules share. An
        option of one module alone is taken from C(<module>_<option>), as in C(compose_exec_timeout).
    type: path
    required: true
  environment:
    description:
      - Name of the environment, such as V(dev), V(test) or V(prod). It picks the layers, the env file and the project
        name.
    type: str
    required: true
  project_name:
    description:
      - Compose's project name. Set it to adopt a project that already runs under another name.
      - By default it is the name of O(project_dir) and the environment, joined by a hyphen, so that two environments
        of one folder never share containers, networks or volumes.
    type: str
  files:
    description:
      - The layers in the order of Compose's C(-f), relative to O(project_dir). Leave it out to have them discovered.
      - Discovery takes the first of C(compose.yaml), C(compose.yml), C(docker-compose.yml) and C(docker-compose.yaml)
        in O(project_dir), then in its C(docker) and C(deploy) folders, and beside it the same name with the
        environment in it, as in C(docker-compose.prod.yml). A C(COMPOSE_FILE) in the env file wins over discovery.
    type: list
    elements: path
  env_files:
    description:
      - Env files for the interpolation of the layers, relative to O(project_dir); later ones win.
      - By default the first of C(.env.<environment>), C(.<environment>.env), C(<environment>.env),
        C(environments/<environment>.env) and C(.env) that exists.
    type: list
    elements: path
  profiles:
    description:
      - Profiles to switch on. Containers of a profile that is no longer listed are removed.
      - By default those that C(COMPOSE_PROFILES) in the env file names.
    type: list
    elements: str
  services:
    description:
      - Limit the operation to these services. By default it concerns all.
    type: list
    elements: str
  docker_host:
    description:
      - Address of the engine, as in E(DOCKER_HOST). By default the C(docker) command's own choice, its contexts
        included.
    type: str
  state_dir:
    description:
      - Folder for releases and other state of this collection.
      - By default C(/var/lib/strata) for root, and C($XDG_STATE_HOME/strata) or C(~/.local/state/strata) for other
        users.
    type: path
  command_timeout:
    description:
      - Seconds after which a single call of the Docker CLI, such as a pull or a build, is ended as failed.
    type: int
    default: 1800
"""
