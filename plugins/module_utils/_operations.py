# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An operation on an environment: under the project's lock, after old accidents are settled.

What is to be done, each module hands in: Ansible sends a module with all that it imports, and what compose_env does not
need, it is not to carry. What only some runs need is imported when it is needed, for half of the time of a run that
changes nothing is importing. Private to strata.compose.
"""

from __future__ import annotations

import contextlib
import os
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._current import Current, CurrentFile
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure, notice
from ansible_collections.strata.compose.plugins.module_utils._files import exists, is_file, is_folder
from ansible_collections.strata.compose.plugins.module_utils._journal import JournalFile
from ansible_collections.strata.compose.plugins.module_utils._lock import locked
from ansible_collections.strata.compose.plugins.module_utils._owner_record import OBSERVING, note_owner, require_own
from ansible_collections.strata.compose.plugins.module_utils._records import Damage
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor, secrets_of
from ansible_collections.strata.compose.plugins.module_utils._release_store import ReleaseStore
from ansible_collections.strata.compose.plugins.module_utils._scene import Options
from ansible_collections.strata.compose.plugins.module_utils._secrets import learn_generated
from ansible_collections.strata.compose.plugins.module_utils._signals import Cancellation, cancellable
from ansible_collections.strata.compose.plugins.module_utils._sources import identify
from ansible_collections.strata.compose.plugins.module_utils._state import state_dir_of

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._init_after import InSwitch
    from ansible_collections.strata.compose.plugins.module_utils._init_proof import Proof
    from ansible_collections.strata.compose.plugins.module_utils._journal import Journal
    from ansible_collections.strata.compose.plugins.module_utils._transaction import Transaction

Result = dict[str, t.Any]


@dataclass(frozen=True)
class Operation:
    """One run of the module: what is asked for, and on which project."""

    options: Options
    redactor: Redactor
    check: bool
    diff: bool
    cli: Cli
    store: ReleaseStore
    cancellation: Cancellation
    running_environment: str = ""
    """the environment that the project is on this host; another one than asked for where it is being renamed"""

    def transaction(self, proof: Proof | None = None) -> Transaction:
        """What a switch needs; ``proof`` is that of the init phase."""
        from ansible_collections.strata.compose.plugins.module_utils._record import Author
        from ansible_collections.strata.compose.plugins.module_utils._switch import Manner
        from ansible_collections.strata.compose.plugins.module_utils._transaction import Transaction

        options, cancellation = self.options, self.cancellation
        manner = Manner(
            wait=options["wait"],
            wait_timeout=options["wait_timeout"],
            stable_for=options["stable_for"],
            stop_timeout=options["timeout"],
            cancelled=lambda: cancellation.failure("") if cancellation.by else None,
            init=self.init_in_switch(),
            redactor=self.redactor,
        )
        author = replace(Author.from_options(options), init=proof.history if proof else ())
        return replace(Transaction.begin(manner, author, cancellation), init=proof.scene if proof else None)

    def init_in_switch(self) -> InSwitch | None:
        """The init steps that a switch may make due, in an environment that has an init phase.

        Whatever module recovers a release has to run them, also one that cannot leave the init phase out.
        """
        if not self.options.get("require_init", True) or not os.path.exists(
            os.path.join(self.store.folder, "init.json")
        ):
            return None
        from ansible_collections.strata.compose.plugins.module_utils._init_after import InSwitch

        return InSwitch(self, self.cancellation)


Perform = t.Callable[[Operation], Result]
"""What a module does in an operation; its result has at least ``changed``, ``actions`` and ``release``."""


def run(options: Options, redactor: Redactor, check: bool, diff: bool, perform: Perform) -> Result:
    """Bring the environment to a state, by what the module hands in; in check mode, tell what that would change."""
    if check:
        return _foreseen(options, redactor, diff, perform)
    cli, store = find_by_name(options, redactor)
    actor = options["actor"] or "unknown"
    with cancellable() as cancellation, locked(store.folder, options["state"], actor, options["lock_wait"], cli):
        make_sound(store)
        owner = _required_own(options, cli, store)
        operation = Operation(options, redactor, check, diff, cli, store, cancellation, owner)
        settled: Result = {}
        try:
            settled = _settled(operation)
            result = perform(operation)
            _closed(operation)
        except ComposeFailure as failure:
            raise _told_whole(failure, settled, operation, actor) from failure
        result = _with_owner(options, cli, store, result)
    warnings = list(dict.fromkeys((*result.get("warnings", ()), *cli.warnings)))
    warned = {"warnings": warnings} if warnings else {}
    changed = result["changed"] or bool(settled)
    return _audited({**result, **settled, **warned, "changed": changed}, operation, actor)


def _with_owner(options: Options, cli: Cli, store: ReleaseStore, result: Result) -> Result:
    """The result, after which it is noted whose the project is. What is done is done, also when the engine is gone."""
    try:
        return note_owner(options, cli, store, result)
    except ComposeFailure as failure:
        told = f"Whose project {store.project} is could not be noted: {failure.message}"
        return {**result, "warnings": [*result.get("warnings", ()), told]}


def _required_own(options: Options, cli: Cli, store: ReleaseStore) -> str:
    """The environment that the project is; the engine is not asked when it will be anyway, before any change."""
    return require_own(options, cli, store, options["state"] in OBSERVING and JournalFile(store.folder).found() is None)


def _foreseen(options: Options, redactor: Redactor, diff: bool, perform: Perform) -> Result:
    """What would change; with the files that are still to come, when the part on the controller has sent them."""
    with contextlib.ExitStack() as stack:
        if options.get("incoming"):
            from ansible_collections.strata.compose.plugins.module_utils._incoming import laid_over

            stack.enter_context(laid_over(options))
        cli, store = find_by_name(options, redactor)
        owner = _required_own(options, cli, store)
        return perform(Operation(options, redactor, True, diff, cli, store, Cancellation(), owner))


def _told_whole(failure: ComposeFailure, settled: Result, operation: Operation, actor: str) -> ComposeFailure:
    """A failure with what was settled before it; the audit log tells of it when anything was changed."""
    changed = bool(settled) or failure.facts.get("changed", False)
    facts = {**failure.facts, **settled, "changed": changed}
    current = operation.store.current()
    about = {"actions": [], "release": current.number if current else None, "outcome": facts.get("state", "failed")}
    warned = _audited({**about, **facts}, operation, actor) if changed else facts
    return ComposeFailure(failure.message, **{**facts, **{key: warned[key] for key in ("warnings",) if key in warned}})


def find_by_name(options: Options, redactor: Redactor) -> tuple[Cli, ReleaseStore]:
    """CLI and releases of an environment whose files may be gone."""
    directory = os.path.abspath(options["project_dir"])
    identity = identify({**options, "env_files": _env_files(options, directory)})
    redactor.publish((identity.name, options["environment"], directory))
    redactor.learn(secrets_of(identity.variables))
    store = ReleaseStore(state_dir_of(options), identity.name)
    learn_generated(redactor, store.folder)
    return Cli(directory, options["docker_host"], options["command_timeout"]), store


def _env_files(options: Options, directory: str) -> list[str] | None:
    """The option, without files that need not be there: nothing is resolved then, and a name is all that they tell.

    The connection of a database is prepared to be written to one of them, and a project may have left its host.
    """
    is_before = options.get("database_state") == "prepared" or options.get("service") == "" or options.get("dedicated")
    if not options["env_files"] or (is_folder(directory) and not is_before):
        return t.cast("list[str] | None", options["env_files"])
    return [each for each in options["env_files"] if is_file(os.path.join(directory, each))] or None


def _settled(operation: Operation) -> Result:
    """Recover from what the journal tells of, as far as this operation needs it."""
    journal = _journal(operation)
    if journal is None:
        return {}
    from ansible_collections.strata.compose.plugins.module_utils._recovery import recover

    return t.cast(Result, recover(operation, journal))


def _closed(operation: Operation) -> None:
    """Close the journal of what this operation has put an end to."""
    if exists(JournalFile(operation.store.folder).path):
        from ansible_collections.strata.compose.plugins.module_utils._recovery import close_after

        close_after(operation)


def _journal(operation: Operation) -> Journal | None:
    """The journal. What a switch of which nobody knows any more has left half made is removed."""
    file = JournalFile(operation.store.folder)
    was_there = exists(file.path)
    found = file.found()
    if isinstance(found, Damage) and found.is_newer and operation.options["state"] in ("stopped", "absent"):
        notice(f"{found}. What it tells of is left as it is.")
        return None
    journal = file.read_or_set_aside()
    if was_there and journal is None:
        from ansible_collections.strata.compose.plugins.module_utils._leftovers import remove_leftovers

        remove_leftovers(operation.store.project, operation.cli)
    return journal


def make_sound(store: ReleaseStore) -> None:
    """Write anew, under the lock, the records of a version before this one and the number of a release that was lost.

    What cannot be written is no reason to fail: it is read as it is.
    """
    found = CurrentFile(store.folder).read()
    if isinstance(found, Current) and found.is_sealed:
        return
    from ansible_collections.strata.compose.plugins.module_utils._upgrade import upgrade

    try:
        upgrade(store)
    except ComposeFailure as failure:
        notice(f"The records of project {store.project} could not be written anew: {failure.message}")


def _audited(result: Result, operation: Operation, actor: str) -> Result:
    if not result["changed"]:
        return result
    from ansible_collections.strata.compose.plugins.module_utils._record import audited

    actions = [f"{each['action']} {each['service']}" for each in result["actions"]]
    entry = {"operation": operation.options["state"], "actor": actor, "release": result["release"]}
    entry.update({key: operation.redactor.mask(result[key]) for key in ("outcome", "settled") if key in result})
    return audited(operation.store.folder, {**entry, "actions": actions}, result)
