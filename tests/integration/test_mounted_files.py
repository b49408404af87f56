# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts whose content is data, and mounts that lead elsewhere since their containers were made."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import IMAGE, Environment, as_before, service

RECREATED = {("web", "recreate")}


@pytest.fixture
def with_data(environment: Environment) -> Iterator[Environment]:
    """An environment that has deployed a service with a file that it may write to."""
    environment.write("compose.yml", {"services": {"web": service(volumes=["./acme.json:/acme.json"])}})
    environment.write("acme.json", "{}")
    environment.deploy()
    yield environment


def write_inside(environment: Environment, content: str) -> None:
    environment.inside("web", "sh", "-c", f"echo {content} > /acme.json")


def drift(environment: Environment, **options: Any) -> list[dict[str, str]]:
    outcome = environment.run("compose_env_info", gather=["drift"], **options)
    assert not outcome.failed, outcome.message
    found: list[dict[str, str]] = outcome.result["drift"]
    return found


def warnings(environment: Environment, **options: Any) -> list[str]:
    """The warnings of a deployment that changes nothing, the same in its plan and in its drift."""
    before = environment.ids()
    planned, deployed = environment.plan(**options), environment.deploy(**options)
    assert (planned.actions, deployed.actions, environment.ids()) == (set(), set(), before)
    assert drift(environment, **options) == []
    assert planned.result.get("warnings") == deployed.result.get("warnings")
    return [str(each) for each in deployed.result.get("warnings", ())]


def compose_by_hand_recreates_nothing(environment: Environment) -> None:
    before = environment.ids()
    argv = ["docker", "compose", "-p", environment.project, "-f", "compose.yml", "up", "-d"]
    subprocess.run(argv, cwd=environment.folder, check=True, capture_output=True)
    assert environment.ids() == before


def release(environment: Environment, number: int = 1) -> tuple[Path, dict[str, Any]]:
    """Where the record of a release is, and what it says."""
    path = environment.state_dir / environment.project / "releases" / f"{number:04d}" / "release.json"
    return path, json.loads(path.read_text())


def forget_mounts(environment: Environment) -> None:
    """The record as the version before wrote it."""
    path, record = release(environment)
    for made in record["made"].values():
        del made["links"], made["inodes"]
    path.write_text(as_before(record))


def test_what_a_service_writes_is_data(with_data: Environment) -> None:
    write_inside(with_data, "certificate")
    (warning,) = warnings(with_data)
    assert f"{with_data.folder}/acme.json" in warning
    assert "data_paths" in warning
    assert ":ro" in warning
    compose_by_hand_recreates_nothing(with_data)


def test_what_the_host_writes_in_place_is_data(with_data: Environment) -> None:
    with (with_data.folder / "acme.json").open("a") as file:
        file.write("a line")
    assert len(warnings(with_data)) == 1
    assert release(with_data)[1]["about"]["outcome"] == "good"
    assert with_data.run("compose_env_info", gather=["releases"]).result["releases"][0]["release"] == 1


def test_a_writable_file_that_is_replaced_is_an_input(with_data: Environment) -> None:
    write_inside(with_data, "certificate")
    with_data.write("acme.json", "replaced")
    planned = with_data.plan()
    (action,) = planned.result["actions"]
    assert action["reason"] == f"content of {with_data.folder}/acme.json changed (it was replaced by another file)"
    assert drift(with_data) == planned.result["actions"]
    assert with_data.deploy().actions == RECREATED
    assert with_data.inside("web", "cat", "/acme.json") == "replaced"
    assert warnings(with_data) == []


@pytest.mark.parametrize("path", ["acme.json", "./*.json", "{folder}/acme.json", "{folder}"])
def test_data_paths_never_count(with_data: Environment, path: str) -> None:
    data_paths = [path.format(folder=with_data.folder)]
    write_inside(with_data, "certificate")
    assert warnings(with_data, data_paths=data_paths) == []
    with_data.write("acme.json", "replaced")
    assert warnings(with_data, data_paths=data_paths) == []
    assert with_data.plan(data_paths=data_paths).result["sources"]["data_paths"] == [
        {"path": f"{with_data.folder}/acme.json", "why": "option data_paths"}
    ]


