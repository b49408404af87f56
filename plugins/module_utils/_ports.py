# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host ports: who wants them, and who has them. Private to strata.compose."""

from __future__ import annotations

import errno
import glob
import ipaddress
import os
import re
import socket
import struct
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._files import read_file

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._engine_objects import EngineContainer

LISTENS = "0A"
"""State of a listening TCP socket in /proc/net/tcp (kernel Documentation/networking/proc_net_tcp.rst)."""
BOUND = "07"
"""State of a bound UDP socket."""
PUBLISHED = re.compile(
    r"(?P<host>\[?[0-9a-f.:]*\]?):(?P<first>\d{1,5})(?:-(?P<last>\d{1,5}))?->[\d-]+/(?P<protocol>\w+)"
)
ANY = "*"
"""Stands for all addresses of a family."""
RANGE = re.compile(r"(\d+)(?:-(\d+))?")
KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
BINDV6ONLY = "/proc/sys/net/ipv6/bindv6only"


@dataclass(frozen=True)
class HostPort:
    """An address, port and protocol of the host; without an address, all addresses of both families."""

    address: str
    port: int
    protocol: str

    def meets(self, other: HostPort) -> bool:
        """Whether the engine cannot bind both at the same time.

        It binds each family by a socket of its own (moby libnetwork/portmapper), so that ``0.0.0.0`` and ``::``
        stand side by side, while each stands in the way of all addresses of its own family.
        """
        if (self.port, self.protocol) != (other.port, other.protocol):
            return False
        mine, theirs = self._addresses(), other._addresses()
        shared = mine.keys() & theirs.keys()
        return any(ANY in (mine[family], theirs[family]) or mine[family] == theirs[family] for family in shared)

    def _addresses(self) -> dict[int, str]:
        """The address to bind by family, ``*`` for all of it."""
        if not self.address:
            return {socket.AF_INET: ANY, socket.AF_INET6: ANY}
        try:
            address = ipaddress.ip_address(self.address.partition("%")[0])
        except ValueError:  # The engine refuses it by itself.
            return {socket.AF_UNSPEC: self.address}
        mapped = getattr(address, "ipv4_mapped", None) or address
        family = socket.AF_INET if mapped.version == 4 else socket.AF_INET6
        return {family: ANY if mapped.is_unspecified else str(mapped)}

    def __str__(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address or "0.0.0.0"
        return f"{address}:{self.port}/{self.protocol}"


def wanted_ports(definition: t.Mapping[str, t.Any]) -> list[HostPort]:
    """The fixed host ports of a service; of a range or without a number the engine picks a free one."""
    return [
        HostPort(each.get("host_ip", ""), first, each.get("protocol", "tcp"))
        for each, first, last in _published(definition)
        if first == last
    ]


def published_ranges(definition: t.Mapping[str, t.Any]) -> list[tuple[int, int, int]]:
    """First and last host port of each entry that names any, and the port of the container that it leads to."""
    return [(first, last, int(each["target"])) for each, first, last in _published(definition)]


def _published(definition: t.Mapping[str, t.Any]) -> t.Iterator[tuple[t.Mapping[str, t.Any], int, int]]:
    """The entries that name host ports; in the host's own network the engine publishes nothing."""
    entries = definition.get("ports") or () if definition.get("network_mode") != "host" else ()
    for each in entries:
        found = RANGE.fullmatch(str(each.get("published") or ""))
        if found and int(found[1]):
            yield each, int(found[1]), int(found[2] or found[1])


def published_ports(containers: t.Iterable[EngineContainer]) -> list[tuple[HostPort, EngineContainer]]:
    """The host ports of all running containers, each with the container that has it."""
    return [(port, each) for each in containers for port in parsed_ports(each.ports)]


def parsed_ports(told: str) -> list[HostPort]:
    """``0.0.0.0:8000-8001->80-81/tcp, :::8000->80/tcp`` as single ports."""
    return [
        HostPort(match["host"].strip("[]"), port, match["protocol"])
        for match in map(PUBLISHED.fullmatch, told.split(", "))
        if match
        for port in range(int(match["first"]), int(match["last"] or match["first"]) + 1)
    ]


def is_held_by_both(wanted: HostPort, taken: HostPort) -> bool:
    """Whether a socket on all addresses of IPv6 also has the wanted port of IPv4, which its row does not show.

    Binding the port for a moment shows it. Where that is not permitted, the host's default for sockets decides (Linux
    Documentation/networking/ip-sysctl, bindv6only).
    """
    same = (wanted.port, wanted.protocol) == (taken.port, taken.protocol)
    if not same or taken.address != "::" or ":" in wanted.address:
        return False
    with socket.socket(socket.AF_INET, KINDS[wanted.protocol]) as probe:
        if wanted.protocol == "tcp":
            # As the engine does: without it, connections that have ended would count too.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((wanted.address, wanted.port))
        except PermissionError:
            return (read_file(BINDV6ONLY) or b"0").strip() == b"0"
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def listening_ports() -> list[tuple[HostPort, str]]:
    """Ports that processes of this host listen on, each with its socket's inode."""
    found = []
    for protocol in ("tcp", "udp"):
        for family in ("", "6"):
            table = (read_file(f"/proc/net/{protocol}{family}") or b"").decode().splitlines()[1:]
            found += [_socket_row(line.split(), protocol) for line in table]
    return [each for each in found if each is not None]


def process_of(inode: str) -> str:
    """The process that has a socket open; told as unknown when this user may not see it."""
    for link in glob.iglob("/proc/[0-9]*/fd/*"):
        try:
            if os.readlink(link) == f"socket:[{inode}]":
                pid = link.split("/")[2]
                name = (read_file(f"/proc/{pid}/comm") or b"?").decode().strip()
                return f"process {name} (pid {pid})"
        except (FileNotFoundError, PermissionError):
            continue
    return "a process of another user"


def _socket_row(columns: list[str], protocol: str) -> tuple[HostPort, str] | None:
    if columns[3] != (LISTENS if protocol == "tcp" else BOUND):
        return None
    address, port = columns[1].split(":")
    return HostPort(_address(address), int(port, 16), protocol), columns[9]


def _address(told: str) -> str:
    """The kernel tells 32-bit words in the machine's byte order; an IPv4 address in an IPv6 socket is told as IPv4."""
    words = [struct.pack("=I", int(told[start : start + 8], 16)) for start in range(0, len(told), 8)]
    address = socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, b"".join(words))
    return address.rpartition(":")[2] if "." in address else address
