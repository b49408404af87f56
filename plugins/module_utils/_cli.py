# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that starts a process. Private to strata.compose."""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import os
import select
import shutil
import signal
import subprocess
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils import _engine_questions
from ansible_collections.strata.compose.plugins.module_utils._allow_list import ALLOWED
from ansible_collections.strata.compose.plugins.module_utils._asked import cannot_be_repeated, note_engine
from ansible_collections.strata.compose.plugins.module_utils._compose_warnings import warnings_in
from ansible_collections.strata.compose.plugins.module_utils._engine_capabilities import Capabilities
from ansible_collections.strata.compose.plugins.module_utils._engine_socket import is_refusal, refused
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

PLUGIN_FOLDERS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
"""Where the docker CLI looks for plugins on Linux, after the user's own folder (docker/cli cli-plugins/manager)."""

PIPES = (subprocess.PIPE, subprocess.PIPE)

LOOKS = (("docker", "ps"), ("docker", "inspect"))
"""What only tells what is there, and is told again for the asking: see `_asked`."""

LONGEST_SHOWN = 200
"""Characters of a command line in a message."""


@dataclass(frozen=True)
class Completed:
    """What a process left: its exit code and its output as bytes."""

    argv: tuple[str, ...]
    rc: int
    output: bytes
    errors: bytes

    @property
    def text(self) -> str:
        return self.output.decode("utf-8", "replace")

    @property
    def error_text(self) -> str:
        return self.errors.decode("utf-8", "replace").strip()


