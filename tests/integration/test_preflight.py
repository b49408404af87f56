"""Whatever can be checked is checked before anything is touched, and told with the thing, the place and the way out."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._endpoint import is_local

from tests.integration.conftest import IMAGE, Environment, Outcome, service


def refused(environment: Environment, **options: object) -> Outcome:
    """A deployment that fails and leaves the engine as it is; the plan tells the same."""
    before = environment.ids()
    planned = environment.plan(**options)
    outcome = environment.run(**options)
    assert outcome.failed
    assert planned.message == outcome.message, "the plan does not tell what the deployment tells"
    assert environment.ids() == before
    return outcome


@pytest.fixture
def running(environment: Environment) -> Environment:
    environment.write("compose.yml", {"services": {"web": service()}})
    environment.deploy()
    return environment


def test_undefined_variable_is_told_with_file_and_line(running: Environment) -> None:
    running.write("compose.yml", {"services": {"web": service(environment={"A": "${MISSING}", "B": "${ALSO-fine}"})}})
    outcome = refused(running)
    lines = (running.folder / "compose.yml").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "MISSING" in text)
    assert f"MISSING ({running.folder}/compose.yml:{line})" in outcome.message
    assert ".env.dev" in outcome.message
    assert "ALSO" not in outcome.message
    assert outcome.result["undefined"] == ["MISSING"]


def test_variable_of_the_host_does_not_stand_in(running: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stray ``TAG=`` of whoever starts the job neither defines a variable nor beats the env file."""
    monkeypatch.setenv("TAG", "999")
    running.write("compose.yml", {"services": {"web": service(image="busybox:${TAG}")}})
    assert "TAG" in refused(running).message
    running.write(".env.dev", "TAG=1\n")
    assert not running.deploy().changed


@pytest.mark.parametrize("kind", ["secrets", "configs"])
def test_missing_file_of_secrets_and_configs(running: Environment, kind: str) -> None:
    layer = {"services": {"web": service(**{kind: ["thing"]})}, kind: {"thing": {"file": "./gone.txt"}}}
    running.write("compose.yml", layer)
    assert f"{running.folder}/gone.txt is missing" in refused(running).message


def test_missing_file_that_was_mounted_before_is_not_made_a_folder(running: Environment) -> None:
    running.write("site.conf", "x")
    running.write("compose.yml", {"services": {"web": service(volumes=["./site.conf:/etc/site.conf"])}})
    running.deploy()
    (running.folder / "site.conf").unlink()
    assert f"{running.folder}/site.conf is missing" in refused(running).message
    assert not (running.folder / "site.conf").exists()


def test_missing_source_that_the_mount_does_not_let_the_engine_make(running: Environment) -> None:
    mount = {"type": "bind", "source": "./gone", "target": "/x", "bind": {"create_host_path": False}}
    running.write("compose.yml", {"services": {"web": service(volumes=[mount])}})
    assert f"{running.folder}/gone is missing" in refused(running).message


def test_missing_folders_are_made_whatever_they_are_called(running: Environment) -> None:
    """As Compose does; what may be meant as a file is warned of, in the plan too."""
    mounts = ["./sites/example.com:/srv/sites", "./conf.d:/etc/conf.d", "./nginx.conf:/etc/other.conf"]
    running.write("compose.yml", {"services": {"web": service(volumes=mounts)}})
    (planned,) = running.plan().result["warnings"]
    (warning,) = running.deploy().result["warnings"]
    told = f"{running.folder}/nginx.conf does not exist, so an empty folder is made there"
    assert told in str(planned)
    assert told in str(warning)
    assert all((running.folder / name).is_dir() for name in ("sites/example.com", "conf.d", "nginx.conf"))


def test_source_that_no_folder_can_be_made_of(running: Environment) -> None:
    running.write("file", "x")
    (running.folder / "link").symlink_to("nowhere")
    running.write("compose.yml", {"services": {"web": service(volumes=["./file/below:/a", "./link:/b"])}})
    message = refused(running).message
    assert f"{running.folder}/file/below cannot be made, for {running.folder}/file is a file" in message
    assert f"{running.folder}/link is a symbolic link that leads nowhere" in message


def test_missing_service_env_file(running: Environment) -> None:
    running.write("compose.yml", {"services": {"web": service(env_file=["gone.env"])}})
    assert "gone.env" in refused(running).message


def test_host_port_of_a_process_names_the_process(running: Environment) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        running.write("compose.yml", {"services": {"web": service(ports=[f"127.0.0.1:{port}:80"])}})
        message = refused(running).message
    assert f"host port 127.0.0.1:{port}/tcp is in use by process " in message
    assert "(pid " in message


