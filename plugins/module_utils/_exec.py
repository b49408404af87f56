# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command in a service's container, or in one that is made for it. Private to strata.compose.

The container of a deployed service is known from its release, so ``docker exec`` needs no look at the engine first.
``docker compose exec`` would enter a one-off container of the service where there is one (seen with Compose 2.26).
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _command
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._command import Options
from ansible_collections.strata.compose.plugins.module_utils._end_inside import end_inside
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._model import as_json
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._release import Release
from ansible_collections.strata.compose.plugins.module_utils._resolve import (
    profiles_that_are_off,
    require_services,
    resolved,
)
from ansible_collections.strata.compose.plugins.module_utils._session import Session, in_memory, open_session
from ansible_collections.strata.compose.plugins.module_utils._snapshot import LABEL
from ansible_collections.strata.compose.plugins.module_utils._sources import find_project
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._session import Result

MARK = "STRATA_EXEC"
"""Variable of a command's processes, by which they are found in the container when their time is over."""


def execute(options: Options, redactor: Redactor, check: bool) -> Result:
    """Run the command and tell how it ended; in check mode only one that is said to change nothing."""
    with open_session(options, redactor) as session:
        if check and not session.command.read_only:
            told = "skipped in check mode, for the command is not said to be read_only"
            return {**session.begin(), "changed": False, "skipped": True, "msg": told}
        return _once(session) if session.command.one_off else _inside(session)


def _inside(session: Session) -> Result:
    """In the container that the release knows; in another one only after the engine refused that one."""
    container = _recorded(session) or _running(session)
    rc = _exec(session, container)
    if rc == 1 and _is_refused(session, container):
        session.begin_anew()
        container = _running(session)
        rc = _exec(session, container)
    return session.result(None if session.command.detach and rc == 0 else rc, container)


def _recorded(session: Session) -> str | None:
    """A container that the last deployment left running; none is known for a certain index."""
    made = session.release.made.get(session.command.service) if session.release else None
    if made is None or session.command.index is not None:
        return None
    return next((each for each, state in made.containers.items() if state == "running"), None)


def _is_refused(session: Session, container: str) -> bool:
    """Whether the engine did not let the command in, so that it has not been run: it names the container then.

    Raises `ComposeFailure` when the engine cannot be reached, which looks the same as a command that failed.
    """
    errors = session.output.errors()
    if not errors or not session.output.is_silent:
        return False
    return container not in _listed(session, "--filter", "status=running") and container in errors


def _running(session: Session) -> str:
    """The first running container of the service, one-off ones left out."""
    running = _listed(session, "--filter", "status=running")
    if running:
        return min(running, key=lambda each: int(running[each][0] or 0))
    known = [f"{name} is {state}" for _number, name, state in _listed(session, "--all").values()]
    service, index = session.command.service, session.command.index
    raise ComposeFailure(
        f"service {service}{f' number {index}' if index else ''} of {session.project} does not run: "
        f"{', '.join(known) or 'it has no container'}. Start it with compose_env, or run the command in a container "
        f"of its own with one_off=true. Nothing was run.",
        **{**session.begin(), "error_kind": "not_running"},
    )


def _listed(session: Session, *filters: str) -> dict[str, tuple[str, ...]]:
    """Containers of the service by id: number, name and state."""
    labels = {"project": session.project, "service": session.command.service, "oneoff": "False"}
    if session.command.index is not None:
        labels["container-number"] = str(session.command.index)
    wanted = compose.repeated("--filter", (f"label={LABEL}{name}={value}" for name, value in labels.items()))
    shape = "{{.ID}}\t{{.Label " + f'"{LABEL}container-number"' + "}}\t{{.Names}}\t{{.State}}"
    listed = session.cli.docker("ps", "--no-trunc", *wanted, *filters, "--format", shape)
    rows = (line.split("\t") for line in listed.text.splitlines())
    return {row[0]: tuple(row[1:]) for row in rows}


def _exec(session: Session, container: str) -> int:
    command = session.command
    content, variables = _command.env_ways(session.env)
    with in_memory(content) as path:
        options = [
            *compose.manner_of_command(command.user, command.workdir, command.detach),
            *compose.repeated("--env", (f"{MARK}={session.token}", *variables)),
            *(("--env-file", path) if content else ()),
        ]
        argv = compose.execute(container, session.stdin is not None, options, command.words(session.token))
        try:
            return session.run(["docker", *argv], variables)
        except ComposeFailure as failure:
            raise _told_late(session, failure, lambda: _end_inside(session, container)) from None


