# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception of the collection, and how a module tells it. Private to strata.compose."""

from __future__ import annotations

import contextlib
import os
import traceback
import typing as t

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule
    from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor


HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
"""What Ansible itself puts in the place of an option that is not to be logged."""


_noticed: list[str] = []


class Shown(t.NamedTuple):
    """What a module ends with, masked."""

    result: dict[str, t.Any]
    warnings: list[str]
    parameters: dict[str, t.Any]
    """those that were masked"""


Keep = t.Callable[[Shown], None]


def notice(warning: str) -> None:
    """Have the result of this run warn of what was found on the way, and was no reason to fail."""
    if warning not in _noticed:
        _noticed.append(warning)


class ComposeFailure(Exception):
    """An operation that cannot be done or was not done.

    ``message`` names the thing, the place and the way out; ``facts`` are further keys of the module's result,
    such as ``failed_services``. Both are masked when they are told, not before.
    """

    def __init__(self, message: str, **facts: t.Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


def as_failure(error: Exception) -> ComposeFailure:
    """An error that nobody foresaw as one that leads to a roll back like any other."""
    if isinstance(error, ComposeFailure):
        return error
    told = _unforeseen(error)
    return ComposeFailure(told.pop("msg"), **told)


def options_of(module: AnsibleModule) -> dict[str, t.Any]:
    """The options of a module, whose own copy forgets those that must not be told.

    Ansible would mask their values in every text and number of the result, be it a ``1``. The redactor knows better.
    """
    options = dict(module.params)
    hidden = [name for name, details in module.argument_spec.items() if details.get("no_log")]
    module.params.update({name: HIDDEN for name in hidden if options.get(name) is not None})
    module.no_log_values.clear()
    return options


@contextlib.contextmanager
def told_as_module_result(
    module: AnsibleModule, redactor: Redactor, plain: t.Collection[str] = (), keep: Keep | None = None
) -> t.Iterator[t.Callable[[dict[str, t.Any]], None]]:
    """Yield the function that ends the module with a result; an exception inside ends it as failed.

    Everything that is told passes the redactor here, and nowhere else leaves the host: the result, and the options,
    which Ansible adds to it. Left alone, Ansible would show the pending exception too, as it is. Only what ``plain``
    names of a result is told as it is: the task has to hide it. ``keep`` gets what is told before the module ends.
    """

    def tell(result: dict[str, t.Any]) -> None:
        given = dict(module.params)
        told = {**_masked(module, result, redactor), **{key: result[key] for key in plain if key in result}}
        warnings = _warned(told.pop("warnings", ()), redactor)
        if keep:
            keep(Shown(told, warnings, {name: told for name, told in module.params.items() if told != given[name]}))
        _warn(module, warnings)
        module.exit_json(**told)

    try:
        yield tell
        return
    except ComposeFailure as failure:
        told: dict[str, t.Any] = {"changed": False, **failure.facts, "msg": failure.message}
    except Exception as error:
        told = _unforeseen(error)
    masked = _masked(module, told, redactor)
    _warn(module, _warned((), redactor))
    module.fail_json(**{"exception": None, **masked})


def _warned(warnings: t.Iterable[str], redactor: Redactor) -> list[str]:
    """All that the result is to warn of, each once."""
    return list(dict.fromkeys((*warnings, *map(str, redactor.mask(list(_noticed))), *redactor.warnings())))


def _warn(module: AnsibleModule, warnings: t.Iterable[str]) -> None:
    for warning in warnings:
        module.warn(warning)


def _unforeseen(error: Exception) -> dict[str, t.Any]:
    place = traceback.extract_tb(error.__traceback__)[-1]
    message = (
        f"strata.compose itself failed, {os.path.basename(place.filename)} line {place.lineno}: "
        f"{type(error).__name__}: {error}. Please report it, with ANSIBLE_DISPLAY_TRACEBACK=error."
    )
    return {"msg": message, "exception": "".join(traceback.format_exception(type(error), error, error.__traceback__))}


def _masked(module: AnsibleModule, told: dict[str, t.Any], redactor: Redactor) -> dict[str, t.Any]:
    """What leaves the host: a result, masked, and the module's options, masked in place.

    What they name is public, and is not masked in messages either.
    """
    from ansible_collections.strata.compose.plugins.module_utils._result_fields import names_in

    redactor.publish(names_in({**module.params, **told}))
    module.params.update(redactor.mask(module.params))
    masked: dict[str, t.Any] = redactor.mask(told)
    return masked
