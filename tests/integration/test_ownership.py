"""A project belongs to one project directory and one environment, for every module that changes something."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Environment, Outcome, service

CHANGES = ("present", "absent", "started", "stopped", "restarted", "built", "pulled", "rolled_back")
OTHER_MODULES: dict[str, dict[str, Any]] = {
    "compose_init": {},
    "compose_exec": {"service": "web", "argv": ["touch", "/was-here"]},
    "postgres_env": {"database": "shop"},
    "postgres_backup": {"database": "shop"},
    "postgres_restore": {"database": "shop"},
    "postgres_migrate": {"database": "shop"},
}


@pytest.fixture
def prod(environment: Environment) -> Environment:
    """Production with data, whose env file names the project."""
    environment.name = "prod"
    layers = {"services": {"web": service(volumes=["data:/data"])}, "volumes": {"data": {}}}
    environment.write("compose.yml", layers)
    environment.write(".env.prod", f"COMPOSE_PROJECT_NAME={environment.project}\n")
    (environment.folder / "migrations").mkdir()
    environment.deploy()
    return environment


def copied(prod: Environment) -> Environment:
    """Another environment whose env file was made from that of production."""
    shutil.copy(prod.folder / ".env.prod", prod.folder / ".env.dev")
    return Environment(prod.folder, prod.state_dir, prod.engine, "dev")


def require_refused(outcome: Outcome, *told: str) -> None:
    assert outcome.failed
    assert outcome.result["error_kind"] == "other_owner", outcome.message
    assert not outcome.changed
    assert [each for each in (*told, "Nothing was changed") if each not in outcome.message] == [], outcome.message


def as_released(environment: Environment) -> None:
    """The state folder as an earlier version left it, which wrote down no owner."""
    (environment.state_dir / environment.project / "owner.json").unlink()


def by_hand(folder: Path, *arguments: str) -> None:
    """Docker Compose as a person uses it in a folder."""
    argv = ["docker", "compose", *arguments]
    subprocess.run(argv, cwd=folder, env={**os.environ, "PWD": str(folder)}, check=True, capture_output=True)


def test_a_copied_env_file_takes_no_environment_over(prod: Environment) -> None:
    dev, ids = copied(prod), prod.ids()
    told = (f"environment prod of {prod.folder}", f"environment dev of {prod.folder}", ".env.dev line 1 names it too")
    for state in CHANGES:
        require_refused(dev.run(state=state, volumes=state == "absent", confirm="dev"), *told)
    require_refused(dev.plan(), *told)
    for module, options in OTHER_MODULES.items():
        require_refused(dev.run(module, **options), *told)
    assert prod.ids() == ids
    assert "was-here" not in prod.inside("web", "ls", "/")
    assert prod.engine.volumes.list(filters={"label": f"com.docker.compose.project={prod.project}"})
    assert not dev.run("compose_env_info", gather=["services", "logs"]).failed
    assert not prod.deploy().changed


def test_what_an_earlier_version_deployed_belongs_to_its_environment_too(prod: Environment) -> None:
    dev = copied(prod)
    as_released(prod)
    require_refused(dev.run(), "environment prod of")
    require_refused(dev.run(state="absent", volumes=True, confirm="dev"), "environment prod of")
    assert not prod.deploy().changed


def test_an_environment_is_renamed_when_both_names_are_said(prod: Environment) -> None:
    dev, ids = copied(prod), prod.ids()
    removal = {"state": "absent", "volumes": True, "environment_renamed_from": "prod"}
    refused = dev.run(**removal, confirm="dev")
    assert "confirm=prod" in refused.message, refused.message
    for module, options in OTHER_MODULES.items():
        if module != "compose_exec":  # Which takes what the others have recorded.
            wrong = dev.run(module, **options, environment_renamed_from="test", project_moved_from="/nowhere")
            require_refused(wrong, "environment_renamed_from=prod")
    dev.deploy(environment_renamed_from="prod")
    assert prod.ids() == ids
    assert not dev.deploy().changed
    require_refused(prod.run(), f"environment dev of {prod.folder}", ".env.prod line 1 names it too")


@pytest.fixture
def folders(environment: Environment, tmp_path: Path) -> tuple[Environment, Environment]:
    """Two applications in folders of the same name."""
    other = dataclasses.replace(environment, folder=tmp_path / "other" / environment.folder.name)
    for each, name in ((environment, "web"), (other, "api")):
        each.write("compose.yml", {"services": {name: service(volumes=["data:/data"])}, "volumes": {"data": {}}})
    return environment, other


def test_two_folders_of_the_same_name_are_two_applications(folders: tuple[Environment, Environment]) -> None:
    first, second = folders
    first.deploy()
    ids = first.ids()
    told = (f"of {first.folder}", f"of {second.folder}", "the folder's name and the environment", "project_name")
    for state in ("present", "absent"):
        require_refused(second.run(state=state, volumes=state == "absent", confirm="dev"), *told)
    as_released(first)
    require_refused(second.run(), *told)
    require_refused(second.run(state="absent", volumes=True, confirm="dev"), *told)
    assert first.ids() == ids
    assert first.inside("web", "ls", "/data") == ""
    first.deploy(state="absent", volumes=True, confirm="dev")
    second.deploy()  # Nothing of the first one is left, so its name is free.
    require_refused(first.run(), f"of {second.folder}")


def test_the_second_application_is_refused_by_the_labels_alone(folders: tuple[Environment, Environment]) -> None:
    first, second = folders
    by_hand(first.folder, "--project-name", first.project, "up", "--detach")
    ids = first.ids()
    for state in ("present", "absent"):
        require_refused(second.run(state=state, volumes=state == "absent", confirm="dev"), f"of {first.folder}")
    require_refused(second.run("compose_exec", service="web", argv=["true"]), f"of {first.folder}")
    assert first.ids() == ids
    assert not first.deploy().changed, "what was started by hand in the project's own folder was not adopted"
    by_hand(second.folder, "--project-name", first.project, "up", "--detach")
    require_refused(first.run(), f"of {second.folder}")
    require_refused(first.run(state="stopped"), f"of {second.folder}")


def test_another_environment_started_by_hand_is_not_adopted(prod: Environment) -> None:
    dev = copied(prod)
    prod.deploy(state="absent")
    shutil.rmtree(prod.state_dir)
    by_hand(prod.folder, "--env-file", ".env.prod", "up", "--detach")
    require_refused(dev.run(), "environment prod", ".env.dev line 1 names it too")
    prod.deploy()


def test_a_project_moves_when_its_old_folder_is_named(environment: Environment, tmp_path: Path) -> None:
    environment.write("docker/compose.yml", {"services": {"web": service()}})
    environment.deploy()
    ids = environment.ids()
    moved = dataclasses.replace(environment, folder=tmp_path / "new" / environment.folder.name)
    shutil.copytree(environment.folder, moved.folder)
    require_refused(moved.run(), f"project_moved_from={environment.folder}")
    require_refused(moved.run(project_moved_from=str(tmp_path)), f"project_moved_from={environment.folder}")
    assert not moved.plan(project_moved_from=str(environment.folder)).failed
    require_refused(moved.run(), f"of {environment.folder}")
    moved.deploy(project_moved_from=f"{environment.folder}/")
    assert moved.ids() == ids
    for state in ("stopped", "present"):
        moved.deploy(state=state)
    require_refused(environment.run(), f"of {moved.folder}")
    shutil.rmtree(moved.folder)
    moved.deploy(state="absent")
    assert moved.containers() == []


def test_a_project_behind_a_link_stays_the_same_when_the_link_is_switched(
    environment: Environment, tmp_path: Path
) -> None:
    current = tmp_path / "link" / environment.folder.name
    current.parent.mkdir()
    for number in ("1", "2"):
        release = Environment(tmp_path / "releases" / number, environment.state_dir, environment.engine)
        release.write("compose.yml", {"services": {"web": service(environment={"RELEASE": number})}})
    linked = dataclasses.replace(environment, folder=current)
    current.symlink_to(tmp_path / "releases/1")
    by_hand(tmp_path / "releases/1", "--project-name", linked.project, "up", "--detach")
    linked.deploy()
    current.unlink()
    current.symlink_to(tmp_path / "releases/2")
    for state in ("stopped", "present"):
        linked.deploy(state=state)
    assert linked.variable("web", "RELEASE") == "2"


def test_another_users_state_folder_does_not_hide_the_environment(prod: Environment, tmp_path: Path) -> None:
    dev = copied(prod)
    other = dataclasses.replace(dev, state_dir=tmp_path / "other-state")
    for state in ("present", "stopped"):
        require_refused(other.run(state=state), f"environment prod of {prod.folder}")
    assert json.loads((prod.state_dir / prod.project / "owner.json").read_text())["environment"] == "prod"
