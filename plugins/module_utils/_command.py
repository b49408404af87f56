# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command for a container: what the options ask for, and what its end means. Pure. Private to strata.compose."""

from __future__ import annotations

import re
import shlex
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._allow_list import ALLOWED
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

VARIABLE_NAME = re.compile(r"[^=\s\0#][^=\s\0]*")
CLIENTS_OWN = re.compile(r"(COMPOSE|DOCKER|BUILDX|BUILDKIT|OTEL|SSL|SSH|LD|XDG)_|GO[A-Z]|PWD$|ALL_PROXY$|all_proxy$")
"""Variables that steer the docker CLI itself, besides those that it gets from us."""

REFUSED = re.compile(
    r"error response from daemon|no such|cannot connect|denied|unable to|failed to|not found", re.IGNORECASE
)
"""How the engine or Compose says that there is no container at all."""

LONGEST_LINE = 1 << 15
"""Bytes of a line in docker's env files; it reads no longer ones than 64 KiB."""

CANNOT_START = re.compile(
    r"unable to start container process|unable to find user|executable file not found|Cannot mkdir"
)
"""How the engine says that the container is fine but the command is not."""

NOT_BEGUN = re.compile(r"OCI runtime exec failed: |unable to find user ")
"""What the engine prints, and the command nothing, when it cannot start a command in a container that runs."""

CONDITIONS = """\
if [ -n "$2" ] && [ -e "$2" ]; then printf '%s creates' "$1" >&2; exit 0; fi
if [ -n "$3" ] && ! [ -e "$3" ]; then printf '%s removes' "$1" >&2; exit 0; fi
shift 3
exec "$@"
"""
"""Look at paths in the container and become the command, all in the one process that the command needs anyway."""

END_ALL = """\
for file in $(grep -ls "$1" /proc/[0-9]*/environ); do
    id=${file#/proc/}; id=${id%/environ}
    kill -KILL "$id" && echo "$id"
done
"""
"""End every process that carries a variable of the command, its children included."""

CONFLICTS = (
    ("detach", ("stdin", "stdin_base64", "stdin_file"), "nobody stays to feed a detached command"),
    ("detach", ("creates", "removes", "changed_rc"), "how a detached command ends is not known"),
    ("read_only", ("changed_rc",), "a command that only reads changes nothing"),
    ("one_off", ("index",), "a one-off container has no index"),
)

Options = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Command:
    """What is to be run in a container of which service, and which exit codes are right."""

    service: str
    argv: tuple[str, ...]
    index: int | None = None
    user: str | None = None
    workdir: str | None = None
    env: t.Mapping[str, str] | None = None
    creates: str | None = None
    removes: str | None = None
    one_off: bool = False
    detach: bool = False
    read_only: bool = False
    ok_rc: tuple[int, ...] = (0,)
    changed_rc: tuple[int, ...] | None = None

    def accepts(self, rc: int) -> bool:
        return rc in self.ok_rc or rc in (self.changed_rc or ())

    def changes(self, rc: int | None) -> bool:
        """Whether it counts as a change when it ends so; ``None`` stands for an end that nobody waits for."""
        if self.read_only:
            return False
        return self.changed_rc is None or rc in self.changed_rc

    def words(self, token: str) -> tuple[str, ...]:
        """What the container gets to run; ``token`` marks the sentence that the command was not needed."""
        if not (self.creates or self.removes):
            return self.argv
        return ("sh", "-c", CONDITIONS, "sh", token, self.creates or "", self.removes or "", *self.argv)

    def not_needed(self, token: str, errors: str) -> str | None:
        """Why the command was left out, told from what the conditions printed; ``None`` when it ran."""
        return {
            f"{token} creates": f"skipped, since {self.creates} exists in the container",
            f"{token} removes": f"skipped, since {self.removes} does not exist in the container",
        }.get(errors)


