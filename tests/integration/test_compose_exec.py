"""Commands in containers: exact input and output, secrets in no process list, and failures that say what failed."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import IMAGE, Environment, Outcome, adhoc, service

ALL_BYTES = bytes(range(256)) * 40
CANARY = "canary-5f1c$'\"x"


@pytest.fixture
def deployed(environment: Environment) -> Environment:
    """An environment with one service that runs."""
    environment.write("compose.yml", {"services": {"web": service(environment={"COLOUR": "green"})}})
    environment.deploy()
    return environment


def run(environment: Environment, *flags: str, **options: object) -> Outcome:
    """Run a command in service web unless told otherwise."""
    return environment.run("compose_exec", *flags, **{"service": "web", **options})


def done(environment: Environment, *flags: str, **options: object) -> Outcome:
    """Run a command that has to succeed."""
    outcome = run(environment, *flags, **options)
    assert not outcome.failed, outcome.message
    return outcome


def refused(environment: Environment, kind: str | None, **options: object) -> Outcome:
    """Run a command that has to fail with this kind of error."""
    outcome = run(environment, **options)
    assert outcome.failed
    assert outcome.result.get("error_kind") == kind, outcome.result
    return outcome


def one_off_containers(environment: Environment) -> list[str]:
    label = [f"com.docker.compose.project={environment.project}", "com.docker.compose.oneoff=True"]
    return [str(each.name) for each in environment.engine.containers.list(all=True, filters={"label": label})]


def processes(environment: Environment) -> str:
    return str(environment.container("web").top())


def test_command_and_argv(deployed: Environment) -> None:
    told = done(deployed, command="sh -c 'echo \"a  b\" $COLOUR'")
    assert (told.result["stdout"], told.result["rc"], told.changed) == ("a  b green\n", 0, True)
    assert told.result["container"] == deployed.container("web").id
    assert told.result["release"] == 1
    assert told.actions == {("web", "exec")}
    argv = ["printf", "%s|", "a b", "", "$X"]
    told = done(deployed, argv=argv)
    assert (told.result["stdout"], told.result["argv"]) == ("a b||$X|", argv)


def test_argv_and_command_together_or_none_are_refused(deployed: Environment) -> None:
    assert "mutually exclusive" in refused(deployed, None, argv=["true"], command="true").message
    assert "one_off is False but any of the following are missing: argv, command" in refused(deployed, None).message


def test_user_workdir_and_streams(deployed: Environment) -> None:
    told = done(deployed, command="sh -c 'id -u; id -g; pwd; echo no >&2'", user="7:8", workdir="/etc")
    assert told.result["stdout"].splitlines() == ["7", "8", "/etc"]
    assert told.result["stderr"] == "no\n"


def test_index_picks_the_container(environment: Environment) -> None:
    environment.write("compose.yml", {"services": {"web": service(scale=2)}})
    environment.deploy()
    first, second = environment.containers("web")
    assert done(environment, command="hostname", index=2).result["container"] == second.id
    assert done(environment, command="hostname", index=1).result["container"] == first.id
    message = refused(environment, "not_running", command="true", index=3).message
    assert "service web number 3 of" in message
    assert "has no container" in message


@pytest.mark.parametrize("one_off", [False, True])
def test_all_bytes_go_in_and_come_out(deployed: Environment, one_off: bool) -> None:
    given = base64.b64encode(ALL_BYTES).decode()
    told = done(deployed, command="cat", stdin_base64=given, one_off=one_off)
    assert base64.b64decode(told.result["stdout_base64"]) == ALL_BYTES


@pytest.mark.parametrize("one_off", [False, True])
def test_text_goes_in_as_it_stands(deployed: Environment, one_off: bool) -> None:
    text = "no line break is added; ä\r\n\n $X"
    told = done(deployed, command="cat", stdin=text, one_off=one_off)
    assert told.result["stdout"] == text
    assert "stdout_base64" not in told.result


def test_file_goes_in(deployed: Environment, tmp_path: Path) -> None:
    source = tmp_path / "input"
    source.write_bytes(ALL_BYTES * 200)
    told = done(deployed, command="sha256sum", stdin_file=str(source))
    expected = deployed.container("web").exec_run(["sh", "-c", "sleep 0"])
    assert expected.exit_code == 0
    assert told.result["stdout"].split()[0] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert "cannot be read" in refused(deployed, None, command="cat", stdin_file="/nowhere").message


def test_without_stdin_the_input_is_empty(deployed: Environment) -> None:
    assert done(deployed, command="wc -c").result["stdout"] == "0\n"


@pytest.mark.parametrize("one_off", [False, True])
def test_env_of_any_name_and_value(deployed: Environment, one_off: bool) -> None:
    env = {
        "PLAIN": "with space ",
        "LINES": "first\nsecond $X",
        "HOME": "/elsewhere",
        "PATH": "/bin:/elsewhere",
        "DOCKER_HOST": "tcp://192.0.2.1:1",
        "COMPOSE_FILE": "/nowhere",
        "EMPTY": "",
        "NUMBER": 12,
    }
    script = f"for name in {' '.join(env)}; do eval 'printf %s \"$'$name'\" | sha256sum'; done"
    told = done(deployed, argv=["sh", "-c", script], env=env, one_off=one_off)
    digests = [hashlib.sha256(str(value).encode()).hexdigest() for value in env.values()]
    assert [line.split()[0] for line in told.result["stdout"].splitlines()] == digests


@pytest.mark.parametrize("one_off", [False, True])
def test_values_of_env_are_in_no_process_list_and_in_no_output(deployed: Environment, one_off: bool) -> None:
    env = {"PGPASSWORD": CANARY, "LINES": f"first\n{CANARY}"}
    argv = ["sh", "-c", 'sleep 1; echo "$PGPASSWORD"; echo "$LINES" >&2; printf "\\377$PGPASSWORD"']
    with sampled_process_list() as seen:
        told = done(deployed, "-vvvv", argv=argv, env=env, stdin=CANARY, one_off=one_off)
    assert any("PGPASSWORD" in each or "STRATA_EXEC" in each or "--no-deps" in each for each in seen)
    assert not any("canary" in each for each in seen)
    assert "canary" not in told.printed
    assert base64.b64decode(told.result["stdout_base64"]) == b"********\n\xff********"
    assert told.result["stderr"] == "********\n" or "********" in told.result["stderr"]


@contextlib.contextmanager
def sampled_process_list() -> Iterator[set[str]]:
    """The command lines of all processes of this machine while the body runs, but for this one's own options.

    Ansible's own ad hoc command line has the module's options, as a task in a playbook would not.
    """
    seen: set[str] = set()
    over = threading.Event()

    def sample() -> None:
        while not over.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    words = path.read_bytes().decode("utf-8", "replace").split("\0")
                    if not any(word.endswith(("/ansible", "ansible")) for word in words[:2]):
                        seen.add(" ".join(words))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def test_results_are_not_mangled_by_short_values(deployed: Environment) -> None:
    told = done(deployed, command="sh -c 'echo 1 $LEVEL; exit 1'", env={"LEVEL": "1"}, stdin="1", ok_rc=[1])
    assert (told.result["rc"], told.result["stdout"]) == (1, "1 1\n")


def test_secrets_of_the_env_file_are_masked(environment: Environment) -> None:
    environment.write("settings.env", "TOKEN='tok-en-value'\nCOMPOSE_PROJECT_NAME=ignored\n")
    environment.write("compose.yml", {"services": {"web": service(environment={"TOKEN": "${TOKEN}"})}})
    environment.variables = {"env_files": ["settings.env"], "project_name": environment.project}
    environment.deploy()
    told = done(environment, command="env")
    assert "TOKEN=********" in told.result["stdout"].splitlines()
    assert "tok-en" not in told.printed


def test_service_that_does_not_run_is_not_a_command_that_failed(deployed: Environment) -> None:
    failed = refused(deployed, "command_failed", command="sh -c 'echo first >&2; echo last words >&2; exit 1'")
    assert "service web: the command ended with exit code 1: first\nlast words" in failed.message
    assert (failed.result["rc"], failed.result["stderr"]) == (1, "first\nlast words\n")
    deployed.container("web").stop(timeout=1)
    message = refused(deployed, "not_running", command="true").message
    assert f"{deployed.project}-web-1 is exited" in message
    deployed.container("web").start()
    deployed.container("web").pause()
    assert "is paused" in refused(deployed, "not_running", command="true").message
    deployed.container("web").unpause()
    deployed.container("web").remove(force=True)
    failed = refused(deployed, "not_running", command="true")
    assert "has no container" in failed.message
    assert failed.result["rc"] is None
    assert "unix:///nowhere" in refused(deployed, None, command="true", docker_host="unix:///nowhere").message


def test_command_that_fails_and_ends_its_container_has_failed(deployed: Environment) -> None:
    refused(deployed, "command_failed", command="sh -c 'kill -TERM 1; sleep 20; exit 1'", user="0")


@pytest.mark.parametrize(
    "options",
    [{"argv": ["/no/such"]}, {"argv": ["true"], "user": "nobody-here"}, {"argv": ["true"], "workdir": "/etc/passwd"}],
)
@pytest.mark.parametrize("one_off", [False, True])
def test_command_that_cannot_be_executed(deployed: Environment, options: dict[str, object], one_off: bool) -> None:
    failed = refused(deployed, "command_failed", one_off=one_off, **options)
    assert "could not be executed in the container" in failed.message
    assert not one_off_containers(deployed)


def test_container_that_was_recreated_by_hand_is_found(deployed: Environment) -> None:
    was = deployed.container("web")
    was.rename("away")
    now = deployed.engine.containers.run(
        IMAGE, ["sleep", "60"], name=f"{deployed.project}-web-1", labels=was.labels, detach=True, init=True
    )
    was.remove(force=True)
    given = base64.b64encode(ALL_BYTES).decode()
    told = done(deployed, command="cat", stdin_base64=given)
    assert told.result["container"] == now.id
    assert base64.b64decode(told.result["stdout_base64"]) == ALL_BYTES


def test_one_off_container_is_not_taken_for_the_service(deployed: Environment) -> None:
    done(deployed, command="sleep 60", one_off=True, detach=True)
    container = deployed.container("web")
    assert done(deployed, command="hostname").result["stdout"].strip() == str(container.id)[:12]
    assert done(deployed, command="hostname", index=1).result["stdout"].strip() == str(container.id)[:12]
    container.stop(timeout=1)
    refused(deployed, "not_running", command="true")


def test_project_that_others_started(environment: Environment) -> None:
    labels = {
        "com.docker.compose.project": "by-hand",
        "com.docker.compose.service": "web",
        "com.docker.compose.oneoff": "False",
        "com.docker.compose.container-number": "1",
    }
    container = environment.engine.containers.run(IMAGE, ["sleep", "60"], labels=labels, detach=True, init=True)
    try:
        told = done(environment, command="echo here", project_name="by-hand")
        assert (told.result["stdout"], told.result["container"], told.result["release"]) == (
            "here\n",
            container.id,
            None,
        )
    finally:
        container.remove(force=True)


def test_exit_codes(deployed: Environment) -> None:
    assert done(deployed, command="sh -c 'exit 3'", ok_rc=[0, 3]).changed
    assert done(deployed, command="sh -c 'exit 3'", changed_rc=[3]).changed
    told = done(deployed, command="true", changed_rc=[3])
    assert (told.changed, told.result["actions"]) == (False, [])
    refused(deployed, "command_failed", command="sh -c 'exit 4'", changed_rc=[3])


def test_read_only_changes_nothing_and_runs_in_check_mode(deployed: Environment) -> None:
    assert not done(deployed, command="true", read_only=True).changed
    told = done(deployed, "--check", command="echo x", read_only=True)
    assert (told.result["stdout"], told.changed) == ("x\n", False)


def test_check_mode_runs_nothing_else(deployed: Environment) -> None:
    for one_off in (False, True):
        told = done(deployed, "--check", command="touch /made", one_off=one_off)
        assert told.result["skipped"]
    assert deployed.inside("web", "ls", "/").split().count("made") == 0
    assert not one_off_containers(deployed)


def test_creates_and_removes(deployed: Environment) -> None:
    assert done(deployed, command="touch /made", creates="/made").changed
    told = done(deployed, command="sh -c 'echo again; exit 9'", creates="/made")
    assert (told.changed, told.result["rc"], told.result["stdout"]) == (False, None, "")
    assert told.message == "skipped, since /made exists in the container"
    assert done(deployed, command="cat", stdin="in", removes="/made", creates="/other").result["stdout"] == "in"
    told = done(deployed, command="touch /x", removes="/absent", workdir="/tmp")
    assert told.message == "skipped, since /absent does not exist in the container"
    assert done(deployed, command="rm made", removes="made", workdir="/").changed
    failed = refused(deployed, "command_failed", command="sh -c 'exit 9'", creates="/made")
    assert failed.result["rc"] == 9


def test_one_off_has_everything_of_the_service_and_goes(environment: Environment) -> None:
    web = service(environment={"COLOUR": "green"}, volumes=["data:/data", "/anonymous"], networks=["inner"])
    web["depends_on"] = ["db"]
    layers = {"services": {"web": web, "db": service()}, "volumes": {"data": None}, "networks": {"inner": None}}
    environment.write("compose.yml", layers)
    environment.deploy()
    environment.inside("web", "touch", "/data/kept")
    environment.container("db").stop(timeout=1)
    before = environment.ids()
    told = done(
        environment, command="sh -c 'echo $COLOUR; ls /data; hostname; nslookup web'", one_off=True, ok_rc=[0, 1]
    )
    assert told.result["stdout"].splitlines()[:2] == ["green", "kept"]
    assert told.result["stdout"].splitlines()[2] not in before["web"][0]
    assert told.result["container"].startswith(f"{environment.project}-web-run-")
    assert not one_off_containers(environment)
    assert environment.ids() == before
    assert environment.container("db").status == "exited"


def test_one_off_of_a_service_that_was_never_deployed(environment: Environment) -> None:
    layers = {"services": {"web": service(), "tool": service(profiles=["tools"], environment={"NAME": "$NAME"})}}
    environment.write("other.yml", layers)
    environment.write("other.env", "NAME=value\n")
    options = {"service": "tool", "command": "sh -c 'echo $NAME'", "one_off": True}
    options |= {"files": ["other.yml"], "env_files": ["other.env"]}
    assert "unknown service: tol." in refused(environment, None, **{**options, "service": "tol"}).message
    told = done(environment, **options, profiles=["tools"], command_timeout=60)
    assert told.result["stdout"] == "value\n"
    assert not environment.containers()


def test_one_off_of_a_service_whose_profile_is_off_runs_its_own_command(environment: Environment) -> None:
    runner = service(profiles=["tests"], command=["sh", "-c", "echo 3 passed; echo slow >&2; exit 2"])
    environment.write("compose.yml", {"services": {"web": service(), "test-runner": runner}})
    environment.deploy()
    before = environment.ids()
    told = done(environment, service="test-runner", one_off=True, ok_rc=[2])
    assert (told.result["stdout"], told.result["stderr"], told.result["rc"]) == ("3 passed\n", "slow\n", 2)
    assert told.result["argv"] == []
    failed = refused(environment, "command_failed", service="test-runner", one_off=True)
    assert "service test-runner: the command ended with exit code 2: slow" in failed.message
    assert not one_off_containers(environment)
    assert environment.ids() == before
    unneeded = refused(environment, None, service="test-runner", one_off=True, creates="/etc")
    assert "there is no command to run" in unneeded.message


def test_one_off_that_fails_goes_too(deployed: Environment) -> None:
    failed = refused(deployed, "command_failed", command="sh -c 'echo why >&2; exit 5'", one_off=True)
    assert "exit code 5: why" in failed.message
    assert not one_off_containers(deployed)


def test_one_off_without_its_image_did_not_run(environment: Environment) -> None:
    environment.write("compose.yml", {"services": {"web": service(image="localhost:1/absent:1", pull_policy="never")}})
    failed = refused(environment, "not_running", command="true", one_off=True, ok_rc=[0, 1])
    assert "no one-off container could be started" in failed.message
    assert "absent" in failed.message


def test_one_off_exit_code_1_without_output_is_the_commands_own(deployed: Environment) -> None:
    assert done(deployed, command="false", one_off=True, ok_rc=[1]).result["rc"] == 1
    refused(deployed, "command_failed", command="sh -c 'echo Error response from daemon >&2; exit 1'", one_off=True)


@pytest.mark.parametrize("one_off", [False, True])
def test_timeout_ends_the_command_and_its_children(deployed: Environment, one_off: bool) -> None:
    began = time.monotonic()
    argv = ["sh", "-c", "echo begun; sleep 4001 & sleep 4002"]
    failed = refused(deployed, "timeout", argv=argv, timeout=2, one_off=one_off)
    assert time.monotonic() - began < 15
    assert "did not end within 2 s. It was ended" in failed.message
    assert (failed.result["stdout"], failed.result["rc"]) == ("begun\n", None)
    assert "400" not in processes(deployed)
    assert not one_off_containers(deployed)
    assert "3600" in processes(deployed)


def test_timeout_says_when_the_command_may_go_on(deployed: Environment) -> None:
    failed = refused(deployed, "timeout", argv=["env", "-i", "sleep", "4003"], timeout=1)
    assert "so it may go on" in failed.message
    assert "4003" in processes(deployed)


@pytest.mark.parametrize("one_off", [False, True])
def test_detach_returns_at_once(deployed: Environment, one_off: bool) -> None:
    began = time.monotonic()
    told = done(deployed, command="sleep 4004", detach=True, one_off=one_off)
    assert time.monotonic() - began < 15
    assert (told.changed, told.result["rc"]) == (True, None)
    if one_off:
        assert one_off_containers(deployed) == [told.result["container"]]
    else:
        assert "4004" in processes(deployed)


def test_detached_command_that_cannot_be_executed_fails(deployed: Environment) -> None:
    refused(deployed, "command_failed", argv=["/no/such"], detach=True)


def test_long_output_goes_to_the_host(deployed: Environment) -> None:
    script = "i=0; while [ $i -lt 40000 ]; do echo line $i; i=$((i+1)); done; echo short >&2"
    told = done(deployed, argv=["sh", "-c", script], max_output=1000)
    expected = "".join(f"line {number}\n" for number in range(40_000))
    kept = Path(told.result["stdout_file"])
    assert kept.read_text() == expected
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent == deployed.state_dir / deployed.project / "output"
    assert told.result["stdout"] == expected[-1000:]
    assert told.result["stderr"] == "short\n"
    assert "stderr_file" not in told.result


@pytest.mark.parametrize("code", [0, 7])
def test_output_that_no_disk_can_keep_hides_no_result(deployed: Environment, code: int) -> None:
    """A file in the place of the folder stands for a full disk: nothing can be written there."""
    (deployed.state_dir / deployed.project / "output").write_text("")
    script = f"i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); done; exit {code}"
    told = run(deployed, argv=["sh", "-c", script], max_output=100)
    assert told.failed == bool(code)
    assert (told.changed, told.result["rc"]) == (True, code)
    assert told.result["stdout"].endswith("line 399\n")
    assert "stdout_file" not in told.result
    (warning,) = told.result["warnings"]
    assert "only the end of the command's output" in str(warning)


def test_much_output_takes_little_memory(deployed: Environment) -> None:
    told = done(deployed, argv=["sh", "-c", "yes 0123456789abcde | head -c 300000000"], max_output=16)
    kept = Path(told.result["stdout_file"])
    assert kept.stat().st_size == 300_000_000
    assert told.result["stdout"] == "0123456789abcde\n"
    kept.unlink()


@pytest.fixture
def starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log with a line for each start of the CLI: wrappers that become the real programs lie before them."""
    log = tmp_path / "starts"
    real = shutil.which("docker")
    plugins = [Path(folder) / "docker-compose" for folder in compose_folders()]
    compose = next(path for path in plugins if path.exists())
    for wrapper, program in (
        (tmp_path / "bin/docker", real),
        (tmp_path / "config/cli-plugins/docker-compose", compose),
    ):
        wrapper.parent.mkdir(parents=True)
        wrapper.write_text(f'#!/bin/sh\necho "{wrapper.name} $*" >> {log}\nexec {program} "$@"\n')
        wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    return log


