# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where secret values are found on a host, so that the redactor knows them. Private to strata.compose."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._files import read_file
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor, secrets_of
from ansible_collections.strata.compose.plugins.module_utils._sources import variables_of

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Release

LARGEST = 1 << 16
"""Bytes; a larger file behind ``secrets:`` is a key store or the like, which no log line repeats."""


def learn_secrets(redactor: Redactor, release: Release, env_files: t.Iterable[str]) -> None:
    """Teach the redactor the secrets of env files, of services' environments and of the files behind ``secrets:``."""
    redactor.learn(secrets_of(variables_of(env_files)))
    redactor.learn(release.variables.values())
    redactor.learn(_in_model(release.model))
    redactor.learn(_in_files(release.model))


def _in_model(model: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    for service in (model.get("services") or {}).values():
        build = service.get("build") or {}
        for variables in (service.get("environment") or {}, build.get("args") or {}):
            plain = {name: str(value).replace("$$", "$") for name, value in variables.items() if value is not None}
            yield from secrets_of(plain)


def _in_files(model: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    for secret in (model.get("secrets") or {}).values():
        path = secret.get("file")
        if path and os.path.isfile(path) and os.path.getsize(path) <= LARGEST:
            yield (read_file(path) or b"").decode("utf-8", "replace")
