# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option of the modules that compare the content of mounted files. Private to strata.compose."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  data_paths:
    description:
      - Mounted files whose content is data and no input, such as V(./acme.json) or V(/var/log/nginx/*.log). They are
        paths, or patterns in which V(*) stands for anything, as the layers write them, so relative ones start from the
        base directory. A folder stands for all that is in it. Set it for a file that a service writes, or that the host
        appends to, so that its new content recreates nothing and is no drift.
      - It concerns bind mounts, those with C(:ro) too. Files behind C(configs), C(secrets) and C(env_file) are inputs
        always.
      - Without it, the content of a single mounted file is an input, so a service is recreated when it changes. Of a
        file that is mounted writable, that holds only when it was replaced by another file, as Ansible, Git and most
        editors do it, and the container still has the old one. What was written into the same file in place counts as
        data, with a warning. Mount files with C(:ro) that the service only reads, and each change counts.
      - A step of the init phase that mounts such a file runs once more when it is named here for the first time, as its
        content is another then.
      - Usually set in the inventory as C(compose_env_data_paths), for all modules.
    type: list
    elements: str
"""
