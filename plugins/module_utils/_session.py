# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command on its way to a container: where it runs, what goes in, and how its end is told.

Private to strata.compose.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.strata.compose.plugins.module_utils import _command
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._command import Command, Options
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._folders import open_to_read
from ansible_collections.strata.compose.plugins.module_utils._output import Output, file_name, open_output
from ansible_collections.strata.compose.plugins.module_utils._owner_record import require_own
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor, secrets_of
from ansible_collections.strata.compose.plugins.module_utils._release import Release
from ansible_collections.strata.compose.plugins.module_utils._release_store import ReleaseStore
from ansible_collections.strata.compose.plugins.module_utils._secrets import learn_generated, learn_secrets
from ansible_collections.strata.compose.plugins.module_utils._sources import identify
from ansible_collections.strata.compose.plugins.module_utils._state import state_dir_of

if t.TYPE_CHECKING:
    Result = dict[str, t.Any]
    Input = t.Union[bytes, t.IO[bytes], None]


@dataclass(frozen=True)
class Session:
    """Everything that running one command takes."""

    options: Options
    redactor: Redactor
    project: str
    cli: Cli
    store: ReleaseStore
    release: Release | None
    command: Command
    stdin: Input
    output: Output
    token: str = field(default_factory=lambda: secrets.token_hex(6))
    """stands for this command wherever it must not be taken for another one"""
    started: float = field(default_factory=time.monotonic)

    @property
    def env(self) -> t.Mapping[str, str]:
        return self.command.env or {}

    def begin(self) -> Result:
        """The part of the result that is known before; Ansible would take any ``rc`` but 0 for a failure."""
        return {
            "failed": False,
            "project": self.project,
            "environment": self.options["environment"],
            "release": self.release.number if self.release else None,
            "service": self.command.service,
            "argv": list(self.command.argv),
            "rc": None,
            "actions": [],
        }

    def result(self, rc: int | None, container: str) -> Result:
        """The result of a command that was run; raises `ComposeFailure` for one that did not end well."""
        facts = {**self.facts(rc), "container": container}
        reason = self.command.not_needed(self.token, self.output.errors()) if rc == 0 else None
        if reason:
            return {**facts, "changed": False, "rc": None, "stderr": "", "msg": reason}
        if rc is not None and not self.command.accepts(rc):
            message = _command.told_failure(self.command, rc, facts["stdout"], facts["stderr"])
            is_begun = not _command.is_not_begun(rc, facts["stdout"] + facts["stderr"])
            changed = is_begun and not self.command.read_only
            raise ComposeFailure(message, **{**facts, "changed": changed, "error_kind": "command_failed"})
        changed = self.command.changes(rc)
        action = {"service": self.command.service, "action": "exec", "reason": " ".join(self.command.argv)}
        return {**facts, "changed": changed, "actions": [action] if changed else []}

    def facts(self, rc: int | None) -> Result:
        """What is told of a command however it ended."""
        path = os.path.join(self.store.folder, "output", file_name(self.command.service, self.token))
        told = self.output.told(self.options["max_output"], self.redactor, path)
        return {**self.begin(), "rc": rc, **told, "seconds": round(time.monotonic() - self.started, 3)}

    def run(self, argv: t.Sequence[str], variables: t.Mapping[str, str]) -> int:
        """Start the CLI with the command's input and output; its exit code is that of the command or its own."""
        completed = self.cli.run(
            argv,
            stdin=self.stdin,
            timeout=self.options["timeout"],
            accept=None,
            variables=variables,
            into=self.output.files,
        )
        return completed.rc

    def begin_anew(self) -> None:
        """Forget the output and rewind the input of a command that has not been run."""
        self.output.forget()
        if self.stdin and not isinstance(self.stdin, bytes):
            self.stdin.seek(0)


@contextlib.contextmanager
def open_session(options: Options, redactor: Redactor) -> t.Iterator[Session]:
    """Find the environment by its name, which takes neither its layers nor the engine, and learn its secrets."""
    command = _command.command_of(options)
    identity = identify(options)
    variables, project = identity.variables, identity.name
    cli = Cli(identity.directory, options["docker_host"], options["command_timeout"])
    store = ReleaseStore(state_dir_of(options), project)
    require_own(options, cli, store, believed=True)
    release = store.current()
    redactor.publish((project, options["environment"], command.service))
    redactor.learn({**dict.fromkeys(_secrets_of_env(command, project, options), ""), **secrets_of(variables)})
    learn_generated(redactor, store.folder)
    if release:
        learn_secrets(redactor, release, ())
    with _input(options) as stdin, open_output() as output:
        yield Session(options, redactor, project, cli, store, release, command, stdin, output)


def _secrets_of_env(command: Command, project: str, options: Options) -> set[str]:
    """The values of env, without those that the task itself shows, such as a database named as the project."""
    env = command.env or {}
    public = " ".join((project, options["environment"], command.service, *command.argv))
    return {*secrets_of(env)} | {value for value in env.values() if value not in public}


def _input(options: Options) -> t.ContextManager[Input]:
    """What the command is to read: bytes, an open file, or nothing."""
    try:
        if options["stdin_file"]:
            return os.fdopen(open_to_read(options["stdin_file"]), "rb")
        if options["stdin_base64"] is not None:
            return contextlib.nullcontext(base64.b64decode(options["stdin_base64"], validate=True))
    except OSError as error:
        raise ComposeFailure(f"stdin_file {options['stdin_file']} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ComposeFailure(f"stdin_base64 is not in base64 ({error}).") from error
    text = options["stdin"]
    return contextlib.nullcontext(None if text is None else text.encode("utf-8", "surrogateescape"))


@contextlib.contextmanager
def in_memory(content: bytes) -> t.Iterator[str]:
    """A path under which child processes of this user read the content, which is in no folder and on no disk."""
    handle = os.memfd_create("strata")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        yield f"/proc/{os.getpid()}/fd/{handle}"
