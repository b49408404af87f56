# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where state lives on a managed host; see DESIGN, `State on a host`. Private to strata.compose."""

from __future__ import annotations

import os
import typing as t


def state_dir_of(options: t.Mapping[str, t.Any]) -> str:
    """The option ``state_dir``, or ``/var/lib/strata`` for root and the user's own state folder for others."""
    if options["state_dir"]:
        return str(options["state_dir"])
    if os.geteuid() == 0:
        return "/var/lib/strata"
    return os.path.join(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state"), "strata")
