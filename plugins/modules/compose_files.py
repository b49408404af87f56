#!/usr/bin/python
# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_files
short_description: Bring the files of a Docker Compose project to a host
version_added: 0.1.0
description:
  - Makes O(project_dir) on the host hold the files of the folder O(src) on the controller. These are Compose files,
    configuration, build contexts.
  - Contents are compared by digest in a single remote call, however many files there are. What the host lacks is
    transferred in one archive.
  - Before the first file changes, everything is checked and all new contents are on the host's disk. Each file is
    then replaced in one step.
  - Files get mode 0644, or 0755 if their owner may execute them in O(src). Folders that are missing are made with
    mode 0755. Folders that exist stay as they are, and empty ones are not brought.
  - Files that are encrypted with Ansible Vault are decrypted. They get mode 0600 or 0700.
  - Where the host has an engine that the user of the task may not use, it says so and writes nothing.
author:
  - The strata.compose authors (@strata-collections)
extends_documentation_fragment:
  - strata.compose._attributes
attributes:
  async:
    description: The action part takes more than one remote call.
    support: none
  check_mode:
    description: Compares everything and writes nothing.
    support: full
  diff_mode:
    description:
      - Shows all paths. Of text files up to 64 KiB that are replaced, it shows the lines too, with secret values as
        the beginning of a digest.
    support: full
options:
  project_dir:
    description:
      - Folder on the managed host that holds the Compose files. It is made if it is missing.
      - Usually set once in the inventory as C(compose_env_project_dir).
      - It may belong to any user. A link that leads to it has to belong to root or to the user of the task, and below
        it no link is followed.
    type: path
    required: true
  src:
    description:
      - Folder on the controller. A relative path is looked up as other actions do it, in the folder C(files) of the
        role or playbook and beside it.
      - Links are brought as links. One that leaves the folder is an error.
    type: path
    required: true
  exclude:
    description:
      - Patterns of what is left out, written as in a C(.gitignore). A name fits anywhere below O(src), a path with a
        slash fits from the top, a slash at the end limits the pattern to folders, C(**) stands for any folders. The
        last pattern that fits decides.
      - They come after the patterns that are always there, which are C(.git), C(.hg), C(.svn), C(.idea/),
        C(.vscode/), C(.DS_Store), C(.env), C(.env.*), C(!.env.example), C(/secrets/), C(__pycache__/), C(*.pyc),
        C(.venv/), C(node_modules/), C(.mypy_cache/), C(.pytest_cache/) and C(.ruff_cache/).
      - With C(!) in front, a pattern takes in again what an earlier one left out, as in C(!api/.env). What is in a
        folder that is left out cannot be taken in.
    type: list
    elements: str
    default: []
  delete:
    description:
      - Remove files that an earlier run brought and that are no longer in O(src) or are now left out, and the folders
        that are empty then.
      - A file that this module did not bring is never removed. Nor is one that was changed on the host since; a
        warning tells of it once.
      - A file that the host had already, with the same content as O(src), counts as brought.
    type: bool
    default: true
  owner:
    description:
      - Name or number of the user who owns the files and the folders that are made. By default files keep the owner
        that they have, and new ones belong to the user who runs the module.
    type: str
  group:
    description:
      - Name or number of the group of the files and of the folders that are made. By default as with O(owner).
    type: str
  state_dir:
    description:
      - Folder for the list of files that were brought, and for other state of this collection.
      - By default C(/var/lib/strata) for root, and C($XDG_STATE_HOME/strata) or C(~/.local/state/strata) for other
        users.
    type: path
  manifest:
    description:
      - Set by the part that runs on the controller. Not for use in tasks.
    type: dict
  archive:
    description:
      - Set by the part that runs on the controller. Not for use in tasks.
    type: path
seealso:
  - module: strata.compose.compose_env_file
  - module: strata.compose.compose_env
"""

EXAMPLES = r"""
- name: Have a folder on the controller
  ansible.builtin.file:
    path: /tmp/shop-source
    state: directory
    mode: "0755"
  delegate_to: localhost

- name: Have a project in it
  ansible.builtin.copy:
    content: "services: {web: {image: nginx}}\n"
    dest: /tmp/shop-source/compose.yml
    mode: "0644"
  delegate_to: localhost

- name: Bring it to the host
  strata.compose.compose_files:
    src: /tmp/shop-source
    project_dir: /tmp/shop

- name: Bring all but tests and documents, and keep what earlier runs brought
  strata.compose.compose_files:
    src: /tmp/shop-source
    project_dir: /tmp/shop
    exclude: [tests/, "*.md", "!api/README.md"]
    delete: false
"""

RETURN = r"""
project_dir:
  description: The folder on the host, with symbolic links resolved.
  returned: success
  type: str
  sample: /srv/shop
files:
  description: What changed, or would change in check mode. Paths relative to O(project_dir).
  returned: success
  type: dict
  contains:
    created:
      description: Files and links that were not there.
      type: list
      elements: str
    changed:
      description: Files and links that had another content, mode or owner.
      type: list
      elements: str
    removed:
      description: Files and links that earlier runs had brought.
      type: list
      elements: str
  sample:
    created: [nginx/default.conf]
    changed: [docker-compose.yml]
    removed: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.strata.compose.plugins.module_utils._bring import Wish, bring
from ansible_collections.strata.compose.plugins.module_utils._errors import told_as_module_result
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._spec import COMPOSE_FILES


def main() -> None:
    module = AnsibleModule(argument_spec=COMPOSE_FILES, supports_check_mode=True)
    with told_as_module_result(module, Redactor()) as tell:
        wish = Wish.from_params(module.params)
        module.params["manifest"] = None  # thousands of lines in the invocation that the result shows
        tell(bring(wish, module.check_mode, module._diff, module.warn))


if __name__ == "__main__":
    main()
