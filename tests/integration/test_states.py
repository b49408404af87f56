"""Every state besides ``present``: what it does, what it leaves alone, and that doing it again changes nothing."""

from __future__ import annotations

import shutil

import docker
import pytest

from tests.integration.conftest import IMAGE, Environment, service


@pytest.fixture
def running(environment: Environment) -> Environment:
    """A web service that depends on a database, and a one-shot job."""
    layers = {
        "services": {
            "database": service(volumes=["data:/data"]),
            "web": service(depends_on=["database"], environment={"LEVEL": "${LEVEL}"}),
            "job": service(command=["true"], init=False),
        },
        "volumes": {"data": {}},
    }
    environment.write("compose.yml", layers)
    environment.write(".env.dev", "LEVEL=info\n")
    environment.deploy()
    return environment


def states(environment: Environment) -> dict[str, str]:
    return {each.labels["com.docker.compose.service"]: each.status for each in environment.containers()}


def started_at(environment: Environment, name: str) -> str:
    return str(environment.container(name).attrs["State"]["StartedAt"])


def require(environment: Environment, state: str, expected: set[tuple[str, str]], **options: object) -> None:
    """The plan foretells the actions and changes nothing, then they are taken, and the second time there are none."""
    before = states(environment)
    assert environment.plan(state=state, **options).actions == expected
    assert states(environment) == before
    assert environment.deploy(state=state, **options).actions == expected
    assert not environment.deploy(state=state, **options).changed


def test_stopped_and_started(running: Environment) -> None:
    ids = running.ids()
    require(running, "stopped", {("web", "stop"), ("database", "stop")})
    assert states(running) == {"web": "exited", "database": "exited", "job": "exited"}
    job = started_at(running, "job")
    require(running, "started", {("web", "start"), ("database", "start")})
    assert states(running) == {"web": "running", "database": "running", "job": "exited"}
    assert running.ids() == ids
    assert started_at(running, "job") == job, "a completed one-shot service was run again"
    assert started_at(running, "database") < started_at(running, "web")


def test_stopped_and_started_for_one_service(running: Environment) -> None:
    require(running, "stopped", {("web", "stop")}, services=["web"])
    assert states(running)["database"] == "running"
    require(running, "started", {("web", "start")}, services=["web"])


def test_started_applies_no_pending_change(running: Environment) -> None:
    running.deploy(state="stopped")
    running.write(".env.dev", "LEVEL=debug\n")
    running.deploy(state="started")
    assert running.variable("web", "LEVEL") == "info"
    assert running.plan().actions == {("web", "recreate")}


def test_started_unpauses(running: Environment) -> None:
    running.container("web").pause()
    require(running, "started", {("web", "unpause")})


def test_started_refuses_what_does_not_exist(running: Environment) -> None:
    running.container("web").remove(force=True)
    outcome = running.run(state="started")
    assert outcome.failed
    assert "no container to start for service web" in outcome.message
    assert "state=present" in outcome.message


def test_stopped_where_nothing_exists_creates_nothing(environment: Environment) -> None:
    environment.write("compose.yml", {"services": {"web": service()}})
    assert not environment.deploy(state="stopped").changed
    assert environment.containers() == []


def test_restarted_restarts_all_but_completed_services(running: Environment) -> None:
    before = {name: started_at(running, name) for name in ("web", "database", "job")}
    ids = running.ids()
    assert running.plan(state="restarted").actions == {("web", "restart"), ("database", "restart")}
    assert running.deploy(state="restarted", timeout=5).actions == {("web", "restart"), ("database", "restart")}
    assert {name for name in before if started_at(running, name) != before[name]} == {"web", "database"}
    assert running.ids() == ids


def test_restarted_applies_pending_changes_and_restarts_only_the_rest(running: Environment) -> None:
    database = running.ids()["database"]
    running.write(".env.dev", "LEVEL=debug\n")
    assert running.deploy(state="restarted").actions == {("web", "recreate"), ("database", "restart")}
    assert running.variable("web", "LEVEL") == "debug"
    assert running.ids()["database"] == database


