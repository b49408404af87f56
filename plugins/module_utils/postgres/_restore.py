# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup comes back, into a new database that takes the old one's place when it is proven.

Private to strata.compose.
"""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure, notice
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils.postgres import (
    _archive,
    _backups,
    _database,
    _masking,
    _names,
)
from ansible_collections.strata.compose.plugins.module_utils.postgres._checks import require_copy, run_assertions
from ansible_collections.strata.compose.plugins.module_utils.postgres._restore_plan import (
    ROLES,
    Plan,
    plan_of,
    require_consent,
    wanted,
)
from ansible_collections.strata.compose.plugins.module_utils.postgres._server import Server
from ansible_collections.strata.compose.plugins.module_utils.postgres._sql import Statement
from ansible_collections.strata.compose.plugins.module_utils.postgres._swap import swap
from ansible_collections.strata.compose.plugins.module_utils.postgres._work import (
    Options,
    Result,
    Work,
    carried_out,
    end_leftovers,
    ending_sessions,
    observed,
)

NAMES = "SELECT coalesce(json_agg(datname), '[]') FROM pg_database"


def run(options: Options, redactor: Redactor, check: bool) -> Result:
    """Restore a backup, or have what served before come back; in check mode, tell whether that can be done."""
    perform = {"restored": restore, "swapped_back": swap_back}[options["state"]]
    _names.period(options["keep_old"])
    return carried_out(options, redactor, check, "restore", perform)


def restore(work: Work) -> Result:
    """Restore into a new database, prove it, and swap."""
    backup, folder = wanted(work)
    masks = _masking.read(work.options["masking"], work.options["project_dir"])
    folder.check(backup)
    if warning := _backups.failed_test_warning(backup, folder.place(backup.file)):
        notice(warning)
    server = work.server()
    plan = plan_of(work, backup, folder, server)
    reason = f"database {work.database} from {plan.path}"
    if work.check:
        return work.told([("restore", reason)], file=plan.path, replaced=plan.is_replacing)
    dropped = tidy(server)
    aside, seconds = _brought(work, server, plan, masks)
    if aside and not plan.is_replacing:
        drop(server, [aside])
    over = tidy(server)
    is_kept = aside and plan.is_replacing and aside not in over
    actions = [
        ("restore", reason),
        *(("drop", f"database {each} is not to be kept any longer") for each in (*dropped, *over)),
    ]
    facts = {"file": plan.path, "replaced": plan.is_replacing, "rows": backup.rows, "swap_seconds": round(seconds, 3)}
    return work.told(actions, old_database=aside if is_kept else None, sha256=backup.sha256, **facts)


def swap_back(work: Work) -> Result:
    """Have the database that served before serve again; what serves now is kept as that was."""
    server = work.server()
    current = observed(server, work.database)
    if current and not current.is_empty:
        require_consent(work, current, "swapping back")
    names = server.value(NAMES)
    old = _names.kept(names, work.database)
    if not old:
        raise ComposeFailure(
            f"service {server.service} keeps no earlier database of {work.database}: its keep_old is over, or nothing "
            f"was restored. Restore a backup. Nothing was changed.",
            error_kind="nothing_kept",
        )
    reason = f"database {work.database} is the one that served until {old[0].since:%Y-%m-%d %H:%M:%S} UTC"
    if work.check:
        return work.told([("swap", reason)])
    end_leftovers(server)
    work.cancellation.touch()
    aside = _names.old_name(work.database, _now(), _names.period(work.options["keep_old"]), names)
    seconds = swap(server, work.database if current else None, aside, old[0].name, work.database, ())
    tidy(server)
    return work.told([("swap", reason)], old_database=aside if current else None, swap_seconds=round(seconds, 3))


def tidy(server: Server) -> list[str]:
    """Drop what killed operations left, and what need not be kept any longer; only under the lock."""
    end_leftovers(server)
    names = server.value(NAMES)
    gone = [*_names.leftovers(names), *_names.expired(names, _now())]
    drop(server, gone)
    roles = [each for each in server.value(ROLES) if _names.leftovers([each])]
    server.execute([Statement("DROP ROLE %I", (each,)) for each in roles])
    return gone


def drop(server: Server, names: t.Iterable[str]) -> None:
    """Drop databases, with the sessions in them."""
    server.execute([Statement("DROP DATABASE IF EXISTS %I WITH (FORCE)", (each,)) for each in names])


def _brought(work: Work, server: Server, plan: Plan, masks: _masking.Masks) -> tuple[str, float]:
    """Fill a new database and have it serve; what did not come to that is dropped. As `_swapped` tells."""
    new = _names.new_name(server.token)
    with ending_sessions(work, server):
        try:
            _fill(work, server, plan, masks, new)
            work.cancellation.touch()
            return _swapped(work, server, plan, new)
        except BaseException:
            work.cancellation.touch()
            _drop_if_possible(server, new)
            raise


def _drop_if_possible(server: Server, name: str) -> None:
    try:
        server.end_sessions()
        drop(server, [name])
        server.execute([Statement("DROP ROLE IF EXISTS %I", (name,))])
    except ComposeFailure:
        # The server is gone, and the next operation does it: the name tells what it is.
        return


def _fill(work: Work, server: Server, plan: Plan, masks: _masking.Masks, new: str) -> None:
    """Restore into a new database and hold it against what was counted when the backup was made."""
    origin = plan.backup.origin
    server.execute([_database.create(new, origin, plan.owner, plan.tools.major)])
    try:
        with plan.folder.dump(plan.backup) as file:
            if plan.is_foreign:
                _restore_for(server, new, plan, file, work.options["timeout"])
            else:
                _archive.restore(server, new, file, (), work.options["timeout"])
        require_copy(server, new, plan.backup.rows)
        _masking.mask(server, new, plan.owner, masks, work.options["timeout"])
        run_assertions(server, new, work.options["assertions"])
        server.psql("ANALYZE;\n", new, timeout=work.options["timeout"])
    except ComposeFailure as failure:
        outcome = f"Database {work.database} is as it was." if plan.target else "There is no new database."
        raise ComposeFailure(
            f"{plan.path} was not restored: {failure.message.rstrip()} {outcome}", **failure.facts
        ) from failure


def _restore_for(server: Server, new: str, plan: Plan, file: t.IO[bytes], timeout: int) -> None:
    """Restore what another environment's roles own, and give it to the owner here.

    A role of its own makes everything, for only what one role owns can be given away as a whole; extensions stay with
    the superuser, who may have them.
    """
    extensions = [each for each in plan.backup.origin.extensions if each[0] != "plpgsql"]
    server.execute([Statement("CREATE ROLE %I SUPERUSER NOLOGIN", (new,))])
    for name, _version, schema in extensions:
        place = [Statement("CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION %I", (schema, new))]
        made = Statement("CREATE EXTENSION IF NOT EXISTS %I SCHEMA %I", (name, schema))
        server.execute([*(place if schema not in ("public", "pg_catalog") else []), made], new)
    _archive.restore(server, new, file, ("--no-owner", "--no-privileges", f"--role={new}"), timeout)
    server.execute([Statement("REASSIGN OWNED BY %I TO %I", (new, plan.owner))], new)
    server.execute([Statement("DROP ROLE %I", (new,))])


def _swapped(work: Work, server: Server, plan: Plan, new: str) -> tuple[str, float]:
    """Put the new database in its place, with the state of the one that was there; the old one's name, the seconds."""
    like = plan.target or plan.backup.origin
    state = _database.restored_state(work.database, like, plan.roles)
    aside = _names.old_name(work.database, _now(), _names.period(work.options["keep_old"]), server.value(NAMES))
    current = work.database if plan.target else None
    return (aside if current else ""), swap(server, current, aside, new, work.database, state)


def _now() -> datetime:
    return datetime.now(timezone.utc)
