# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of the state folder prove themselves or are not believed. ``state/released`` has no digests yet."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _errors, _records, _secrets
from ansible_collections.strata.compose.plugins.module_utils._current import Current, CurrentFile
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._journal import JournalFile
from ansible_collections.strata.compose.plugins.module_utils._ledger import Ledger, LedgerFile
from ansible_collections.strata.compose.plugins.module_utils._operations import make_sound
from ansible_collections.strata.compose.plugins.module_utils._records import EDITED, NEWER, Damage, Record
from ansible_collections.strata.compose.plugins.module_utils._redact import MASK, Redactor
from ansible_collections.strata.compose.plugins.module_utils._release_store import ReleaseStore
from ansible_collections.strata.compose.plugins.module_utils._state import require_own_folder
from ansible_collections.strata.compose.plugins.module_utils.postgres._passwords import Kept

RELEASED = Path(__file__).parent / "state/released"
CONTENT = {"name": "Bücher \udcff", "list": [1, None], "deep": {"a": 1.5}}
NOT_BELIEVED = {
    "empty": (b"", "is empty"),
    "blank": (b" \n", "is empty"),
    "cut": (_records.as_bytes(_records.sealed(CONTENT))[:-3], "is no JSON or was cut off"),
    "garbage": (b"\x00\xff{{{", "is no JSON or was cut off"),
    "deep": (b"[" * 100_000, "is no JSON or was cut off"),
    "other type": (b"[]", "is no JSON object"),
    "edited": (_records.as_bytes(_records.sealed(CONTENT)).replace(b"1.5", b"2.5"), EDITED),
    "no digest": (b'{"format": 2, "a": 1}', EDITED),
    "no format": (b'{"digest": "d", "a": 1}', EDITED),
    "newer": (b'{"format": 3, "digest": "d", "a": 1}', NEWER),
    "number of another type": (b'{"format": "2", "digest": "d"}', EDITED),
}


def test_sealed_record_is_read_as_it_was_written(tmp_path):
    path = str(tmp_path / "record")
    _records.write(path, CONTENT)
    assert _records.read_record(path) == Record(CONTENT, True)
    assert json.loads(Path(path).read_bytes())["list"] == [1, None]


def test_record_of_the_version_before_has_no_digest():
    assert _records.proven(b'{"a": 1}') == Record({"a": 1}, False)
    assert _records.proven(b'{"format": 1, "a": 1}') == Record({"a": 1}, False)


@pytest.mark.parametrize("name", NOT_BELIEVED)
def test_what_does_not_prove_itself_is_not_believed(name):
    text, cause = NOT_BELIEVED[name]
    assert _records.proven(text) == cause


def test_record_with_unknown_fields_that_proves_itself_is_that_of_a_newer_version(tmp_path):
    path = str(tmp_path / "current")
    _records.write(path, {"release": 1, "commits": 1, "has_ledger": False, "later": 1})
    assert CurrentFile(str(tmp_path)).read() == Damage(path, NEWER)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_record_that_another_user_owns_is_not_believed(tmp_path):
    path = tmp_path / "record"
    _records.write(str(path), CONTENT)
    os.chown(path, 1234, 0)
    assert "belongs to user 1234" in str(_records.read_record(str(path)))


def test_folder_that_others_can_write_to_is_refused(tmp_path):
    require_own_folder(str(tmp_path / "none"))
    require_own_folder(str(tmp_path))
    tmp_path.chmod(0o777)
    with pytest.raises(ComposeFailure, match=r"can be written by everybody \(mode 0777\).*chmod 0700") as failure:
        ReleaseStore(str(tmp_path), "shop-dev")
    assert failure.value.facts["error_kind"] == "unsafe_state"
    tmp_path.chmod(0o1777)
    require_own_folder(str(tmp_path))
    tmp_path.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(tmp_path, 1234, 0)
        with pytest.raises(ComposeFailure, match="belongs to user 1234, not to user 0.*become_user.*state_dir"):
            require_own_folder(str(tmp_path))


@pytest.fixture
def released(tmp_path: Path) -> ReleaseStore:
    """A state folder as the version before wrote it."""
    folder = tmp_path / "shop-dev"
    shutil.copytree(RELEASED, folder)
    for each in [folder, *folder.rglob("*")]:
        each.chmod(0o700 if each.is_dir() else 0o600)
        os.chown(each, os.geteuid(), os.getegid())
    return ReleaseStore(str(tmp_path), "shop-dev")


def believed(store: ReleaseStore) -> list[object]:
    """All that is read of a state folder."""
    current = store.current()
    assert current is not None
    ledger, kept = LedgerFile(store.folder).read(), Kept.of(store.folder, "shop-dev", "db").read()
    return [current, store.load(1), store.history(), ledger, kept, JournalFile(store.folder).read()]


def test_state_of_the_version_before_is_read_and_written_anew_once(released):
    before = believed(released)
    assert before[0].number == 2
    assert "migrate" in before[3].succeeded
    make_sound(released)
    assert believed(released) == before
    assert CurrentFile(released.folder).read() == Current(2, 1, True)
    plain = ("compose.json", "journal.json")
    texts = [path for path in Path(released.folder).rglob("*.json") if path.name not in plain]
    assert len(texts) == 7
    assert all(_records.read_record(str(path)).is_sealed for path in texts)
    inodes = [path.stat().st_ino for path in texts]
    make_sound(released)
    assert [path.stat().st_ino for path in texts] == inodes
    assert _errors._noticed == []


