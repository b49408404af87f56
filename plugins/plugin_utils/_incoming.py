# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment will bring to a host, packed for the module call that plans with it. Private to strata.compose."""

from __future__ import annotations

import base64
import json
import os
import typing as t
import zlib

from ansible.errors import AnsibleActionFail
from ansible_collections.strata.compose.plugins.module_utils._env_file import content_of
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.plugin_utils._patterns import ALWAYS
from ansible_collections.strata.compose.plugins.plugin_utils._source import File, Source, read_source

if t.TYPE_CHECKING:
    from ansible.plugins.action import ActionBase

KEYS = ("source", "exclude", "delete", "variables", "env_file", "secrets")
FILES = KEYS[:3]
WRITES_ENV_FILE = "strata.compose.compose_env_file"
"""It needs the example that is to come, and compares with the env file that is there."""

LARGEST = 1 << 18
"""Bytes; of a larger file only the digest travels, for Compose reads no such files."""
LARGEST_TREE = 8 << 20
"""Bytes of all that travels; of a larger source, only what Compose may read."""
READ_BY_COMPOSE = (".yml", ".yaml", ".json", ".sql")


def packed(action: ActionBase, given: t.Any, module: str, environment: str) -> str | None:
    """The module's option ``incoming`` for the mapping of a task; ``None`` when it names nothing."""
    if not isinstance(given, dict) or set(given) - set(KEYS):
        raise AnsibleActionFail(f"incoming is a mapping with some of the keys {', '.join(KEYS)}.")
    heeded = FILES if module == WRITES_ENV_FILE else KEYS
    incoming = {key: value for key, value in given.items() if key in heeded}
    source = _source(action, incoming) if incoming.get("source") else None
    others = {**_env_file(incoming, environment), **_secrets(incoming)}
    if source is None and not others:
        return None
    told = {
        "manifest": None if source is None else {path: each.told() for path, each in source.items()},
        "delete": bool(incoming.get("delete", True)),
        "contents": {name: _encoded(content) for name, content in _contents(source or {}).items()},
        "others": {path: _encoded(content) for path, content in others.items()},
    }
    return base64.b64encode(zlib.compress(json.dumps(told, sort_keys=True).encode())).decode()


def _source(action: ActionBase, incoming: t.Mapping[str, t.Any]) -> Source:
    folder = str(action._find_needle("files", incoming["source"]))
    patterns = (*ALWAYS, *(incoming.get("exclude") or ()))
    return read_source(os.path.normpath(folder), patterns, action._loader.get_real_file)


def _env_file(incoming: t.Mapping[str, t.Any], environment: str) -> dict[str, bytes]:
    variables = incoming.get("variables")
    if variables is None:
        return {}
    try:
        return {incoming.get("env_file") or f".env.{environment}": content_of(variables, environment)}
    except ComposeFailure as failure:
        raise AnsibleActionFail(failure.message) from failure


def _secrets(incoming: t.Mapping[str, t.Any]) -> dict[str, bytes]:
    return {f"secrets/{name}": str(content).encode() for name, content in (incoming.get("secrets") or {}).items()}


def _contents(source: Source) -> dict[str, bytes]:
    """By SHA-256, what a plan may read: Compose files, env files, secrets; of the rest the digest is enough."""
    files = {path: each for path, each in source.items() if isinstance(each, File)}
    sizes = {path: os.path.getsize(each.place) for path, each in files.items()}
    small = {path: each for path, each in files.items() if sizes[path] <= LARGEST}
    if sum(sizes[path] for path in small) > LARGEST_TREE:
        small = {path: each for path, each in small.items() if _is_read_by_compose(path, each)}
    return {each.sha256: _content(each) for each in small.values()}


def _is_read_by_compose(path: str, file: File) -> bool:
    name = os.path.basename(path).lower()
    return name.endswith(READ_BY_COMPOSE) or "env" in name or not file.mode & 0o004


def _content(file: File) -> bytes:
    with open(file.place, "rb") as content:
        return content.read()


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
