# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one try of a question to the application gave. Pure. Private to strata.compose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """An answer, or why there is none."""

    got: str
    """in words: ``status 503``, ``exit code 1``, ``no answer within 10 s``"""
    passes: bool = False
    output: str = ""
    """the short part of what was answered that a message may show, masked before it was cut"""
    is_final: bool = False
    """whether another try can only give the same"""


def judged(statuses: list[int], wanted: list[int], output: str = "") -> Answer:
    """The answer of a server, of which redirects led to the last status. One that is asked for by number may be any."""
    good = any(each in wanted for each in statuses) if wanted else 200 <= statuses[-1] < 400
    return Answer(f"status {statuses[-1]}", good, output)
