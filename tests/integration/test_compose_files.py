# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module compose_files, run by Ansible on this machine and over ssh.

What belongs to owners needs root and is skipped without.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _tree_writer
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

from tests.integration.conftest import ANSIBLE, Outcome, adhoc, ansible_environment, parsed
from tests.lab.hosts import Lab, lab_of

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
EXECUTIONS = "Using module file "
STRANGE = (
    "with space",
    "-rf",
    "two\nlines",
    "größe 🎉",
    "{{ nothing }}",
    "quote'\"",
    "back\\slash",
    "sub/*",
    "...",
    "~",
)


@dataclass
class Places:
    """A source folder and where it is brought to."""

    src: Path
    dst: Path
    state: Path

    def write(self, *paths: str, content: str = "text\n", mode: int = 0o640) -> None:
        for path in paths:
            place = self.src / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content)
            place.chmod(mode)

    def bring(self, *flags: str, **options) -> Outcome:
        outcome = self.run(*flags, **options)
        assert not outcome.failed, outcome.message
        return outcome

    def run(self, *flags: str, **options) -> Outcome:
        given = {"src": str(self.src), "project_dir": str(self.dst), "state_dir": str(self.state), **options}
        return adhoc("compose_files", given, "-vvv", *flags)

    def refuse(self, *flags: str, **options) -> str:
        """The message of a run that fails and leaves everything as it was."""
        before = snapshot(self.dst.parent)
        outcome = self.run(*flags, **options)
        assert outcome.failed
        assert snapshot(self.dst.parent) == before
        return outcome.message


def snapshot(folder: Path) -> dict[str, tuple[str, str]]:
    """Each path below a folder, with its mode, and its content or target; folders too."""
    found = {}
    for place in sorted(folder.rglob("*")):
        told = str(place.readlink()) if place.is_symlink() else place.read_text() if place.is_file() else ""
        found[str(place.relative_to(folder))] = (mode(place), told)
    return found


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.lstat().st_mode):04o}"


def executions(outcome: Outcome) -> int:
    return outcome.printed.count(EXECUTIONS)


def files(created=(), changed=(), removed=()) -> dict[str, list[str]]:
    return {"created": sorted(created), "changed": sorted(changed), "removed": sorted(removed)}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    (tmp_path / "src").mkdir()
    (tmp_path / "host").mkdir()
    return Places(tmp_path / "src", tmp_path / "host" / "shop", tmp_path / "state")


def test_brings_a_folder_and_then_does_nothing(places):
    places.write("compose.yml", "nginx/default.conf", "empty/../deep/er/file", ".env.example", "same1", "same2")
    places.write("run.sh", content="#!/bin/sh\n", mode=0o700)
    places.write("nothing", content="")
    (places.src / "link").symlink_to("nginx/default.conf")
    (places.src / "deep" / "up").symlink_to("../nginx")
    (places.src / "dangling").symlink_to("later")

    first = places.bring()

    paths = {"compose.yml", "nginx/default.conf", "deep/er/file", ".env.example", "same1", "same2", "run.sh", "nothing"}
    links = {"link": "nginx/default.conf", "deep/up": "../nginx", "dangling": "later"}
    assert first.changed
    assert first.result["files"] == files(created=paths | links.keys())
    assert first.result["project_dir"] == str(places.dst)
    assert executions(first) == 2
    contents = dict.fromkeys(paths, ("0644", "text\n")) | {path: ("0777", to) for path, to in links.items()}
    contents |= {"run.sh": ("0755", "#!/bin/sh\n"), "nothing": ("0644", "")}
    folders = dict.fromkeys(("nginx", "deep", "deep/er"), ("0755", ""))
    assert snapshot(places.dst) == contents | folders
    assert mode(places.dst) == "0755"

    inodes = {path: (places.dst / path).lstat().st_ino for path in contents}
    second = places.bring()
    assert not second.changed
    assert second.result["files"] == files()
    assert executions(second) == 1
    assert inodes == {path: (places.dst / path).lstat().st_ino for path in contents}


