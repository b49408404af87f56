"""What a killed operation left is settled by the next one, whatever that is: as the killed one would have judged it."""

from __future__ import annotations

import json
import signal
import uuid
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.integration.conftest import IMAGE, Environment, service
from tests.integration.test_lock import deploying, wait_for_free_lock
from tests.integration.test_transactions import SLOW_STOP, in_phase, require_consistent, state_of, wait_for

GOOD = {"web": service(environment={"RELEASE": "one"}), "idle": service()}


@pytest.fixture
def serving(environment: Environment) -> Environment:
    """Release 1 serves."""
    environment.write("compose.yml", {"services": GOOD})
    environment.deploy()
    return environment


def second(**web: Any) -> dict[str, Any]:
    """Services of a second release."""
    return {**GOOD, "web": {**GOOD["web"], "environment": {"RELEASE": "two"}, **web}}


def cut_off(environment: Environment, services: dict[str, Any], phase: str = "gate", **options: Any) -> None:
    """Have a deployment killed while its gate waits."""
    environment.write("compose.yml", {"services": services})
    with deploying(environment, **{"stable_for": 6, **options}) as process:
        wait_for(lambda: in_phase(environment, phase) and environment.container("web").status == "running")
        process.send_signal(signal.SIGKILL)
    wait_for_free_lock(environment)
    assert (state_of(environment) / "journal.json").exists()


def runs(environment: Environment, image: str | None) -> bool:
    """Whether the one container of service web is up, from that image."""
    return [(each.status, each.image.id) for each in environment.containers("web")] == [("running", image)]


def audit_of(environment: Environment) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (state_of(environment) / "audit.log").read_text().splitlines()]


def outcomes(environment: Environment) -> dict[int, str]:
    """Outcome of each release by number."""
    listed = environment.run("compose_env_info", gather=["releases"]).result["releases"]
    return {each["release"]: each["outcome"] for each in listed}


def test_going_back_removes_the_services_that_the_cut_off_release_added(serving: Environment) -> None:
    sick = {"healthcheck": {"test": ["CMD", "false"], "interval": "1s", "retries": 1}}
    cut_off(serving, {**second(), "worker": service(**sick)})
    assert "release 1 serves again" in serving.deploy(state="started").result["settled"]
    assert set(serving.ids()) == {"web", "idle"}
    assert serving.variable("web", "RELEASE") == "one"
    assert outcomes(serving) == {2: "failed", 1: "good"}
    require_consistent(serving)


@pytest.mark.thorough
def test_containers_that_were_there_before_stay_when_the_release_goes_back(serving: Environment) -> None:
    """A container that no release has is not ours to remove."""
    labels = {"project": serving.project, "service": "foreign", "oneoff": "False", "container-number": "1"}
    told = {f"com.docker.compose.{name}": value for name, value in labels.items()}
    foreign = serving.engine.containers.run(IMAGE, ["sleep", "3600"], detach=True, init=True, labels=told)
    cut_off(serving, second(command=["sh", "-c", "sleep 1; exit 3"]), remove_orphans=False)
    assert "release 1 serves again" in serving.deploy(state="started", services=["idle"]).result["settled"]
    assert [each.id for each in serving.containers("foreign")] == [foreign.id]
    assert serving.variable("web", "RELEASE") == "one"


def test_the_gate_of_the_killed_operation_decides(serving: Environment) -> None:
    """An operation with a laxer gate, such as a module that has none, must not let pass what would have failed."""
    cut_off(serving, second(command=["sh", "-c", "sleep 5; exit 3"]), stable_for=12)
    settled = serving.deploy(state="started", stable_for=0).result["settled"]
    assert "release 1 serves again" in settled
    assert "exited with code 3" in settled, "the cause is told"
    assert serving.variable("web", "RELEASE") == "one"
    assert audit_of(serving)[-1]["settled"] == settled


def test_operation_that_fails_after_it_settled_tells_both(serving: Environment) -> None:
    cut_off(serving, second(), stable_for=2)
    (serving.folder / "compose.yml").unlink()
    outcome = serving.run()
    assert outcome.failed
    assert "is the current release now" in outcome.result["settled"]
    assert outcome.changed
    assert audit_of(serving)[-1]["outcome"] == "failed"
    serving.write("compose.yml", {"services": second()})
    assert not serving.deploy().changed


def test_deployment_that_was_rolled_back_is_in_the_audit_log(serving: Environment) -> None:
    serving.write("compose.yml", {"services": second(command=["false"])})
    assert serving.run().result["state"] == "rolled_back"
    assert [(each.get("outcome"), each["release"]) for each in audit_of(serving)] == [(None, 1), ("rolled_back", 1)]


@pytest.mark.thorough
def test_passwords_of_both_releases_are_masked_when_settling_fails(serving: Environment) -> None:
    serving.write("flag.txt", "good")
    script = "cat /flag | grep -q good && exec sleep 3600; echo my password is $$DB_PASSWORD; exit 5"

    def release(password: str) -> dict[str, Any]:
        environment = {"DB_PASSWORD": password, "RELEASE": password}
        return {"web": service(command=["sh", "-c", script], volumes=["./flag.txt:/flag"], environment=environment)}

    serving.write("compose.yml", {"services": release("first-very-secret")})
    serving.deploy()
    cut_off(serving, release("second-very-secret"))
    # Written in place: a file that is replaced stays what it was for a container that has it mounted.
    (serving.folder / "flag.txt").write_text("bad")
    serving.container("web").stop(timeout=1)
    outcome = serving.run(state="started")
    assert outcome.failed
    assert outcome.result["state"] == "degraded"
    assert outcome.message.count("my password is") == 2
    assert "very-secret" not in outcome.printed
    assert "docker compose" in outcome.message, "what to do by hand"
    (serving.folder / "flag.txt").write_text("good")
    assert "settled" in serving.deploy().result
    require_consistent(serving)


