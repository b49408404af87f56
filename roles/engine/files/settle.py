# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settles the deployments of strata.compose that a reboot cut off: python3 settle.py /var/lib/strata"""

from __future__ import annotations

import sys

from ansible_collections.strata.compose.plugins.module_utils._boot import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
