# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The short way of a deployment that has nothing to do, which most have.

When a deployment finds nothing to do, it keeps its result together with all that it has asked (`_asked`) and what was
answered. The next one with the same options asks the same, under the project's lock. When all answers are the same, so
is the result; when one is not, the deployment is decided as if there were no such record. It is made for speed: most of
the time of a run that changes nothing is the import of what decides. Private to strata.compose.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _asked, _records
from ansible_collections.strata.compose.plugins.module_utils._asked import Asked
from ansible_collections.strata.compose.plugins.module_utils._cli import (
    Cli,
    Completed,
    allowed_environment,
    identity,
    parsed_json,
)
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure, Keep, Shown
from ansible_collections.strata.compose.plugins.module_utils._lock import locked
from ansible_collections.strata.compose.plugins.module_utils._signals import cancellable
from ansible_collections.strata.compose.plugins.module_utils._state import require_own_folder, state_dir_of

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Options = t.Mapping[str, t.Any]

FOLDER = ".unchanged"
"""Folder in ``state_dir``. No project has this name, for names of projects begin with a letter or a digit."""

WITHOUT_EFFECT = ("actor", "revision", "lock_wait")
"""Options that say who deploys, and how patiently: they differ from run to run, and decide nothing."""

OF_CONNECTION = ("SSH_AUTH_SOCK",)
"""Variables that every connection sets anew; a model that was resolved once is not resolved anew for them either."""


class Kept(t.NamedTuple):
    """The result of a deployment that had nothing to do, and what it was decided on."""

    key: str
    """digest of all that is known without asking: options, code, program, session"""
    project: str
    of_paths: list[list[str]]
    """question, path and answer"""
    of_engine: list[list[t.Any]]
    """command line, and the digest of what it printed"""
    result: dict[str, t.Any]
    """as it was shown, with secrets masked"""
    warnings: list[str]
    parameters: dict[str, t.Any]
    """the module's parameters that were masked"""


def exit_if_unchanged(module: AnsibleModule, options: Options) -> None:
    """End the module with the result of the last run, when nothing differs from what that one found."""
    try:
        may_be = options["state"] == "present" and not module.check_mode
        kept = _recalled(options, module._diff) if may_be else None
    except ComposeFailure as failure:
        from ansible_collections.strata.compose.plugins.module_utils._errors import told_as_module_result
        from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor

        with told_as_module_result(module, Redactor()):
            raise failure
    if kept:
        module.params.update(kept.parameters)
        for warning in kept.warnings:
            module.warn(warning)
        module.exit_json(**kept.result)


def _recalled(options: Options, diff: bool) -> Kept | None:
    """What is kept of these options, if all of it still holds; raises `ComposeFailure` when the project is locked."""
    state_dir, directory = state_dir_of(options), os.path.abspath(options["project_dir"])
    require_own_folder(state_dir)
    kept = _records.read(path_of(options), _built)
    cli = Cli(directory, options["docker_host"], options["command_timeout"])
    if not isinstance(kept, Kept) or kept.key != _key(options, diff, cli):
        return None
    folder = os.path.join(state_dir, kept.project)
    require_own_folder(folder)
    if not os.path.isdir(folder):
        return None
    actor, wait = options["actor"] or "unknown", options["lock_wait"]
    with cancellable(), locked(folder, options["state"], actor, wait, cli):
        return kept if _holds(kept, cli) else None


def _built(content: dict[str, t.Any]) -> Kept:
    return Kept(**content)


def _holds(kept: Kept, cli: Cli) -> bool:
    """Whether everything is answered as it was."""
    try:
        if any(_asked.as_text(_asked.QUESTIONS[name](path)) != answer for name, path, answer in kept.of_paths):
            return False
    except (ComposeFailure, OSError):
        # What cannot be asked any more differs. The long way meets it too, and knows what to mask in what it tells.
        return False
    answers = cli.docker_side_by_side(*(argv[1:] for argv, _answer in kept.of_engine))
    return [_digest(each) for each in answers] == [answer for _argv, answer in kept.of_engine]


def keeping(options: Options, diff: bool) -> Keep:
    """Take down what is asked from now on, and keep the result that comes of it."""
    return functools.partial(keep, _asked.begin(), options, diff)


def keep(asked: Asked, options: Options, diff: bool, shown: Shown) -> None:
    """Keep the result of a deployment for the next one, if it has found nothing to do and has nothing of its own time.

    What cannot be written is no reason to fail: the next deployment takes the long way.
    """
    has_decided = options["state"] == "present" and asked.found_nothing_to_do
    is_repeatable = has_decided and asked.is_whole and not shown.result["changed"]
    if not is_repeatable or not set(WITHOUT_EFFECT).isdisjoint(shown.parameters):
        return
    cli = Cli(os.path.abspath(options["project_dir"]), options["docker_host"], options["command_timeout"])
    kept = Kept(
        key=_key(options, diff, cli),
        project=shown.result["project"],
        of_paths=[[*about, answer] for about, answer in asked.of_paths.items()],
        of_engine=[[list(each.argv), _digest(each)] for each in asked.of_engine],
        result=shown.result,
        warnings=shown.warnings,
        parameters=shown.parameters,
    )
    with contextlib.suppress(ComposeFailure):
        _records.write(path_of(options), kept._asdict())


def forget(options: Options) -> None:
    """Remove what is kept for an environment that is removed itself. Where that fails, it is of no harm."""
    path = path_of(options)
    with contextlib.suppress(OSError):
        os.unlink(path)
        os.rmdir(os.path.dirname(path))


def path_of(options: Options) -> str:
    """Where the result for an environment is kept: one file for each, whatever its other options are."""
    names = [options["project_dir"], options["environment"], options["project_name"]]
    return os.path.join(state_dir_of(options), FOLDER, f"{_sha(names)[:32]}.json")


def _key(options: Options, diff: bool, cli: Cli) -> str:
    effective = {name: value for name, value in options.items() if name not in WITHOUT_EFFECT}
    session = {name: value for name, value in allowed_environment().items() if name not in OF_CONNECTION}
    programs = [identity(cli.compose_program()), identity(["docker"])]
    return _sha([effective, diff, os.geteuid(), os.environ.get("XDG_STATE_HOME"), session, programs, _code()])


def _code() -> list[t.Any]:
    """What tells this version of the code from another: Ansible sends it as an archive, with the time of the run."""
    archive = getattr(__spec__.loader, "archive", None)
    if archive is None:
        folder = os.path.dirname(__file__)
        return sorted((each.name, each.stat().st_mtime_ns) for each in os.scandir(folder) if each.name.endswith(".py"))
    import zipfile

    with zipfile.ZipFile(archive) as opened:
        return sorted((each.filename, each.CRC) for each in opened.infolist() if "strata" in each.filename)


def _digest(completed: Completed) -> str:
    """The digest of what the engine says that a decision depends on."""
    answer: t.Any = completed.text
    if completed.argv[1] == "inspect":
        answer = [_lasting(each) for each in parsed_json(completed) or ()]
    return _sha([completed.rc, answer, completed.error_text])


def _lasting(inspected: dict[str, t.Any]) -> t.Any:
    """A container without its health checks, of which there is always a new one; of an image, that it is the same.

    What else an image has are its names, and those that other projects give it matter to nobody.
    """
    if "State" not in inspected:
        return inspected.get("Id")
    (inspected["State"].get("Health") or {}).pop("Log", None)
    # The checks and commands that run in it just now; and the engine tells mounts in any order.
    return {**inspected, "ExecIDs": None, "Mounts": sorted(map(_sha, inspected.get("Mounts") or ()))}


def _sha(value: t.Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