@pytest.mark.parametrize("content", ["{}", "[]", "", '{"name": "other", "services": {}}', '{"name": "shop-dev"'])
def test_model_of_the_version_before_that_is_none_is_not_believed(released, content):
    Path(released.path(2, "compose.json")).write_text(content)
    assert released.current() is None
    (warning,) = _errors._noticed
    assert "0002/compose.json" in warning
    make_sound(released)
    assert released.current() is None
    assert released.current_number() == 2


@pytest.mark.parametrize("name", ["compose.json", "env", "release.json"])
@pytest.mark.parametrize("content", ["{}", "", "TOKEN='other'\n", None])
def test_release_whose_files_do_not_prove_themselves_is_not_believed(released, name, content):
    make_sound(released)
    path = Path(released.path(2, name))
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert released.current() is None
    with pytest.raises(ComposeFailure, match="release 2 cannot be used"):
        released.load(2)
    told = {each["release"]: each["outcome"] for each in released.history()}
    assert told in ({1: "good", 2: "damaged"}, {1: "good"})
    assert released.current_number() == 2
    assert released.save(released.load(1).__class__(**{**vars(released.load(1)), "number": 0})).number == 3


@pytest.mark.parametrize("content", ["", "x", "{}", "[]", "7\n", None])
def test_current_release_that_is_lost_is_the_one_that_was_committed_last(released, content):
    make_sound(released)
    released.commit(released.load(1))
    path = Path(released.folder) / "current"
    path.unlink()
    if content is not None:
        path.write_text(content)
    current = released.current()
    assert current is not None
    assert current.number == 1
    assert any("Release 1, which was the last to become current" in each for each in _errors._noticed)
    make_sound(released)
    assert CurrentFile(released.folder).read() == Current(1, 2, True)


def test_current_release_of_the_version_before_that_is_empty_is_the_newest_good_one(released):
    (Path(released.folder) / "current").write_text("")
    assert released.current().number == 2


def test_nothing_is_current_after_removal_also_when_the_file_is_lost(released):
    make_sound(released)
    released.retire()
    assert released.current_number() is None
    (Path(released.folder) / "current").unlink()
    assert released.current_number() is None


def test_folder_of_the_version_before_without_current_was_removed_on_purpose(released):
    (Path(released.folder) / "current").unlink()
    assert released.current_number() is None
    assert _errors._noticed == []


def test_it_is_not_known_which_release_is_current_when_a_later_record_is_damaged_too(released):
    make_sound(released)
    released.commit(released.load(1))
    (Path(released.folder) / "current").unlink()
    Path(released.path(2, "release.json")).write_text("{}")
    assert released.current() is None
    assert any("No release is taken for the current one" in each for each in _errors._noticed)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"selection": {}, "succeeded": [], "under_way": {}}', None])
def test_lost_ledger_is_no_empty_one(released, content):
    make_sound(released)
    file, path = LedgerFile(released.folder), Path(released.folder) / "init.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(ComposeFailure, match="state=assume.*run=always"):
        file.read()
    assert file.read_or_new() == Ledger()
    file.begin_anew()
    assert file.read() == Ledger()
    assert (path.parent / "init.json.damaged").exists() == (content is not None)


def test_ledger_that_is_lost_before_its_project_is_written_anew_is_no_empty_one(released):
    (Path(released.folder) / "init.json").unlink()
    with pytest.raises(ComposeFailure, match="init.json is missing"):
        LedgerFile(released.folder).read()


def test_ledger_of_a_newer_version_stays(released):
    path = Path(released.folder) / "init.json"
    path.write_text('{"format": 3, "digest": "", "a": 1}')
    for act in (LedgerFile(released.folder).read, LedgerFile(released.folder).read_or_new):
        with pytest.raises(ComposeFailure, match="newer version: update the collection") as failure:
            act()
        assert "run=always" not in failure.value.message
    assert path.exists()


def test_damaged_journal_is_set_aside_and_that_of_a_newer_version_is_not(released):
    file = JournalFile(released.folder)
    path = Path(file.path)
    path.write_text('{"phase": "gate"')
    assert file.read_or_set_aside() is None
    assert not path.exists()
    assert path.with_name("journal.json.damaged").exists()
    assert "state=present brings all containers" in _errors._noticed[0]
    path.write_text('{"format": 3, "digest": "", "a": 1}')
    with pytest.raises(ComposeFailure, match="newer version"):
        file.read_or_set_aside()
    assert path.exists()


def test_edited_passwords_are_masked_and_not_used(released):
    make_sound(released)
    path = Path(released.folder) / "secrets.json"
    path.write_text(path.read_text().replace("made-up-password", "made-up-other"))
    redactor = Redactor()
    _secrets.learn_generated(redactor, released.folder)
    assert redactor.mask("made-up-other") == MASK
    with pytest.raises(ComposeFailure, match="password_mismatch=replace"):
        Kept.of(released.folder, "shop-dev", "db").read()
