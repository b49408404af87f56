# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command becomes on its way to a container, and what its end is taken for."""

from __future__ import annotations

import base64
import io

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _command, _output
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._spec import COMPOSE_EXEC
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

DEFAULTS = {name: option.get("default") for name, option in COMPOSE_EXEC.items()}


def command_of(**options):
    given = options if "command" in options or "argv" in options else {"argv": ["true"], **options}
    return _command.command_of({**DEFAULTS, "service": "web", **given})


@pytest.mark.parametrize(
    ("has_input", "options", "argv"),
    [
        (False, {}, ["exec", "c1", "ls", "-l"]),
        (True, {}, ["exec", "--interactive", "c1", "ls", "-l"]),
        (False, {"user": "www:www"}, ["exec", "--user", "www:www", "c1", "ls", "-l"]),
        (False, {"workdir": "/srv"}, ["exec", "--workdir", "/srv", "c1", "ls", "-l"]),
        (False, {"detach": True}, ["exec", "--detach", "c1", "ls", "-l"]),
    ],
)
def test_argv_in_a_container(has_input, options, argv):
    manner = compose.manner_of_command(**{"user": None, "workdir": None, "detach": False, **options})
    assert compose.execute("c1", has_input, manner, ["ls", "-l"]) == argv


def test_argv_in_a_one_off_container():
    argv = compose.run_once("shop-web-run-1", "web", ["--user", "0"], ["ls", "--", "x"])
    assert argv[:4] == ["run", "--rm", "--no-TTY", "--no-deps"]
    assert argv[4:] == ["--name", "shop-web-run-1", "--user", "0", "--", "web", "ls", "--", "x"]


@pytest.mark.parametrize(
    ("options", "argv"),
    [
        ({"argv": ["a b", "", "$X"]}, ("a b", "", "$X")),
        ({"command": "sh -c 'echo \"a b\"' \\$X"}, ("sh", "-c", 'echo "a b"', "$X")),
    ],
)
def test_words(options, argv):
    assert command_of(**options).argv == argv


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"argv": []}, "no command"),
        ({"command": " "}, "no command"),
        ({"command": "echo 'a"}, "cannot be split"),
        ({"argv": ["a\0b"]}, "NUL"),
        ({"detach": True, "stdin": ""}, "detach and stdin exclude each other"),
        ({"detach": True, "stdin_base64": "AA=="}, "detach and stdin_base64"),
        ({"detach": True, "stdin_file": "/x"}, "detach and stdin_file"),
        ({"detach": True, "creates": "/x", "removes": "/y"}, "detach and creates and removes"),
        ({"read_only": True, "changed_rc": [3]}, "read_only and changed_rc"),
        ({"one_off": True, "index": 2}, "one_off and index"),
        ({"timeout": 0}, "timeout is 0"),
        ({"max_output": -1}, "max_output is -1"),
        ({"env": {"A B": "x"}}, "'A B'"),
        ({"env": {"A=B": "x"}}, "'A=B'"),
        ({"env": {"#A": "x"}}, "'#A'"),
        ({"env": {"": "x"}}, "''"),
        ({"env": {"A": None}}, "value of A"),
        ({"env": {"A": ["hidden"]}}, "value of A"),
        ({"env": {"A": "hid\0den"}}, "value of A"),
    ],
)
def test_contradictions_are_refused(options, told):
    with pytest.raises(ComposeFailure) as failure:
        command_of(**options)
    assert told in failure.value.message
    assert "hid" not in failure.value.message


def test_values_of_env_become_text():
    env = command_of(env={"S": " a ", "I": 5, "F": 1.5, "T": True, "N": False, "E": ""}).env
    assert env == {"S": " a ", "I": "5", "F": "1.5", "T": "true", "N": "false", "E": ""}


@pytest.mark.parametrize(
    ("env", "lines", "others"),
    [
        ({}, b"", set()),
        ({"A": "x=y #'\" $", "HOME": "/h"}, b"A=x=y #'\" $\nHOME=/h\n", set()),
        ({"A": "ä", "E": ""}, "A=ä\nE=\n".encode(), set()),
        ({"KEY": "a\nb", "A": "1"}, b"A=1\n", {"KEY"}),
        ({"KEY": "ends in\r"}, b"", {"KEY"}),
        ({"LONG": "x" * (1 << 16)}, b"", {"LONG"}),
    ],
)
def test_ways_of_variables(env, lines, others):
    content, rest = _command.env_ways(env)
    assert content == lines
    assert rest == {name: env[name] for name in others}


@pytest.mark.parametrize("name", ["PATH", "HOME", "DOCKER_HOST", "DOCKER_NEW", "COMPOSE_FILE", "http_proxy", "GODEBUG"])
def test_variables_that_steer_the_client_never_reach_it(name):
    assert _command.env_ways({name: "one line"})[1] == {}
    with pytest.raises(ComposeFailure, match=name):
        _command.env_ways({name: "two\nlines"})


def test_model_with_env_escapes_and_keeps_the_rest():
    model = {"name": "p", "services": {"web": {"environment": {"A": "1", "B": "2"}}, "db": {"image": "x"}}}
    made = _command.with_env(model, "web", {"A": "$x", "C": "a\nb"})
    assert made["services"]["web"]["environment"] == {"A": "$$x", "B": "2", "C": "a\nb"}
    assert made["services"]["db"] == {"image": "x"}
    assert model["services"]["web"]["environment"]["A"] == "1"


