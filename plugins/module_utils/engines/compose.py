# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The argument lists of `docker compose` and `docker`: built here, run in `_cli`. Pure. Private to strata.compose."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._project import Project
    from ansible_collections.strata.compose.plugins.module_utils._release import Release


def repeated(option: str, values: t.Iterable[str]) -> list[str]:
    """``--option a --option b``."""
    return [word for value in values for word in (option, value)]


def from_layers(project: Project) -> list[str]:
    """What every Compose call on the user's own files begins with."""
    return [
        *("--project-name", project.name),
        *("--project-directory", project.base_directory),
        *repeated("--file", project.layers),
        *repeated("--env-file", project.env_files or ("/dev/null",)),
        *repeated("--profile", project.profiles),
    ]


def from_release(release: Release, model: str = "-", env_file: str = "/dev/null") -> list[str]:
    """What every Compose call on a release begins with; ``model`` is the path of its model, ``-`` standard input.

    A release has only services whose profile is on, or that have none, and Compose is not to drop any of them.
    """
    return [
        *("--progress", "plain"),
        *("--profile", "*"),
        *("--project-name", release.project),
        *("--project-directory", release.resolved_from["directory"]),
        *("--file", model),
        *("--env-file", env_file),
    ]


def create(services: t.Iterable[str], replace: bool, timeout: int | None, without: t.Iterable[str] = ()) -> list[str]:
    """Create containers without starting them; nothing is built or pulled on the way.

    Those that the services have are replaced or stay, and those of what they depend on stay. No container is made of
    what they depend on ``without``.
    """
    return [
        *("up", "--no-start", "--no-build", "--pull", "never"),
        "--force-recreate" if replace else "--no-recreate",
        *(("--timeout", str(timeout)) if timeout is not None else ()),
        *repeated("--scale", (f"{each}=0" for each in without)),
        *("--", *services),
    ]


def get_images(action: str, services: t.Iterable[str], no_cache: bool) -> list[str]:
    """Pull or build the images of services, with no step of a build from the cache if so asked."""
    return [action, *(("--no-cache",) if no_cache and action == "build" else ()), "--", *services]


def stop(containers: t.Iterable[str], timeout: int | None) -> list[str]:
    """Stop containers; the engine waits as long as each one's own grace period unless told otherwise."""
    return ["stop", *(("--time", str(timeout)) if timeout is not None else ()), *containers]


def connect(network: str, container: str, aliases: t.Iterable[str], attachment: t.Mapping[str, t.Any]) -> list[str]:
    """Connect a container to a network of its service again, with the names and addresses that the model gives it."""
    return [
        *("network", "connect"),
        *repeated("--alias", dict.fromkeys((*aliases, *(attachment.get("aliases") or ())))),
        *(("--ip", attachment["ipv4_address"]) if attachment.get("ipv4_address") else ()),
        *(("--ip6", attachment["ipv6_address"]) if attachment.get("ipv6_address") else ()),
        *(network, container),
    ]


def create_network(definition: t.Mapping[str, t.Any]) -> list[str]:
    """Make an external network as the layers describe it, without labels: it belongs to no project."""
    ipam = definition.get("ipam") or {}
    pools = [pool for pool in ipam.get("config") or () if pool]
    return [
        *("network", "create"),
        *(("--driver", definition["driver"]) if definition.get("driver") else ()),
        *repeated("--opt", _pairs(definition.get("driver_opts"))),
        *(f"--{flag}" for flag in ("internal", "attachable") if definition.get(flag)),
        *(("--ipv6",) if definition.get("enable_ipv6") else ()),
        *(("--ipam-driver", ipam["driver"]) if ipam.get("driver") else ()),
        *repeated("--ipam-opt", _pairs(ipam.get("options"))),
        *(word for pool in pools for word in _pool(pool)),
        definition["name"],
    ]


def create_volume(definition: t.Mapping[str, t.Any]) -> list[str]:
    """Make an external volume as the layers describe it, without labels: it belongs to no project."""
    return [
        *("volume", "create"),
        *(("--driver", definition["driver"]) if definition.get("driver") else ()),
        *repeated("--opt", _pairs(definition.get("driver_opts"))),
        definition["name"],
    ]


def _pairs(options: t.Mapping[str, t.Any] | None) -> list[str]:
    return [f"{key}={value}" for key, value in (options or {}).items()]


def _pool(pool: t.Mapping[str, t.Any]) -> list[str]:
    """The options of `docker network create` for a pool of addresses (compose-spec, 06-networks.md, ipam)."""
    return [
        *(word for key in ("subnet", "gateway") if pool.get(key) for word in (f"--{key}", pool[key])),
        *(("--ip-range", pool["ip_range"]) if pool.get("ip_range") else ()),
        *repeated("--aux-address", _pairs(pool.get("aux_addresses"))),
    ]


def run_once(container: str, service: str, options: t.Iterable[str], argv: t.Iterable[str]) -> list[str]:
    """A command in a container made for it, which goes when the command ends; no dependency is started."""
    return [*("run", "--rm", "--no-TTY", "--no-deps", "--name", container), *options, "--", service, *argv]


def run_detached(container: str, service: str) -> list[str]:
    """A service's command in a container that is not waited for and stays; no dependency is started.

    Its standard input is closed: a command that asks has nobody to answer it (compose `run` holds it open otherwise).
    """
    return ["run", "--detach", "--no-TTY", "--interactive=false", "--no-deps", "--name", container, "--", service]


def execute(container: str, has_input: bool, options: t.Iterable[str], argv: t.Iterable[str]) -> list[str]:
    """A command in a container that runs, for ``docker`` and not for Compose: see `_exec`."""
    return ["exec", *(("--interactive",) if has_input else ()), *options, container, *argv]


def manner_of_command(user: str | None, workdir: str | None, detach: bool) -> list[str]:
    """The options that ``run`` and ``exec`` share."""
    return [
        *(("--user", user) if user else ()),
        *(("--workdir", workdir) if workdir else ()),
        *(("--detach",) if detach else ()),
    ]