def test_changes_what_differs_and_no_more(places):
    places.write("same", "content", "mode", "target", "link")
    places.bring()
    inode = (places.dst / "same").stat().st_ino
    places.write("content", content="other\n")
    places.write("mode", mode=0o750)
    (places.src / "link").unlink()
    (places.src / "link").symlink_to("target")
    (places.dst / "target").unlink()

    outcome = places.bring()

    assert outcome.result["files"] == files(created=["target"], changed=["content", "mode", "link"])
    assert snapshot(places.dst) == {
        "same": ("0644", "text\n"),
        "content": ("0644", "other\n"),
        "mode": ("0755", "text\n"),
        "target": ("0644", "text\n"),
        "link": ("0777", "target"),
    }
    assert (places.dst / "same").stat().st_ino == inode


def test_a_change_without_content_is_one_call(places):
    places.write("a", "b")
    places.bring()
    (places.src / "a").chmod(0o755)
    (places.src / "b").unlink()
    (places.src / "c").symlink_to("a")

    outcome = places.bring()

    assert outcome.result["files"] == files(created=["c"], changed=["a"], removed=["b"])
    assert executions(outcome) == 1


def test_strange_names(places):
    places.write(*STRANGE)
    assert places.bring().result["files"] == files(created=STRANGE)
    assert {path for path in snapshot(places.dst) if path != "sub"} == set(STRANGE)
    assert executions(places.bring()) == 1
    for name in STRANGE:
        (places.src / name).unlink()
    assert places.bring("--diff").result["files"] == files(removed=STRANGE)
    assert snapshot(places.dst) == {}


def test_deletes_what_it_brought_and_nothing_else(places):
    places.write("kept", "gone/deep/er", "gone/file", "shared/gone")
    places.bring()
    (places.dst / "shared" / "foreign").write_text("mine")
    (places.dst / "foreign").write_text("mine")
    shutil.rmtree(places.src / "gone")
    shutil.rmtree(places.src / "shared")

    assert places.bring("--check").result["files"] == files(removed=["gone/deep/er", "gone/file", "shared/gone"])
    outcome = places.bring()

    assert outcome.result["files"] == files(removed=["gone/deep/er", "gone/file", "shared/gone"])
    assert set(snapshot(places.dst)) == {"kept", "foreign", "shared", "shared/foreign"}
    assert not places.bring().changed


def test_a_file_that_was_changed_on_the_host_is_not_deleted(places):
    places.write("kept", "gone")
    places.bring()
    (places.src / "gone").unlink()
    (places.dst / "gone").write_text("mine")

    outcome = places.bring()

    assert not outcome.changed
    assert "no longer has gone, but it was changed" in " ".join(outcome.printed.split())
    assert (places.dst / "gone").read_text() == "mine"
    assert "no longer has" not in places.bring().printed


def test_without_delete_files_stay_until_a_run_with_it(places):
    places.write("kept", "gone")
    places.bring()
    (places.src / "gone").unlink()
    assert not places.bring(delete=False).changed
    assert (places.dst / "gone").exists()
    assert places.bring().result["files"] == files(removed=["gone"])


def test_files_that_were_there_with_the_same_content_count_as_brought(places):
    places.write("a", "b")
    shutil.copytree(places.src, places.dst)
    (places.dst / "a").chmod(0o644)
    (places.dst / "b").chmod(0o644)
    assert not places.bring().changed
    (places.src / "b").unlink()
    assert places.bring().result["files"] == files(removed=["b"])


def test_the_record_is_private(places):
    places.write("a")
    places.bring()
    (record,) = (places.state / "files").iterdir()
    assert (mode(record), mode(record.parent)) == ("0600", "0700")
    assert list(json.loads(record.read_text())["files"]) == ["a"]


