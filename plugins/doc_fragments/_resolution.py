# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How layers are resolved: what Compose has options for on its own command line. Private to strata.compose."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  include_override:
    description:
      - Take C(compose.override.yml), or one of its other names, behind the base, as C(docker compose) does when it is
        given no files. Set it for projects that publish their ports or the like only there. It concerns layers that are
        discovered; otherwise name the file in C(files).
    type: bool
    default: false
  base_directory:
    description:
      - Folder that relative paths in the layers start from, relative to O(project_dir), as Compose's
        C(--project-directory). Set it to V(.) where the layers lie in a folder such as C(docker) and their paths start
        at the root of the repository.
      - By default it is the folder of the first layer, as with Compose.
    type: path
  variables:
    description:
      - Variables for the interpolation of the layers, such as the mapping C(TAG=1.4.3). They win over the env files.
        Set them for what one run decides, such as the version to deploy; what is to stay belongs into the env file.
      - They are part of the release, and C(releases) and C(drift) of M(strata.compose.compose_env_info) show them, with
        secrets masked. A later run without them resolves the layers without them, which is a change. A roll back and a
        recovery use what the release was made from.
      - C(COMPOSE_FILE) and C(COMPOSE_PROFILES) count here as in the env file, C(COMPOSE_PROJECT_NAME) is refused.
    type: dict
  blank_variables:
    description:
      - Names of variables that may be undefined, or patterns such as V(SMTP_*). Layers get a blank value for them. An
        undefined variable is an error otherwise. C(NAME=) in the env file says the same of one variable.
    type: list
    elements: str
"""
