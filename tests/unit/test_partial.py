# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The release of a deployment that leaves some services as they are."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils._partial import narrowed

from tests.unit.tables import made_of, release_of


def test_services_that_are_not_selected_stay_what_they_were():
    last = release_of(
        {"postgres": {}, "web": {"command": "old"}}, {"web": {"/f": "1"}}, networks={"default": {"name": "n"}}
    )
    last = replace(last, number=3, made=made_of(last, {"web": {"web-1": "running"}}))
    wanted = release_of({"postgres": {"shm_size": "1g"}, "web": {"command": "new"}, "more": {}}, {"web": {"/f": "2"}})
    found = narrowed(replace(wanted, resolved_from={"name": "shop"}), last, {"web"}, {"postgres"})
    assert sorted(found.parts) == ["postgres", "web"]
    assert found.parts["web"].definition == last.parts["web"].definition
    assert found.parts["web"].files == {"/f": "1"}
    assert found.parts["postgres"].definition["shm_size"] == "1g"
    assert found.resolved_from == {"name": "shop", "only": ["postgres"]}
    assert list(narrowed(wanted, None, (), {"postgres"}).parts) == ["postgres"]


def test_what_a_service_that_is_left_out_uses_stays_what_it_was():
    files = {"secrets": [{"source": "s"}], "volumes": [{"type": "volume", "source": "v"}, {"type": "tmpfs"}]}
    old = {"networks": {"n": {"name": "n1"}, "m": {"name": "m1"}}, "volumes": {"v": {"name": "v1"}}}
    new = {"networks": {"n": {"name": "n2"}, "m": {"name": "m2"}}, "volumes": {"v": {"name": "v2"}}}
    services = {"web": {"networks": {"m": None}}, "other": {"networks": {"n": None}, **files}}
    last = release_of(services, **old, secrets={"s": {"name": "s1"}})
    found = narrowed(release_of(services, **new, secrets={"s": {"name": "s2"}}), last, {"other"}, {"web"})
    assert found.model["networks"] == {"n": {"name": "n1"}, "m": {"name": "m2"}}
    assert found.model["volumes"] == {"v": {"name": "v1"}}
    assert found.model["secrets"] == {"s": {"name": "s1"}}
    assert found.parts["other"].definition == last.parts["other"].definition


def test_release_without_a_difference_is_the_one_before():
    services = {"web": {}, "other": {"networks": {"n": None}}}
    last = release_of(services, networks={"n": {"name": "n"}})
    assert narrowed(release_of(services, networks={"n": {"name": "n"}}), last, {"other"}, {"web"}).model == last.model


def test_service_that_is_neither_left_nor_selected_is_gone():
    last = release_of({"web": {}, "removed": {}})
    assert list(narrowed(release_of({"web": {}}), last, {"web"}, ()).parts) == ["web"]
