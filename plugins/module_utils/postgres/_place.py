# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the database of an environment is. Pure. Private to strata.compose."""

from __future__ import annotations

import typing as t

OWN_SERVICE = "postgres"
"""The service of a Postgres of its own."""


def is_dedicated(options: t.Mapping[str, t.Any]) -> bool:
    """Whether the database has a Postgres of its own: by ``dedicated``, or a task's empty ``service``."""
    return bool(options.get("dedicated")) or not options["service"]


def place_of(options: t.Mapping[str, t.Any], project: str) -> tuple[str, str]:
    """Project and service of the database: one of the environment's own services, or a Postgres of its own beside it.

    The latter is a Compose project by itself, so that no deployment of the environment takes its container for one that
    no layer knows.
    """
    return (f"{project}-postgres", OWN_SERVICE) if is_dedicated(options) else (project, options["service"])
