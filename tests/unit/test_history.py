# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases are kept and gone back to (the table is cases/history.yml), and the log of what was done."""

from __future__ import annotations

import json

from ansible_collections.strata.compose.plugins.module_utils import _history, _record

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


def test_audit_log_that_cannot_be_written_is_a_warning(tmp_path):
    folder = tmp_path / "shop-dev"
    folder.mkdir()
    result = {"changed": True, "warnings": ["told before"]}
    assert _record.audited(str(folder), {"operation": "present"}, result) == result
    assert _record.audited(str(folder), {"operation": "present"}, {"changed": False}) == {"changed": False}
    (line,) = (folder / "audit.log").read_text().splitlines()
    assert json.loads(line)["operation"] == "present"
    (folder / "audit.log").unlink()
    (folder / "audit.log").mkdir()
    warnings = ["told before", "The audit log of shop-dev lacks this: Is a directory."]
    assert _record.audited(str(folder), {}, result) == {"changed": True, "warnings": warnings}
