# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that a refusal names, as the variables that somebody who runs a playbook sets. Private to strata.compose."""

from __future__ import annotations

import re
import typing as t

USE = r"(?<![\w.$/{{-])(?P<name>{names})(?:=(?P<value>[^\s,;:()]*[^\s,;:().`'\"]))?(?![\w-])"
"""An option, with or without a value, and not a part of another word, a path or a variable."""

VARIABLE = re.compile(r"[A-Za-z_]\w*")

LONGEST = 4000
"""Characters that are looked at: what is longer ends with the logs of something."""

MOST = 4
"""Variables that are named: a message that names more options is about something else."""


def with_variables(message: str, variables: t.Mapping[str, str]) -> str:
    """The message, and how what it asks for is said to a playbook.

    ``variables`` are those of the module's options. An option without a value counts when its name could be no other
    word. Nothing is added where the message says it itself.
    """
    names = "|".join(map(re.escape, sorted(variables, key=len, reverse=True)))
    found: dict[str, str] = {}
    for each in re.finditer(USE.format(names=names), message[:LONGEST]):
        name, value = each["name"], each["value"]
        if (value or "_" in name) and variables[name] not in message:
            assignment = f"-e {variables[name]}" + (f"={value}" if value else "=...")
            found[name] = assignment if value or name not in found else found[name]
    if not found or len(found) > MOST:
        return message
    return f"{message} (To a playbook: `{' '.join(found.values())}`)"


def variable_in(template: object) -> str | None:
    """The variable that an option of a task is taken from, such as ``deploy_lock_wait``; none for a literal."""
    text = template if isinstance(template, str) else ""
    if "{{" not in text:
        return None
    found = VARIABLE.search(text.partition("{{")[2])
    return found[0] if found else None