def command_of(options: Options) -> Command:
    """The command that the options ask for; raises `ComposeFailure` for what contradicts itself."""
    for option, others, why in CONFLICTS:
        given = [other for other in others if options[option] and options[other] is not None]
        if given:
            raise ComposeFailure(f"{option} and {' and '.join(given)} exclude each other: {why}.")
    for option, least in (("timeout", 1), ("max_output", 0)):
        if options[option] < least:
            raise ComposeFailure(f"{option} is {options[option]}: it must be {least} or more.")
    same = ("service", "index", "user", "workdir", "creates", "removes", "one_off", "detach", "read_only")
    return Command(
        argv=_argv(options),
        env={name: _text_of(name, value) for name, value in (options["env"] or {}).items()},
        ok_rc=tuple(options["ok_rc"]),
        changed_rc=None if options["changed_rc"] is None else tuple(options["changed_rc"]),
        **{name: options[name] for name in same},
    )


def _argv(options: Options) -> tuple[str, ...]:
    try:
        argv = tuple(options["argv"] or shlex.split(options["command"] or ""))
    except ValueError as error:
        raise ComposeFailure(f"command cannot be split into words ({error}): use argv.") from error
    if not argv and (not options["one_off"] or options["creates"] or options["removes"]):
        raise ComposeFailure(
            "there is no command to run: argv or command is empty. With one_off=true, and without creates and removes, "
            "that is the service's own command."
        )
    if any("\0" in word for word in argv):
        raise ComposeFailure("no word of a command can hold a NUL character: hand such data over by stdin_base64.")
    return argv


def _text_of(name: str, value: t.Any) -> str:
    """The value as text, a boolean as Compose writes it."""
    if not VARIABLE_NAME.fullmatch(name):
        raise ComposeFailure(f"env names {name!r}, which cannot be the name of a variable.")
    if not isinstance(value, (str, int, float)) or "\0" in str(value):
        raise ComposeFailure(f"the value of {name} in env is no text: give a text, a number or a boolean.")
    return str(value).lower() if isinstance(value, bool) else str(value)


def env_ways(env: t.Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """Variables as the content of a docker env file, and those that it cannot hold.

    The latter go through the CLI's own environment. One that would steer the CLI itself there is refused.
    """
    lines = {name: value for name, value in env.items() if _fits_a_line(value)}
    others = {name: value for name, value in env.items() if name not in lines}
    refused = sorted(name for name in others if name in ALLOWED or CLIENTS_OWN.match(name))
    if refused:
        raise ComposeFailure(
            f"the value of {', '.join(refused)} in env has several lines or is very long, which docker cannot pass on "
            f"for a variable that it reads itself. Set it within the command, or use one_off."
        )
    content = "".join(f"{name}={value}\n" for name, value in lines.items())
    return content.encode("utf-8", "surrogateescape"), others


def _fits_a_line(value: str) -> bool:
    return not re.search(r"[\r\n]", value) and len(value.encode("utf-8", "surrogateescape")) < LONGEST_LINE


def with_env(model: t.Mapping[str, t.Any], service: str, env: t.Mapping[str, str]) -> dict[str, t.Any]:
    """A resolved model in which a service has these variables too, ``$`` escaped as Compose reads it."""
    services = model["services"]
    escaped = {name: value.replace("$", "$$") for name, value in env.items()}
    environment = {**(services[service].get("environment") or {}), **escaped}
    return {**model, "services": {**services, service: {**services[service], "environment": environment}}}


def told_failure(command: Command, rc: int, output: str, errors: str) -> str:
    """Why the command counts as failed, with the end of what it printed."""
    last = "\n".join((errors.strip() or output.strip() or "it printed nothing").splitlines()[-20:])[-2000:]
    words = command.argv[0] if command.argv else "its command"
    if rc in (126, 127) or CANNOT_START.search(errors):
        return (
            f"service {command.service}: {words} could not be executed in the container (exit code {rc}): "
            f"{last}\nLook at argv, user and workdir, and at what the image contains."
        )
    return f"service {command.service}: the command ended with exit code {rc}{_signal(rc)}: {last}"


def is_not_begun(rc: int, printed: str) -> bool:
    """Whether the engine could not start the command, so that it has changed nothing."""
    return rc in (126, 127) and bool(NOT_BEGUN.match(printed.strip()))


def _signal(rc: int) -> str:
    hint = {137: " (killed, perhaps for want of memory)", 139: " (segmentation fault)", 143: " (told to terminate)"}
    return hint.get(rc, "")
