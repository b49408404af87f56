# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a service this engine does not have: runtimes, logging drivers, and what only later versions can do.

The engine is asked only for services that need any of it. Private to strata.compose.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli, parsed_json

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Release

Info = t.Mapping[str, t.Any]
START_INTERVAL = 25
"""The first major version of Docker Engine with it; Compose refuses it for others when it creates the container."""


def engine_limits(release: Release, services: t.Iterable[str], cli: Cli) -> list[str]:
    """The problems of these services; none where the engine does not tell."""
    concerned = {name: release.model["services"][name] for name in services}
    if not any(_needs(each) for each in concerned.values()):
        return []
    shown = cli.docker("info", "--format", "{{json .}}", accept=None)
    info = (parsed_json(shown) if shown.rc == 0 else None) or {}
    return [each for name, definition in concerned.items() for each in limits(name, definition, info)]


def _needs(definition: t.Mapping[str, t.Any]) -> bool:
    driver = (definition.get("logging") or {}).get("driver")
    return bool(definition.get("runtime") or driver or _start_interval(definition))


def _start_interval(definition: t.Mapping[str, t.Any]) -> str:
    return str((definition.get("healthcheck") or {}).get("start_interval") or "")


def limits(name: str, definition: t.Mapping[str, t.Any], info: Info) -> t.Iterator[str]:
    """What an engine that tells this of itself cannot do for a service. Pure."""
    runtime, known = str(definition.get("runtime") or ""), info.get("Runtimes") or {}
    # A name such as io.containerd.kata.v2 or a path is that of a shim, which nobody lists.
    if known and runtime and runtime not in known and not re.search(r"[./]", runtime):
        yield (
            f"service {name}: this engine has no runtime {runtime}, it has {_listed(known)}: install it (daemon.json, "
            f"runtimes), or leave runtime out"
        )
    driver, drivers = str((definition.get("logging") or {}).get("driver") or ""), _drivers(info)
    if drivers and driver and driver.partition(":latest")[0] not in drivers:
        yield (
            f"service {name}: this engine has no logging driver {driver}, it has {_listed(drivers)}: install its "
            f"plugin (docker plugin install), or set another logging.driver"
        )
    version = str(info.get("ServerVersion") or "")
    major = re.match(r"\d+", version)
    if _start_interval(definition) and major and int(major.group()) < START_INTERVAL:
        yield (
            f"service {name}: healthcheck.start_interval needs Docker Engine {START_INTERVAL}, and this is {version}: "
            f"leave it out, or update the engine"
        )


def _drivers(info: Info) -> set[str]:
    """``none`` is one that is built in and not listed."""
    found = (info.get("Plugins") or {}).get("Log") or ()
    return {str(each).partition(":latest")[0] for each in found} | ({"none"} if found else set())


def _listed(names: t.Iterable[str]) -> str:
    return ", ".join(sorted(names))