DAMAGES = {
    "emptied": ("", "is empty"),
    "cut": ('{"format": 2, "digest": "', "is no JSON or was cut off"),
    "edited": ('{"format": 2, "digest": "0", "project_dir": "/", "files": {"mine": "0"}}', "does not match its digest"),
    "other": ('{"project_dir": "/", "files": {"mine": 1}}', "lacks fields, or has others than it should have"),
    "newer": ('{"format": 99, "digest": "0"}', "was written by a newer version"),
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_record_that_does_not_prove_itself_is_told_and_removes_nothing(places, how):
    places.write("kept", "gone")
    places.bring()
    (record,) = (places.state / "files").iterdir()
    (places.src / "gone").unlink()
    (places.dst / "mine").write_text("mine")
    content, cause = DAMAGES[how]
    record.write_text(content)
    for flags in (("--check",), ()):
        outcome = places.bring(*flags)
        assert not outcome.changed
        assert f"{record} {cause}" in " ".join(outcome.printed.split())
    assert set(snapshot(places.dst)) == {"kept", "gone", "mine"}
    if how == "newer":
        assert record.read_text() == content
        return
    assert record.with_name(f"{record.name}.damaged").read_text() == content
    (places.src / "kept").unlink()
    again = places.bring()
    assert again.result["files"] == files(removed=["kept"])
    assert cause not in " ".join(again.printed.split())


def test_the_record_of_the_version_before_is_believed_and_written_anew(places):
    places.write("kept", "gone")
    places.bring()
    (record,) = (places.state / "files").iterdir()
    told = json.loads(record.read_text())
    assert (told.pop("format"), len(told.pop("digest"))) == (2, 64)
    record.write_text(json.dumps(told, indent=1, sort_keys=True))
    assert not places.bring().changed
    assert "digest" in json.loads(record.read_text())
    record.write_text(json.dumps(told, indent=1, sort_keys=True))
    (places.src / "gone").unlink()
    assert places.bring().result["files"] == files(removed=["gone"])
    assert "digest" in json.loads(record.read_text())


def test_check_mode_writes_nothing(places):
    places.write("a", "deep/b")
    assert places.bring("--check").result["files"] == files(created=["a", "deep/b"])
    assert not places.dst.exists()
    assert not places.state.exists()

    places.bring()
    places.write("a", content="other\n")
    shutil.rmtree(places.src / "deep")
    before = snapshot(places.dst.parent), snapshot(places.state)
    outcome = places.bring("--check")
    assert outcome.changed
    assert outcome.result["files"] == files(changed=["a"], removed=["deep/b"])
    assert (snapshot(places.dst.parent), snapshot(places.state)) == before
    assert executions(outcome) == 1


@pytest.mark.parametrize("flags", [("--diff",), ("--diff", "--check")], ids=["diff", "check"])
def test_diff_mode_shows_lines_and_no_secrets(places, flags):
    places.write("settings.yml", content="level: info\npassword: Hidden-1\nurl: redis://x:Hidden-2@cache\n")
    places.write("tls/server.key", "db_password.txt", content="Hidden-3\n")
    places.write("gone")
    places.bring()
    places.write("settings.yml", content="level: debug\npassword: Hidden-4\nurl: redis://x:Hidden-5@cache\n")
    places.write("tls/server.key", "db_password.txt", "new", content="Hidden-6\n")
    (places.src / "gone").unlink()

    printed = places.bring(*flags).printed

    assert {"-level: info", "+level: debug", "created: new", "changed: tls/server.key", "removed: gone"} <= {
        line.strip() for line in printed.splitlines()
    }
    assert "+password: sha256:" in printed
    assert "Hidden" not in printed


def test_exclude(places):
    places.write("kept", ".env", ".env.prod", "api/.env", "secrets/key", "app/secrets/code", ".git/config", "x.pyc")
    places.write("docs/a.md", "docs/keep.md", "tests/t", "node_modules/m/index.js")
    outcome = places.bring(exclude=["docs/*.md", "!keep.md", "tests/", "!api/.env"])
    assert outcome.result["files"]["created"] == ["api/.env", "app/secrets/code", "docs/keep.md", "kept"]
    assert places.bring(exclude="docs,tests").result["files"] == files(removed=["api/.env", "docs/keep.md"])


def test_owner_of_the_host_is_kept_and_folders_stay_as_they_are(places):
    places.write("conf/a")
    (places.dst / "conf").mkdir(parents=True)
    (places.dst / "conf").chmod(0o2770)
    (places.dst / "conf" / "a").write_text("old")
    if os.geteuid() == 0:
        os.chown(places.dst / "conf", 0, 1235)
        os.chown(places.dst / "conf" / "a", 1234, 1235)
    before = (places.dst / "conf" / "a").stat()
    places.write("conf/new", "conf/sub/new")

    places.bring()

    after = (places.dst / "conf" / "a").stat()
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert mode(places.dst / "conf") == "2770"
    assert (places.dst / "conf" / "new").stat().st_gid == (places.dst / "conf").stat().st_gid
    assert (places.dst / "conf" / "sub" / "new").stat().st_gid == (places.dst / "conf").stat().st_gid


@as_root
def test_owner_and_group(places):
    places.write("a", "deep/b")
    (places.src / "link").symlink_to("a")
    places.bring(owner="nobody", group="1235")
    assert {(each.lstat().st_uid, each.lstat().st_gid) for each in places.dst.rglob("*")} == {(65534, 1235)}
    assert places.dst.stat().st_gid == 1235
    assert not places.bring(owner="65534", group="1235").changed
    assert places.bring(owner="root").result["files"] == files(changed=["a", "deep/b", "link"])
    assert "owner nobody-here is not known on this host" in places.refuse(owner="nobody-here")
    assert "group nobody-here is not known on this host" in places.refuse(group="nobody-here")


def test_what_was_encrypted_arrives_decrypted_and_private(places, tmp_path, monkeypatch):
    (tmp_path / "password").write_text("open sesame")
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(tmp_path / "password"))
    places.write("plain")
    places.write("hidden.yml", content="Hidden-1\n")
    subprocess.run([ANSIBLE.with_name("ansible-vault"), "encrypt", places.src / "hidden.yml"], check=True)

    outcome = places.bring("--diff")
    assert snapshot(places.dst) == {"plain": ("0644", "text\n"), "hidden.yml": ("0600", "Hidden-1\n")}
    assert not places.bring().changed
    (places.dst / "hidden.yml").write_text("Hidden-2\n")
    assert "Hidden" not in outcome.printed + places.bring("--diff").printed


