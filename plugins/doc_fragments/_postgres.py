# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that all modules on databases share. Private to strata.compose."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  service:
    description:
      - The service of the environment's layers that is the database. See O(dedicated) for a database that is none of
        them. The empty text in a task means the same as that, and in a variable that it is not set.
      - Usually set once in the inventory as C(postgres_service), for all modules on databases.
    type: str
    default: postgres
  dedicated:
    description:
      - The database has a Postgres of its own beside the environment, which M(strata.compose.postgres_env) brings, and
        O(service) means nothing. Set it where no layer has a database, or where one server must outlive the
        environment's services.
      - Usually set once in the inventory as C(postgres_dedicated), for all modules on databases.
    type: bool
    default: false
  database:
    description:
      - Name of the database, any that Postgres allows. Usually set once in the inventory as C(postgres_database).
    type: str
    required: true
"""
