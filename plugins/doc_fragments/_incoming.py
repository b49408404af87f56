# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option of the modules that can plan with what is still on the controller. Private to strata.compose."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  incoming:
    description:
      - What a deployment will bring to the host before this task runs. In check mode the task plans with it, also on a
        host that has nothing yet. Otherwise the option is ignored, for then it is on the host already.
      - Give it wherever files, variables or secret files come from the controller; the playbooks C(plan.yml) and
        C(deploy.yml) do. Set once for a play as C(compose_env_incoming), it holds for all tasks.
      - A mapping with some of these keys. C(source), C(exclude) and C(delete) are as C(src), C(exclude) and C(delete)
        of M(strata.compose.compose_files). C(variables) and C(env_file) are as C(variables) and C(path) of
        M(strata.compose.compose_env_file). C(secrets) is as C(env_file_secrets) of the role C(strata.compose.env_file).
      - It travels in the arguments of the task. On the host it is kept for the time of the task, in a folder that
        nobody else can read, in memory where C(/dev/shm) has room, and is removed when the task ends or is killed.
        Of source files larger than 256 KiB only the digest travels.
      - Layers that name a file by an absolute path in C(include), C(extends) or C(env_file) are planned with the file
        that the host has there, also below O(project_dir). Name it relative to the layer for a plan with what comes.
    type: raw
"""