def test_restarted_starts_what_is_stopped(running: Environment) -> None:
    running.deploy(state="stopped")
    assert running.deploy(state="restarted").actions == {("web", "start"), ("database", "start")}


def test_recreate_always_and_never(running: Environment) -> None:
    everything = {("web", "recreate"), ("database", "recreate"), ("job", "recreate")}
    assert running.plan(recreate="always").actions == everything
    assert running.deploy(recreate="always").actions == everything
    running.write(".env.dev", "LEVEL=debug\n")
    assert not running.deploy(recreate="never").changed
    assert running.variable("web", "LEVEL") == "info"
    assert running.plan().actions == {("web", "recreate")}, "the change that was left out is pending"


def test_restarted_and_recreated_services_leave_their_dependencies_alone(running: Environment) -> None:
    assert running.deploy(state="restarted", services=["web"]).actions == {("web", "restart")}
    assert running.deploy(recreate="always", services=["web"]).actions == {("web", "recreate")}
    running.container("database").stop(timeout=1)
    assert running.deploy(services=["web"]).actions == {("database", "start")}


def test_services_limit_a_deployment_to_them_and_their_dependencies(running: Environment) -> None:
    ids = running.ids()
    running.write(
        "compose.dev.yml", {"services": {name: {"environment": {"NEW": "1"}} for name in ("web", "job", "database")}}
    )
    assert running.deploy(services=["database"]).actions == {("database", "recreate")}
    assert running.ids()["web"] == ids["web"]
    assert running.plan().actions == {("web", "recreate"), ("job", "recreate")}


def test_absent_keeps_volumes_and_images(running: Environment, engine: docker.DockerClient) -> None:
    network = f"network {running.project}_default"
    containers = {(name, "remove") for name in ("web", "database", "job")}
    require(running, "absent", {*containers, (network, "remove")})
    assert running.containers() == []
    assert engine.networks.list(names=[f"{running.project}_default"]) == []
    assert engine.volumes.get(f"{running.project}_data")
    assert engine.images.get(IMAGE)
    assert running.deploy().changed


def test_absent_removes_volumes_only_when_confirmed(running: Environment, engine: docker.DockerClient) -> None:
    for confirm in (None, "prod"):
        outcome = running.run(state="absent", volumes=True, confirm=confirm)
        assert outcome.failed
        assert "confirm=dev" in outcome.message
        assert len(running.containers()) == 3
    assert (f"volume {running.project}_data", "remove") in running.plan(
        state="absent", volumes=True, confirm="dev"
    ).actions
    running.deploy(state="absent", volumes=True, confirm="dev")
    with pytest.raises(docker.errors.NotFound):
        engine.volumes.get(f"{running.project}_data")


@pytest.mark.parametrize(("images", "gone"), [("local", False), ("all", True)])
def test_absent_removes_images_when_told(
    environment: Environment, engine: docker.DockerClient, images: str, gone: bool
) -> None:
    environment.write("Dockerfile", f"FROM {IMAGE}\nLABEL test={environment.project}\n")
    tag = f"{environment.folder.name}:named"
    built = {key: value for key, value in service().items() if key != "image"}
    layers = {"services": {"local": {**built, "build": "."}, "named": {**built, "build": ".", "image": tag}}}
    environment.write("compose.yml", layers)
    environment.deploy()
    environment.deploy(state="absent", images=images)
    assert engine.images.list(name=f"{environment.project}-local") == []
    assert (engine.images.list(name=tag) == []) is gone
    if not gone:
        engine.images.remove(tag)


def test_absent_works_when_the_project_directory_is_gone(running: Environment) -> None:
    folder = running.folder
    shutil.move(folder, folder.with_name("elsewhere"))
    try:
        assert running.deploy(state="absent", timeout=1).changed
        assert running.containers() == []
    finally:
        shutil.move(folder.with_name("elsewhere"), folder)


