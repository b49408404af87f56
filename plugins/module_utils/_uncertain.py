# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan can say of images that are built or pulled whatever is here: nobody knows before whether they are others.

They and all that follows from another image are in the plan, as not certain. A plan of nothing else has not changed: a
nightly check would never be quiet. Pure. Private to strata.compose.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils._step import OTHER_IMAGE, Step


def condition_of(images: t.Iterable[Step]) -> str:
    """On what the steps that are not certain depend."""
    verbs = sorted({step.action for step in images if not step.certain})
    return f"if the {' or '.join(verbs)} gives another image"


def uncertain_steps(images: t.Sequence[Step], steps: t.Iterable[Step], possible: t.Iterable[Step]) -> list[Step]:
    """Of the steps that are possible those that are taken only when an image turns out to be another one."""
    known, condition = {(step.service, step.action) for step in steps}, condition_of(images)
    return [
        replace(step, certain=False, reason=_only(condition, step.reason))
        for step in possible
        if (step.service, step.action) not in known
    ]


def _only(condition: str, reason: str) -> str:
    return condition if reason.endswith(OTHER_IMAGE) else f"{condition}: {reason}"


def warnings_of(images: t.Iterable[Step], followers: t.Iterable[Step] = ()) -> list[str]:
    """What somebody who only looks at ``changed`` has to know of such a plan."""
    again = sorted({f"{step.action} of {step.service} ({step.reason})" for step in images if not step.certain})
    if not again:
        return []
    actions = sorted({f"{step.action} {step.service}" for step in followers})
    then = f" If so: {', '.join(actions)}." if actions else ""
    return [f"Only the run itself shows whether another image comes of: {', '.join(again)}.{then}"]


def is_changed(actions: t.Iterable[t.Mapping[str, t.Any]]) -> bool:
    """Whether a result with these actions has changed, or in check mode will for certain."""
    return any(each.get("certain", True) for each in actions)
