"""Recovery always has a way out: what the old release cannot live with never keeps an operator from going forward."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _boot
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._ledger import Ledger, LedgerFile, Success

from tests.integration.conftest import IMAGE, Environment, Outcome, process, service
from tests.integration.test_compose_init import init, project, runs, succeed
from tests.integration.test_init_in_memory import is_healthy, table
from tests.integration.test_init_in_memory import write as write_in_memory
from tests.integration.test_lock import deploying, lock_of, wait_for_free_lock
from tests.integration.test_settling import audit_of
from tests.integration.test_transactions import in_phase, require_consistent, state_of, wait_for

__all__ = ["project"]

WEB = "grep -qx $$NEED /shared/schema && exec sleep 3600; echo schema is not $$NEED; exit 5"
"""An application that ends when its database is not as it needs it; the file stands for a database."""


def release(name: str, need: str, command: str = WEB, **keys: Any) -> dict[str, Any]:
    variables = {"RELEASE": name, "NEED": need}
    web = service(command=["sh", "-c", command], environment=variables, volumes=["./shared:/shared"], **keys)
    return {"services": {"web": web, "idle": service()}}


def migrate(environment: Environment, schema: str) -> None:
    (environment.folder / "shared" / "schema").write_text(f"{schema}\n")


@pytest.fixture
def serving(environment: Environment) -> Environment:
    """Release 1 serves, and needs schema 1."""
    (environment.folder / "shared").mkdir()
    migrate(environment, "1")
    environment.write("compose.yml", release("one", "1"))
    environment.deploy()
    return environment


@pytest.fixture
def degraded(serving: Environment) -> Environment:
    """The migration of release 2 has run, release 2 fails, and release 1 cannot live with the new schema."""
    require_degraded(serving, fail(serving))
    return serving


def fail(environment: Environment) -> Outcome:
    """Deploy a release that fails, after a migration."""
    migrate(environment, "2")
    environment.write("compose.yml", release("two", "2", "exit 3"))
    return environment.run()


def require_degraded(environment: Environment, outcome: Outcome) -> None:
    assert outcome.failed
    assert outcome.result["state"] == "degraded", outcome.message
    assert lock_of(environment)["journal"]["phase"] == "degraded"


def require_serving(environment: Environment, name: str) -> None:
    assert environment.container("web").status == "running"
    assert environment.variable("web", "RELEASE") == name
    require_consistent(environment)
    assert lock_of(environment)["journal"] is None


@pytest.mark.parametrize("state", ["present", "restarted"])
def test_release_that_is_repaired_goes_forward(degraded: Environment, state: str) -> None:
    degraded.write("compose.yml", release("three", "2"))
    repaired = degraded.deploy(state=state)
    assert "going back to release 1" in repaired.result["settled"]
    assert "docker compose" not in repaired.result["settled"]
    require_serving(degraded, "three")
    assert audit_of(degraded)[-1]["settled"] == repaired.result["settled"]
    assert not degraded.deploy().changed


def test_plan_of_a_degraded_environment_is_what_is_done(degraded: Environment) -> None:
    degraded.write("compose.yml", release("three", "2"))
    planned = degraded.plan()
    assert degraded.deploy().actions == planned.actions == {("web", "recreate")}


def test_release_that_fails_again_does_not_take_the_way_out_away(degraded: Environment) -> None:
    degraded.write("compose.yml", release("three", "2", "exit 4"))
    outcome = degraded.run()
    require_degraded(degraded, outcome)
    assert "exited with code 4" in outcome.message, "its own gate has judged it"
    degraded.write("compose.yml", release("four", "2"))
    degraded.deploy()
    require_serving(degraded, "four")


def test_release_that_fails_when_the_old_one_can_serve_again_is_rolled_back(degraded: Environment) -> None:
    migrate(degraded, "1")
    degraded.write("compose.yml", release("three", "1", "exit 4"))
    outcome = degraded.run()
    assert outcome.result["state"] == "rolled_back", outcome.message
    require_serving(degraded, "one")


def test_what_needs_no_release_waits_for_none(degraded: Environment) -> None:
    told = degraded.run("compose_env_info", gather=["services", "logs", "releases", "drift"])
    assert not told.failed, told.message
    assert any("schema is not 1" in line for each in told.result["logs"] for line in each["lines"])
    assert degraded.run("compose_exec", service="idle", argv=["echo", "here"]).result["stdout"] == "here\n"
    part = degraded.deploy(state="stopped", services=["idle"])
    assert "settled" not in part.result
    assert lock_of(degraded)["journal"]["phase"] == "degraded", "the rest is what it was"
    degraded.deploy(state="started", services=["idle"])
    stopped = degraded.deploy(state="stopped")
    assert "no release was waited for" in stopped.result["settled"]
    assert {each.status for each in degraded.containers()} == {"exited"}
    require_consistent(degraded)
    assert not degraded.deploy(state="stopped").changed
    degraded.write("compose.yml", release("three", "2"))
    degraded.deploy()
    require_serving(degraded, "three")


def test_degraded_environment_can_be_removed(degraded: Environment) -> None:
    degraded.deploy(state="absent", services=["web"])
    degraded.deploy(state="absent", volumes=True, confirm="dev")
    assert degraded.ids() == {}
    require_consistent(degraded)
    degraded.write("compose.yml", release("three", "2"))
    degraded.deploy()
    require_serving(degraded, "three")


def test_started_judges_what_is_there_and_goes_nowhere(degraded: Environment) -> None:
    before = degraded.ids()
    for _again in range(2):
        outcome = degraded.run(state="started")
        assert outcome.failed
        assert "exited with code 5" in outcome.message
        assert "Going back" not in outcome.message
        assert degraded.ids() == before
    migrate(degraded, "1")
    assert "going back to release 1" in degraded.deploy(state="started").result["settled"]
    require_serving(degraded, "one")


def test_rolled_back_tries_the_last_good_release_once_more_or_an_older_one(serving: Environment) -> None:
    migrate(serving, "any")
    serving.write("compose.yml", release("two", "1", "grep -qx any /shared/schema && exec sleep 3600; exit 6"))
    serving.deploy()
    migrate(serving, "3")
    serving.write("compose.yml", release("three", "3", "exit 3"))
    failed = serving.run()
    require_degraded(serving, failed)
    assert "state=rolled_back tries release 2 once more, with release=1 an older one" in failed.message
    again = serving.run(state="rolled_back")
    require_degraded(serving, again)
    assert "exited with code 6" in again.message
    migrate(serving, "any")
    assert serving.plan(state="rolled_back").result["release"] == 2
    assert serving.deploy(state="rolled_back").result["release"] == 2
    require_serving(serving, "two")
    migrate(serving, "3")
    serving.write("compose.yml", release("three", "3", "exit 4"))
    require_degraded(serving, serving.run())
    migrate(serving, "1")
    assert serving.deploy(state="rolled_back", release=1).result["release"] == 1
    require_serving(serving, "one")


def test_ways_out_that_the_message_names_work(serving: Environment) -> None:
    """A changed password: each way is typed as it is told; the state is made anew before each."""
    failed = fail(serving)
    require_degraded(serving, failed)
    for told in ("gather=services,logs", "compose_exec", "state=present", "state=rolled_back tries release 1 once"):
        assert told in failed.message, "the tests above type it"
    assert "state=stopped and state=absent need no healthy release" in failed.message
    migrate(serving, "1")
    (command,) = re.findall(r"By hand, `(.*)` starts release 1\.", failed.message)
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stderr
    assert serving.container("web").status == "running"
    assert serving.variable("web", "RELEASE") == "one"
    serving.write("compose.yml", release("three", "1"))
    serving.deploy()
    require_serving(serving, "three")


def test_changed_password_that_only_a_new_release_knows(environment: Environment) -> None:
    (environment.folder / "shared").mkdir()

    def shop(password: str, command: str = WEB.replace("$$NEED", "$$DB_PASSWORD")) -> dict[str, Any]:
        variables = {"DB_PASSWORD": password}
        volumes = ["./shared:/shared"]
        return {"services": {"web": service(command=["sh", "-c", command], environment=variables, volumes=volumes)}}

    migrate(environment, "first-very-secret")
    environment.write("compose.yml", shop("first-very-secret"))
    environment.deploy()
    migrate(environment, "second-very-secret")
    environment.write("compose.yml", shop("second-very-secret", "echo $$DB_PASSWORD; exit 3"))
    failed = environment.run()
    require_degraded(environment, failed)
    assert "very-secret" not in failed.printed
    environment.write("compose.yml", shop("second-very-secret"))
    assert "very-secret" not in environment.deploy().printed
    assert environment.container("web").status == "running"
    require_consistent(environment)


def test_image_of_the_old_release_that_was_deleted(serving: Environment) -> None:
    tag = f"{serving.folder.name}:own"
    base = serving.engine.containers.create(IMAGE, ["true"])
    image = base.commit(*tag.split(":"), changes=["LABEL own=1"])
    base.remove()
    serving.write("compose.yml", release("two", "1", image=tag))
    serving.deploy()
    late = {"test": ["CMD", "false"], "interval": "1s", "retries": 1, "start_period": "5s"}
    serving.write("compose.yml", release("three", "1", healthcheck=late))
    with deploying(serving) as running:
        wait_for(lambda: in_phase(serving, "gate"))
        for each in serving.engine.images.get(image.id).tags:
            serving.engine.images.remove(each, force=True)
        assert running.stdout
        assert '"degraded"' in running.stdout.read()
    refused = serving.run(state="rolled_back")
    assert refused.failed
    assert "release 2 cannot serve" in refused.message
    assert lock_of(serving)["journal"]["phase"] == "degraded"
    serving.write("compose.yml", release("four", "1"))
    serving.deploy()
    require_serving(serving, "four")


def cut_off(environment: Environment, layers: dict[str, Any]) -> None:
    environment.write("compose.yml", layers)
    with deploying(environment, stable_for=6) as running:
        wait_for(lambda: in_phase(environment, "gate") and environment.container("web").status == "running")
        running.send_signal(signal.SIGKILL)
    wait_for_free_lock(environment)


def test_killed_deployment_goes_back_once_and_then_forward(serving: Environment) -> None:
    cut_off(serving, release("two", "2", "sleep 4; exit 3"))
    migrate(serving, "2")
    serving.write("compose.yml", release("three", "2"))
    second = serving.run()
    require_degraded(serving, second)
    assert "was cut off" in second.message
    serving.deploy()
    require_serving(serving, "three")


def test_killed_deployment_can_be_stopped_without_a_healthy_release(serving: Environment) -> None:
    cut_off(serving, release("two", "2", "sleep 4; exit 3"))
    migrate(serving, "2")
    stopped = serving.deploy(state="stopped")
    assert "no release was waited for" in stopped.result["settled"]
    assert {each.status for each in serving.containers()} == {"exited"}
    require_consistent(serving)


@pytest.mark.parametrize("state", ["stopped", "absent"])
def test_a_part_of_a_killed_deployment_is_stopped_or_removed_and_no_more(serving: Environment, state: str) -> None:
    """No release is waited for, neither is one brought back: what is left of the switch waits for the whole."""
    cut_off(serving, release("two", "2", "sleep 4; exit 3"))
    migrate(serving, "2")
    web, journal = serving.container("web").id, lock_of(serving)["journal"]
    done = serving.deploy(state=state, services=["idle"])
    assert "settled" not in done.result
    assert {each["service"] for each in done.result["actions"]} == {"idle"}
    assert [each.status for each in serving.containers("idle")] == (["exited"] if state == "stopped" else [])
    assert serving.container("web").id == web
    assert lock_of(serving)["journal"] == journal
    assert not serving.deploy(state=state, services=["idle"]).changed
    serving.write("compose.yml", release("three", "2"))
    require_degraded(serving, serving.run())
    serving.deploy()
    require_serving(serving, "three")


def test_record_of_a_killed_deployment_that_is_lost(serving: Environment) -> None:
    cut_off(serving, release("two", "1"))
    (state_of(serving) / "releases/0002/release.json").unlink()
    serving.write("compose.yml", release("three", "1"))
    assert "release 1 serves again" in serving.deploy().result["settled"]
    require_serving(serving, "three")


def test_database_in_memory_that_was_emptied(project: Environment) -> None:
    """Its steps were left out on purpose, so neither the release nor the way back gets healthy."""
    (project.folder / "shared").mkdir()
    write_in_memory(project)
    succeed(project)
    project.deploy()
    require_degraded(project, project.run(state="restarted", require_init=False, wait_timeout=6))
    assert not init(project).failed
    assert runs(project) == ["migrate", "migrate"]
    project.deploy()
    assert table(project) == "1"
    assert is_healthy(project)
    require_consistent(project)


@pytest.fixture
def small_disk(serving: Environment) -> Iterator[Path]:
    """The state folder on a disk of its own, which a file fills."""
    if os.geteuid():
        pytest.skip("only root can mount a disk")
    folder = serving.state_dir
    serving.deploy(state="absent")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    serving.deploy()
    yield folder / "filler"
    subprocess.run(["umount", str(folder)], check=True)


def test_nothing_goes_back_at_boot_when_that_has_failed(
    degraded: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    before = degraded.ids()
    assert _boot.main(["settle", str(degraded.state_dir)]) == 0
    assert "going back has failed before" in capsys.readouterr().out
    assert degraded.ids() == before
    assert lock_of(degraded)["journal"]["phase"] == "degraded"


def fill(filler: Path) -> None:
    with filler.open("wb") as file:
        while os.fstatvfs(file.fileno()).f_bavail:
            file.write(b"0" * 4096)
            file.flush()


def fill_within_the_gate(environment: Environment, filler: Path, layers: dict[str, Any]) -> str:
    """Deploy while the disk gets full; what the module prints."""
    environment.write("compose.yml", layers)
    with deploying(environment, stable_for=3) as running:
        wait_for(lambda: in_phase(environment, "gate"))
        fill(filler)
        assert running.stdout
        return running.stdout.read()


def test_full_disk_makes_no_second_failure_of_going_back(serving: Environment, small_disk: Path) -> None:
    printed = fill_within_the_gate(serving, small_disk, release("two", "1", "sleep 1; exit 3"))
    assert '"rolled_back"' in printed
    assert "could not be recorded" in printed
    assert serving.variable("web", "RELEASE") == "one"
    assert serving.container("web").status == "running"
    refused = serving.run()
    assert refused.failed
    assert "cannot be written" in refused.message
    small_disk.unlink()
    serving.write("compose.yml", release("three", "1"))
    serving.deploy()
    require_serving(serving, "three")


def test_full_disk_and_a_release_that_cannot_come_back(serving: Environment, small_disk: Path) -> None:
    migrate(serving, "2")
    assert '"degraded"' in fill_within_the_gate(serving, small_disk, release("two", "2", "sleep 1; exit 3"))
    assert not process("compose_exec", serving.options("compose_exec", {"service": "idle", "argv": ["true"]})).failed
    assert serving.run("compose_env_info", gather=["services", "logs"]).result["services"]
    small_disk.unlink()
    serving.write("compose.yml", release("three", "2"))
    serving.deploy()
    require_serving(serving, "three")


def test_full_disk_after_the_gate_has_passed(serving: Environment, small_disk: Path) -> None:
    printed = fill_within_the_gate(serving, small_disk, release("two", "1"))
    assert '"unrecorded"' in printed
    ids = serving.ids()
    small_disk.unlink()
    assert "is the current release now" in serving.deploy().result["settled"]
    assert serving.ids() == ids
    require_serving(serving, "two")


def require_forgotten(environment: Environment) -> None:
    """Nothing goes back to what was removed."""
    environment.write("compose.yml", release("three", "1", "exit 3"))
    failed = environment.run()
    assert failed.failed
    assert "There is no earlier release to go back to" in failed.message


def test_full_disk_keeps_nothing_from_being_stopped_and_removed(serving: Environment, small_disk: Path) -> None:
    fill(small_disk)
    assert serving.deploy(state="stopped").changed
    assert {each.status for each in serving.containers()} == {"exited"}
    assert serving.deploy(state="absent", volumes=True, confirm="dev").changed
    assert serving.ids() == {}
    small_disk.unlink()
    require_forgotten(serving)


def test_full_disk_keeps_no_killed_deployment_from_being_stopped_and_removed(
    serving: Environment, small_disk: Path
) -> None:
    cut_off(serving, release("two", "2", "sleep 4; exit 3"))
    fill(small_disk)
    assert "settled" not in serving.deploy(state="stopped", services=["idle"]).result
    assert "no release was waited for" in serving.deploy(state="stopped").result["settled"]
    assert {each.status for each in serving.containers()} == {"exited"}
    assert lock_of(serving)["journal"] is None
    assert serving.deploy(state="absent", services=["idle"]).changed
    assert serving.deploy(state="absent").changed
    small_disk.unlink()
    require_forgotten(serving)


def test_full_disk_does_not_let_steps_count_whose_volume_is_gone(serving: Environment, small_disk: Path) -> None:
    """A migration that counts as done in a database that is new and empty would be left out."""
    ledger = LedgerFile(str(state_of(serving)))
    success = Success("f", "image", {"shop_data": "2026"}, 0, 1.0, "2026-11-27T09:00:00Z", "host", "alice")
    ledger.write(Ledger({}, {"migrate": (success,)}))
    fill(small_disk)
    with pytest.raises(ComposeFailure, match="No space left"):
        ledger.write(Ledger({}, {"migrate": (success,)}))
    ledger.forget_volumes(["shop_data"])
    assert ledger.read() == Ledger({}, {"migrate": (success.without_volumes(["shop_data"]),)})
    assert ledger.read().succeeded["migrate"][0] != success