def test_absent_for_one_service(running: Environment) -> None:
    assert running.plan(state="absent", services=["web"]).actions == {("web", "remove")}
    assert running.deploy(state="absent", services=["web"]).actions == {("web", "remove")}
    assert set(running.ids()) == {"database", "job"}


def test_built_builds_and_touches_no_container(environment: Environment, engine: docker.DockerClient) -> None:
    environment.write("Dockerfile", f"FROM {IMAGE}\nCOPY page /page\n")
    environment.write("page", "first")
    built = {key: value for key, value in service().items() if key != "image"}
    environment.write("compose.yml", {"services": {"web": {**built, "build": "."}, "other": service()}})
    assert environment.plan(state="built").actions == {("web", "build")}
    assert environment.deploy(state="built").actions == {("web", "build")}
    assert environment.containers() == []
    assert not environment.deploy(state="built").changed
    environment.deploy()
    ids = environment.ids()
    environment.write("page", "second")
    assert environment.deploy(state="built").actions == {("web", "build")}
    assert environment.ids() == ids
    assert environment.plan().actions == {("web", "recreate")}
    environment.clean_up()
    engine.images.remove(f"{environment.project}-web", force=True)


def test_two_environments_of_one_folder_do_not_meet(running: Environment) -> None:
    running.write(".env.test", "LEVEL=test\n")
    before = running.ids()
    other = Environment(running.folder, running.state_dir, running.engine, name="test")
    try:
        other.deploy()
        assert running.ids() == before
        assert other.variable("web", "LEVEL") == "test"
        assert not running.deploy().changed
        assert not other.deploy().changed
    finally:
        other.clean_up()


def test_given_files_name_and_engine_address(running: Environment) -> None:
    """``files``, ``env_files``, ``project_name``, ``docker_host`` and ``command_timeout``, all given."""
    running.write("layers/one.yml", {"services": {"web": service(environment={"LEVEL": "${LEVEL}"})}})
    running.write("layers/two.yml", {"services": {"web": {"labels": {"layer": "two"}}}})
    running.write("values.env", "LEVEL=given\n")
    name = f"{running.folder.name}-given"
    given = Environment(running.folder, running.state_dir, running.engine, name="given")
    options = {
        "files": ["layers/one.yml", "layers/two.yml"],
        "env_files": ["values.env"],
        "project_name": name,
        "docker_host": "unix:///var/run/docker.sock",
        "command_timeout": 60,
    }
    try:
        given.deploy(**options)
        assert given.variable("web", "LEVEL") == "given"
        assert given.container("web").labels["layer"] == "two"
        assert not given.deploy(**options).changed
    finally:
        given.clean_up()


def test_no_cache_builds_every_step_anew(environment: Environment, engine: docker.DockerClient) -> None:
    environment.write("Dockerfile", f"FROM {IMAGE}\nRUN head -c 16 /dev/urandom > /built\n")
    image = f"{environment.project}-web"
    environment.write("compose.yml", {"services": {"web": service(build=".", image=image)}})
    environment.deploy()
    built = engine.images.get(image).id
    assert not environment.deploy(state="built").changed
    assert environment.deploy(state="built", no_cache=True).actions == {("web", "build")}
    assert engine.images.get(image).id != built
    environment.clean_up()
    engine.images.remove(image, force=True)


def test_command_timeout_ends_a_build_that_hangs(environment: Environment) -> None:
    environment.write("Dockerfile", f"FROM {IMAGE}\nRUN sleep 60\n")
    built = {key: value for key, value in service().items() if key != "image"}
    environment.write("compose.yml", {"services": {"web": {**built, "build": "."}}})
    outcome = environment.run(command_timeout=3)
    assert outcome.failed
    assert "was ended after 3 s" in outcome.message
    assert environment.containers() == []


def test_engine_that_does_not_answer_is_told(running: Environment) -> None:
    outcome = running.run(docker_host="unix:///nowhere/docker.sock")
    assert outcome.failed
    assert "/nowhere/docker.sock" in outcome.message
