# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that resolve the layers. Private to strata.compose."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  files:
    description:
      - The layers in the order of Compose's C(-f), relative to O(project_dir). Leave it out to have them discovered.
        Set it for layers with other names, or for more than two.
      - Discovery takes the first of C(compose.yaml), C(compose.yml), C(docker-compose.yml) and C(docker-compose.yaml)
        in O(project_dir), then in its C(docker) and C(deploy) folders, and beside it the same name with the
        environment in it, as in C(docker-compose.prod.yml). A C(COMPOSE_FILE) in the env file wins over discovery.
    type: list
    elements: path
  profiles:
    description:
      - Profiles to switch on. M(strata.compose.compose_env) removes containers of a profile that is no longer listed.
      - By default those that C(COMPOSE_PROFILES) in the env file names.
    type: list
    elements: str
  services:
    description:
      - Limit the operation to these services, for example to restart one. By default it concerns all.
    type: list
    elements: str
"""
