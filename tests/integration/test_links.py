# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, pipes and races of somebody who owns a project directory that root writes into. No engine is needed."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _session
from ansible_collections.strata.compose.plugins.module_utils._bring import Wish, bring
from ansible_collections.strata.compose.plugins.module_utils._env_file import Wish as EnvFile
from ansible_collections.strata.compose.plugins.module_utils._env_file import placed
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import digest, read_file, replace_file
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor, fingerprint
from ansible_collections.strata.compose.plugins.module_utils._secret_files import (
    SecretFiles,
    place_secret_files,
    remove_secret_files,
)
from ansible_collections.strata.compose.plugins.module_utils._secret_memory import make_own, own_folders
from ansible_collections.strata.compose.plugins.module_utils.postgres._backup_folder import BackupFolder
from ansible_collections.strata.compose.plugins.module_utils.postgres._backups import Backup

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, and files of another user")

STRANGER = 65534
TRIES = 100
SECONDS = 60

SWAP = """
import contextlib, itertools, os, sys
os.setgid({uid}); os.setuid({uid})
place, victim = sys.argv[1:]
print("ready", flush=True)
for number in itertools.count():
    away = place + ".away" + str(number)
    with contextlib.suppress(OSError):
        os.rename(place, away)
    with contextlib.suppress(OSError):
        os.symlink(victim, place)
    with contextlib.suppress(OSError):
        os.unlink(place)
    with contextlib.suppress(OSError):
        os.rename(away, place)
"""
"""Also when root makes a folder in the meantime, it goes on."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Of a stranger, who can reach it."""
    for each in (tmp_path, *tmp_path.parents):
        if each.stat().st_mode & 0o001 == 0:
            each.chmod(stat.S_IMODE(each.stat().st_mode) | 0o011)
    made = tmp_path / "shop"
    made.mkdir()
    os.chown(made, STRANGER, STRANGER)
    return made


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of root's, with a file that nobody else may read or change."""
    made = tmp_path / "victim"
    made.mkdir(0o755)
    for name in (".env.prod", "app.conf", "new.conf"):
        (made / name).write_text("of root")
        (made / name).chmod(0o600)
    return made


def of_stranger(path: Path, target: str | Path | None = None) -> Path:
    """A folder of the stranger's, or a link."""
    if target is None:
        path.mkdir()
    else:
        path.symlink_to(target)
    os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
    return path


def seen(folder: Path) -> dict[str, Any]:
    found = {each.name: each.lstat() for each in folder.iterdir()}
    about = {name: (each.st_uid, each.st_gid, each.st_mode) for name, each in found.items()}
    return {**about, **{each.name + " content": each.read_bytes() for each in folder.iterdir()}}


def env_file(project: Path, **options: Any) -> dict[str, Any]:
    unset = dict.fromkeys(("path", "example", "owner", "group"))
    given = {"project_dir": str(project), "environment": "prod", "variables": {"A": str(time.monotonic_ns())}}
    params = {**unset, "check_example": True, **given, **options}
    return placed(EnvFile.from_params(params), Redactor(), False, True)


def secret_files(project: Path, content: str = "Hidden", in_memory: bool = False) -> dict[str, Any]:
    options = {"secrets_folder": "secrets", "secrets_mode": "0400", "secrets_owner": None}
    contents = {"app.conf": content, "new": content}
    params = {"project_dir": str(project), "secrets": contents, "secrets_in_memory": in_memory, **options}
    return place_secret_files(SecretFiles.from_params(params), False, True)


def no_secret_files(project: Path) -> dict[str, Any]:
    return remove_secret_files({"project_dir": str(project), "secrets_folder": "secrets"}, False)


def in_memory(project: Path) -> list[Path]:
    return [Path(each) for each in own_folders(str(project), os.geteuid()) if os.path.lexists(each)]


def files(project: Path, contents: dict[str, bytes], **options: Any) -> dict[str, Any]:
    """What compose_files does on the host, with an archive at hand."""
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in contents.items()}
    archive = project.parent / "files.tar.gz"
    with tarfile.open(archive, "w:gz") as members:
        for path, content in contents.items():
            member = tarfile.TarInfo(digests[path])
            member.size = len(content)
            members.addfile(member, io.BytesIO(content))
    params = {
        "project_dir": str(project),
        "manifest": {path: {"sha256": digest, "mode": 0o644} for path, digest in digests.items()},
        "delete": True,
        "owner": None,
        "group": None,
        "archive": str(archive),
        "state_dir": str(project.parent / "state"),
        **options,
    }
    return bring(Wish.from_params(params), False, True, str)


