# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host ports, as layers want them and as engine and kernel tell them: the table is cases/ports.yml."""

from __future__ import annotations

import sys

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _ports
from ansible_collections.strata.compose.plugins.module_utils._engine_objects import EngineContainer
from ansible_collections.strata.compose.plugins.module_utils._ports import HostPort

from tests.unit.tables import each, table

CASES = table("ports")
little_endian = pytest.mark.skipif(sys.byteorder != "little", reason="the kernel writes words in its own order")


def port(text):
    address, _colon, number = text.partition("/")[0].rpartition(":")
    return HostPort(address, int(number), text.partition("/")[2])


@each(CASES["meets"])
def test_meeting(case):
    one, other = port(case["one"]), port(case["other"])
    assert one.meets(other) is other.meets(one) is case["meets"]


@each(CASES["parsed"])
def test_published_ports(case):
    assert _ports.parsed_ports(case["told"]) == [port(each) for each in case["ports"]]


@each(CASES["wanted"])
def test_wanted_ports(case):
    assert _ports.wanted_ports(case["service"]) == [port(each) for each in case["ports"]]


@little_endian
@each(CASES["addresses"])
def test_addresses(case):
    assert _ports._address(case["told"]) == case["address"]


@little_endian
@each(CASES["sockets"])
def test_sockets(case):
    expected = (port(case["port"]), case["inode"]) if "port" in case else None
    assert _ports._socket_row(case["row"].split(), case["protocol"]) == expected


@pytest.mark.parametrize(
    ("told", "text"),
    [("127.0.0.1:80/tcp", "127.0.0.1:80/tcp"), (":80/udp", "0.0.0.0:80/udp"), ("::1:80/tcp", "[::1]:80/tcp")],
)
def test_a_port_is_told(told, text):
    assert str(port(told)) == text


def test_a_holder_is_told():
    assert str(EngineContainer("c1", "x")) == "container x"
    told = str(EngineContainer("c1", "shop-web-1", project="shop", service="web"))
    assert told == "container shop-web-1 (service web of project shop)"


@each(CASES["ranges"])
def test_published_ranges(case):
    assert _ports.published_ranges(case["service"]) == [tuple(each) for each in case["ranges"]]
