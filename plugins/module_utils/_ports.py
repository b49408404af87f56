# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host ports: who wants them, and who has them. Private to strata.compose."""

from __future__ import annotations

import glob
import os
import re
import socket
import struct
import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._files import read_file
from ansible_collections.strata.compose.plugins.module_utils._snapshot import LABEL

ANY = ("0.0.0.0", "::", "")
LISTENS = "0A"
"""State of a listening TCP socket in /proc/net/tcp (kernel Documentation/networking/proc_net_tcp.rst)."""
BOUND = "07"
"""State of a bound UDP socket."""
PUBLISHED = re.compile(r"(?P<host>\[?[0-9a-f.:]*\]?):(?P<first>\d+)(?:-(?P<last>\d+))?->[\d-]+/(?P<protocol>\w+)")


@dataclass(frozen=True)
class HostPort:
    """An address, port and protocol of the host."""

    address: str
    port: int
    protocol: str

    def meets(self, other: HostPort) -> bool:
        """Whether both cannot be bound at the same time."""
        same = self.port == other.port and self.protocol == other.protocol
        return same and (self.address in ANY or other.address in ANY or self.address == other.address)

    def __str__(self) -> str:
        return f"{self.address or '0.0.0.0'}:{self.port}/{self.protocol}"


@dataclass(frozen=True)
class Holder:
    """Who has a host port."""

    port: HostPort
    container: str
    project: str
    service: str

    def __str__(self) -> str:
        if not self.project:
            return f"container {self.container}"
        return f"container {self.container} (service {self.service} of project {self.project})"


def wanted_ports(definition: t.Mapping[str, t.Any]) -> list[HostPort]:
    """The fixed host ports of a service; of a range or without a number the engine picks a free one."""
    entries = definition.get("ports") or ()
    return [
        HostPort(each.get("host_ip", ""), int(each["published"]), each.get("protocol", "tcp"))
        for each in entries
        if str(each.get("published", "")).isdigit() and int(each["published"])
    ]


def published_ports(cli: Cli) -> list[Holder]:
    """The host ports of all running containers on the engine, of whatever project."""
    form = "\t".join(
        ("{{.Names}}", *(f'{{{{.Label "{LABEL}{key}"}}}}' for key in ("project", "service")), "{{.Ports}}")
    )
    listed = cli.docker("ps", "--no-trunc", "--format", form).text.splitlines()
    rows = (line.split("\t") for line in listed if line.count("\t") == 3)
    return [Holder(port, *names) for *names, ports in rows for port in parsed_ports(ports)]


def parsed_ports(told: str) -> list[HostPort]:
    """``0.0.0.0:8000-8001->80-81/tcp, :::8000->80/tcp`` as single ports."""
    return [
        HostPort(match["host"].strip("[]"), port, match["protocol"])
        for match in PUBLISHED.finditer(told)
        for port in range(int(match["first"]), int(match["last"] or match["first"]) + 1)
    ]


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
