# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module compose_env_file and the role env_file, run by Ansible on this machine; needs no engine.

What belongs to owners needs root and is skipped without.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import yaml
from ansible_collections.strata.compose.plugins.module_utils import _dotenv

from tests.integration.conftest import REPOSITORY, adhoc, ansible_playbook

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
VARIABLES = {
    "TAG": "1.4.2",
    "WORKERS": 4,
    "DEBUG": False,
    "EMPTY": "",
    "DATABASE_PASSWORD": "Hidden it's $ecret\\",
    "LOGIN": "Hidden-login",
    "CERTIFICATE": "Hidden\nsecond line of Hidden\n",
}
JSON = {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
WRITTEN = {**{name: str(value) for name, value in VARIABLES.items()}, "DEBUG": "false"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "shop4prod"  # a 4 and a prod, which are values too: results must stay readable
    folder.mkdir()
    return folder


def run(project: Path, *flags: str, **options):
    given = {
        "project_dir": str(project),
        "environment": "prod",
        "variables": {**VARIABLES, "APP_ENV": "prod"},
        **options,
    }
    outcome = adhoc("compose_env_file", given, "-vvv", *flags, variables=JSON)
    assert "Hidden" not in outcome.printed
    return outcome


def content(path: Path) -> dict[str, str]:
    return _dotenv.values(path.read_bytes().decode())


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


def test_it_writes_what_compose_reads(project):
    outcome = run(project)
    path = project / ".env.prod"
    assert outcome.changed
    assert outcome.result["path"] == str(path)
    assert outcome.result["variables"] == sorted([*VARIABLES, "APP_ENV"])
    assert content(path) == {**WRITTEN, "APP_ENV": "prod"}
    assert mode(path) == "0600"
    assert [each.name for each in project.iterdir()] == [".env.prod"]


def test_it_changes_only_what_differs(project):
    run(project)
    path = project / ".env.prod"
    before = path.stat()
    assert not run(project).changed
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    path.chmod(0o644)
    assert run(project).changed
    assert mode(path) == "0600"
    path.write_text(path.read_text() + "# by hand\n")
    assert run(project).changed
    assert not run(project).changed
    assert run(project, variables={"TAG": "2"}).changed
    assert content(path) == {"TAG": "2"}


def test_check_mode_tells_and_writes_nothing(project):
    assert run(project, "--check").changed
    assert list(project.iterdir()) == []
    run(project)
    before = (project / ".env.prod").read_bytes()
    assert not run(project, "--check").changed
    assert run(project, "--check", variables={"TAG": "2"}).changed
    assert (project / ".env.prod").read_bytes() == before


def test_the_diff_tells_names_and_no_values(project):
    run(project)
    changed = {**VARIABLES, "APP_ENV": "prod", "DATABASE_PASSWORD": "Hidden and new"}
    diff = run(project, "--diff", variables=changed).result["diff"]
    lines = [set(diff[side].splitlines()) for side in ("before", "after")]
    assert {line.partition("=")[0] for line in lines[0] ^ lines[1] if "=" in line} == {"DATABASE_PASSWORD"}
    assert {line.partition("=")[0] for line in lines[1] if "=" in line} == set(changed)
    assert diff["after_header"] == str(project / ".env.prod")


def test_path_may_be_elsewhere(project):
    outcome = run(project, path="environments/prod.env")
    assert outcome.result["path"] == str(project / "environments" / "prod.env")
    assert mode(project / "environments" / "prod.env") == "0600"


def test_a_link_stays_a_link(project, tmp_path):
    (tmp_path / "shared.env").write_text("TAG=0\n")
    (project / ".env.prod").symlink_to(tmp_path / "shared.env")
    assert run(project, variables={"TAG": 1}).changed
    assert (project / ".env.prod").is_symlink()
    assert content(tmp_path / "shared.env") == {"TAG": "1"}


@as_root
def test_owner_and_group(project):
    path = project / ".env.prod"
    assert run(project, owner="nobody", group="1234").changed
    assert (path.owner(), path.stat().st_gid, mode(path)) == ("nobody", 1234, "0600")
    assert not run(project, owner="nobody", group="1234").changed
    assert not run(project).changed
    assert run(project, variables={"TAG": 1}).changed
    assert (path.owner(), path.stat().st_gid) == ("nobody", 1234)
    assert run(project, variables={"TAG": 1}, group="root").changed
    assert (path.owner(), path.stat().st_gid) == ("nobody", 0)


def test_names_are_compared_with_the_example(project):
    (project / ".env.example").write_text("TAG=latest\nWORKERS=\nSENTRY=${SENTRY:?set it}\n# OPTIONAL=\n")
    outcome = run(project, variables={"TAG": 1, "TAGG": 2, "OPTIONAL": "x"})
    assert "FAILED!" in outcome.printed
    assert outcome.message.startswith(f"The variables do not fit {project}/.env.example: missing SENTRY, WORKERS (")
    assert "unknown TAGG (" in outcome.message
    assert (outcome.result["missing"], outcome.result["unknown"]) == (["SENTRY", "WORKERS"], ["TAGG"])
    assert [each.name for each in project.iterdir()] == [".env.example"]
    assert run(project, variables={"TAG": 1, "WORKERS": 2, "SENTRY": "x"}).changed
    assert run(project, variables={"TAGG": 2}, check_example=False).changed


def test_the_example_may_be_elsewhere(project):
    (project / "docs").mkdir()
    (project / "docs" / "env").write_text("TAG=\n")
    assert "unknown A (" in run(project, variables={"TAG": 1, "A": 1}, example="docs/env").message
    assert run(project, variables={"TAG": 1}, example="docs/env").changed
    missing = run(project, variables={"TAG": 1}, example="docs/none")
    assert missing.message.startswith(f"example {project}/docs/none is not there")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"variables": {"A": None, "B": ["Hidden"], "C": {"D": "Hidden"}}}, "A is null, B is a list, C is a mapping"),
        ({"variables": {"KEY": "Hidden\0"}}, "The value of KEY contains a NUL character"),
        ({"variables": {"MY KEY": "Hidden"}}, "'MY KEY' cannot be the name of a variable"),
        ({"variables": "Hidden"}, "unable to convert to dict"),
        ({"project_dir": "/nowhere/shop"}, "project_dir /nowhere/shop is not a folder on this host"),
        ({"path": "."}, "is a folder, so it cannot be the env file"),
        ({"owner": "no-such-user"}, "owner no-such-user is not known on this host"),
        ({"group": "no-such-group"}, "group no-such-group is not known on this host"),
    ],
)
def test_it_says_what_is_wrong_and_writes_nothing(project, options, says):
    given = {"project_dir": str(project), "environment": "prod", "variables": {"A": "Hidden"}, **options}
    outcome = adhoc("compose_env_file", given, "-vv", variables=JSON)
    assert "FAILED!" in outcome.printed
    assert says in outcome.message
    assert "Hidden" not in outcome.message
    assert list(project.iterdir()) == []


