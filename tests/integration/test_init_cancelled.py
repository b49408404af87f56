"""An init phase that is killed, cancelled or overtaken: what it has done is told and written down as it was."""

from __future__ import annotations

import json
import signal
import time

from tests.integration.conftest import Environment, service
from tests.integration.test_compose_init import (
    init,
    one_offs,
    outcomes,
    project,
    runs,
    started,
    state_of,
    step,
    succeed,
    wait_for_run,
    write,
)
from tests.integration.test_init_hosts import image, move

__all__ = ["image", "project"]


def images_of(project: Environment, name: str) -> list[str]:
    """The images for which the ledger has a success of a step, oldest first."""
    ledger = json.loads((state_of(project) / "init.json").read_text())
    return [each["image"] for each in ledger["succeeded"][name]]


def killed(project: Environment) -> None:
    """An init phase that is killed while its step runs, which goes on."""
    process = started(project)
    wait_for_run(project)
    process.kill()
    process.wait()


def test_killed_run_counts_for_its_own_image_when_the_tag_has_moved_since(project: Environment, image: str) -> None:
    write(project, {"migrate": step("sleep 1", image=image)})
    first = project.engine.images.get(image).id
    killed(project)
    (left,) = one_offs(project)
    assert left.wait()["StatusCode"] == 0
    move(project, 2)
    second = project.engine.images.get(image).id
    assert outcomes(succeed(project)) == {"migrate": "succeeded"}
    assert runs(project) == ["migrate", "migrate"]
    assert images_of(project, "migrate") == [first, second]


def test_killed_run_in_another_image_is_awaited(project: Environment, image: str) -> None:
    write(project, {"migrate": step("[ -e /runs/go ] || sleep 600", init=True, image=image)})
    killed(project)
    move(project, 2)
    refused = init(project, timeout=5)
    assert refused.failed
    assert "an earlier try with other content still runs" in refused.message
    assert runs(project) == ["migrate"]


def test_run_counts_for_its_own_image_when_the_tag_moves_meanwhile(project: Environment, image: str) -> None:
    write(project, {"migrate": step("sleep 3", image=image)})
    first = project.engine.images.get(image).id
    process = started(project)
    wait_for_run(project)
    move(project, 2)
    assert process.wait() == 0
    assert images_of(project, "migrate") == [first]
    assert init(project, "--check").result["due"]


def test_cancelled_phase_tells_of_the_servers_that_it_started(project: Environment) -> None:
    starting = service(healthcheck={"test": ["CMD", "false"], "interval": "1s", "start_period": "600s"})
    needs = {"depends_on": {"database": {"condition": "service_healthy"}}}
    write(project, {"migrate": step(**needs)}, database=starting)
    process = started(project, wait_timeout=60)
    deadline = time.monotonic() + 120
    while not any(each.status == "running" for each in project.containers("database")):
        assert time.monotonic() < deadline, "the server was not started"
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.stdout
    printed = process.stdout.read()
    assert process.wait() == 1
    assert "cancelled by SIGTERM" in printed
    assert "Nothing was changed" not in printed
    assert "database" in printed
    assert json.loads(printed)["changed"]
    assert runs(project) == []