@contextlib.contextmanager
def swapping(place: Path, victim: Path) -> Iterator[None]:
    """A process of the stranger's that puts a link in the place of a folder, and the folder back, without a pause."""
    argv = [sys.executable, "-c", SWAP.format(uid=STRANGER), str(place), str(victim)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            process.kill()


_moments: dict[tuple[str, str], Callable[[], None]] = {}


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _moments and event.startswith("os.") and arguments and isinstance(arguments[0], (str, bytes)):
        act = _moments.pop((event, Path(os.fsdecode(arguments[0])).name), None)
        if act:
            act()


sys.addaudithook(_audit)


@contextlib.contextmanager
def at_the_moment(event: str, name: str, act: Callable[[], None]) -> Iterator[list[str]]:
    """Act just before Python asks the kernel for something with a file of this name; yields what was met."""
    met: list[str] = []
    _moments[event, name] = lambda: (act(), met.append(event))[0]
    try:
        yield met
    finally:
        _moments.clear()


def swap(place: Path, victim: Path) -> None:
    """What a quick stranger does: a link in the place of a folder, or of a file."""
    place.rename(f"{place}.away")
    of_stranger(place, victim)


def tries() -> Iterator[int]:
    end = time.monotonic() + SECONDS
    for number in range(TRIES):
        yield number
        assert time.monotonic() < end, f"only {number} tries in {SECONDS} s"


def test_no_race_leads_files_elsewhere(project: Path, victim: Path) -> None:
    conf = of_stranger(project / "conf")
    before, done = seen(victim), 0
    with swapping(conf, victim):
        for number in tries():
            contents = {"conf/app.conf": b"%d" % number, "conf/new.conf": b"%d" % number}
            with contextlib.suppress(ComposeFailure):
                files(project, contents, owner=str(STRANGER))
                done += 1
            assert seen(victim) == before
    print(f"{done} of {TRIES} were done")


def test_no_race_gives_a_file_away(project: Path, victim: Path) -> None:
    """The content is as wanted, so only owner and mode are adjusted."""
    conf = of_stranger(project / "conf")
    (conf / "app.conf").write_text("of root")
    before = seen(victim)
    with swapping(conf, victim):
        for number in tries():
            with contextlib.suppress(ComposeFailure):
                files(project, {"conf/app.conf": b"of root"}, owner=str((0, STRANGER)[number % 2]))
            assert seen(victim) == before


def test_no_race_removes_files_elsewhere(project: Path, victim: Path) -> None:
    """The link is there when the kernel is asked to remove: no try at random comes so late so often."""
    conf = of_stranger(project / "conf")
    files(project, {"conf/app.conf": b"of root", "a": b"a"})
    before = seen(victim)
    with at_the_moment("os.remove", "app.conf", lambda: swap(conf, victim)) as met:
        files(project, {"a": b"a"})
    assert met == ["os.remove"]
    assert conf.is_symlink()
    assert seen(victim) == before
    assert list((project / "conf.away").iterdir()) == []


def test_no_race_leads_the_env_file_elsewhere(project: Path, victim: Path) -> None:
    folder = of_stranger(project / "environments")
    before = seen(victim)
    with swapping(folder, victim):
        for _number in tries():
            with contextlib.suppress(ComposeFailure):
                env_file(project, path="environments/.env.prod", owner=str(STRANGER))
            assert seen(victim) == before


def test_no_race_at_the_env_file_itself(project: Path, victim: Path) -> None:
    (project / ".env.prod").write_text("A=1\n")
    os.chown(project / ".env.prod", STRANGER, STRANGER)
    before = seen(victim)
    with swapping(project / ".env.prod", victim / ".env.prod"):
        for _number in tries():
            with contextlib.suppress(ComposeFailure):
                env_file(project)
            assert seen(victim) == before


def test_no_race_leads_secret_files_elsewhere(project: Path, victim: Path) -> None:
    folder = of_stranger(project / "secrets")
    before = seen(victim)
    with swapping(folder, victim):
        for number in tries():
            with contextlib.suppress(ComposeFailure):
                secret_files(project, str(number))
            assert seen(victim) == before
            assert victim.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("swapped", ["secrets", ""])
def test_no_race_removes_or_links_secret_files_elsewhere(tmp_path: Path, project: Path, swapped: str) -> None:
    """Files in memory: `secrets` becomes a link and goes again, and the stranger owns all of the way to it."""
    home = of_stranger(tmp_path / "home")
    project = project.rename(home / "shop")
    victim = home / "victim"
    (victim / "secrets").mkdir(parents=True)
    for name in ("app.conf", "new"):
        (victim / "secrets" / name).write_text("of root")
    of_stranger(project / "secrets")
    target = victim / "secrets" if swapped else victim
    try:
        with swapping(project / swapped, target):
            for number in tries():
                with contextlib.suppress(ComposeFailure, OSError):
                    secret_files(project, str(number), in_memory=True)
                with contextlib.suppress(ComposeFailure, OSError):
                    no_secret_files(project)
                found = {each.name: each.read_text() for each in (victim / "secrets").iterdir()}
                assert found == {"app.conf": "of root", "new": "of root"}
                assert not (victim / "secrets").is_symlink()
    finally:
        for each in in_memory(project):
            shutil.rmtree(each)


@pytest.mark.parametrize(
    ("event", "name", "act"),
    [
        ("os.rename", ".secrets.link", lambda project: secret_files(project, in_memory=True)),
        ("os.rmdir", "secrets", no_secret_files),
    ],
    ids=["link", "remove"],
)
def test_secret_files_are_where_the_project_was_opened(
    tmp_path: Path, project: Path, event: str, name: str, act: Callable[[Path], Any]
) -> None:
    """The project directory is another one at the very moment: no try at random comes so late so often."""
    home = of_stranger(tmp_path / "home")
    project = project.rename(home / "shop")
    of_stranger(project / "secrets")
    (home / "victim" / "secrets").mkdir(parents=True)
    try:
        with at_the_moment(event, name, lambda: swap(project, home / "victim")) as met:
            act(project)
        assert met == [event]
        assert (home / "victim" / "secrets").is_dir()
        assert not (home / "victim" / "secrets").is_symlink()
        assert (home / "shop.away" / "secrets").is_symlink() is (event == "os.rename")
    finally:
        for each in in_memory(project):
            shutil.rmtree(each)


def test_secret_files_go_to_memory_and_back(project: Path) -> None:
    secret_files(project)
    assert secret_files(project, in_memory=True)["secrets_written"] == ["app.conf", "new"]
    (folder,) = in_memory(project)
    assert (project / "secrets").readlink() == folder
    assert not secret_files(project, in_memory=True)["changed"]
    assert secret_files(project)["changed"]
    assert in_memory(project) == []
    assert (project / "secrets" / "new").read_text() == "Hidden"
    secret_files(project, in_memory=True)
    assert no_secret_files(project)["changed"]
    assert not no_secret_files(project)["changed"]
    assert in_memory(project) == []
    assert not os.path.lexists(project / "secrets")


@pytest.mark.parametrize("theirs", ["strata-0", "strata-0/shop"])
def test_a_folder_in_memory_that_a_stranger_has_made_gets_no_secret(tmp_path: Path, theirs: str) -> None:
    if "/" in theirs:
        (tmp_path / "strata-0").mkdir(0o700)
    of_stranger(tmp_path / theirs)
    with pytest.raises(ComposeFailure, match=f"{theirs} belongs to user {STRANGER}"):
        make_own(str(tmp_path / "strata-0" / "shop"))
    (tmp_path / theirs).rmdir()
    make_own(str(tmp_path / "strata-0" / "shop"))
    assert (tmp_path / theirs).stat().st_uid == 0


def test_a_link_in_memory_that_a_stranger_has_made_is_not_followed(tmp_path: Path, victim: Path) -> None:
    of_stranger(tmp_path / "strata-0", victim)
    with pytest.raises(ComposeFailure, match="strata-0 is not followed"):
        make_own(str(tmp_path / "strata-0" / "shop"))
    assert not (victim / "shop").exists()


def test_only_a_folder_of_the_project_is_removed(project: Path, victim: Path) -> None:
    with pytest.raises(ComposeFailure, match="is not below project_dir"):
        remove_secret_files({"project_dir": str(project), "secrets_folder": str(victim)}, False)
    assert seen(victim)


def test_no_race_at_a_secret_file_itself(project: Path, victim: Path) -> None:
    """Neither is the content of the victim's file told, nor is the secret given to the stranger."""
    folder = of_stranger(project / "secrets")
    (folder / "app.conf").write_text("theirs")
    os.chown(folder / "app.conf", STRANGER, STRANGER)
    before = seen(victim)
    with swapping(folder / "app.conf", victim / "app.conf"):
        for number in tries():
            with contextlib.suppress(ComposeFailure):
                assert fingerprint("of root") not in secret_files(project, str(number))["diff"]["before"]
            assert seen(victim) == before
            # A try that met the link has written nothing.
            assert not (folder / "new").exists() or (folder / "new").stat().st_uid == 0


def test_a_secret_file_of_a_stranger_is_made_anew(project: Path) -> None:
    folder = of_stranger(project / "secrets")
    (folder / "new").write_text("Hidden")
    (folder / "new").chmod(0o400)
    os.chown(folder / "new", STRANGER, STRANGER)
    with (folder / "new").open() as theirs:
        assert secret_files(project)["secrets_written"] == ["app.conf", "new"]
        assert ((folder / "new").stat().st_uid, (folder / "new").stat().st_gid) == (0, os.getegid())
        assert not os.path.samestat(os.fstat(theirs.fileno()), (folder / "new").stat())
    assert not secret_files(project)["changed"]


@pytest.mark.parametrize("place", ["secrets", "secrets/app.conf"])
def test_a_planted_link_leads_no_secret_file_elsewhere(project: Path, victim: Path, place: str) -> None:
    if place != "secrets":
        of_stranger(project / "secrets")
    of_stranger(project / place, victim if place == "secrets" else victim / "app.conf")
    before = seen(victim)
    with pytest.raises(ComposeFailure, match=f"{place} is not followed: it is a link of user {STRANGER}"):
        secret_files(project)
    assert seen(victim) == before


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFCHR])
def test_a_secret_file_that_is_a_pipe_or_a_device_is_refused(project: Path, kind: int) -> None:
    of_stranger(project / "secrets")
    os.mknod(project / "secrets" / "app.conf", kind | 0o666, os.makedev(1, 5) if kind == stat.S_IFCHR else 0)
    with pytest.raises(ComposeFailure, match="secrets/app.conf is not a regular file"):
        secret_files(project)
    assert not (project / "secrets" / "new").exists()


