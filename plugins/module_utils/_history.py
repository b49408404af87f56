# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases of the history are kept, and which one a roll back goes to. Pure. Private to strata.compose.

A history is a list of what is told of each release, oldest first: its number as ``release``, its ``outcome``, and as
``replaced`` the number of the release that served before it, 0 where none did.
"""

from __future__ import annotations

import typing as t

GOOD, FAILED, UNDER_WAY, DAMAGED = "good", "failed", "under way", "damaged"

History = t.Sequence[t.Mapping[str, t.Any]]


def good(history: History) -> list[int]:
    """Numbers of the releases that have served, oldest first."""
    return [each["release"] for each in history if each.get("outcome") == GOOD]


def before(history: History, current: int) -> int | None:
    """The release to go back to from the current one; ``None`` when there is none.

    It is the one that the current release replaced, which is not always the number below: that may be one that a roll
    back has left. Where it is not kept any more, it is the nearest good one below it.
    """
    replaced = {each["release"]: each.get("replaced") for each in history}
    told = replaced.get(current)
    highest = current - 1 if told is None else told
    return max((each for each in good(history) if each <= highest), default=None)


def kept(history: History, current: int, count: int) -> set[int]:
    """Numbers of the releases that stay: the current one, what it replaced, the newest good ones up to ``count``.

    As many failed ones stay besides, so that failures never push out what has served; and the highest number, so that
    none is given twice.
    """
    ranked = dict.fromkeys([current, before(history, current), *reversed(good(history))])
    served = [each for each in ranked if each is not None]
    others = [each["release"] for each in reversed(history) if each["release"] not in served]
    return {*served[: max(count, 1)], *others[: max(count, 1)], history[-1]["release"]}
