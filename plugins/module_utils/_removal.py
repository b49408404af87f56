# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes with an environment's containers: its networks, and its volumes and images when they are meant.

Compose's own `down` knows no release: it would also take networks and volumes with its labels that became external
since, and says nothing of those that it could not remove. Private to strata.compose.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils import _step
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._engine_objects import EngineContainer, observe_objects
from ansible_collections.strata.compose.plugins.module_utils._snapshot import LABEL, Snapshot
from ansible_collections.strata.compose.plugins.module_utils._step import Step
from ansible_collections.strata.compose.plugins.module_utils._stop import accept_gone, stop_in_order
from ansible_collections.strata.compose.plugins.module_utils.engines import compose

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Release

Options = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Removal:
    """What is removed, and what has to stay."""

    containers: tuple[EngineContainer, ...]
    """all of the project, those of `docker compose run` too"""
    objects: tuple[Step, ...]
    """networks, volumes and images, in this order"""
    warnings: tuple[str, ...]

    def names(self, kind: str) -> list[str]:
        """The names of the networks, volumes or images."""
        found = (step.service.partition(" ") for step in self.objects)
        return [name for each, _space, name in found if each == kind]


def planned(options: Options, project: str, last: Release | None, before: Snapshot, cli: Cli) -> Removal:
    """What goes with all containers of a project; external networks and volumes stay."""
    containers = observe_objects(cli, (), ()).containers
    objects, warnings = [], []
    for kind in ("network", "volume") if options["volumes"] else ("network",):
        for name in _labelled(kind, project, cli):
            if name in _externals(last, kind):
                continue
            if users := _outside_users(kind, name, project, containers):
                warnings.append(_told_stay(kind, name, users))
            else:
                objects.append(Step(f"{kind} {name}", _step.REMOVE, "belongs to the project"))
    own = tuple(each for each in containers if each.project == project)
    return Removal(own, (*objects, *_images(options, project, before)), tuple(warnings))


def carry_out(removal: Removal, before: Snapshot, options: Options, cli: Cli) -> None:
    """Stop the containers, those first that depend on others, then remove them and what goes with them."""
    stop_in_order(before.containers, options["timeout"], cli)
    one_offs = [each.id for each in removal.containers if each.is_one_off and each.is_running]
    if one_offs:
        accept_gone(compose.stop(one_offs, options["timeout"]), cli)
    if removal.containers:
        volumes = ("--volumes",) if options["volumes"] else ()
        accept_gone(["rm", "--force", *volumes, *(each.id for each in removal.containers)], cli)
    for kind in ("network", "volume"):
        if names := removal.names(kind):
            cli.docker(kind, "rm", *names)


def _labelled(kind: str, project: str, cli: Cli) -> list[str]:
    listed = cli.docker(kind, "ls", "--filter", f"label={LABEL}project={project}", "--format", "{{.Name}}")
    return listed.text.split()


def _externals(last: Release | None, kind: str) -> set[str]:
    """Engine names of what the current release calls external, whoever made it."""
    declared = (last.model.get(f"{kind}s") or {}).values() if last else ()
    return {each["name"] for each in declared if each and each.get("external")}


def _outside_users(
    kind: str, name: str, project: str, containers: t.Iterable[EngineContainer]
) -> list[EngineContainer]:
    """Containers of others that the engine keeps it for: attached and running, or with the volume in any state."""
    others = [each for each in containers if each.project != project]
    if kind == "volume":
        return [each for each in others if name in each.mounts]
    return [each for each in others if name in each.networks and each.is_running]


def _told_stay(kind: str, name: str, users: t.Sequence[EngineContainer]) -> str:
    told = ", ".join(map(str, users))
    free = f"docker network disconnect {name} {users[0].name}" if kind == "network" else f"docker rm {users[0].name}"
    return f"{kind} {name} is not removed, for {told} uses it: free it ({free}) and repeat state=absent"


def _images(options: Options, project: str, before: Snapshot) -> t.Iterator[Step]:
    for image in sorted({each.image_name for each in before.containers}):
        if options["images"] == "all" or (options["images"] == "local" and _is_local(image, project)):
            yield Step(f"image {image}", _step.REMOVE, f"images is {options['images']}")


def _is_local(image: str, project: str) -> bool:
    """Whether Compose named the image itself, for want of an ``image:`` (compose, `down --rmi local`)."""
    return image.startswith(f"{project}-")