@pytest.mark.parametrize(
    ("options", "rc", "accepted", "changed"),
    [
        ({}, 0, True, True),
        ({}, 1, False, True),
        ({"ok_rc": [0, 3]}, 3, True, True),
        ({"ok_rc": [3]}, 0, False, True),
        ({"changed_rc": [3]}, 3, True, True),
        ({"changed_rc": [3]}, 0, True, False),
        ({"changed_rc": []}, 0, True, False),
        ({"changed_rc": [3], "ok_rc": [1]}, 0, False, False),
        ({"read_only": True}, 0, True, False),
        ({"read_only": True, "ok_rc": [0, 1]}, 1, True, False),
        ({"detach": True}, None, False, True),
        ({"detach": True, "read_only": True}, None, False, False),
    ],
)
def test_verdict(options, rc, accepted, changed):
    command = command_of(**options)
    assert (command.accepts(rc), command.changes(rc)) == (accepted, changed)


def test_conditions_are_looked_at_only_when_asked_for():
    assert command_of(argv=["a", "b"]).words("t") == ("a", "b")
    words = command_of(argv=["a", "b"], creates="/x").words("t")
    assert words[:2] == ("sh", "-c")
    assert words[3:] == ("sh", "t", "/x", "", "a", "b")


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        ("t creates", "skipped, since /x exists in the container"),
        ("t removes", "skipped, since /y does not exist in the container"),
        ("", None),
        ("other creates", None),
        ("t creates and more", None),
    ],
)
def test_what_was_not_needed(errors, told):
    assert command_of(creates="/x", removes="/y").not_needed("t", errors) == told


@pytest.mark.parametrize(
    ("rc", "output", "errors", "parts"),
    [
        (7, "out", "first\nlast\n", ["service web", "exit code 7:", "last"]),
        (7, "only out", "", ["exit code 7:", "only out"]),
        (7, "", "", ["it printed nothing"]),
        (137, "", "", ["exit code 137 (killed"]),
        (126, 'OCI runtime exec failed: exec: "nope"', "", ["could not be executed", "exit code 126", '"nope"']),
        (1, "", "unable to start container process: x", ["could not be executed", "exit code 1"]),
    ],
)
def test_told_failure(rc, output, errors, parts):
    told = _command.told_failure(command_of(), rc, output, errors)
    assert all(part in told for part in parts), told


def test_told_failure_has_the_end_of_a_long_one():
    told = _command.told_failure(command_of(), 1, "", "\n".join(f"line {number}" for number in range(100)))
    assert "line 99" in told
    assert "line 79\n" not in told


def output_of(content):
    return _output.Output({"stdout": Stream(content), "stderr": Stream(b"")})


class Stream(io.BytesIO):
    """A file whose size is known without a descriptor."""


@pytest.fixture(autouse=True)
def sizes(monkeypatch):
    monkeypatch.setattr(_output, "_size", lambda stream: len(stream.getvalue()))


def test_text_is_told_exactly():
    told = output_of("a\r\nä\n\n".encode()).told(100, Redactor(), "/nowhere")
    assert told == {"stdout": "a\r\nä\n\n", "stderr": ""}


def test_bytes_are_told_exactly_too():
    told = output_of(bytes(range(256))).told(256, Redactor(), "/nowhere")
    assert base64.b64decode(told["stdout_base64"]) == bytes(range(256))
    assert told["stdout"].startswith("\0\1\2")


def test_bytes_are_masked_too():
    redactor = Redactor()
    redactor.learn(["hunter2"])
    told = output_of(b"\xff hunter2 \xff").told(100, redactor, "/nowhere")
    assert base64.b64decode(told["stdout_base64"]) == b"\xff ******** \xff"


def test_long_output_is_kept_and_its_end_told(tmp_path):
    content = b"".join(b"%d\n" % number for number in range(50_000))
    told = output_of(content).told(12, Redactor(), str(tmp_path / "output" / "x"))
    assert told["stdout"] == "49998\n49999\n"
    kept = tmp_path / "output" / "x.stdout"
    assert (told["stdout_file"], kept.read_bytes()) == (str(kept), content)
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_only_the_last_ones_are_kept(tmp_path):
    for number in range(_output.KEPT + 3):
        output_of(b"xx").told(1, Redactor(), str(tmp_path / f"{number:03}"))
    assert sorted(path.name for path in tmp_path.iterdir())[0] == "003.stdout"
    assert len(list(tmp_path.iterdir())) == _output.KEPT


def test_no_tail_begins_within_a_character():
    told = _output.masked_tail("ääää".encode(), 3, 8, Redactor())
    assert told.decode() == "ä"


def test_no_tail_begins_within_a_secret():
    redactor = Redactor()
    redactor.learn(["correct horse battery"])
    content = b"x " * (1 << 16) + b"correct horse battery" + b"y" * 10
    read = content[-(20 + _output.MARGIN) :]
    told = _output.masked_tail(read, 20, len(content), redactor)
    assert b"battery" not in told
    assert told.endswith(b"y" * 10)


def test_a_secret_at_the_edge_of_what_was_read_is_not_told():
    redactor = Redactor()
    secret = "s3cret" * 1000
    redactor.learn([secret])
    content = secret.encode() * 100
    told = _output.masked_tail(content[-(20 + _output.MARGIN) :], 20, len(content), redactor)
    assert b"s3cret" not in told
