# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host may answer of a backup, and what becomes of it on the controller."""

from __future__ import annotations

import hashlib
import itertools
import stat

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.strata.compose.plugins.plugin_utils._controller_files import (
    PARTIAL,
    checked_name,
    folder_below,
)
from ansible_collections.strata.compose.plugins.plugin_utils._fetches_backup import _Announced, _project_of

NAME = "prod-shop-20261121T013000Z-5f0c2a11"
OPTIONS = {
    "environment": "prod",
    "database": "shop",
    "project_dir": "/srv/shop",
    "project_name": None,
    "fetch_limit": 99,
}
HONEST = {"file": f"/var/backups/strata/shop-prod/{NAME}.dump", "bytes": 9, "sha256": "a" * 64}


def test_an_honest_answer_is_taken():
    assert _Announced.of({**HONEST, "project": "x"}, OPTIONS) == (HONEST["file"], f"{NAME}.dump", 9, "a" * 64)
    assert _project_of(OPTIONS) == "shop-prod"
    named = HONEST["file"].replace("shop-2026", "my-shop-2026")
    assert _Announced.of({**HONEST, "file": named}, {**OPTIONS, "database": "my shop"}).name.startswith("prod-my-shop-")


@pytest.mark.parametrize(
    "file",
    [
        "/srv/../../etc/cron.d/evil",
        "..",
        "",
        "/srv/.dump",
        f"/srv/{NAME}.dump/",
        f"/srv/{NAME}.dump/../../evil.dump",
        f"/srv/{NAME.replace('prod', 'test')}.dump",
        f"/srv/{NAME.replace('shop', 'crm')}.dump",
        f"/srv/x{NAME}.dump",
        f"/srv/{NAME}.dump.dump",
        f"/srv/{NAME}.dump\0",
        f"/srv/x\n/{NAME}.dump",
        f"/srv/{NAME}\n.dump",
        f"/srv/{NAME}.dump\n",
        f"/srv/{NAME.replace('2026', '٢٠٢٦')}.dump",
        f"/srv/\x1b[31m/{NAME}.dump",
        [HONEST["file"]],
        {"a": 1},
        None,
        7,
        "x" * 5000,
        "{{ lookup('ansible.builtin.pipe', 'touch evil') }}",
    ],
)
def test_a_file_is_named_as_a_backup_of_this_database(file):
    with pytest.raises(
        AnsibleActionFail, match="not the name of a backup of database shop in environment prod"
    ) as failed:
        _Announced.of({**HONEST, "file": file}, OPTIONS)
    assert len(str(failed.value)) < 600
    assert str(failed.value).isprintable()


@pytest.mark.parametrize("forged", [{"bytes": -1}, {"bytes": True}, {"bytes": "9"}, {"bytes": None}, {"sha256": ["x"]}])
def test_size_and_digest_are_what_they_should_be(forged):
    with pytest.raises(AnsibleActionFail, match="does not say how large"):
        _Announced.of({**HONEST, **forged}, OPTIONS)


def test_more_than_the_limit_is_refused():
    with pytest.raises(AnsibleActionFail, match="it has 100 bytes, and fetch_limit allows 99"):
        _Announced.of({**HONEST, "bytes": 100}, OPTIONS)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/etc/passwd", "a\0", "a\nb", "\x1b[2J", "x" * 250, None, 7, ["a"]]
)
def test_a_name_is_a_plain_one(name, tmp_path):
    with pytest.raises(AnsibleActionFail, match="Nothing was written on the controller"):
        checked_name(name)
    with folder_below(str(tmp_path)) as folder, pytest.raises(AnsibleActionFail):
        folder.write_new(name, [b"x"], 9)
    with pytest.raises(AnsibleActionFail), folder_below(str(tmp_path), name):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_there_when_it_is_whole_and_for_its_owner_only(tmp_path):
    with folder_below(str(tmp_path / "new"), "shop-prod") as folder:
        parts = (part for part in (b"a", b"b"))
        path = folder.write_new("x.dump", parts, 2, hashlib.sha256(b"ab").hexdigest())
    place = tmp_path / "new/shop-prod"
    assert path == str(place / "x.dump")
    assert [(each.name, each.read_bytes()) for each in place.iterdir()] == [("x.dump", b"ab")]
    assert stat.S_IMODE((place / "x.dump").stat().st_mode) == 0o600
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("content", "sha256", "says"),
    [(itertools.repeat(b"x" * 64), None, "more than the 99 bytes"), ([b"x"], "0" * 64, "arrived damaged")],
)
def test_what_is_endless_or_damaged_leaves_nothing(tmp_path, content, sha256, says):
    with folder_below(str(tmp_path)) as folder, pytest.raises(AnsibleActionFail, match=says):
        folder.write_new("x.dump", content, 99, sha256)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("planted", ["x.dump", f"x.dump{PARTIAL}"])
@pytest.mark.parametrize("kind", ["file", "link", "dangling"])
def test_nothing_is_replaced_and_no_link_followed(tmp_path, planted, kind):
    victim, place = tmp_path / "victim", tmp_path / "backups"
    place.mkdir()
    if kind == "file":
        (place / planted).write_text("precious")
    else:
        (place / planted).symlink_to(victim)
    if kind == "link":
        victim.write_text("precious")
    with folder_below(str(place)) as folder, pytest.raises(AnsibleActionFail, match="is not replaced"):
        folder.write_new("x.dump", [b"evil"], 99)
    assert [each.name for each in place.iterdir()] == [planted]
    assert victim.exists() is (kind == "link")
    assert kind == "dangling" or (place / planted).read_text() == "precious"


def test_no_link_leads_out_of_the_folder(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups/shop-prod").symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(AnsibleActionFail, match="is a link or no folder"),
        folder_below(str(tmp_path / "backups"), "shop-prod"),
    ):
        pass
    (tmp_path / "way").symlink_to(tmp_path / "backups")
    with folder_below(str(tmp_path / "way"), "crm-prod") as folder:
        folder.write_new("x.dump", [b"x"], 1)
    assert (tmp_path / "backups/crm-prod/x.dump").read_bytes() == b"x"
