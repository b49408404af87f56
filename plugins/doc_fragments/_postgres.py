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
"""
