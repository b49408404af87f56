# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases are kept and gone back to: the table is cases/history.yml."""

from __future__ import annotations

from ansible_collections.strata.compose.plugins.module_utils import _history

from tests.unit.tables import each, table

CASES = table("history")


def history_of(told):
    """The history that a case writes in short."""
    rows = {number: how if isinstance(how, list) else [how] for number, how in told.items()}
    return [
        {"release": number, "outcome": outcome, **({"replaced": replaced[0]} if replaced else {})}
        for number, (outcome, *replaced) in rows.items()
    ]


@each(CASES["before"])
def test_release_to_go_back_to(case):
    assert _history.before(history_of(case["history"]), case["current"]) == case["before"]


@each(CASES["kept"])
def test_releases_that_stay(case):
    assert sorted(_history.kept(history_of(case["history"]), case["current"], case["count"])) == case["kept"]
