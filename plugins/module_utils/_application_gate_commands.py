# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command that the application's gate runs, on the host or in a service. Private to strata.compose."""

from __future__ import annotations

import secrets
import shutil
import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _command
from ansible_collections.strata.compose.plugins.module_utils._application_gate_answer import Answer
from ansible_collections.strata.compose.plugins.module_utils._end_inside import end_inside
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._output import open_output
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._application_gate import Question
    from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
    from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor

MARK = "STRATA_GATE"
"""Variable of the command's processes in a container, by which they are found there when their time is over."""

LONGEST = 4000
"""Bytes of each stream that are read."""

LINES = 10
"""The last ones, which are shown."""


def run_command(question: Question, container: str | None, seconds: float, cli: Cli, redactor: Redactor) -> Answer:
    """Run it once, without a shell; one that takes too long is killed with all that it started."""
    argv = question["argv"]
    if container is None and shutil.which(argv[0], path=cli.environment.get("PATH")) is None:
        return Answer(f"{argv[0]} is no program on this host (PATH is {cli.environment.get('PATH')})", is_final=True)
    try:
        rc, output = run_in(container, argv, seconds, cli, redactor=redactor)
    except ComposeFailure as failure:
        if failure.facts.get("error_kind") != "timeout":
            return Answer(failure.message)
        return Answer(f"no end within {seconds:g} s")
    if container and _command.CANNOT_START.search(output):
        return Answer(f"{argv[0]} cannot be executed in the container", output=output, is_final=True)
    return Answer(f"exit code {rc}", rc in question["rc"], "\n".join(output.splitlines()[-LINES:]))


def run_in(
    container: str | None,
    argv: t.Sequence[str],
    seconds: float,
    cli: Cli,
    *,
    stdin: bytes | None = None,
    variables: t.Iterable[str] = (),
    redactor: Redactor | None = None,
) -> tuple[int, str]:
    """Exit code and the end of the output of a command in a container, there with ``variables``, or on the host."""
    token = secrets.token_hex(6)
    options = compose.repeated("--env", (*variables, f"{MARK}={token}"))
    whole = ["docker", *compose.execute(container, stdin is not None, options, argv)] if container else list(argv)
    with open_output() as output:
        try:
            rc = cli.run(whole, stdin=stdin, timeout=seconds, accept=None, into=output.files).rc
        except ComposeFailure:
            if container:
                end_inside(container, f"{MARK}={token}", None, cli)
            raise
        return rc, output.end(LONGEST, redactor)