def compose_folders() -> tuple[str, ...]:
    from ansible_collections.strata.compose.plugins.module_utils._cli import PLUGIN_FOLDERS

    return PLUGIN_FOLDERS


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"user": "0", "workdir": "/tmp", "env": {"HOME": "/x", "LINES": "a\nb"}},
        {"stdin": "text", "creates": "/absent", "removes": "/etc"},
        {"creates": "/etc"},
        {"one_off": True, "env": {"HOME": "/x"}},
        {"argv": ["sh", "-c", "exit 7"], "ok_rc": [7]},
        {"argv": ["false"], "ok_rc": [0, 1]},
    ],
)
def test_one_process_of_the_cli(deployed: Environment, starts: Path, options: dict[str, object]) -> None:
    done(deployed, **{"argv": ["true"], **options})
    begun = [line for line in starts.read_text().splitlines() if line.startswith(("docker ", "docker-compose "))]
    assert len(begun) == 1, begun


def test_variables_of_the_inventory_stand_for_options(deployed: Environment) -> None:
    options = {"service": "web", "command": "hostname"}
    variables = {
        "compose_env_project_dir": str(deployed.folder),
        "compose_env_environment": "dev",
        "compose_env_state_dir": str(deployed.state_dir),
        "compose_exec_workdir": "/etc",
        "compose_env_timeout": 1,
    }
    given = [word for name, value in variables.items() for word in ("-e", f"{name}={value}")]
    told = adhoc("compose_exec", {**options, "command": "pwd"}, *given)
    assert told.result["stdout"] == "/etc\n"