@pytest.mark.parametrize("target", ["/etc/hostname", "../secret", "out/secret"])
def test_links_that_leave_the_source_are_refused(places, target):
    (places.src.parent / "secret").write_text("x")
    (places.src / "out").symlink_to("..")
    (places.src / "good").symlink_to("good too")
    (places.src / "bad").symlink_to(target)
    message = places.refuse()
    assert f"bad is a link that leaves the folder, to {target}" in message
    assert "good" not in message


def test_what_cannot_be_brought_is_named(places):
    os.mkfifo(places.src / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(places.src / "socket"))
    Path(os.fsdecode(bytes(places.src) + b"/\xff")).touch()
    message = places.refuse()
    assert "pipe is neither a file nor a link; socket is neither a file nor a link" in message
    assert '"\\udcff" has a name that is not UTF-8' in message
    assert places.run(exclude=["pipe", "socket", "?"]).failed is False


@pytest.mark.parametrize(
    ("manifest", "path"),
    [
        ({"../out": {"sha256": "0", "mode": 420}}, "../out"),
        ({"/tmp/out": {"sha256": "0", "mode": 420}}, "/tmp/out"),
        ({"a/../../out": {"sha256": "0", "mode": 420}}, "a/../../out"),
        ({"link": {"target": "../out"}}, "link"),
    ],
)
def test_the_host_refuses_paths_that_leave_the_folder(places, manifest, path, monkeypatch):
    """The module itself, as if something else than its own action had called it."""
    given = {"src": "/", "project_dir": str(places.dst), "state_dir": str(places.state), "manifest": manifest}
    argv = [sys.executable, "-m", "ansible_collections.strata.compose.plugins.modules.compose_files"]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    given_as = json.dumps({"ANSIBLE_MODULE_ARGS": given})
    done = subprocess.run(argv, input=given_as, capture_output=True, text=True, check=False)
    assert f"would leave project_dir: {path}." in json.loads(done.stdout)["msg"]
    assert not places.dst.exists()


