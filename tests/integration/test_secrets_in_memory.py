# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role env_file keeps Compose's secret files in memory: a link, a tmpfs, and containers that read them."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker.errors
import pytest
import yaml

from tests.integration.conftest import Environment, ansible_playbook, service

KEY, TOKEN = "Hidden key\n", "Hidden token"
ROLE = "strata.compose.env_file"


@pytest.fixture
def project(environment: Environment) -> Iterator[Environment]:
    files = {name: {"file": f"./secrets/{name}"} for name in ("signing.key", "token")}
    environment.write("compose.yml", {"services": {"web": service(secrets=sorted(files))}, "secrets": files})
    yield environment
    for folder in memory_folders(environment):
        shutil.rmtree(folder)


def memory_folders(environment: Environment) -> list[Path]:
    tops = [Path("/run/strata"), Path(f"/run/user/{os.geteuid()}/strata"), Path(f"/dev/shm/strata-{os.geteuid()}")]
    return [folder for top in tops for folder in top.glob(f"{environment.folder.name}-*")]


def play(environment: Environment, *flags: str, code: int = 0, **variables: Any) -> str:
    """What the role prints; how many of its tasks changed something stands in it as ``changed=``."""
    given = {
        "compose_env_project_dir": str(environment.folder),
        "compose_env_environment": environment.name,
        "env_file_variables": {"TAG": "1"},
        "env_file_secrets": {"signing.key": KEY, "token": TOKEN},
        "env_file_secrets_in_memory": True,
        **variables,
    }
    tasks_from = given.pop("tasks_from", "main")
    tasks = [{"ansible.builtin.import_role": {"name": ROLE, "tasks_from": tasks_from}}]
    playbook = environment.folder.parent / "play.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    (environment.folder.parent / "variables.yml").write_text(json.dumps(given))
    done = ansible_playbook("-vvv", "--diff", *flags, "-e", f"@{playbook.with_name('variables.yml')}", playbook)
    assert done.returncode == code, done.stdout[-5000:]
    assert "Hidden" not in done.stdout + done.stderr
    return done.stdout


def changes(printed: str) -> int:
    found = re.search(r"changed=(\d+)", printed)
    assert found
    return int(found.group(1))


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.lstat().st_mode):04o}"


def file_system(path: Path) -> str:
    return subprocess.run(
        ["stat", "-f", "-c", "%T", str(path)], capture_output=True, text=True, check=True
    ).stdout.strip()


def read_inside(environment: Environment) -> tuple[str, str]:
    return environment.inside("web", "cat", "/run/secrets/signing.key"), environment.inside(
        "web", "cat", "/run/secrets/token"
    )


def test_containers_read_them_and_no_disk_holds_them(project):
    link = project.folder / "secrets"
    assert changes(play(project, "--check")) > 0
    assert not os.path.lexists(link)
    assert memory_folders(project) == []
    play(project)
    (folder,) = memory_folders(project)
    assert link.readlink() == folder
    assert file_system(folder) == "tmpfs"
    assert {each.name: (mode(each), each.read_text()) for each in folder.iterdir()} == {
        "signing.key": ("0400", KEY),
        "token": ("0400", TOKEN),
    }
    assert (mode(folder), mode(folder.parent)) == ("0700", "0700")
    assert changes(play(project)) == 0
    assert changes(play(project, "--check")) == 0
    project.deploy()
    assert read_inside(project) == (KEY, TOKEN)


@pytest.mark.thorough
def test_the_life_of_secrets_in_memory(project, tmp_path):
    play(project)
    project.deploy()
    a_new_secret_reaches_its_containers(project)
    bringing_the_projects_files_leaves_them_alone(project, tmp_path / "source")
    after_a_reboot_the_next_deployment_brings_them_back(project)


def a_new_secret_reaches_its_containers(project):
    assert changes(play(project, env_file_secrets={"signing.key": KEY, "token": "Hidden anew"})) == 1
    assert project.deploy().actions == {("web", "recreate")}
    assert read_inside(project) == (KEY, "Hidden anew")


def bringing_the_projects_files_leaves_them_alone(project, source):
    (source / "secrets").mkdir(parents=True)
    shutil.copy(project.folder / "compose.yml", source)
    (source / "secrets" / "token").write_text("of the developer")
    assert not project.run("compose_files", src=str(source), environment=None).failed
    assert (project.folder / "secrets").is_symlink()
    assert (project.folder / "secrets" / "token").read_text() == "Hidden anew"


def after_a_reboot_the_next_deployment_brings_them_back(project):
    container = project.container("web")
    container.stop()
    (folder,) = memory_folders(project)
    shutil.rmtree(folder)
    with pytest.raises(docker.errors.APIError, match="bind source path does not exist"):
        container.start()
    missing = project.run()
    assert missing.failed
    assert "secrets/" in missing.message
    play(project, env_file_secrets={"signing.key": KEY, "token": "Hidden anew"})
    assert project.deploy().actions == {("web", "start")}
    assert project.container("web").id == container.id
    assert read_inside(project) == (KEY, "Hidden anew")


@pytest.mark.thorough
def test_they_move_between_disk_and_memory_and_nothing_is_recreated(project):
    play(project, env_file_secrets_in_memory=False)
    project.deploy()
    before = project.ids()
    assert changes(play(project, "--check")) > 0
    assert not (project.folder / "secrets").is_symlink()
    play(project)
    assert (project.folder / "secrets").is_symlink()
    assert not project.deploy().changed
    assert changes(play(project, "--check", env_file_secrets_in_memory=False)) > 0
    assert len(memory_folders(project)) == 1
    play(project, env_file_secrets_in_memory=False)
    assert memory_folders(project) == []
    assert not (project.folder / "secrets").is_symlink()
    assert mode(project.folder / "secrets" / "token") == "0400"
    assert not project.deploy().changed
    assert project.ids() == before
    assert changes(play(project, env_file_secrets_in_memory=False)) == 0


def test_what_others_put_into_the_folder_is_not_lost(project):
    project.write("secrets/by-hand", "mine")
    assert "holds by-hand, which the secrets of this task do not name" in " ".join(play(project, code=2).split())
    assert (project.folder / "secrets" / "by-hand").read_text() == "mine"
    assert memory_folders(project) == []
    (project.folder / "secrets" / "by-hand").rename(project.folder / "by-hand")
    play(project)
    assert (project.folder / "secrets").is_symlink()


def test_without_a_tmpfs_nothing_is_written(project):
    printed = play(project, code=2, env_file_memory_folders=["/nowhere", "/"])
    assert "has no tmpfs at /nowhere or /" in " ".join(printed.split())
    assert not os.path.lexists(project.folder / "secrets")


def test_they_leave_with_the_project(project):
    play(project)
    assert changes(play(project, "--check", tasks_from="remove")) > 0
    assert len(memory_folders(project)) == 1
    play(project, tasks_from="remove")
    assert memory_folders(project) == []
    assert not os.path.lexists(project.folder / "secrets")
    assert changes(play(project, tasks_from="remove")) == 0
