# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option of the modules that create containers. Private to strata.compose."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  external:
    description:
      - What becomes of a network or volume that the layers call C(external) and that the engine does not have.
        V(require) makes it an error before anything is changed. V(create) creates it, with the driver and options that
        the layers give. Choose V(create) where several environments of a host meet in a network that nobody else makes.
      - What is created has no labels of Compose, belongs to no environment, and is never removed, not even by
        O(ignore:state=absent) with O(ignore:volumes).
      - Usually set in the inventory as C(compose_env_external), for all modules.
    type: str
    choices: [require, create]
    default: require
"""