def test_host_port_of_a_container_names_its_project(running: Environment) -> None:
    other = running.engine.containers.run(IMAGE, ["sleep", "60"], detach=True, ports={"80/tcp": ("127.0.0.1", None)})
    try:
        other.reload()
        port = other.ports["80/tcp"][0]["HostPort"]
        running.write("compose.yml", {"services": {"web": service(ports=[f"{port}:80"])}})
        assert f"host port 0.0.0.0:{port}/tcp is in use by container {other.name}" in refused(running).message
    finally:
        other.remove(force=True)


def test_host_port_may_move_between_services(running: Environment) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running.write("compose.yml", {"services": {"web": service(ports=[f"127.0.0.1:{port}:80"])}})
    running.deploy()
    running.write("compose.yml", {"services": {"front": service(ports=[f"127.0.0.1:{port}:80"])}})
    assert running.deploy().actions == {("web", "remove"), ("front", "create")}


def test_host_port_wanted_twice(running: Environment) -> None:
    twice = {name: service(ports=["127.0.0.1:28999:80"]) for name in ("web", "front")}
    running.write("compose.yml", {"services": twice})
    assert "28999/tcp is wanted by service" in refused(running).message


def test_unknown_service_names_the_known(running: Environment) -> None:
    message = refused(running, services=["wbe"]).message
    assert "unknown service: wbe" in message
    assert "web" in message


def test_unknown_profile_names_the_known(running: Environment) -> None:
    running.write("compose.yml", {"services": {"web": service(), "debug": service(profiles=["debug"])}})
    message = refused(running, profiles=["debgu"]).message
    assert "unknown profile: debgu" in message
    assert "debug" in message


def test_image_that_is_not_here_and_may_not_be_pulled(running: Environment) -> None:
    running.write("compose.yml", {"services": {"web": service(image="strata-test/none:1")}})
    assert (
        "strata-test/none:1 is not here and may not be pulled (pull is never)" in refused(running, pull="never").message
    )


def test_image_that_may_not_be_built(running: Environment) -> None:
    web = {key: value for key, value in service().items() if key != "image"}
    running.write("compose.yml", {"services": {"web": {**web, "build": "."}}})
    assert "may not be built (build is never)" in refused(running, build="never").message


def test_image_that_cannot_be_pulled_leaves_everything_running(running: Environment) -> None:
    running.write("compose.yml", {"services": {"web": service(image="127.0.0.1:9/none:1")}})
    before = running.ids()
    outcome = running.run()
    assert outcome.failed
    assert "cannot be had, no container was touched" in outcome.message
    assert running.ids() == before


def test_image_that_cannot_be_built_leaves_everything_running(running: Environment) -> None:
    web = {key: value for key, value in service().items() if key != "image"}
    running.write("compose.yml", {"services": {"web": {**web, "build": "."}}})
    running.write("Dockerfile", f"FROM {IMAGE}\nRUN echo broken && exit 9\n")
    before = running.ids()
    outcome = running.run()
    assert outcome.failed
    assert "broken" in outcome.message
    assert running.ids() == before


def test_no_layers_tells_what_was_looked_for(environment: Environment) -> None:
    message = refused(environment).message
    assert f"no Compose file for environment dev in {environment.folder}" in message
    assert "docker-compose.yml" in message


def test_broken_layer_is_told_with_composes_words(running: Environment) -> None:
    running.write("compose.yml", "services:\n  web:\n    imagee: busybox\n")
    assert "imagee" in refused(running).message


def test_missing_layer_and_env_file_are_named(running: Environment) -> None:
    assert f"layer not found: {running.folder}/gone.yml" in refused(running, files=["gone.yml"]).message
    assert f"env file not found: {running.folder}/gone.env" in refused(running, env_files=["gone.env"]).message


def test_project_name_that_compose_would_refuse(running: Environment) -> None:
    assert "project_name 'Shop!' is not allowed" in refused(running, project_name="Shop!").message


def test_scale_of_an_unknown_service_and_no_number(running: Environment) -> None:
    assert "unknown service: api" in refused(running, scale={"api": 2}).message
    assert "scale of service web is 'many'" in refused(running, scale={"web": "many"}).message


