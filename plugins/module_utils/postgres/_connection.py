# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables by which an application finds its database. Pure. Private to strata.compose."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure

PORT = 5432
"""On which the official image's server listens."""
INSIDE = "inside"
EVERYWHERE = ("0.0.0.0", "::", "[::]", "")
"""Addresses of a published port that are reached under any address of the host."""
PARTS = ("url", "host", "port", "database", "user", "password")
READONLY = ("readonly_url", "readonly_user", "readonly_password")


@dataclass(frozen=True)
class Endpoint:
    """Where a server is reached."""

    host: str
    port: int


@dataclass(frozen=True)
class Account:
    """Who logs in."""

    user: str
    password: str = field(repr=False)


def require_parts(names: t.Mapping[str, t.Any], has_reader: bool) -> None:
    """Raise `ComposeFailure` for a part that there is not, or that is to have no name."""
    known = (*PARTS, *READONLY) if has_reader else PARTS
    unknown = sorted(set(names) - set(known))
    if unknown:
        hint = "; readonly_role is not set" if set(unknown) & set(READONLY) else ""
        raise ComposeFailure(
            f"variables: there is no {', '.join(unknown)}{hint}. A connection has {', '.join(known)}. Nothing was "
            f"changed."
        )
    unnamed = sorted(part for part, each in names.items() if not all(_listed(each)))
    if unnamed:
        raise ComposeFailure(
            f"variables: {', '.join(unnamed)} needs the name of a variable, or a list of names. Nothing was changed."
        )


def variables(
    names: t.Mapping[str, t.Any],
    endpoint: Endpoint,
    database: str,
    accounts: t.Sequence[Account],
    scheme: str,
    parameters: t.Mapping[str, t.Any] | None,
) -> dict[str, str]:
    """Names and values for the env file; of ``names``, each part of a connection has one or several.

    Values are as they are: what writes the env file quotes them.
    """
    values = _values(endpoint, database, accounts, scheme, parameters)
    return {name: values[part] for part, each in names.items() for name in _listed(each)}


def _listed(names: t.Any) -> list[str]:
    if isinstance(names, list):
        return [each if isinstance(each, str) else "" for each in names]
    return [names if isinstance(names, str) else ""]


def _values(
    endpoint: Endpoint,
    database: str,
    accounts: t.Sequence[Account],
    scheme: str,
    parameters: t.Mapping[str, t.Any] | None,
) -> dict[str, str]:
    writer, *readers = accounts
    told = {
        "url": url(endpoint, database, writer, scheme, parameters),
        "host": endpoint.host,
        "port": str(endpoint.port),
        "database": database,
        "user": writer.user,
        "password": writer.password,
    }
    for reader in readers:
        told["readonly_url"] = url(endpoint, database, reader, scheme, parameters)
        told["readonly_user"], told["readonly_password"] = reader.user, reader.password
    return told


def url(
    endpoint: Endpoint, database: str, account: Account, scheme: str, parameters: t.Mapping[str, t.Any] | None
) -> str:
    """A connection URI (libpq, `Connection URIs`): each part percent-encoded, so that none ends where it should not.

    ``parameters`` are none where a task says that the option is null.
    """
    host = f"[{endpoint.host}]" if ":" in endpoint.host else quote(endpoint.host, safe="")
    tail = urlencode({name: str(value) for name, value in (parameters or {}).items()}, quote_via=quote, safe="")
    address = f"{host}:{endpoint.port}/{encoded(database)}"
    return f"{scheme}://{encoded(account.user)}:{encoded(account.password)}@{address}" + (f"?{tail}" if tail else "")


def published_as(port: str) -> str:
    """Address and port of the option: ``5433`` is for this host alone, ``0.0.0.0:5433`` says who else may come."""
    address, colon, number = port.rpartition(":")
    if not number.isdecimal():
        raise ComposeFailure(f"port {port!r} is no port: give a number, or an address and a number as in 0.0.0.0:5433.")
    return f"{address}{colon}{number}" if colon else f"127.0.0.1:{number}"


def published(ports: t.Iterable[str]) -> Endpoint | None:
    """Where a container's port is reached from outside, of ports told as ``address:port->5432/tcp``."""
    for each in sorted(ports):
        outer, _sign, inner = each.partition("->")
        address, _colon, port = outer.rpartition(":")
        if inner == f"{PORT}/tcp" and port.isdecimal():
            return Endpoint("127.0.0.1" if address in EVERYWHERE else address.strip("[]"), int(port))
    return None


def encoded(text: str) -> str:
    """A part of a URL."""
    return quote(text, safe="", errors="surrogateescape")
