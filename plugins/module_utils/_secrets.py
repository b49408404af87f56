# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where secret values are found on a host, so that the redactor knows them. Private to strata.compose."""

from __future__ import annotations

import contextlib
import os
import re
import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _public_words, _records
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure, notice
from ansible_collections.strata.compose.plugins.module_utils._files import is_file, read_file, size
from ansible_collections.strata.compose.plugins.module_utils._records import Damage
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor, passwords_in, secrets_of
from ansible_collections.strata.compose.plugins.module_utils._sources import texts_of, variables_of

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._project import Project
    from ansible_collections.strata.compose.plugins.module_utils._release import Release

LARGEST = 1 << 16
"""Bytes; a larger file behind ``secrets:`` is a key store or the like, which no log line repeats."""

IN_QUOTES = re.compile(r'"([^"]{6,})"?')
GENERATED = "secrets.json"
"""File in a project's state folder: a JSON object of passwords that were made on the host."""


def learn_secrets(redactor: Redactor, release: Release, env_files: t.Iterable[str]) -> None:
    """Teach the redactor the secrets of env files, of a model and of the files behind its ``secrets:``."""
    redactor.learn(secrets_of(variables_of(env_files)))
    redactor.publish((release.project, release.environment, *_public_words.of_model(release.model)))
    redactor.publish(_public_words.of_variables(_without_environment_secrets(release)))
    redactor.learn(_in_variables(release))
    redactor.learn(_in_model(release.model))
    redactor.learn(_in_files(release.model))
    learn_gate(redactor, release)


def learn_gate(redactor: Redactor, release: Release) -> None:
    """Teach the redactor what the questions to the application of a release hold, where it has some."""
    if release.gate:
        from ansible_collections.strata.compose.plugins.module_utils._application_gate import secrets_of_gate

        redactor.learn(secrets_of_gate(release.gate))


def learn_generated(redactor: Redactor, folder: str) -> None:
    """Teach the redactor the passwords that were made on the host for the project of this state folder."""
    found = _records.read(os.path.join(folder, GENERATED), dict)
    if isinstance(found, Damage):
        # Whatever is left of them: they are still the passwords of the databases.
        redactor.learn(IN_QUOTES.findall((read_file(found.path) or b"").decode("utf-8", "replace")))
        notice(f"{found}. It holds the generated passwords of databases: restore it, or make new ones (postgres_env).")
    elif found:
        redactor.learn(_texts(found))


@contextlib.contextmanager
def learning_of_failures(redactor: Redactor, project: Project) -> t.Iterator[None]:
    """Teach the redactor what the project's texts assign before a failure to resolve it is told.

    Compose quotes lines that it cannot read, of env files of services too; a model that would name them is not there.
    """
    try:
        yield
    except ComposeFailure:
        for text in texts_of(project).values():
            redactor.learn(secrets_of(_assigned(text)))
        raise


def _assigned(text: str) -> dict[str, str | None]:
    """Names and values of a text as far as they can be told without knowing its grammar."""
    pairs = (line.partition("=") if "=" in line else line.partition(":") for line in text.splitlines())
    return {name.strip(" \t-\"'").rpartition(" ")[2]: value.strip(" \t\"'") for name, _sign, value in pairs if value}


def _in_variables(release: Release) -> dict[str, str]:
    """Values of ``environment:`` secrets, and others by their name: a variable that is passed on is no secret yet."""
    public = _without_environment_secrets(release)
    named = {value: name for name, value in release.variables.items() if name not in public}
    return {**named, **secrets_of(release.variables)}


def _without_environment_secrets(release: Release) -> dict[str, str]:
    """The variables that the model does not declare to be secrets, whatever their names are."""
    secrets = (release.model.get("secrets") or {}).values()
    named = {each["environment"] for each in secrets if each.get("environment")}
    return {name: value for name, value in release.variables.items() if name not in named}


def _in_model(model: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Secret values, each with the name that it is known by."""
    return dict(_pairs_in_model(model))


def _pairs_in_model(model: t.Mapping[str, t.Any]) -> t.Iterator[tuple[str, str]]:
    for service in (model.get("services") or {}).values():
        build, logging = service.get("build") or {}, service.get("logging") or {}
        named = (service.get("environment"), service.get("labels"), logging.get("options"), build.get("args"))
        yield from _in_mappings(named)
        check = (service.get("healthcheck") or {}).get("test")
        words = _in_words(service.get("command"), service.get("entrypoint"), check)
        yield from ((word, "") for word in words)
    for kind in ("volumes", "networks"):
        yield from _in_mappings((each or {}).get("driver_opts") for each in (model.get(kind) or {}).values())


def _in_mappings(mappings: t.Iterable[t.Mapping[str, t.Any] | None]) -> t.Iterator[tuple[str, str]]:
    for variables in mappings:
        plain = {name: _plain(value) for name, value in (variables or {}).items() if value is not None}
        yield from secrets_of(plain).items()


def _in_words(*commands: t.Any) -> t.Iterator[str]:
    """The passwords in addresses and pairs that a command is given."""
    for command in commands:
        for word in [command] if isinstance(command, str) else command or ():
            yield from passwords_in(_plain(word))


def _plain(value: t.Any) -> str:
    return str(value).replace("$$", "$")


def _in_files(model: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    for secret in (model.get("secrets") or {}).values():
        path = secret.get("file")
        if path and is_file(path) and size(path) <= LARGEST:
            yield (read_file(path) or b"").decode("utf-8", "replace")


def _texts(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for each in value.values() for text in _texts(each))