def test_no_race_in_the_state_folder(project: Path, victim: Path) -> None:
    """`replace_file`, with which releases, dumps' manifests and passwords are written."""
    folder = of_stranger(project / "state")
    before = seen(victim)
    with swapping(folder, victim):
        for number in tries():
            with contextlib.suppress(ComposeFailure):
                replace_file(str(folder / "app.conf"), b"%d" % number)
            assert seen(victim) == before


@pytest.mark.parametrize("target", ["file", "folder"])
def test_a_planted_link_is_refused_by_name(project: Path, victim: Path, target: str) -> None:
    link, path = (".env.prod", None) if target == "file" else ("environments", "environments/.env.prod")
    of_stranger(project / link, victim / ".env.prod" if target == "file" else victim)
    before = seen(victim)
    with pytest.raises(ComposeFailure, match=f"{link} is not followed: it is a link of user {STRANGER}") as failed:
        env_file(project, path=path, owner=str(STRANGER))
    assert "chown -h" in failed.value.message
    assert seen(victim) == before


def test_a_planted_example_is_not_read(project: Path, victim: Path) -> None:
    (victim / ".env.prod").write_text("SECRET_OF_ROOT=1\n")
    of_stranger(project / ".env.example", victim / ".env.prod")
    with pytest.raises(ComposeFailure, match="is not followed") as failed:
        env_file(project)
    assert "SECRET_OF_ROOT" not in failed.value.message


