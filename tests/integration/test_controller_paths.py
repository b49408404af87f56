# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a managed host may do to the controller: nothing, whatever it answers in the place of a module.

The interpreter of these hosts is a script of theirs. No engine is needed.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import ANSIBLE, REPOSITORY, Outcome, ansible_environment, ansible_playbook, parsed

NAME = "prod-shop-20261121T013000Z-5f0c2a11"
CONTENT = b"all rows of all tables"


@dataclass
class Hostile:
    """A host that answers as it likes, and the controller's folder for its backups."""

    folder: Path
    on_host: Path
    controller: Path

    def answer(self, content: bytes = CONTENT, name: str = NAME, **forged: Any) -> dict[str, Any]:
        """What the module would answer after a backup, with some of it forged."""
        dump = self.on_host / f"{name}.dump"
        dump.write_bytes(content)
        dump.with_suffix(".json").write_text(json.dumps({"strata.compose": "backup", "file": dump.name}))
        digest = hashlib.sha256(content).hexdigest()
        return {
            "changed": True,
            "project": "shop-prod",
            "file": str(dump),
            "bytes": len(content),
            "sha256": digest,
            **forged,
        }

    def interpreter(self, answer: dict[str, Any]) -> Path:
        (self.on_host / "answer.json").write_text(json.dumps(answer))
        script = self.on_host / "python"
        script.write_text(f"#!/bin/sh\ncat {shlex.quote(str(self.on_host / 'answer.json'))}\n")
        script.chmod(0o755)
        return script

    def run(self, answer: dict[str, Any], *flags: str, **options: Any) -> Outcome:
        given = {"project_dir": "/srv/shop", "environment": "prod", "database": "shop", "fetch": True, **options}
        given = {key: value for key, value in given.items() if value is not None}
        argv = [str(ANSIBLE), "localhost", "-i", "localhost,", "-c", "local", *flags]
        argv += ["-e", f"ansible_python_interpreter={self.interpreter(answer)}"]
        argv += [
            "--playbook-dir",
            str(self.controller),
            "-m",
            "strata.compose.postgres_backup",
            "-a",
            json.dumps(given),
        ]
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            env=ansible_environment(),
            check=False,
            timeout=60,
            cwd=self.controller,
        )
        return Outcome(parsed(done.stdout), done.stdout + done.stderr)

    def files(self) -> dict[str, bytes]:
        """All files on the controller, those outside of its folder too."""
        found = [each for each in self.folder.rglob("*") if each.is_file() and self.on_host not in each.parents]
        return {str(each.relative_to(self.folder)): each.read_bytes() for each in found}


@pytest.fixture
def hostile(tmp_path: Path) -> Hostile:
    on_host, controller = tmp_path / "host", tmp_path / "controller"
    on_host.mkdir()
    controller.mkdir()
    return Hostile(tmp_path, on_host, controller)