def _once(session: Session) -> Result:
    """In a container of the service that goes afterwards, also when the command fails, hangs or never starts."""
    command, release = session.command, _release_of(session)
    name = f"{session.project}-{command.service}-run-{session.token}"
    model = _command.with_env(release.model, command.service, session.env)
    with in_memory(as_json(model)) as path:
        begin = compose.from_release(release, path)
        options = compose.manner_of_command(command.user, command.workdir, command.detach)
        argv = compose.run_once(name, command.service, options, command.words(session.token))
        program = [*session.cli.compose_program(), *begin, "--progress", "quiet", *argv]
        try:
            rc = session.run(program, {**release.variables, "COMPOSE_IGNORE_ORPHANS": "1"})
        except BaseException as failure:
            told = _removed(session, name)
            if isinstance(failure, ComposeFailure):
                raise _told_late(session, failure, lambda: told) from None
            raise
    if rc and session.output.is_silent:
        _require_started(session, name, rc)
    return session.result(None if command.detach and rc == 0 else rc, name)


def _release_of(session: Session) -> Release:
    """The current release; where there is none with this service, what the layers say now, with its profiles on."""
    service, release = session.command.service, session.release
    if release is None or service not in release.parts:
        project = find_project(session.options)
        cli = Cli(project.base_directory, session.options["docker_host"], session.options["command_timeout"])
        release = resolved(project, cli, session.redactor)
        if service not in release.parts:
            # As `docker compose run` does for the service that it is given (compose-spec, profiles).
            own = profiles_that_are_off(project, cli, session.redactor).get(service, ())
            release = resolved(replace(project, profiles=(*project.profiles, *own)), cli, session.redactor)
        require_services(release.parts, [service])
    return release


def _require_started(session: Session, name: str, rc: int) -> None:
    """Raise `ComposeFailure` unless the container ran: the engine then tells that it died, and its name is unique.

    The engine remembers a few hundred events only, so on a busy one the words of the error have to do. The moment is
    given in full, for the CLI cuts its own ``0s`` down to the second.
    """
    filters = compose.repeated("--filter", (f"container={name}", "event=die"))
    if session.cli.docker(
        "events", "--since", "0", "--until", f"{time.time():.9f}", *filters, "--format", "{{.ID}}"
    ).output:
        return
    facts, errors = session.facts(rc), session.output.errors()
    if not _command.REFUSED.search(errors):
        return
    _removed(session, name)
    if _command.CANNOT_START.search(errors):
        # Masked before it is cut: the rest of a secret that was cut is not known any more.
        message = _command.told_failure(session.command, rc, "", session.redactor.mask(errors))
        raise ComposeFailure(message, **{**facts, "error_kind": "command_failed"})
    raise ComposeFailure(
        f"service {session.command.service}: no one-off container could be started: {errors.strip()}. Nothing was run.",
        **{**facts, "error_kind": "not_running"},
    )


def _told_late(session: Session, failure: ComposeFailure, end: t.Callable[[], str]) -> ComposeFailure:
    """The failure of a command whose time is over, once it has been ended; other failures as they are."""
    if failure.facts.get("error_kind") != "timeout":
        return failure
    silence = session.cli.silence()
    message = f"service {session.command.service}: the command did not end within {session.options['timeout']} s. " + (
        f"What became of it is not known: {silence}" if silence else f"{end()} Raise timeout if it needs longer."
    )
    changed = not session.command.read_only
    return ComposeFailure(message, **{**session.facts(None), "changed": changed, "error_kind": "timeout"})


def _end_inside(session: Session, container: str) -> str:
    return end_inside(container, f"{MARK}={session.token}", session.command.user, session.cli)


def _removed(session: Session, name: str) -> str:
    """Remove a one-off container, whatever it does."""
    gone = session.cli.docker("rm", "--force", "--volumes", name, accept=None, timeout=60).rc == 0
    return "It was ended, and its container removed." if gone else f"Its container {name} could not be removed."
