# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a backup of a database of strata.compose: python3 backup.py /etc/strata/backups/shop-prod-shop.json"""

from __future__ import annotations

import sys

from ansible_collections.strata.compose.plugins.module_utils.postgres._scheduled import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