class Cli:
    """Runs the docker CLI unattended: closed stdin, allow-listed environment, a timeout, its own process group."""

    def __init__(self, directory: str, docker_host: str | None, timeout: int) -> None:
        """``directory`` is what layers see as ``${PWD}``, ``timeout`` the seconds that each process may take.

        The processes themselves run in ``/``: elsewhere Compose would pick up a file that lies in its way.
        """
        self.timeout = timeout
        self.deadline: float | None = None
        """monotonic time at which no process may be at work any more; see `bounded`"""
        self.answers_until: float | None = None
        """the monotonic time until which its questions have to be answered, if there is one"""
        self.compose_version: str | None = None
        """as a record tells it of the same program, so that it need not be asked"""
        self.warnings: dict[str, None] = {}
        """what Compose warned of, each once, in order"""
        self.environment = allowed_environment()
        self.environment["PWD"] = directory
        if docker_host:
            self.environment["DOCKER_HOST"] = docker_host
            self.environment.pop("DOCKER_CONTEXT", None)

    def docker(self, *arguments: str, **options: t.Any) -> Completed:
        """Run ``docker <arguments>``; options as for `run`."""
        return self.run(["docker", *arguments], **options)

    def compose(self, *arguments: str, **options: t.Any) -> Completed:
        """Run ``docker compose <arguments>`` without the way through the docker CLI, which costs 30 ms a call."""
        completed = self.run([*self.compose_program(), *arguments], **options)
        if b"level=warning" in completed.errors:
            self.warnings.update(dict.fromkeys(warnings_in(completed.error_text)))
        return completed

    def until(self, deadline: float) -> Cli:
        """The same, with questions to the engine that wait no longer than to a monotonic time."""
        found = copy.copy(self)
        found.answers_until = deadline
        return found

    def _limit(self, argv: t.Sequence[str], timeout: float | None = None) -> float:
        """Seconds that a process may take, by itself and in what is left of the whole; see `bounded`."""
        seconds = timeout or self._limit_of_its_kind(argv)
        return seconds if self.deadline is None else min(seconds, max(0.001, self.deadline - time.monotonic()))

    def _limit_of_its_kind(self, argv: t.Sequence[str]) -> float:
        if not _engine_questions.is_question(argv):
            return self.timeout
        left = float("inf") if self.answers_until is None else self.answers_until - time.monotonic()
        return min(self.timeout, _engine_questions.LIMIT, max(_engine_questions.LAST_LOOK, left))

    def answer(self, argv: t.Sequence[str]) -> Completed | None:
        """What a short question for the words of a failure brings, ``None`` when it takes too long itself.

        It has its own time, however late it is for the whole (see `bounded`).
        """
        with _ended_on_failure(self._started(argv, None, {}, PIPES)) as process:
            return _awaited(process, argv, None, _engine_questions.SECOND_QUESTION)

    def silence(self) -> str:
        """What is told of the engine when it does not answer even now; empty when it does."""
        argv = ("docker", "version", "--format", "{{.Server.Version}}")
        return "" if self.answer(argv) else self._unanswered(argv, _engine_questions.SECOND_QUESTION)

    def _unanswered(self, argv: t.Sequence[str], seconds: float) -> str:
        from ansible_collections.strata.compose.plugins.module_utils._endpoint import address

        return _engine_questions.unanswered(address(self), _shown(argv), seconds)

    def _late(self, argv: t.Sequence[str], seconds: float) -> ComposeFailure:
        """The failure of a process whose time is over."""
        if _engine_questions.is_question(argv):
            message = self._unanswered(argv, seconds)
        else:
            option = "command_timeout" if seconds == self.timeout else "the timeout"
            message = f"`{_shown(argv)}` was ended after {seconds:g} s without a result. " + (
                self.silence() or f"Raise {option} if it needs longer."
            )
        return ComposeFailure(message, error_kind="timeout")

    @functools.cached_property
    def capabilities(self) -> Capabilities:
        """What the installed Compose can do; raises `ComposeFailure` for one that is too old."""
        return Capabilities.of(self.compose_version or self.compose("version", "--short").text)

    def compose_program(self) -> tuple[str, ...]:
        """The Compose plugin's own binary, or ``docker compose`` where it lies in none of the usual folders."""
        configuration = self.environment.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
        for folder in (os.path.join(configuration, "cli-plugins"), *PLUGIN_FOLDERS):
            path = os.path.join(folder, "docker-compose")
            if os.access(path, os.X_OK):
                return (path,)
        return ("docker", "compose")

    def run(
        self,
        argv: t.Sequence[str],
        *,
        stdin: bytes | t.IO[bytes] | None = None,
        timeout: float | None = None,
        accept: t.Container[int] | None = (0,),
        variables: t.Mapping[str, str] | None = None,
        into: tuple[t.IO[bytes], t.IO[bytes]] | None = None,
    ) -> Completed:
        """Run a process to its end; ``accept`` lists the exit codes that are no failure, ``None`` accepts all.

        Output and errors go into the two open files of ``into``, where they may be of any size, or into the result.
        Raises `ComposeFailure` when the program is missing, takes longer than ``timeout`` seconds, or fails.
        """
        with _ended_on_failure(self._started(argv, stdin, variables or {}, into or PIPES)) as process:
            seconds = self._limit(argv, timeout)
            if into and not isinstance(stdin, bytes):
                _sleep_until_end(process, seconds)
            completed = self._collected(process, argv, stdin if isinstance(stdin, bytes) else None, seconds)
        self._note(completed, stdin)
        if accept is not None and completed.rc not in accept:
            raise failure_of(completed)
        return completed

    def _note(self, completed: Completed, stdin: object) -> None:
        """Take down what only asks what is there; after all else the same answers may have another meaning."""
        if stdin is None and completed.argv[:2] in LOOKS:
            note_engine(completed)
        else:
            cannot_be_repeated()

    def docker_side_by_side(self, *commands: t.Sequence[str]) -> list[Completed]:
        """Run several ``docker <arguments>`` that wait for nothing of each other at once; all exit codes are accepted.

        Half of what a call costs is the start of the CLI.
        """
        argvs = [("docker", *arguments) for arguments in commands]
        with contextlib.ExitStack() as stack:
            processes = [stack.enter_context(_ended_on_failure(self._started(each, None, {}, PIPES))) for each in argvs]
            found = [self._collected(*each, None, self._limit(each[1])) for each in zip(processes, argvs)]
        for each in found:
            self._note(each, None)
        return found

    @contextlib.contextmanager
    def bounded(self, seconds: float | None) -> t.Iterator[None]:
        """Have all processes of the block together take no longer; without a number, each has its own time only.

        What has to be put in order after a failure gets its own time again, by a block inside: `unbounded`.
        """
        before, self.deadline = self.deadline, time.monotonic() + seconds if seconds else None
        try:
            yield
        finally:
            self.deadline = before

    def unbounded(self) -> contextlib.AbstractContextManager[None]:
        """A block whose processes have their own time, however late it is."""
        return self.bounded(None)

    def _collected(
        self, process: subprocess.Popen[bytes], argv: t.Sequence[str], stdin: bytes | None, seconds: float
    ) -> Completed:
        """What the process leaves; raises `ComposeFailure` when it takes longer than ``seconds``."""
        completed = _awaited(process, argv, stdin, seconds)
        if completed is None:
            raise self._late(argv, seconds)
        return completed

    def _started(
        self,
        argv: t.Sequence[str],
        stdin: bytes | t.IO[bytes] | None,
        variables: t.Mapping[str, str],
        into: tuple[t.Any, t.Any],
    ) -> subprocess.Popen[bytes]:
        try:
            # AnsibleModule.run_command has no time limit, and no process group that could be ended as a whole.
            return subprocess.Popen(  # pylint: disable=ansible-bad-function
                list(argv),
                stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin or subprocess.DEVNULL,
                stdout=into[0],
                stderr=into[1],
                cwd="/",
                env={**self.environment, **variables},
                start_new_session=True,
                # The project's lock is inheritable, and nothing else: it outlives us in a CLI that is still at work.
                close_fds=False,
            )
        except FileNotFoundError:
            raise ComposeFailure(
                f"{argv[0]} is not installed on this host (PATH is {self.environment.get('PATH')}): install Docker "
                f"Engine with Compose v2, for example with the role strata.compose.engine."
            ) from None
        except OSError as error:
            raise ComposeFailure(f"{argv[0]} cannot be started: {error.strerror}.") from error


