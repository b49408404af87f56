# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order containers stop: those that depend on others first. Pure. Private to strata.compose.

The containers' own labels tell, so it needs no files of the project, and what is gone is in nobody's way. Compose's own
`stop` fails when a container that a label names was removed ("could not find assets: not found"; 2.26, 2.40).
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Container


def in_stop_order(containers: t.Iterable[Container]) -> list[list[str]]:
    """Ids of containers in groups: all of a group may stop at once, when the groups before it have stopped."""
    left = list(containers)
    groups = []
    while left:
        needed = {name for each in left for name in each.depends_on if name != each.service}
        # Labels of different releases may form a circle; then any order is as good as another.
        free = [each for each in left if each.service not in needed] or left
        groups.append([each.id for each in free])
        left = [each for each in left if each not in free]
    return groups