def test_a_link_of_root_to_a_strangers_file_is_refused(project: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("A=1\n")
    os.chown(tmp_path / "theirs", STRANGER, STRANGER)
    (project / ".env.prod").symlink_to(tmp_path / "theirs")
    with pytest.raises(ComposeFailure, match=f"a link leads to .*theirs, which belongs to user {STRANGER}"):
        env_file(project)
    assert (tmp_path / "theirs").read_text() == "A=1\n"


def test_links_of_root_are_followed(project: Path, tmp_path: Path) -> None:
    """A linked env file, which may be still to come, and folders that are switched."""
    (tmp_path / "etc/2").mkdir(parents=True)
    (tmp_path / "etc/current").symlink_to("2")
    (project / ".env.prod").symlink_to("../etc/current/../2/prod.env")
    for change in (True, False):
        assert env_file(project, variables={"A": "1"})["changed"] is change
    assert (project / ".env.prod").is_symlink()
    assert (tmp_path / "etc/2/prod.env").read_text().endswith("A='1'\n")
    (project / "environments").symlink_to(tmp_path / "etc/current")
    env_file(project, path="environments/test.env")
    assert (tmp_path / "etc/2/test.env").exists()


def test_a_project_directory_is_reached_by_a_link_of_root(project: Path, tmp_path: Path) -> None:
    """Whoever owns the directory itself; but a link that a stranger switches leads nowhere."""
    (tmp_path / "current").symlink_to(project)
    assert files(tmp_path / "current", {"a/b": b"1"})["project_dir"] == str(project)
    env_file(tmp_path / "current")
    assert (project / ".env.prod").exists()
    assert (project / "a/b").read_bytes() == b"1"
    link = of_stranger(project / "current", tmp_path / "victim")
    (tmp_path / "victim").mkdir()
    for write in (env_file, lambda place: files(place, {"a": b"1"})):
        with pytest.raises(ComposeFailure, match="current is not followed"):
            write(link)
    assert list((tmp_path / "victim").iterdir()) == []


@pytest.mark.parametrize("name", [".env.prod", ".env.example"])
def test_a_pipe_is_refused_and_does_not_hang(project: Path, name: str) -> None:
    os.mkfifo(project / name)
    with pytest.raises(ComposeFailure, match=f"{name} is not a regular file"):
        env_file(project)
    with pytest.raises(ComposeFailure, match="is a pipe or a device"):
        read_file(str(project / name))
    assert read_file("/dev/null") == b""


READERS = {"read_file": lambda path: read_file(str(path)), "digest": lambda path: digest(str(path))}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("place", ["conf", "conf/app.conf"])
def test_a_planted_link_is_not_read(project: Path, victim: Path, reader: str, place: str) -> None:
    if place != "conf":
        of_stranger(project / "conf")
    of_stranger(project / place, victim if place == "conf" else victim / "app.conf")
    with pytest.raises(ComposeFailure, match=f"{place} is not followed: it is a link of user {STRANGER}") as failed:
        READERS[reader](project / "conf" / "app.conf")
    assert "of root" not in failed.value.message
    os.chown(project / place, 0, 0, follow_symlinks=False)
    assert READERS[reader](project / "conf" / "app.conf")


@pytest.mark.parametrize("reader", READERS)
def test_links_of_a_stranger_are_read_where_they_tell_nothing_new(project: Path, reader: str) -> None:
    """As whoever deploys with ``current -> releases/2`` has them: the files behind are that user's own."""
    (of_stranger(project / "releases") / "2").mkdir()
    (project / "releases" / "2" / "app.conf").write_text("theirs")
    os.chown(project / "releases" / "2" / "app.conf", STRANGER, STRANGER)
    of_stranger(project / "current", "releases/2")
    of_stranger(project / "linked.conf", "current/app.conf")
    for path in ("current/app.conf", "linked.conf"):
        assert READERS[reader](project / path) in (b"theirs", hashlib.sha256(b"theirs").hexdigest())
    assert READERS[reader](project / "current" / "missing") is None
    of_stranger(project / "loop", "loop")
    with contextlib.suppress(ComposeFailure):
        assert READERS[reader](project / "loop") is None


def test_a_planted_link_is_no_input_of_a_command(project: Path, victim: Path) -> None:
    """`compose_exec` with ``stdin_file``: the container would have it."""
    of_stranger(project / "input.sql", victim / "app.conf")
    options = {"stdin_file": str(project / "input.sql"), "stdin_base64": None, "stdin": None}
    with pytest.raises(ComposeFailure, match="input.sql is not followed"):
        _session._input(options)
    os.chown(project / "input.sql", 0, 0, follow_symlinks=False)
    with _session._input(options) as given:
        assert given and not isinstance(given, bytes) and given.read() == b"of root"


def test_no_race_tells_a_file_of_root(project: Path, victim: Path) -> None:
    folder = of_stranger(project / "conf")
    (folder / "app.conf").write_text("theirs")
    of_root, found = hashlib.sha256(b"of root").hexdigest(), set()
    with swapping(folder, victim):
        for _number in tries():
            with contextlib.suppress(ComposeFailure):
                found |= {read_file(str(folder / "app.conf")), digest(str(folder / "app.conf"))}
    assert found <= {None, b"theirs", hashlib.sha256(b"theirs").hexdigest()}
    assert of_root not in found


def backup(folder: Path, file: str) -> Backup:
    """A backup that a stranger can have written as well: a dump, and a manifest that names it."""
    texts = dict.fromkeys(("sha256", "started", "finished", "project", "environment", "service", "name", "image"), "x")
    others = {"bytes": 3, "seconds": 1.0, "dumped_by": "17.0", "compression": "none", "database": {}, "rows": {}}
    made = Backup(file=file, **texts, **others)
    BackupFolder(str(folder)).write(made)
    return made


def test_no_race_removes_a_dump_elsewhere(project: Path, victim: Path) -> None:
    folder = of_stranger(project / "backups")
    (folder / "app.conf").write_text("dump")
    made = backup(folder, "app.conf")
    before = seen(victim)
    with at_the_moment("os.remove", "app.conf", lambda: swap(folder, victim)) as met:
        BackupFolder(str(folder)).remove(made)
    assert met == ["os.remove"]
    assert seen(victim) == before
    assert list((project / "backups.away").iterdir()) == []


def test_no_race_sweeps_files_elsewhere(project: Path, victim: Path) -> None:
    folder = of_stranger(project / "backups")
    (victim / ".x.shop.partial").write_text("of root")
    (folder / ".x.shop.partial").write_text("half a dump")
    before = seen(victim)
    with at_the_moment("os.remove", ".x.shop.partial", lambda: swap(folder, victim)) as met:
        BackupFolder(str(folder)).sweep("shop")
    assert met == ["os.remove"]
    assert seen(victim) == before


def test_no_race_writes_or_removes_a_partial_dump_elsewhere(project: Path, victim: Path) -> None:
    folder = of_stranger(project / "backups")
    (victim / ".x.dump.shop.partial").write_text("of root")
    before = seen(victim)
    with BackupFolder(str(folder)).partial("x.dump", "shop") as content:
        swap(folder, victim)
        content.write(b"half a dump")
    assert seen(victim) == before
    assert list((project / "backups.away").iterdir()) == []


def test_a_manifest_that_names_a_file_elsewhere_is_no_backup(project: Path, victim: Path) -> None:
    """Retention would remove that file."""
    folder = of_stranger(project / "backups")
    backup(folder, "app.conf")
    (folder / "app.conf").write_text("dump")
    (manifest,) = folder.glob("*.json")
    assert [each.file for each in BackupFolder(str(folder)).all()] == ["app.conf"]
    for file in ("../../victim/app.conf", str(victim / "app.conf"), "..", ""):
        manifest.write_text(manifest.read_text().replace('"app.conf"', json.dumps(file)))
        assert BackupFolder(str(folder)).all() == []
        manifest.write_text(manifest.read_text().replace(json.dumps(file), '"app.conf"'))


@pytest.mark.parametrize("name", ["app.conf", "app.conf.json"])
def test_a_backup_behind_a_planted_link_is_not_read(project: Path, victim: Path, name: str) -> None:
    folder = of_stranger(project / "backups")
    (folder / "app.conf").write_text("dump")
    made = backup(folder, "app.conf")
    (folder / name).rename(victim / name)
    of_stranger(folder / name, victim / name)
    with pytest.raises(ComposeFailure, match=f"{name} is not followed"):
        BackupFolder(str(folder)).named(str(folder / "app.conf"))
        BackupFolder(str(folder)).check(made)
    if name == "app.conf":
        with pytest.raises(ComposeFailure, match="is not followed"), BackupFolder(str(folder)).dump(made):
            pass


def test_a_second_name_of_a_file_is_not_given_away(project: Path, victim: Path) -> None:
    """Where the kernel does not protect hard links."""
    os.link(victim / "app.conf", project / "app.conf")
    before = seen(victim)
    with pytest.raises(ComposeFailure, match="second name"):
        files(project, {"app.conf": b"of root"}, owner=str(STRANGER))
    assert seen(victim) == before