def play(project: Path, variables: dict, *flags: str, tasks: list[dict] | None = None) -> tuple[int, str]:
    """A play on this machine; values stand in a file of variables, as they do in an inventory."""
    (project.parent / "variables.yml").write_text(yaml.safe_dump(variables))
    work = {"tasks": tasks} if tasks else {"roles": ["strata.compose.env_file"]}
    playbook = project.parent / "play.yml"
    playbook.write_text(
        yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "vars_files": ["variables.yml"], **work}])
    )
    done = ansible_playbook(*flags, playbook)
    return done.returncode, done.stdout + done.stderr


ROLE = {
    "compose_env_environment": "prod",
    "env_file_variables": {"TAG": 1, "PASSWORD": "Hidden $1"},
    "env_file_secrets": {"signing.key": "Hidden key\nno line break behind", "empty": ""},
}


def test_the_role_writes_env_file_and_secrets(project):
    variables = {**ROLE, "compose_env_project_dir": str(project)}
    for flags, changes in ((("--check",), 2), ((), 2), ((), 0), (("--check",), 0)):
        code, printed = play(project, variables, "-vvv", "--diff", *flags)
        assert code == 0, printed
        assert f"changed={changes} " in printed
        assert "Hidden" not in printed
        assert flags or (project / "secrets" / "signing.key").read_text() == "Hidden key\nno line break behind"
        assert not changes or not flags or list(project.iterdir()) == []
    assert content(project / ".env.prod") == {"TAG": "1", "PASSWORD": "Hidden $1"}
    assert [mode(project / name) for name in (".env.prod", "secrets", "secrets/empty")] == ["0600", "0700", "0400"]


