# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of all modules that work on an environment: which one, and where. Private to strata.compose."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  project_dir:
    description:
      - Folder on the managed host that holds the Compose files.
      - Usually set once in the inventory as C(compose_env_project_dir), for all modules. So are O(environment),
        O(project_name), O(env_files), O(layers_of), O(docker_host), O(state_dir), O(command_timeout), and where modules
        have them, C(files), C(profiles), C(services), C(include_override), C(base_directory), C(variables) and
        C(blank_variables). Where nothing else is said, other options are taken from C(<module>_<option>), as in
        C(compose_exec_timeout).
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
  env_files:
    description:
      - Env files for the interpolation of the layers, relative to O(project_dir); later ones win. Set it where there
        are several, or where they have other names than these.
      - By default the first of C(.env.<environment>), C(.<environment>.env), C(<environment>.env),
        C(environments/<environment>.env) and C(.env) that exists. While O(project_dir) has no Compose file itself,
        they are looked for in its C(docker) and C(deploy) folders too, after those of O(project_dir).
    type: list
    elements: path
  layers_of:
    description:
      - Another environment whose layers this one uses, and whose env file where it has none of its own. Set it for
        environments that come and go, such as a preview V(pr-17) that is made like V(test).
      - The project name is still made from O(project_dir) and O(environment), so that both run side by side, and a
        C(COMPOSE_PROJECT_NAME) in a lent env file does not count.
    type: str
  docker_host:
    description:
      - Address of the engine, as in E(DOCKER_HOST). Set it for an engine that C(docker) does not find by itself, such
        as V(unix:///run/user/1000/docker.sock). By default it is the C(docker) command's own choice, its contexts
        included.
    type: str
  state_dir:
    description:
      - Folder for releases, generated passwords, logs of init steps and other state of this collection.
      - By default C(/var/lib/strata) for root, and C($XDG_STATE_HOME/strata) or C(~/.local/state/strata) for other
        users. Set it where that folder does not survive a reboot, and then for all modules and all times, for what is
        in another folder is not found.
    type: path
  command_timeout:
    description:
      - Seconds after which a single call of the Docker CLI, such as a pull or a build, is ended as failed. Choose
        more for images that take longer.
      - Questions to the engine, such as what runs, end after 60 seconds at most, and within a gate when its time is
        over. An engine that does not answer is told as such.
    type: int
    default: 1800
"""