def test_removal_of_everything_needs_no_settling_and_leaves_no_journal(serving: Environment) -> None:
    cut_off(serving, second())
    refused = serving.run(state="absent", volumes=True)
    assert refused.failed
    assert (state_of(serving) / "journal.json").exists(), "a refusal changes nothing"
    removed = serving.deploy(state="absent")
    assert "settled" not in removed.result
    assert serving.ids() == {}
    assert not (state_of(serving) / "journal.json").exists()
    serving.write("compose.yml", {"services": GOOD})
    serving.deploy()
    require_consistent(serving)


def test_removal_of_one_service_leaves_the_rest_to_the_next_deployment(serving: Environment) -> None:
    cut_off(serving, second(), stable_for=1)
    assert "settled" not in serving.deploy(state="absent", services=["idle"]).result
    assert set(serving.ids()) == {"web"}
    assert "settled" in serving.deploy().result
    assert set(serving.ids()) == {"web", "idle"}
    assert serving.variable("web", "RELEASE") == "two"


@pytest.mark.parametrize("state", ["stopped", "absent"])
def test_signal_does_not_cut_off_what_has_begun(environment: Environment, state: str) -> None:
    environment.write("compose.yml", {"services": {"web": service(**SLOW_STOP), "idle": service()}})
    environment.deploy()
    with deploying(environment, state=state) as process:
        wait_for(lambda: any(each.status != "running" for each in environment.containers()))
        process.send_signal(signal.SIGTERM)
        assert process.stdout
        result = json.loads(process.stdout.read())
    assert not result.get("failed")
    assert result["changed"]
    assert {each.status for each in environment.containers()} == ({"exited"} if state == "stopped" else set())


@pytest.mark.thorough
def test_killed_roll_back_gives_the_users_tag_back(environment: Environment, engine: docker.DockerClient) -> None:
    tag = f"{environment.folder.name}:moving"
    engine.images.get(IMAGE).tag(tag)
    environment.write("flag.txt", "good")
    script = ["sh", "-c", "grep -q good /flag && exec sleep 3600; exit 5"]
    web = service(image=tag, command=script, volumes=["./flag.txt:/flag"])
    environment.write("compose.yml", {"services": {"web": web}})
    environment.deploy()
    base = engine.containers.create(IMAGE, ["true"])
    new = base.commit(*tag.split(":"), changes=["LABEL own=2"]).id
    base.remove()
    environment.write("compose.yml", {"services": {"web": {**web, "command": ["sleep", "3600"]}}})
    environment.deploy()
    environment.write("flag.txt", "bad")
    with deploying(environment, state="rolled_back", stable_for=6) as process:
        wait_for(lambda: in_phase(environment, "roll back") and runs(environment, new))
        process.send_signal(signal.SIGKILL)
    wait_for_free_lock(environment)
    environment.deploy(state="started", services=["web"])
    assert engine.images.get(tag).id == new
    assert environment.container("web").image.id == new
    require_consistent(environment)
    environment.clean_up()
    engine.images.remove(tag, force=True)


def test_damaged_records_are_told_with_their_path_and_keep_nothing_from_running(serving: Environment) -> None:
    before, journal = serving.ids(), state_of(serving) / "journal.json"
    journal.write_text('{"phase": "gate", "to":')
    assert str(journal) in serving.run("compose_env_info", gather=["lock"]).result["lock"]["journal"]["phase"]
    warnings = str(serving.deploy().result["warnings"])
    assert f"{journal} is no JSON or was cut off. A deployment was cut off" in warnings
    assert not journal.exists()
    record = state_of(serving) / "releases/0001/release.json"
    record.write_text("[]")
    outcome = serving.deploy()
    assert f"{record} is no JSON object" in str(outcome.result["warnings"])
    assert serving.ids() == before
    assert serving.deploy().result["release"] == 2


@pytest.mark.parametrize(
    "name",
    ["202401011200_{}_", *(pytest.param(each, marks=pytest.mark.thorough) for each in ("my___{}", "{}_", "a_-{}"))],
)
def test_projects_of_any_name_are_settled_and_come_back(name: str, tmp_path: Path, engine: docker.DockerClient) -> None:
    """Twelve digits begin the names that Compose gives to leftovers, and not every project name may name an image."""
    folder = tmp_path / name.format(uuid.uuid4().hex[:8])
    folder.mkdir()
    environment = Environment(folder, tmp_path / "state", engine)
    try:
        environment.write("compose.yml", {"services": GOOD})
        environment.deploy()
        idle = environment.ids()["idle"]
        cut_off(environment, second(), stable_for=1)
        assert "is the current release now" in environment.deploy(state="started").result["settled"]
        assert environment.ids()["idle"] == idle
        assert environment.deploy(state="rolled_back").result["release"] == 1
        assert environment.variable("web", "RELEASE") == "one"
    finally:
        environment.clean_up()
