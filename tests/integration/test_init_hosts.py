"""The init phase of an environment of several hosts: which host runs the steps, and whose word the others take.

Hosts are state folders on one machine: they share the engine, so a tag that moves has moved on all of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.conftest import IMAGE, Environment, ansible_playbook, service
from tests.integration.test_compose_init import init, project, runs, step, succeed, write

__all__ = ["project"]


@pytest.fixture
def image(project: Environment) -> Any:
    """An image under a tag that moves."""
    move(project, 1)
    yield name_of(project)
    project.clean_up()
    project.engine.images.remove(name_of(project), force=True)


def name_of(project: Environment) -> str:
    return f"{project.folder.name}:moving"


def move(project: Environment, version: int) -> None:
    """Let the tag mean a newer image."""
    made = project.engine.containers.create(IMAGE, ["true"])
    made.commit(*name_of(project).split(":"), changes=f"LABEL version={version}")
    made.remove()


def is_due(host: Environment) -> bool:
    return bool(init(host, "--check").result["due"])


def test_word_of_another_host_proves_nothing_for_an_image_that_came_later(project: Environment, image: str) -> None:
    write(project, {"migrate": step(image=image)}, web=service(image=image))
    old = succeed(project).result["proof"]
    other = project.on_another_host()
    succeed(other, proven=old)
    assert not is_due(other)
    other.deploy()
    move(project, 2)
    assert is_due(project)
    assert is_due(other)
    refused = other.run()
    assert refused.result["error_kind"] == "init_missing"
    stale = init(other, proven=old)
    assert stale.failed
    assert "init step migrate" in stale.message
    assert "Nothing was changed" in stale.message
    succeed(other, proven=succeed(project).result["proof"])
    assert runs(project) == ["migrate", "migrate"]
    assert other.deploy().actions == {("web", "recreate")}
    assert not is_due(other)


def test_host_alone_runs_the_step_in_an_image_that_came_later(project: Environment, image: str) -> None:
    write(project, {"migrate": step(image=image)})
    other = project.on_another_host()
    succeed(other, proven=succeed(project).result["proof"])
    move(project, 2)
    assert succeed(other).actions == {("migrate", "init")}
    assert runs(project) == ["migrate", "migrate"]


def test_image_that_the_deployment_brings_is_that_of_the_word(project: Environment, image: str) -> None:
    write(project, {"migrate": step(image=image)}, web=service(image=image))
    word = succeed(project).result["proof"]
    other = project.on_another_host()
    move(project, 2)  # as on a host that builds for itself: the image is another one
    succeed(other, proven=word, build="always")
    other.deploy()
    assert not is_due(other)
    move(project, 3)
    assert is_due(other)


def test_word_about_other_content_is_refused(project: Environment) -> None:
    write(project, {"migrate": step()})
    word = succeed(project).result["proof"]
    write(project, {"migrate": step(environment={"V": "2"})})
    other = project.on_another_host()
    refused = init(other, proven=word)
    assert refused.failed
    assert "init step migrate" in refused.message
    assert "run again" in refused.message
    assert is_due(other)


class Fleet:
    """Three hosts on which the role runs."""

    def __init__(self, project: Environment, folder: Path) -> None:
        self.hosts = {name: project.on_another_host(name) for name in ("h1", "h2", "h3")}
        own = {name: {"compose_env_state_dir": str(host.state_dir)} for name, host in self.hosts.items()}
        shared = {"compose_env_project_dir": str(project.folder), "compose_env_environment": project.name}
        told = {"all": {"hosts": own, "vars": {**shared, "ansible_connection": "local"}}}
        self.inventory, self.playbook = folder / "hosts.yml", folder / "play.yml"
        self.inventory.write_text(yaml.safe_dump(told))
        batches = {"serial": "{{ batch | default('100%') }}", "max_fail_percentage": 0}
        play = {"hosts": "all", "gather_facts": False, **batches, "roles": ["strata.compose.init"]}
        self.playbook.write_text(yaml.safe_dump([play]))

    def init(self, *arguments: str, **variables: Any) -> str:
        done = ansible_playbook("-i", self.inventory, self.playbook, *arguments, "-e", json.dumps(variables))
        assert done.returncode == 0, done.stdout
        return done.stdout

    def due(self) -> set[str]:
        return {name for name, host in self.hosts.items() if is_due(host)}


@pytest.fixture
def fleet(project: Environment, tmp_path: Path) -> Fleet:
    return Fleet(project, tmp_path)


@pytest.mark.thorough
def test_step_runs_once_on_all_hosts_when_the_tag_of_its_image_has_moved(
    project: Environment, image: str, fleet: Fleet
) -> None:
    write(project, {"migrate": step(image=image)})
    fleet.init()
    assert "changed=0" in fleet.init().partition("PLAY RECAP")[2]
    assert runs(project) == ["migrate"]
    move(project, 2)
    fleet.init()
    assert len(runs(project)) == 2
    assert fleet.due() == set()


@pytest.mark.thorough
def test_step_runs_once_in_batches_when_the_tag_of_its_image_has_moved(
    project: Environment, image: str, fleet: Fleet
) -> None:
    write(project, {"migrate": step(image=image)})
    fleet.init()
    move(project, 2)
    fleet.init("--check")
    assert len(runs(project)) == 1
    fleet.init(batch=1)
    assert len(runs(project)) == 2
    assert fleet.due() == set()


@pytest.mark.thorough
def test_host_that_was_away_takes_the_word_of_those_that_were_there(
    project: Environment, image: str, fleet: Fleet
) -> None:
    write(project, {"migrate": step(image=image)})
    fleet.init()
    move(project, 2)
    fleet.init("-l", "h2,h3")
    assert len(runs(project)) == 2, "the others see the new image without the first host"
    assert fleet.due() == {"h1"}
    fleet.init()
    assert len(runs(project)) == 2
    assert fleet.due() == set()


def test_word_that_a_due_host_has_already_does_not_keep_it_from_running_the_step(
    project: Environment, fleet: Fleet
) -> None:
    """Its data are gone, and the others cannot see that."""
    write(project, {"migrate": step(depends_on={"database": {"condition": "service_started"}})}, database=memory())
    options = {"compose_init_stable_for": 1}
    fleet.init(**options)
    project.container("database").restart()
    assert fleet.due() == {"h1"}
    fleet.init(**options)
    assert len(runs(project)) == 2


def memory() -> dict[str, Any]:
    return service(tmpfs=["/data"])