def test_one_task_writes_env_file_and_secret_files(project):
    secrets = {"token": "Hidden token", "signing.key": "Hidden key"}
    expected = run(project, "--check", secrets=secrets)
    assert (expected.changed, expected.result["secrets_written"]) == (True, ["signing.key", "token"])
    assert list(project.iterdir()) == []
    assert run(project, secrets=secrets).changed
    assert not run(project, secrets=secrets).changed
    (project / "secrets" / "token").chmod(0o444)
    (project / "secrets" / "signing.key").write_text("by hand")
    (project / "secrets" / "by-hand").write_text("stays")
    mended = run(project, "--diff", secrets=secrets)
    assert mended.result["secrets_written"] == ["signing.key", "token"]
    texts = [each["before"] + each["after"] for each in mended.result["diff"]]
    assert "token sha256:" in texts[1]
    assert [mode(project / "secrets" / name) for name in ("", "token", "signing.key")] == ["0700", "0400", "0400"]
    assert (project / "secrets" / "signing.key").read_text() == "Hidden key"
    assert (project / "secrets" / "by-hand").read_text() == "stays"


def test_secret_files_go_to_memory_and_leave_with_the_project(project):
    secrets = {"token": "Hidden"}
    planned = run(project, "--check", "--diff", secrets=secrets, secrets_in_memory=True)
    assert planned.changed
    assert not os.path.lexists(project / "secrets")
    assert run(project, secrets=secrets, secrets_in_memory=True).result["secrets_written"] == ["token"]
    folder = (project / "secrets").readlink()
    assert (mode(folder), (folder / "token").read_text()) == ("0700", "Hidden")
    assert not run(project, secrets=secrets, secrets_in_memory=True).changed
    assert run(project, "--check", secrets_state="absent").changed
    assert folder.exists()
    assert run(project, secrets_state="absent").changed
    assert not folder.exists()
    assert not os.path.lexists(project / "secrets")
    assert not run(project, secrets_state="absent").changed


@pytest.mark.parametrize("absolute", [False, True])
def test_secret_files_may_be_in_another_folder(project, tmp_path, absolute):
    folder = tmp_path / "elsewhere" if absolute else project / "conf" / "keys"
    place = str(folder) if absolute else "conf/keys"
    assert run(project, secrets={"token": "Hidden"}, secrets_folder=place).changed
    assert (mode(folder), (folder / "token").read_text()) == ("0700", "Hidden")
    assert not run(project, secrets={"token": "Hidden"}, secrets_folder=place).changed
    folder.chmod(0o755)
    assert run(project, secrets={"token": "Hidden"}, secrets_folder=place).changed
    assert mode(folder) == "0700"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"secrets": {"../token": "Hidden"}}, "secrets: ../token has to be the name of a file"),
        ({"secrets": {"token": ["Hidden"]}}, "secrets: token has to be the name of a file"),
        ({"secrets_mode": "rw"}, "secrets_mode rw is not a mode"),
        ({"secrets_mode": "4400"}, "secrets_mode 4400 is not a mode"),
        ({"secrets_owner": "no-such-user"}, "secrets_owner no-such-user is not known on this host"),
        ({"secrets": None}, "There is nothing to write: give variables, secrets, or both"),
    ],
)
def test_secret_files_that_cannot_be_written_are_named(project, options, says):
    given = {"project_dir": str(project), "environment": "prod", "secrets": {"token": "Hidden"}, **options}
    outcome = adhoc("compose_env_file", given, "-vvv", variables=JSON)
    assert "FAILED!" in outcome.printed
    assert says in outcome.message
    assert "Hidden" not in outcome.printed
    assert list(project.iterdir()) == []