def test_a_file_is_data_for_who_only_reads_it_when_data_paths_says_so(environment: Environment) -> None:
    environment.write("compose.yml", {"services": {"web": service(volumes=["./app.log:/app.log:ro"])}})
    environment.write("app.log", "first\n")
    environment.deploy()
    with (environment.folder / "app.log").open("a") as file:
        file.write("second\n")
    assert environment.plan().actions == RECREATED
    assert warnings(environment, data_paths=["app.log"]) == []
    environment.deploy(data_paths=["app.log"], recreate="always")
    (environment.folder / "app.log").unlink()
    missing = environment.run(data_paths=["app.log"], recreate="always")
    assert missing.failed
    assert f"{environment.folder}/app.log is missing" in missing.message


def test_configs_and_secrets_are_inputs_whatever_data_paths_says(environment: Environment) -> None:
    layers = {
        "services": {"web": service(configs=["settings"], secrets=["password"], env_file=["web.env"])},
        "configs": {"settings": {"file": "./settings.conf"}},
        "secrets": {"password": {"file": "./password.txt"}},
    }
    environment.write("compose.yml", layers)
    for name in ("settings.conf", "password.txt", "web.env"):
        environment.write(name, "A=first\n")
    environment.deploy(data_paths=["*"])
    for name in ("settings.conf", "password.txt", "web.env"):
        (environment.folder / name).write_text("A=second\n")
        assert environment.plan(data_paths=["*"]).actions == RECREATED, name
        assert environment.deploy(data_paths=["*"]).actions == RECREATED


def test_data_paths_of_the_inventory_hold_for_init_steps(environment: Environment) -> None:
    step = service(command=["sh", "-c", "date +%s%N >> /runs"], init=False, profiles=["init"])
    step["volumes"] = ["./runs:/runs"]
    environment.write("compose.yml", {"services": {"web": service(), "migrate": step}})
    environment.write("runs", "")
    for _again in range(2):
        outcome = environment.run("compose_init", data_paths=["runs"])
        assert not outcome.failed, outcome.message
    assert len((environment.folder / "runs").read_text().splitlines()) == 1
    environment.deploy(data_paths=["runs"])


def test_a_record_without_inodes_is_judged_by_content(with_data: Environment) -> None:
    forget_mounts(with_data)
    write_inside(with_data, "certificate")
    assert with_data.plan().actions == RECREATED
    assert with_data.deploy().actions == RECREATED
    write_inside(with_data, "another")
    assert len(warnings(with_data)) == 1


def test_a_record_without_inodes_gets_them_at_the_next_deployment(with_data: Environment) -> None:
    forget_mounts(with_data)
    with_data.plan()
    assert "inodes" not in release(with_data)[1]["made"]["web"]
    assert not with_data.deploy().changed
    write_inside(with_data, "certificate")
    assert len(warnings(with_data)) == 1


def test_never_recreated_stays_pending(with_data: Environment) -> None:
    with_data.write("acme.json", "replaced")
    assert with_data.deploy(recreate="never").actions == set()
    assert with_data.plan().actions == RECREATED


def test_data_survive_a_failed_release_and_a_roll_back(with_data: Environment) -> None:
    write_inside(with_data, "certificate")
    volumes = ["./acme.json:/acme.json"]
    with_data.write("compose.yml", {"services": {"web": service(volumes=volumes, command=["false"])}})
    assert with_data.run(wait_timeout=10).failed
    with_data.write("compose.yml", {"services": {"web": service(volumes=volumes)}})
    write_inside(with_data, "another")
    assert len(warnings(with_data)) == 1
    with_data.write("compose.yml", {"services": {"web": service(volumes=volumes, environment={"A": "1"})}})
    assert with_data.deploy().actions == RECREATED
    assert with_data.deploy(state="rolled_back").actions == RECREATED
    with_data.write("compose.yml", {"services": {"web": service(volumes=volumes)}})
    write_inside(with_data, "third")
    assert len(warnings(with_data)) == 1


def switch(environment: Environment, number: int) -> None:
    """Have ``current`` lead to another folder, as deployment tools do."""
    link = environment.folder / "new"
    link.symlink_to(f"releases/{number}")
    link.replace(environment.folder / "current")


@pytest.fixture
def with_link(environment: Environment) -> Environment:
    """Two releases of a page behind a link, the first of which is deployed."""
    web = service(volumes=["./current/html:/html:ro"])
    environment.write("compose.yml", {"services": {"web": web, "other": service()}})
    for number in (1, 2):
        environment.write(f"releases/{number}/html/page", f"release {number}")
    switch(environment, 1)
    environment.deploy()
    return environment


