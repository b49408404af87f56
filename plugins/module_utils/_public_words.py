# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that are public in a project, whatever its passwords are. Pure. Private to strata.compose."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._redact import is_secret_name
from ansible_collections.strata.compose.plugins.module_utils._result_fields import may_hold_password

NAMING = re.compile(r"(^|_)(USER|USERNAME|DB|DATABASE|DBNAME|NAME|HOST|HOSTNAME|ROLE|OWNER|SCHEMA|IMAGE|TAG|VERSION)$")
"""Ends of names of variables whose values are names."""

NAMING_USER = re.compile(r"(USER|USERNAME|ROLE|OWNER)$")
"""Some of them have a password behind a colon."""

IN_ADDRESS = re.compile(r"(?<=[A-Za-z0-9+.-])://([^\s/:@]*)(?::[^\s@/]*)?@([^\s/:?,@]+)[^\s/?,@]*(?:/([^\s?,/]+))?")
"""User, host and database of an address."""

CREATED = ("volumes", "networks", "secrets", "configs")


def of_model(model: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Names in a resolved model: of services and their images, paths, networks and volumes, users and databases."""
    yield str(model.get("name") or "")
    for kind in CREATED:
        for name, each in (model.get(kind) or {}).items():
            yield from (str(name), str((each or {}).get("name") or ""), str((each or {}).get("file") or ""))
    for name, service in (model.get("services") or {}).items():
        yield str(name)
        yield from _of_service(service)


def _of_service(service: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    for key in ("image", "container_name", "hostname", "working_dir", "user"):
        yield str(service.get(key) or "")
    yield from map(str, service.get("profiles") or ())
    for mount in service.get("volumes") or ():
        if isinstance(mount, dict):
            yield from (str(mount.get("source") or ""), str(mount.get("target") or ""))
    environment = service.get("environment") or {}
    if isinstance(environment, dict):
        yield from of_variables(environment)


def of_variables(variables: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Names of variables, and the values that are names: of users, databases, hosts; those in addresses too."""
    for name, value in variables.items():
        yield name
        if not isinstance(value, str) or is_secret_name(name):
            continue
        if may_hold_password(value):
            yield from (part for found in IN_ADDRESS.finditer(value) for part in found.groups() if part)
        elif NAMING.search(name.upper()):
            yield value.partition(":")[0] if NAMING_USER.search(name.upper()) else value