def allowed_environment() -> dict[str, str]:
    """The part of this process's environment that reaches the CLI."""
    return {name: value for name, value in os.environ.items() if name in ALLOWED}


def failure_of(completed: Completed) -> ComposeFailure:
    """The failure that a process reported, told with its own words."""
    told = completed.error_text or completed.text.strip() or "it said nothing"
    if is_refusal(told):
        return refused(told)
    last = "\n".join(told.splitlines()[-20:])
    return ComposeFailure(f"`{_shown(completed.argv)}` failed with exit code {completed.rc}: {last}", rc=completed.rc)


def parsed_json(completed: Completed) -> t.Any:
    """The JSON that a process printed; one that is no JSON is a failure that shows its beginning."""
    try:
        return json.loads(completed.output or b"null")
    except ValueError as error:
        raise ComposeFailure(
            f"`{_shown(completed.argv)}` printed something else than JSON ({error}): {completed.text[:200]}"
        ) from error


def identity(program: t.Sequence[str]) -> str:
    """What tells one installed version of a program from another without running it: path, size and time."""
    path = shutil.which(program[0])
    if path is None:
        return program[0]
    status = os.stat(path)
    return f"{path}:{status.st_size}:{status.st_mtime_ns}"


@contextlib.contextmanager
def _ended_on_failure(process: subprocess.Popen[bytes]) -> t.Iterator[subprocess.Popen[bytes]]:
    """Leave no process behind that nobody awaits any more."""
    try:
        yield process
    except BaseException:
        if process.returncode is None:
            _end(process)
        raise


def _awaited(
    process: subprocess.Popen[bytes], argv: t.Sequence[str], stdin: bytes | None, seconds: float
) -> Completed | None:
    """What the process leaves; ``None`` when it took longer than ``seconds`` and was ended."""
    try:
        output, errors = process.communicate(stdin, timeout=seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        return None
    return Completed(tuple(argv), process.returncode, output or b"", errors or b"")


def _sleep_until_end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait without looking: `Popen.wait` with a timeout looks every 50 ms, the kernel can tell at once (Linux 5.3)."""
    with contextlib.suppress(AttributeError, OSError):
        descriptor = os.pidfd_open(process.pid)
        try:
            select.select([descriptor], [], [], seconds)
        finally:
            os.close(descriptor)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and all that it started, and collect it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()


def _shown(argv: t.Sequence[str]) -> str:
    """The beginning of a command line in whole words: half a secret would not be recognised and masked."""
    words = [os.path.basename(argv[0])]
    for word in argv[1:]:
        if sum(map(len, words)) + len(words) + len(word) > LONGEST_SHOWN:
            return " ".join([*words, "..."])
        words.append(word)
    return " ".join(words)
