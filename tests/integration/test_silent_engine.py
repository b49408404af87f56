"""An engine that accepts connections and answers nothing: told within the time that an answer may take."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _engine_questions, _gate
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._exec import execute
from ansible_collections.strata.compose.plugins.module_utils._info import gather
from ansible_collections.strata.compose.plugins.module_utils._operations import run
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._spec import COMPOSE_ENV, COMPOSE_ENV_INFO, COMPOSE_EXEC
from ansible_collections.strata.compose.plugins.module_utils._states import performer

from tests.integration.conftest import Environment, service
from tests.integration.test_transactions import require_consistent, state_of

ENGINE = "/var/run/docker.sock"
LIMIT = 3.0


class Engine:
    """A socket in front of this machine's engine, which falls silent when it is told to."""

    def __init__(self, path: Path) -> None:
        self.address = f"unix://{path}"
        self.falls_silent: Callable[[], bool] = lambda: False
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(64)
        self._kept: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listening.accept()
            except OSError:
                return
            self._kept.append(client)
            if not self.falls_silent():
                threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.connect(ENGINE)
        self._kept.append(server)
        threading.Thread(target=self._pump, args=(server, client), daemon=True).start()
        self._pump(client, server)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while (block := source.recv(1 << 16)) and not self.falls_silent():
                sink.sendall(block)
            if not block:
                sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for each in (self._listening, *self._kept):
            each.close()


@pytest.fixture
def silent(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The engine behind a socket of its own, and short limits."""
    monkeypatch.setattr(_engine_questions, "LIMIT", LIMIT)
    monkeypatch.setattr(_engine_questions, "LAST_LOOK", 1.0)
    monkeypatch.setattr(_engine_questions, "SECOND_QUESTION", 1.0)
    monkeypatch.setattr(_gate, "LOG_TIMEOUT", 1.0)
    path = environment.state_dir.parent / "e.sock"
    with closing(Engine(path)) as engine:
        environment.variables["docker_host"] = engine.address
        yield engine


def options_of(environment: Environment, module: str, spec: Any, **given: Any) -> dict[str, Any]:
    defaults = {name: option.get("default") for name, option in spec.items()}
    return {**defaults, **environment.options(module, given)}


def deploy(environment: Environment, **given: Any) -> dict[str, Any]:
    """In this process, which has the short limits."""
    options = options_of(environment, "compose_env", COMPOSE_ENV, **given)
    return run(options, Redactor(), False, False, performer(options["state"]))


def failure_within(seconds: float, act: Callable[[], Any]) -> ComposeFailure:
    began = time.monotonic()
    with pytest.raises(ComposeFailure) as caught:
        act()
    assert time.monotonic() - began < seconds
    return caught.value


def require_told(failure: ComposeFailure, engine: Engine) -> None:
    assert f"the engine at {engine.address} does not answer" in failure.message
    assert "raise" not in failure.message.lower()
    assert failure.facts["error_kind"] == "timeout"


@pytest.mark.parametrize("state", ["present", "stopped", "absent"])
def test_operation_tells_of_a_silent_engine_and_works_when_it_is_back(
    environment: Environment, silent: Engine, state: str
) -> None:
    environment.write("compose.yml", {"services": {"web": service()}})
    deploy(environment)
    silent.falls_silent = lambda: True
    environment.write("compose.yml", {"services": {"web": service(environment={"V": "2"})}})
    failure = failure_within(LIMIT + 8, lambda: deploy(environment, state=state))
    require_told(failure, silent)
    assert not failure.facts.get("changed")
    options = options_of(environment, "compose_env_info", COMPOSE_ENV_INFO, gather=["lock"])
    assert gather(options, Redactor())["lock"]["held"] is False
    silent.falls_silent = lambda: False
    assert deploy(environment, state=state)["changed"]
    require_consistent(environment)


def test_info_and_exec_tell_of_a_silent_engine(environment: Environment, silent: Engine) -> None:
    environment.write("compose.yml", {"services": {"web": service()}})
    deploy(environment)
    silent.falls_silent = lambda: True
    info = options_of(environment, "compose_env_info", COMPOSE_ENV_INFO, gather=["services"])
    require_told(failure_within(LIMIT + 8, lambda: gather(info, Redactor())), silent)
    command = {"service": "web", "argv": ["true"], "timeout": 2}
    told = options_of(environment, "compose_exec", COMPOSE_EXEC, **command)
    late = failure_within(LIMIT + 10, lambda: execute(told, Redactor(), False))
    require_told(late, silent)
    assert "did not end within 2 s" in late.message


def is_in_phase(environment: Environment, *phases: str) -> bool:
    """Whether the journal has one of the phases; it is replaced while it is read."""
    with suppress(FileNotFoundError):
        return json.loads((state_of(environment) / "journal.json").read_text())["phase"] in phases
    return False


def test_gate_takes_no_longer_than_its_time_when_the_engine_falls_silent(
    environment: Environment, silent: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of questions is longer than the gate has; what is left of the gate bounds them."""
    environment.write("compose.yml", {"services": {"web": service()}})
    deploy(environment)
    late = {"test": ["CMD", "false"], "interval": "1s", "retries": 1, "start_period": "600s"}
    environment.write("compose.yml", {"services": {"web": service(healthcheck=late)}})
    monkeypatch.setattr(_engine_questions, "LIMIT", 25.0)
    began: list[float] = []

    def falls_silent() -> bool:
        is_reached = is_in_phase(environment, "gate")
        if is_reached and not began:
            began.append(time.monotonic())
        return is_reached

    ended: list[float] = []

    def note_end() -> None:
        while not is_in_phase(environment, "roll back", "degraded"):
            time.sleep(0.05)
        ended.append(time.monotonic())

    silent.falls_silent = falls_silent
    threading.Thread(target=note_end, daemon=True).start()
    failure = failure_within(90, lambda: deploy(environment, wait_timeout=4))
    assert ended[0] - began[0] < 12, "4 s were given; this machine may be slow"
    assert f"the engine at {silent.address} does not answer" in failure.message
    silent.falls_silent = lambda: False
    environment.write("compose.yml", {"services": {"web": service(environment={"V": "3"})}})
    deploy(environment)
    require_consistent(environment)


def test_logs_that_cannot_be_read_hide_no_cause() -> None:
    class Silent:
        def docker(self, *_argv: str, **_options: Any) -> Any:
            raise ComposeFailure("the engine does not answer", error_kind="timeout")

    assert _gate.log_tail(Silent(), "c1") == ["(the log cannot be read: the engine does not answer)"]  # type: ignore[arg-type]


def test_command_of_a_busy_engine_is_told_with_its_option(tmp_path: Path) -> None:
    """The engine answers: what is late is the command itself."""
    from ansible_collections.strata.compose.plugins.module_utils._cli import Cli

    cli = Cli(str(tmp_path), None, 1)
    failure = failure_within(30, lambda: cli.run(["sleep", "30"]))
    assert (
        failure.message == "`sleep 30` was ended after 1 s without a result. Raise command_timeout if it needs longer."
    )