def test_an_honest_host_is_copied_from(hostile: Hostile) -> None:
    outcome = hostile.run(hostile.answer())
    assert not outcome.failed, outcome.message
    copy = hostile.controller / "backups/shop-prod" / f"{NAME}.dump"
    assert outcome.result["fetched"] == str(copy)
    assert copy.read_bytes() == CONTENT
    assert sorted(each.name for each in copy.parent.iterdir()) == [f"{NAME}.dump", f"{NAME}.json"]
    assert {stat.S_IMODE(each.stat().st_mode) for each in copy.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700


def test_the_folder_is_not_what_the_host_answers(hostile: Hostile) -> None:
    outcome = hostile.run(hostile.answer(project="../../outside"))
    assert not outcome.failed, outcome.message
    assert set(hostile.files()) == {f"controller/backups/shop-prod/{NAME}{end}" for end in (".dump", ".json")}


@pytest.mark.parametrize(
    "file", ["/srv/../../etc/cron.d/evil", f"/srv/{NAME.replace('prod', 'test')}.dump", "a\0\n.dump"]
)
def test_a_file_is_named_as_a_backup_of_this_database(hostile: Hostile, file: str) -> None:
    """All ways to lie are in tests/unit/test_controller_files.py."""
    outcome = hostile.run(hostile.answer(file=file))
    assert outcome.failed
    assert "is not the name of a backup of database shop in environment prod" in outcome.message
    assert hostile.files() == {}


def test_endless_data_is_cut_off(hostile: Hostile) -> None:
    answer = hostile.answer(bytes=1000)
    Path(answer["file"]).unlink()
    Path(answer["file"]).symlink_to("/dev/zero")
    before = time.monotonic()
    outcome = hostile.run(answer)
    assert outcome.failed
    assert "the host sends more than the 1000 bytes" in outcome.message
    assert time.monotonic() - before < 30
    assert hostile.files() == {}


def test_more_than_the_limit_is_not_copied(hostile: Hostile) -> None:
    outcome = hostile.run(hostile.answer(bytes=5 << 40))
    assert outcome.failed
    assert "fetch_limit allows 107374182400" in outcome.message
    outcome = hostile.run(hostile.answer(), fetch_limit="10")
    assert outcome.failed
    assert f"it has {len(CONTENT)} bytes, and fetch_limit allows 10" in outcome.message
    assert hostile.files() == {}


def test_a_second_host_does_not_replace_the_first_ones_file(hostile: Hostile) -> None:
    """Both answer the same name, also where they are named as different projects and share a folder."""
    shared = str(hostile.controller / "all")
    assert not hostile.run(hostile.answer(), fetch_dir=shared).failed
    before = hostile.files()
    second = hostile.run(hostile.answer(b"something else"), fetch_dir=shared, project_name="other")
    assert second.failed
    assert f"{NAME}.json exists on the controller and is not replaced" in second.message
    assert hostile.files() == before
    (hostile.controller / "all" / f"{NAME}.json").unlink()
    third = hostile.run(hostile.answer(b"something else"), fetch_dir=shared)
    assert third.failed
    assert f"{NAME}.dump exists on the controller and is not replaced" in third.message
    assert hostile.files() == {key: value for key, value in before.items() if key.endswith(".dump")}


def test_no_link_is_followed_at_the_destination(hostile: Hostile) -> None:
    victim = hostile.controller / "victim"
    victim.write_text("precious")
    folder = hostile.controller / "backups/shop-prod"
    folder.mkdir(parents=True)
    (folder / f"{NAME}.dump").symlink_to(victim)
    outcome = hostile.run(hostile.answer())
    assert outcome.failed
    assert "exists on the controller and is not replaced" in outcome.message
    assert victim.read_text() == "precious"


FACTS = """
- hosts: all
  gather_facts: false
  vars_files: %s/playbooks/vars/deployment.yml
  tasks:
    - ansible.builtin.ping:
    - ansible.builtin.debug:
        msg: "{{ plan_path }}"
      when: plan_file is defined
      ignore_errors: true
    - strata.compose.postgres_backup: {project_dir: /srv/shop, environment: prod, database: shop, fetch: true}
"""


def test_facts_do_not_say_where_a_copy_goes(hostile: Hostile) -> None:
    """An answer with facts, to any module, beats the inventory's variables of these names."""
    evil = str(hostile.folder / "evil")
    interpreter = hostile.interpreter(
        hostile.answer(ansible_facts={"postgres_backup_fetch_dir": evil, "plan_file": evil})
    )
    playbook = hostile.controller / "play.yml"
    playbook.write_text(FACTS % REPOSITORY)
    where = ("-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={interpreter}")
    done = ansible_playbook(*where, str(playbook), variables={"ANSIBLE_INJECT_FACT_VARS": "true"})
    for name in ("plan_file", "postgres_backup_fetch_dir"):
        assert f"{name} is a fact that the host has answered" in done.stdout + done.stderr
    assert set(hostile.files()) == {"controller/play.yml"}