@pytest.mark.parametrize(
    ("host", "local"), [("unix:///run/elsewhere.sock", True), ("ssh://admin@192.0.2.1", False), ("", True)]
)
def test_sockets_of_this_host_count_where_the_context_leads_to_this_host(
    host: str, local: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    if host:
        subprocess.run(["docker", "context", "create", "chosen", "--docker", f"host={host}"], check=True)
        monkeypatch.setenv("DOCKER_CONTEXT", "chosen")
    assert is_local(Cli("/", None, 30)) == local
    assert not is_local(Cli("/", "tcp://192.0.2.1:2376", 30)), "docker_host wins over the context"


@pytest.mark.parametrize("check", [None, {"disable": True}, {"test": ["NONE"]}, {"interval": "5s"}])
def test_wait_for_the_health_of_a_service_without_a_check(
    running: Environment, check: dict[str, object] | None
) -> None:
    """Compose says "has no healthcheck configured" and starts nothing."""
    db = service(**({"healthcheck": check} if check else {}))
    waits = {"depends_on": {"db": {"condition": "service_healthy"}}}
    running.write("compose.yml", {"services": {"web": service(**waits), "db": db}})
    message = refused(running).message
    assert "service web waits for service db to be healthy, and db has no health check" in message
    if check is None:
        running.write("compose.yml", {"services": {"web": service(**waits), "db": service(healthcheck=HEALTHY)}})
        running.deploy()


HEALTHY = {"test": ["CMD", "true"], "interval": "1s", "start_period": "10s"}


def test_health_check_of_an_image_that_is_built_first_counts(running: Environment) -> None:
    """Whether an image has one is known when it is here: then, and before any container is touched."""
    running.write("docker/Dockerfile", f"FROM {IMAGE}\nCMD sleep 3600\n")
    waits = service(depends_on={"db": {"condition": "service_healthy"}}, environment={"CHANGED": "yes"})
    image = f"{running.project}-checked"
    db = {"image": image, "build": "docker", "init": True, "stop_grace_period": "1s"}
    running.write("compose.yml", {"services": {"web": waits, "db": db}})
    before = running.ids()
    assert not running.plan().failed
    try:
        assert f"or in image {image}" in running.run().message
        assert running.ids() == before
        running.write("docker/Dockerfile", f"FROM {IMAGE}\nCMD sleep 3600\nHEALTHCHECK --interval=1s CMD true\n")
        assert running.deploy(build="always").actions >= {("web", "recreate"), ("db", "create")}
    finally:
        running.clean_up()
        for built in running.engine.images.list(name=image):
            running.engine.images.remove(built.id, force=True)


def test_each_family_has_host_ports_of_its_own(running: Environment) -> None:
    port = free_port()
    running.write("compose.yml", {"services": {"web": service(ports=[f"0.0.0.0:{port}:80", f"[::1]:{port}:80"])}})
    running.deploy()
    bound = running.container("web").attrs["NetworkSettings"]["Ports"]["80/tcp"]
    assert {each["HostIp"] for each in bound} == {"0.0.0.0", "::1"}


@pytest.mark.parametrize("only_ipv6", [True, False])
def test_process_on_all_of_ipv6_may_have_ipv4_too(running: Environment, only_ipv6: bool) -> None:
    with socket.socket(socket.AF_INET6) as listener:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only_ipv6))
        listener.bind(("::", 0))
        listener.listen()
        port = listener.getsockname()[1]
        running.write("compose.yml", {"services": {"web": service(ports=[f"127.0.0.1:{port}:80"])}})
        if only_ipv6:
            running.deploy()
        else:
            assert f"host port 127.0.0.1:{port}/tcp is in use by process " in refused(running).message


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


REFUSED_BY_THE_ENGINE = {
    "device": ({"devices": ["/dev/nothing"]}, "device /dev/nothing does not exist on this host"),
    "network": ({"network_mode": "container:nobody"}, "container nobody of its network_mode does not exist"),
    "processes": ({"pid": "container:nobody"}, "container nobody of its pid does not exist"),
    "memory": ({"ipc": "container:nobody"}, "container nobody of its ipc does not exist"),
    "runtime": ({"runtime": "nothing"}, "this engine has no runtime nothing, it has"),
    "log": ({"logging": {"driver": "nothing"}}, "this engine has no logging driver nothing, it has"),
    "volumes": ({"volumes_from": ["container:nobody:ro"]}, "container nobody of its volumes_from does not exist"),
    "ports": ({"network_mode": "service:web", "ports": ["28460:80"]}, "cannot publish ports of its own"),
    "secret": ({"secrets": ["far"]}, "secret far is external, which Compose supports on Swarm only"),
}


def test_start_interval_on_an_engine_without_it(running: Environment) -> None:
    check = {"test": ["CMD", "true"], "interval": "1s", "start_period": "5s", "start_interval": "1s"}
    running.write("compose.yml", {"services": {"web": service(healthcheck=check)}})
    version = running.engine.version()["Version"]
    if int(version.partition(".")[0]) >= 25:
        running.deploy()
    else:
        assert f"start_interval needs Docker Engine 25, and this is {version}" in refused(running).message


def test_what_the_engine_would_refuse_in_the_middle(running: Environment) -> None:
    """All of it is told at once."""
    services = {name: service(**keys) for name, (keys, _message) in REFUSED_BY_THE_ENGINE.items()}
    layers = {"services": {"web": service(), **services}, "secrets": {"far": {"external": True}}}
    running.write("compose.yml", layers)
    message = refused(running).message
    for name, (_keys, told) in REFUSED_BY_THE_ENGINE.items():
        assert f"service {name}: " in message
        assert told in message
