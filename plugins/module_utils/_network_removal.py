# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks that a switch makes anew or leaves behind: removed, for the engine can change none.

Private to strata.compose.
"""

from __future__ import annotations

import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _plan
from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._engine_objects import EngineObjects, observe_objects
from ansible_collections.strata.compose.plugins.module_utils._networks_and_volumes import attached_from_outside
from ansible_collections.strata.compose.plugins.module_utils._step import RECREATE, REMOVE, Step

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Made, Part, Release


def drop_networks(release: Release, made: t.Mapping[str, Part | Made], cli: Cli) -> None:
    """Remove the networks that are made anew, and those that got another name unless somebody else is attached.

    Our containers, which lose them here, are recreated next. One that is gone or of another project is left alone.
    """
    changed, renamed = _plan.changed_networks(release, made), _plan.renamed_networks(release, made)
    if not changed and not renamed:
        return
    objects = observe_objects(cli, {*changed, *renamed}, ())
    for name in (*changed, *renamed):
        network = objects.networks.get(name)
        is_shared = attached_from_outside(name, release.project, objects.containers)
        if network and network.project == release.project and not (name in renamed and is_shared):
            _remove(name, release.project, objects, cli)


def drop_networks_of_failed(failed: Release, last: Release, steps: t.Iterable[Step], cli: Cli) -> None:
    """On the way back, remove the networks that a failed release has made anew with another definition.

    It may not have come that far: one in which a container stays as it is is still the old one.
    """
    changed = _plan.changed_networks(last, failed.parts)
    if not changed:
        return
    objects = observe_objects(cli, changed, ())
    moving = {step.service for step in steps if step.action in (RECREATE, REMOVE)}
    for name in changed:
        network = objects.networks.get(name)
        attached = [each for each in objects.containers if name in each.networks]
        is_left = all((each.project, each.service in moving) == (last.project, True) for each in attached)
        if network and network.project == last.project and is_left:
            _remove(name, last.project, objects, cli)


def _remove(name: str, project: str, objects: EngineObjects, cli: Cli) -> None:
    """One-off containers of others keep it from being removed, by an error of the engine's."""
    for each in objects.containers:
        if name in each.networks and each.project == project and not each.is_one_off:
            cli.docker("network", "disconnect", "--force", name, each.id)
    cli.docker("network", "rm", name)
