"""What the application itself answers decides: it is asked last, and a release that fails it is taken back."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests import processes
from tests.integration import canaries
from tests.integration.conftest import Environment, Outcome, service
from tests.integration.test_gate import thorough
from tests.integration.test_lock import deploying
from tests.integration.test_transactions import in_phase, require_consistent, require_rolled_back, state_of, wait_for

WEB = ["sh", "-c", "mkdir -p /www && echo $$RELEASE > /www/release && exec httpd -f -p 8080 -h /www"]
INSIDE = "http://localhost:8080"
QUICK = {"timeout": 2, "retries": 0}


def services(release: str = "one", **web: Any) -> dict[str, Any]:
    """A web server that says which release it is, and a service that is never concerned."""
    return {"web": service(command=WEB, environment={"RELEASE": release}, **web), "idle": service()}


@dataclass
class Server:
    """Answers on this host as it is told, and notes who asked."""

    port: int = 0
    status: list[int] = field(default_factory=lambda: [200])
    """one for each request, the last of them for all that follow"""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    location: str = ""
    body: str = "all is well"
    on_request: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving_here() -> Iterator[Server]:
    told = Server()
    told.go_on.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append((self.path, dict(self.headers)))
            told.on_request.set()
            told.go_on.wait(30)
            status = told.status.pop(0) if len(told.status) > 1 else told.status[0]
            body = told.body.encode()
            self.send_response(status)
            if told.location and 300 <= status < 400:
                self.send_header("Location", told.location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Not into the output of the tests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        told.port = http.server_port
        threading.Thread(target=http.serve_forever, daemon=True).start()
        try:
            yield told
        finally:
            told.go_on.set()
            http.shutdown()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving_here() as told:
        yield told


@pytest.fixture
def serving(environment: Environment) -> Environment:
    """Release 1 serves and is asked nothing."""
    environment.write("compose.yml", {"services": services()})
    environment.deploy()
    return environment


def gate_of(environment: Environment, release: int = 1) -> list[dict[str, Any]]:
    record = json.loads((state_of(environment) / "releases" / f"{release:04d}" / "release.json").read_text())
    found: list[dict[str, Any]] = record["gate"]
    return found


def second(environment: Environment, **options: Any) -> Outcome:
    """Deploy a second release."""
    environment.write("compose.yml", {"services": services("two")})
    return environment.run(**options)


def test_an_answer_of_the_application_passes_and_is_stored_with_the_release(
    environment: Environment, server: Server
) -> None:
    environment.write("compose.yml", {"services": services()})
    outcome = environment.deploy(gate_url=f"{server.url}/health")
    assert [path for path, _headers in server.asked] == ["/health"]
    assert [each["url"] for each in gate_of(environment)] == [f"{server.url}/health"]
    assert ("gate", "change") in outcome.actions
    assert not environment.deploy().changed, "unset keeps what the last release had"
    assert not environment.deploy(gate_url=f"{server.url}/health").changed
    assert len(server.asked) == 1, "nothing was to be done, so nobody asks"


def test_a_wrong_answer_brings_the_old_release_back(serving: Environment, server: Server) -> None:
    idle, web = serving.ids()["idle"], serving.ids()["web"]
    server.status, server.body = [503], "no \x1b[31mdatabase " + "x" * 400
    outcome = second(serving, gate_url={"url": f"{server.url}/health", **QUICK})
    require_rolled_back(serving, outcome)
    assert serving.ids()["idle"] == idle
    assert serving.ids()["web"] != web, "it was asked when the new container was there"
    assert f"gate_url {server.url}/health (from the host)" in outcome.message
    assert "status 503, expected status 200 to 399 (1 try)" in outcome.message
    assert "release 2 does not pass" in outcome.message
    assert "no \\x1b[31mdatabase" in outcome.message
    assert "x" * 200 not in outcome.message
    failed = outcome.result["failed_gate"]
    assert (failed["option"], failed["got"], failed["tries"]) == ("gate_url", "status 503", 1)
    assert gate_of(serving, 1) == [], "release 1 is asked what it was asked before"
    assert len(server.asked) == 1, "the release that came back was not asked what the new one was"


def test_no_answer_fails_with_the_cause(serving: Environment) -> None:
    with serving_here() as gone:
        url = gone.url
    outcome = second(serving, gate_url={"url": url, **QUICK})
    require_rolled_back(serving, outcome)
    assert "no answer: Connection refused" in outcome.message


def test_a_server_that_is_silent_is_not_waited_for(serving: Environment, server: Server) -> None:
    server.go_on.clear()
    outcome = second(serving, gate_url={"url": server.url, **QUICK})
    server.go_on.set()
    require_rolled_back(serving, outcome)
    assert "no answer within 2 s" in outcome.message


@pytest.mark.parametrize(("status", "passes"), [(204, True), thorough([200, 401], False), thorough([204, 401], True)])
def test_status_that_is_expected(serving: Environment, server: Server, status: Any, passes: bool) -> None:
    server.status = [204]
    outcome = serving.run(gate_url={"url": server.url, "status": status, **QUICK})
    assert outcome.failed is not passes


def test_it_is_asked_again_until_it_is_ready(serving: Environment, server: Server) -> None:
    server.status = [503, 503, 200]
    assert not second(serving, gate_url={"url": server.url, "retries": 3}).failed
    assert len(server.asked) == 3
    assert serving.variable("web", "RELEASE") == "two"


def test_redirects_are_followed_only_to_the_same_origin(serving: Environment, server: Server) -> None:
    server.status, server.location = [302, 404], "/there"
    headers = {"Authorization": "Bearer some-long-token"}
    outcome = serving.run(gate_url={"url": f"{server.url}/", "headers": headers, **QUICK})
    assert "status 404" in outcome.message
    assert [path for path, _headers in server.asked] == ["/", "/there"]
    with serving_here() as other:
        server.status, server.location = [302], other.url
        assert not serving.run(gate_url={"url": f"{server.url}/", "headers": headers, **QUICK}).failed
        assert other.asked == []


def test_a_bad_proxy_has_no_say(serving: Environment, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert not serving.run(gate_url={"url": server.url, **QUICK}).failed


def test_a_changed_gate_alone_is_tried_and_recorded(serving: Environment, server: Server) -> None:
    ids = serving.ids()
    server.status = [500]
    failed = serving.run(gate_url={"url": server.url, **QUICK})
    assert failed.failed
    assert not failed.changed
    assert "No container was changed. Release 1 serves on" in failed.message
    assert gate_of(serving) == []
    server.status = [200]
    outcome = serving.deploy(gate_url={"url": server.url, **QUICK})
    assert outcome.actions == {("gate", "change")}
    assert (outcome.result["release"], len(gate_of(serving))) == (1, 1)
    dropped = serving.deploy(gate_url=[])
    assert dropped.actions == {("gate", "change")}
    assert gate_of(serving) == []
    assert serving.ids() == ids
    assert not serving.deploy(gate_url="[]").changed, "as -e of a command line gives it"
    require_consistent(serving)


def test_check_mode_tells_and_does_not_ask(serving: Environment, server: Server) -> None:
    gate = {"url": f"{server.url}/health", "headers": {"X-Token": "much-too-secret"}}
    plan = serving.plan(gate_url=gate)
    assert plan.actions == {("gate", "change")}
    assert f"gate: gate_url {server.url}/health (from the host)" in plan.result["diff"]["after"]
    assert "much-too-secret" not in plan.printed
    assert server.asked == []
    assert gate_of(serving) == []
    assert serving.deploy(gate_url=gate).actions == plan.actions


def test_secrets_of_headers_and_urls_are_shown_nowhere(serving: Environment, server: Server) -> None:
    """Not when the server repeats them, not in arguments of processes, and still not when a later run fails."""
    secrets = {"header": "a1B2c3D4-canary-e5F6", "password": "pW9-canary-x8Y7"}
    url = f"http://probe:{secrets['password']}@127.0.0.1:{server.port}/"
    headers = {"Authorization-Extra": f"Bearer {secrets['header']}"}
    gate = {"url": url, "headers": headers, **QUICK}
    needles = canaries.needles(secrets)
    server.status, server.body = [500], "you sent " + " ".join(secrets.values())
    with canaries.Watch() as processes:
        outcomes = [second(serving, gate_url=gate), serving.plan(gate_url=gate)]
        server.status = [200]
        outcomes.append(serving.deploy(gate_url=gate))
        server.status = [500]
        outcomes.append(serving.run(state="restarted", services=["web"]))
    audit = (state_of(serving) / "audit.log").read_text()
    for text in (*(each.printed for each in outcomes), audit, processes.text):
        assert canaries.hits(text, needles) == []
    assert server.asked[0][1]["Authorization-Extra"] == headers["Authorization-Extra"]
    assert server.asked[0][1]["Authorization"].startswith("Basic ")
    server.status = [200]
    shown = serving.adhoc("compose_env", "-vvv", "-e", json.dumps({"compose_env_gate_url": [gate]}))
    assert not shown.failed, "the host variable says what the option said"
    assert canaries.hits(shown.printed, needles) == []
    assert "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" in shown.printed


def test_it_is_asked_inside_of_a_service_by_wget(serving: Environment) -> None:
    assert not serving.run(gate_url={"url": f"{INSIDE}/release", "service": "web", **QUICK}).failed
    outcome = serving.run(gate_url={"url": f"{INSIDE}/nothing", "service": "web", **QUICK})
    assert f"gate_url {INSIDE}/nothing (in service web)" in outcome.message
    assert "status 404" in outcome.message
    assert not serving.run(gate_url={"url": f"{INSIDE}/nothing", "service": "web", "status": 404}).failed
    refused = serving.run(gate_url={"url": "http://localhost:81/", "service": "web", **QUICK})
    assert "refused" in refused.message
    secret = serving.run(gate_url={"url": INSIDE, "service": "web", "headers": {"X-Token": "secret-of-ours"}})
    assert "has no curl" in secret.message
    assert "gate_command" in secret.message


FAKE_CURL = """#!/bin/sh
[ "$*" = "--disable --config -" ] || exit 2
cat > /tmp/config
printf '%s' "$(cat /answer)"
"""


def test_it_is_asked_inside_of_a_service_by_curl_with_secrets_on_its_standard_input(environment: Environment) -> None:
    """The image has no curl, so one that notes what it was given stands for it."""
    environment.write("curl", FAKE_CURL).chmod(0o755)
    environment.write("answer", "200 ")
    mounts = ["./curl:/bin/curl:ro", "./answer:/answer:ro"]
    environment.write("compose.yml", {"services": services(volumes=mounts)})
    gate = {"url": f"{INSIDE}/", "service": "web", "headers": {"X-Token": 'quoted "secret" \\of ours'}, **QUICK}
    with canaries.Watch() as processes:
        environment.deploy(gate_url=gate)
    config = environment.inside("web", "cat", "/tmp/config")
    assert 'header = "X-Token: quoted \\"secret\\" \\\\of ours"' in config
    assert "of ours" not in processes.text
    (environment.folder / "answer").write_text("503 ")
    outcome = environment.run(state="restarted")
    assert "status 503" in outcome.message


def test_a_service_with_neither_curl_nor_wget_is_told_with_the_ways_out(environment: Environment) -> None:
    environment.write("compose.yml", {"services": {**services(), "bare": service(image="debian:trixie-slim")}})
    outcome = environment.run(gate_url={"url": f"{INSIDE}/", "service": "bare"})
    assert outcome.failed
    assert "neither curl nor wget" in outcome.message
    assert "gate_command" in outcome.message
    assert outcome.result["failed_gate"]["tries"] == 1


def test_a_command_of_the_host_decides(serving: Environment, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    assert not serving.run(gate_command=["touch", str(ran)]).failed
    assert ran.exists()
    outcome = second(serving, gate_command={"argv": ["sh", "-c", "echo not ready; echo why >&2; exit 3"]})
    require_rolled_back(serving, outcome)
    assert "exit code 3, expected exit code 0 (1 try)" in outcome.message
    assert outcome.result["failed_gate"]["output"] == ["not ready", "why"]
    assert not second(serving, gate_command={"argv": "sh -c 'exit 3'", "rc": [0, 3]}).failed
    missing = serving.run(gate_command="no-such-program --at-all")
    assert "no-such-program is no program on this host" in missing.message


def test_a_command_that_does_not_end_is_killed_with_what_it_started(serving: Environment) -> None:
    argv = ["sh", "-c", "sleep 4321 & sleep 4321"]
    outcome = serving.run(gate_command={"argv": argv, "timeout": 1})
    assert "no end within 1 s" in outcome.message
    assert not processes.is_there("sleep", "4321")


def test_commands_in_a_service_decide(serving: Environment) -> None:
    check = {"argv": ["grep", "-q", "two", "/www/release"], "service": "web"}
    outcome = serving.run(gate_command=[check])
    assert "gate_command grep -q two /www/release (in service web)" in outcome.message
    assert not second(serving, gate_command=[{"argv": "true", "service": "idle"}, check]).failed
    late = {"argv": ["sh", "-c", "sleep 4321"], "service": "web", "timeout": 1}
    assert "no end within 1 s" in serving.run(gate_command=late).message
    assert "4321" not in serving.inside("web", "ps"), "it does not go on in the container"
    unable = serving.run(gate_command={"argv": "no-such-program", "service": "web"})
    assert "no-such-program cannot be executed in the container" in unable.message


def test_each_release_is_asked_what_it_was_asked_when_it_was_deployed(environment: Environment) -> None:
    with serving_here() as first, serving_here() as other:
        environment.write("compose.yml", {"services": services()})
        environment.deploy(gate_url={"url": first.url, **QUICK})
        second(environment, gate_url={"url": other.url, **QUICK})
        assert (len(first.asked), len(other.asked)) == (1, 1)
        back = environment.deploy(state="rolled_back", gate_url="http://127.0.0.1:1/")
        assert ("gate", "change") in back.actions
        assert (len(first.asked), len(other.asked)) == (2, 1), "release 1 was asked, by its own gate"
        environment.write("compose.yml", {"services": services()})
        environment.deploy(state="restarted", services=["web"])
        assert len(first.asked) == 3
        environment.deploy(state="stopped")
        assert len(first.asked) == 3
        environment.deploy(state="started")
        assert len(first.asked) == 4
        first.status = [500]
        environment.deploy(state="stopped")
        outcome = environment.run(state="started")
        assert outcome.failed
        assert outcome.changed
        assert "release 1 does not pass" in outcome.message
        assert len(other.asked) == 1


def test_the_way_back_is_judged_by_the_gate_of_the_release_that_comes_back(environment: Environment) -> None:
    with serving_here() as first, serving_here() as other:
        environment.write("compose.yml", {"services": services()})
        environment.deploy(gate_url={"url": first.url, **QUICK})
        other.status = [500]
        require_rolled_back(environment, second(environment, gate_url={"url": other.url, **QUICK}))
        assert (len(first.asked), len(other.asked)) == (2, 1)
        first.status = [500]
        outcome = second(environment, gate_url={"url": other.url, **QUICK})
        assert outcome.result["state"] == "degraded"
        assert outcome.message.count("status 500") == 2
        first.status = other.status = [200]
        environment.deploy(gate_url={"url": other.url, **QUICK})
        require_consistent(environment)


@pytest.mark.parametrize("passes", [True, False])
def test_a_deployment_that_was_killed_is_recovered_by_its_own_gate(
    serving: Environment, server: Server, passes: bool
) -> None:
    serving.write("compose.yml", {"services": services("two")})
    server.go_on.clear()
    with deploying(serving, gate_url={"url": server.url, "timeout": 30, "retries": 0}) as process:
        assert server.on_request.wait(60)
        assert in_phase(serving, "gate")
        process.send_signal(signal.SIGKILL)
    server.status, server.asked = [200 if passes else 500], []
    server.go_on.set()
    settled = serving.deploy(state="started").result["settled"]
    assert len(server.asked) == 1
    assert ("is the current release now" in settled) is passes
    assert ("status 500" in settled) is not passes
    assert serving.variable("web", "RELEASE") == ("two" if passes else "one")
    require_consistent(serving)


def test_a_restart_that_was_killed_is_recovered_by_the_gate_that_had_passed(
    serving: Environment, server: Server
) -> None:
    """The release is the same, so the gate that the restart was to bring must not stay behind in its record."""
    server.go_on.clear()
    with deploying(serving, state="restarted", gate_url={"url": server.url, "timeout": 30}) as process:
        assert server.on_request.wait(60)
        process.send_signal(signal.SIGKILL)
    server.status, server.asked = [500], []
    server.go_on.set()
    assert "settled" in serving.deploy(state="started").result
    assert server.asked == []
    assert gate_of(serving) == []
    require_consistent(serving)


def test_wait_false_does_not_ask(serving: Environment, server: Server) -> None:
    assert not second(serving, gate_url=server.url, wait=False).failed
    assert server.asked == []
    assert len(gate_of(serving, 2)) == 1


def test_a_service_that_stands_still_on_purpose_is_not_asked_in(serving: Environment) -> None:
    serving.deploy(gate_url={"url": f"{INSIDE}/release", "service": "web", **QUICK})
    serving.deploy(state="stopped")
    outcome = serving.deploy(state="started", services=["idle"])
    assert serving.container("web").status == "exited"
    assert "stands still" in str(outcome.result["warnings"])


def test_at_least_one_try_when_the_time_is_over(environment: Environment, server: Server) -> None:
    environment.write("compose.yml", {"services": services()})
    server.status = [500]
    outcome = environment.run(gate_url={"url": server.url, "retries": 100}, wait_timeout=8)
    assert outcome.failed
    assert 1 <= len(server.asked) <= 9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        thorough({"gate_url": "localhost:8080"}, ["gate_url", "http://localhost:8080/health"]),
        ({"gate_url": ["http://a/", {"url": "http://b/", "expect": 200}]}, ["entry 2 of gate_url", "expect"]),
        thorough({"gate_command": [["a"], ["b"]]}, ["gate_command", "list of mappings with argv"]),
        ({"gate_command": {"argv": "true", "service": "wbe"}}, ["gate_command", "wbe", "idle, web"]),
    ],
)
def test_a_bad_shape_is_told_before_anything_is_changed(
    serving: Environment, options: dict[str, Any], words: list[str]
) -> None:
    ids = serving.ids()
    outcome = second(serving, **options)
    assert outcome.failed
    assert not outcome.changed
    assert all(word in outcome.message for word in (*words, "Nothing was changed")), outcome.message
    assert serving.ids() == ids


def test_kept_gate_in_a_service_that_has_gone_is_told_with_the_way_out(serving: Environment) -> None:
    serving.deploy(gate_command={"argv": "true", "service": "idle"})
    serving.write("compose.yml", {"services": {"web": services()["web"]}})
    outcome = serving.run()
    assert "gate_command=[]" in outcome.message
    assert not serving.run(gate_command=[]).failed
    wait_for(lambda: "idle" not in serving.ids())
