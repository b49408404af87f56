"""Where secret files are kept in memory."""

from __future__ import annotations

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _secret_memory
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

MOUNTS = """\
proc /proc proc rw,nosuid 0 0
tmpfs /run tmpfs rw,nosuid,nodev,mode=755 0 0
tmpfs /dev/shm tmpfs ro,nosuid 0 0
ramfs /mnt/ram ramfs rw 0 0
/dev/vda1 / ext4 rw,relatime 0 0
tmpfs /run/rwanda tmpfs rw 0 0
cut
"""


def test_file_systems_in_memory_that_can_be_written_to():
    assert _secret_memory.in_memory(MOUNTS) == {"/run", "/mnt/ram", "/run/rwanda"}


def test_folder_of_a_project_is_its_own():
    names = _secret_memory.own_folders("/srv/shop", 0)
    assert names == ["/run/strata/shop-e7c7ea0b", "/dev/shm/strata-0/shop-e7c7ea0b"]
    assert _secret_memory.own_folders("/opt/shop", 0)[0] != _secret_memory.own_folders("/srv/shop", 0)[0]
    assert _secret_memory.own_folders("/srv/shop", 7)[0] == "/run/user/7/strata/shop-e7c7ea0b"


def test_without_one_it_is_an_error(monkeypatch):
    monkeypatch.setattr(_secret_memory, "read_file", lambda _path: b"/dev/vda1 / ext4 rw 0 0\n")
    with pytest.raises(ComposeFailure, match=r"no tmpfs at .* or /dev/shm.*secrets_in_memory"):
        _secret_memory.folder_of("/srv/shop")