@as_root
def test_the_role_gives_secrets_to_the_user_of_the_container(project):
    more = {"env_file_secrets_owner": "1234", "env_file_secrets_mode": "0440"}
    code, printed = play(project, {**ROLE, "compose_env_project_dir": str(project), **more})
    assert code == 0, printed
    status = (project / "secrets" / "signing.key").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (1234, 0o440)


@as_root
def test_the_role_follows_no_link_of_a_stranger(project, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir(0o755)
    (project / "secrets").symlink_to(victim)
    os.chown(project / "secrets", 65534, 65534, follow_symlinks=False)
    variables = {**ROLE, "compose_env_project_dir": str(project)}
    code, printed = play(project, variables)
    assert code != 0
    assert "secrets is not followed: it is a link of user 65534" in printed
    assert (list(victim.iterdir()), mode(victim)) == ([], "0755")
    os.chown(project / "secrets", 0, 0, follow_symlinks=False)
    code, printed = play(project, variables)
    assert code == 0, printed
    assert (victim / "signing.key").exists()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"env_file_variables": {"A": "{{ vault_password }}{{ vault_missing }}"}}, "'vault_missing' is undefined"),
        ({"env_file_variables": {"TAG": 1}}, "missing PASSWORD (give a value"),
        ({"env_file_variables": None}, "env_file_variables"),
        ({"env_file_variables": "Hidden"}, "unable to convert to dict"),
        ({"env_file_secrets": {"a.key": "{{ vault_password }}{{ vault_missing }}"}}, "'vault_missing' is undefined"),
        ({"env_file_secrets": {"../a.key": "Hidden"}}, "env_file_secrets: ../a.key has to be the name of a file"),
        ({"env_file_secrets": {"a.key": ["Hidden"]}}, "env_file_secrets: a.key has to be the name of a file"),
        ({"compose_env_environment": None}, "compose_env_environment"),
    ],
)
def test_the_role_says_what_is_wrong(project, wrong, says):
    (project / ".env.example").write_text("TAG=\nPASSWORD=\n")
    vault = {"vault_password": "Hidden"}
    code, printed = play(project, {**ROLE, "compose_env_project_dir": str(project), **wrong, **vault}, "-vvv")
    assert code != 0
    assert says in printed
    assert "Hidden" not in printed


def test_unset_options_come_from_host_variables(project):
    variables = {
        f"compose_env_{name}": value for name, value in (("project_dir", str(project)), ("environment", "test"))
    }
    tasks = [{"strata.compose.compose_env_file": {"variables": {"TAG": 1}}}]
    code, printed = play(project, variables, tasks=tasks)
    assert code == 0, printed
    assert content(project / ".env.test") == {"TAG": "1"}


def test_its_own_options_come_from_variables_with_its_name(project):
    (project / "docs").mkdir()
    (project / "docs" / "env").write_text("TAG=\n")
    shared = {"compose_env_project_dir": str(project), "compose_env_environment": "test"}
    own = {"compose_env_file_example": "docs/env", "compose_env_file_path": "own.env"}
    others = {"compose_env_example": "docs/none", "compose_env_path": "other.env"}
    tasks = [{"strata.compose.compose_env_file": {"variables": {"TAG": 1, "A": 1}}}]
    code, printed = play(project, {**shared, **own, **others}, tasks=tasks)
    assert code != 0
    assert f"The variables do not fit {project}/docs/env: unknown A (" in printed
    tasks = [{"strata.compose.compose_env_file": {"variables": {"TAG": 1}}}]
    code, printed = play(project, {**shared, **own, **others}, tasks=tasks)
    assert code == 0, printed
    assert content(project / "own.env") == {"TAG": "1"}
    assert not (project / "other.env").exists()


def test_the_examples_run_as_they_stand(project):
    module = (REPOSITORY / "plugins" / "modules" / "compose_env_file.py").read_text()
    examples = module.partition('EXAMPLES = r"""')[2].partition('"""')[0].replace("/tmp/shop", str(project))
    code, printed = play(project, {}, tasks=yaml.safe_load(examples))
    assert code == 0, printed
    assert content(project / ".env.prod")["DATABASE_PASSWORD"] == "it's $ecret"
    assert content(project / "environments" / "prod.env") == {"TAG": "1.4.2"}