def test_a_folder_that_is_a_link_on_the_host_is_refused(places, tmp_path):
    places.write("conf/a", "other")
    (tmp_path / "elsewhere").mkdir()
    places.dst.mkdir()
    (places.dst / "conf").symlink_to(tmp_path / "elsewhere")
    assert "conf is a symbolic link" in places.refuse()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_nothing_is_removed_through_a_link(places, tmp_path):
    places.write("conf/a", "other")
    places.bring()
    shutil.rmtree(places.src / "conf")
    shutil.move(places.dst / "conf", tmp_path / "elsewhere")
    (places.dst / "conf").symlink_to(tmp_path / "elsewhere")
    assert not places.bring().changed
    assert (tmp_path / "elsewhere" / "a").exists()


def test_what_is_in_the_way_is_named_and_stays(places):
    places.write("other", "folder/a", "file")
    places.dst.mkdir()
    (places.dst / "folder").write_text("mine")
    (places.dst / "file").mkdir()
    (places.dst / "file" / "mine").write_text("mine")
    message = places.refuse()
    assert "folder is a file, and a folder belongs there" in message
    assert "file is a folder, and a file or link belongs there" in message
    shutil.rmtree(places.dst)
    places.dst.write_text("mine")
    assert f"project_dir {places.dst} is not a folder" in places.refuse()


def test_files_become_folders_and_folders_files(places):
    places.write("to folder", "to file/a", "to file/b/c", "link/a")
    places.bring()
    (places.src / "to folder").unlink()
    shutil.rmtree(places.src / "to file")
    shutil.rmtree(places.src / "link")
    (places.src / "link").symlink_to("to file")
    places.write("to folder/a/b", "to file")

    outcome = places.bring()

    assert outcome.result["files"] == files(
        created=["to folder/a/b"],
        changed=["to file", "link"],
        removed=["to folder", "to file/a", "to file/b/c", "link/a"],
    )
    assert snapshot(places.dst) == {
        "to folder": ("0755", ""),
        "to folder/a": ("0755", ""),
        "to folder/a/b": ("0644", "text\n"),
        "to file": ("0644", "text\n"),
        "link": ("0777", "to file"),
    }
    assert not places.bring().changed


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"src": "nowhere"}, "src nowhere was not found on the controller"),
        ({"src": None}, "src is not set for host localhost: set the variable compose_files_src"),
        ({"src": "/etc/hostname"}, "src /etc/hostname is not a folder"),
        ({"delete": "perhaps"}, "delete"),
    ],
)
def test_wrong_options(places, options, says):
    assert says in places.refuse(**options)


