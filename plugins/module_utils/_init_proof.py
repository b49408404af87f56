# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the init phase has succeeded for what is about to be deployed. Private to strata.compose."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.strata.compose.plugins.module_utils import _init_scene
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._init_scene import InitScene
from ansible_collections.strata.compose.plugins.module_utils._ledger import LedgerFile, Success

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._operations import Operation


@dataclass(frozen=True)
class Proof:
    """That the init phase has succeeded for a release."""

    scene: InitScene
    history: t.Sequence[t.Mapping[str, t.Any]]
    """what the history of the release tells of the steps that it needed"""


def require_proof(operation: Operation, images: t.Mapping[str, str]) -> Proof | None:
    """The proof of the init phase; ``None`` where there is none.

    Raises `ComposeFailure` when one of them has not succeeded for its present content. ``images`` are ids by name,
    for those that are here already.
    """
    selection = LedgerFile(operation.store.folder).read().selection
    if not selection:
        return None
    scene = _init_scene.init_scene(operation.options, selection, operation.redactor)
    contents = scene.contents()
    proofs = {name: _loose_proof(scene, name, contents[name].fingerprint, images) for name in scene.names}
    missing = [name for name, success in proofs.items() if success is None]
    if missing:
        raise ComposeFailure(
            f"init step {', '.join(missing)} has not succeeded for what is about to be deployed. Run the init phase "
            f"first, with playbooks/deploy.yml, playbooks/init.yml or the module compose_init, or deploy without it "
            f"with require_init=false. Nothing was changed.",
            error_kind="init_missing",
        )
    return Proof(scene, [{"service": name, **_history(success)} for name, success in proofs.items() if success])


def _loose_proof(scene: InitScene, name: str, fingerprint: str, images: t.Mapping[str, str]) -> Success | None:
    """A success with this content; an image that is still to be built or pulled is not compared."""
    image = images.get(scene.images[name])
    found = [each for each in scene.ledger.succeeded.get(name, ()) if each.fingerprint == fingerprint]
    return next((each for each in reversed(found) if image is None or each.is_for(image)), None)


def _history(success: Success) -> dict[str, t.Any]:
    return {key: getattr(success, key) for key in ("exit_code", "seconds", "finished", "host")}