def test_a_folder_below_a_link_that_is_switched(with_link: Environment) -> None:
    assert warnings(with_link) == []
    switch(with_link, 2)
    planned = with_link.plan()
    (action,) = planned.result["actions"]
    places = (f"{with_link.folder}/current/html", f"{with_link.folder}/releases/2/html")
    assert action["reason"] == "{} leads to {} now".format(*places)
    assert drift(with_link) == planned.result["actions"]
    deployed = with_link.deploy()
    assert (deployed.actions, deployed.result["release"]) == (RECREATED, 2)
    assert with_link.inside("web", "cat", "/html/page") == "release 2"
    assert warnings(with_link) == []
    compose_by_hand_recreates_nothing(with_link)


def test_a_link_that_is_switched_in_a_record_that_knows_of_none(with_link: Environment) -> None:
    forget_mounts(with_link)
    assert not with_link.deploy().changed
    switch(with_link, 2)
    assert with_link.deploy().actions == RECREATED


def test_a_release_that_fails_behind_a_link(with_link: Environment) -> None:
    switch(with_link, 2)
    with_link.write("compose.dev.yml", {"services": {"web": {"command": ["false"]}}})
    assert with_link.run(wait_timeout=10).failed
    with_link.write("compose.dev.yml", {"services": {"web": {"init": True}}})
    assert warnings(with_link) == []
    switch(with_link, 1)
    assert with_link.deploy().actions == RECREATED
    assert with_link.inside("web", "cat", "/html/page") == "release 1"


def test_layers_and_project_directory_below_a_link(environment: Environment) -> None:
    """Issue: directories are compared as they are given, so that ``current`` stays one project."""
    for number in (1, 2):
        layers = {"services": {"web": service(volumes=["./html:/html", "./conf:/conf:ro"]), "other": service()}}
        environment.write(f"releases/{number}/compose.yml", layers)
        environment.write(f"releases/{number}/html/page", f"release {number}")
        environment.write(f"releases/{number}/conf", "the same")
    switch(environment, 1)
    options = {"project_dir": f"{environment.folder}/current", "project_name": environment.project}
    environment.deploy(**options)
    switch(environment, 2)
    assert environment.plan(**options).actions == RECREATED
    assert environment.deploy(**options).actions == RECREATED
    assert environment.inside("web", "cat", "/html/page") == "release 2"
    assert warnings(environment, **options) == []


def test_a_link_to_the_kernels_files_is_no_input(environment: Environment) -> None:
    """What it leads to has the number of the process that asks, and its content is of the moment."""
    environment.write("compose.yml", {"services": {"web": service(volumes=["/etc/mtab:/host/mtab:ro"])}})
    environment.deploy()
    assert warnings(environment) == []


def test_a_build_context_below_a_link(environment: Environment) -> None:
    """The image is built again when the context leads elsewhere, also when that gives the same image, and once."""
    built = {**service(), "build": "./current"}
    del built["image"]
    environment.write("compose.yml", {"services": {"web": built}})
    for number, page in ((1, "first"), (2, "second"), (3, "second")):
        environment.write(f"releases/{number}/Dockerfile", f"FROM {IMAGE}\nCOPY page /page\n")
        environment.write(f"releases/{number}/page", page)
    switch(environment, 1)
    environment.deploy()
    switch(environment, 2)
    planned = environment.plan()
    assert planned.actions == {("web", "build"), ("web", "recreate")}
    reason = f"its build context {environment.folder}/current leads to {environment.folder}/releases/2 now"
    assert planned.result["actions"][0]["reason"] == reason
    assert environment.deploy().actions == planned.actions
    assert environment.inside("web", "cat", "/page") == "second"
    assert warnings(environment) == []
    switch(environment, 3)
    assert ("web", "build") in environment.plan().actions
    assert not environment.deploy().changed, "the layers of the image are those of the build before"
    assert warnings(environment) == []
    environment.write(
        "compose.yml", {"services": {"web": {**built, "build": {"context": "./current", "args": ["A=1"]}}}}
    )
    assert ("web", "build") in environment.plan().actions
    assert not environment.deploy().changed
    assert warnings(environment) == []
    environment.clean_up()
    environment.engine.images.remove(f"{environment.project}-web", force=True)
