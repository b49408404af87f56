# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes that all modules share. Private to strata.compose."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  platform:
    description: Target systems on which the module can run.
    support: full
    platforms: posix
  action:
    description: Has a part that runs on the controller. It fills unset options from host variables.
    support: full
  async:
    description: Supports being run in the background with C(async).
    support: full
  bypass_host_loop:
    description: Runs once for all hosts of the play instead of once for each.
    support: none
  action_group:
    description: Use C(group/strata.compose.compose) in C(module_defaults) to set defaults for this module.
    support: full
    membership: [strata.compose.compose]
"""