def test_a_failure_while_writing_changes_no_file(places):
    """A file system without room: nothing is replaced, and no temporary file stays."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    places.write("small")
    places.dst.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", places.dst], check=False)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        places.bring()
        places.write("small", content="other\n")
        places.write("zz large", content=str(os.urandom(200_000)))
        message = places.refuse()
        assert "No space left on device" in message
        assert "Nothing was changed" in message
    finally:
        subprocess.run(["umount", places.dst], check=True)


def test_what_a_killed_run_left_goes_with_the_next(places):
    places.write("deep/a")
    (places.dst / "deep").mkdir(parents=True)
    (places.dst / "deep" / f".strata-{hashlib.sha256(b'deep/a').hexdigest()[:16]}.new").write_text("half")
    places.bring()
    assert set(snapshot(places.dst)) == {"deep", "deep/a"}


def test_a_transfer_that_is_damaged_changes_nothing(tmp_path):
    (tmp_path / "content").write_text("not what the name says")
    with tarfile.open(tmp_path / "archive", "w:gz") as archive:
        archive.add(tmp_path / "content", "0" * 64)
    with pytest.raises(ComposeFailure, match="changed while they were read"):
        _tree_writer.require_contents(str(tmp_path / "archive"), {"0" * 64})
    whole = (tmp_path / "archive").read_bytes()
    (tmp_path / "archive").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ComposeFailure, match="cannot be read"):
        _tree_writer.require_contents(str(tmp_path / "archive"), {"0" * 64})


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with lab_of(f"files-{uuid.uuid4().hex[:6]}", 1, host_image="strata-bare-host:bookworm") as made:
        yield made


def over_ssh(lab: Lab, src: Path, *flags: str, **options) -> Outcome:
    given = {"src": str(src), **options}
    argv = [str(ANSIBLE), lab[0].name, "-i", str(lab.inventory), "-vvv", *flags]
    argv += ["-m", "strata.compose.compose_files", "-a", json.dumps(given)]
    done = subprocess.run(argv, capture_output=True, text=True, env=ansible_environment(), check=False)
    return Outcome(parsed(done.stdout), done.stdout + done.stderr)


@pytest.mark.parametrize("pipelining", ["true", "false"])
@pytest.mark.parametrize(
    ("user", "become"),
    [("root", ()), ("deploy", ()), ("deploy", ("--become",)), ("root", ("--become", "--become-user", "deploy"))],
    ids=["root", "user", "user-becomes-root", "root-becomes-user"],
)
def test_over_ssh(places, lab, user, become, pipelining, monkeypatch):
    monkeypatch.setenv("ANSIBLE_PIPELINING", pipelining)
    target = f"/tmp/{uuid.uuid4().hex}/shop"
    owner = "root" if become == ("--become",) or not become and user == "root" else "deploy"
    flags = ("-e", f"ansible_user={user}", *become)
    places.write("compose.yml", "deep/file", *STRANGE)
    places.write("run.sh", mode=0o755)
    (places.src / "link").symlink_to("deep/file")

    first = over_ssh(lab, places.src, *flags, project_dir=target)
    assert not first.failed, first.message
    assert len(first.result["files"]["created"]) == 4 + len(STRANGE)
    assert executions(first) == 2
    shown = lab.ssh(lab[0], "stat", "-c", "%a:%U:%N", f"{target}/run.sh", f"{target}/link", f"{target}/deep").stdout
    assert shown.splitlines() == [
        f"755:{owner}:'{target}/run.sh'",
        f"777:{owner}:'{target}/link' -> 'deep/file'",
        f"755:{owner}:'{target}/deep'",
    ]
    assert lab.ssh(lab[0], "cat", f"{target}/link").stdout == "text\n"

    second = over_ssh(lab, places.src, *flags, project_dir=target)
    assert not second.changed
    assert executions(second) == 1
    left = lab.ssh(lab[0], "sh", "-c", '\'find /tmp /root /home -name "*.tar.gz" -o -name "ansible-tmp-*"\'').stdout
    assert left == ""


@pytest.mark.parametrize(
    ("target", "says"),
    [("/root/shop", "cannot be read on this host: Permission denied"), ("/opt/shop", "/opt/shop cannot be written")],
)
def test_what_a_user_must_not_touch(places, lab, target, says):
    places.write("a")
    outcome = over_ssh(lab, places.src, "-e", "ansible_user=deploy", project_dir=target)
    assert outcome.failed
    assert not outcome.changed
    assert says in outcome.message
