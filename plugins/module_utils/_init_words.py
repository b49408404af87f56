# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The word of another host of the environment that its init steps ran, taken by a host that did not run them.

Private to strata.compose.
"""

from __future__ import annotations

import socket
import typing as t
import uuid
from dataclasses import replace

from ansible_collections.strata.compose.plugins.module_utils import _init_report
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._init_scene import InitScene
from ansible_collections.strata.compose.plugins.module_utils._ledger import Ledger, LedgerFile, Success
from ansible_collections.strata.compose.plugins.module_utils._lock import now
from ansible_collections.strata.compose.plugins.module_utils._operations import Operation

Result = dict[str, t.Any]


def taken_over(scene: InitScene, operation: Operation) -> Result:
    """Write down that another host of the environment ran the steps; each must be among what that host proves.

    In check mode the other host may not have run them yet, nor the files be the same.
    """
    words = {name: Success(**told) for name, told in operation.options["proven"].items() if name in scene.names}
    if not operation.check:
        _require_words(scene, words)
    news = [name for name in scene.names if name in words and not scene.ledger.knows(name, words[name].run)]
    ledger, after = scene.ledger, (scene.store.numbers() or [0])[-1]
    for name in news:
        ledger = ledger.ended(name, words[name].as_word(_image(scene, name, operation), after))
    if not operation.check:
        if not scene.is_anew:
            remember_selection(scene)
        if news:
            LedgerFile(scene.store.folder).replace(replace(ledger, selection=scene.selection))
    actions = [{"service": name, "action": "prove", "reason": f"ran on {words[name].host}"} for name in news]
    return _init_report.told(replace(scene, ledger=ledger), {}, actions)


def _require_words(scene: InitScene, words: t.Mapping[str, Success]) -> None:
    """Raise `ComposeFailure` unless each step has a word, for what it is now on this host."""
    if missing := [name for name in scene.names if name not in words]:
        raise ComposeFailure(f"no proof was given for init step {', '.join(missing)}. Nothing was changed.")
    for name, content in scene.contents().items():
        word = words[name]
        if word.fingerprint != content.fingerprint:
            raise ComposeFailure(
                f"init step {name} ran on {word.host} with another model or other files than this host has: they "
                f"changed meanwhile, run again. Should they differ from host to host, as by a value that names the "
                f"host, each host has to run its own steps (init_each_host of the role init). Nothing was changed."
            )
        if word.run in scene.ledger.runs_outdated(name, content):
            raise ComposeFailure(
                f"init step {name} ran on {word.host} at {word.finished}, which this host has known since before its "
                f"image or its data changed here: they changed meanwhile, run again. Nothing was changed."
            )


def require_confirmation(options: t.Mapping[str, t.Any]) -> None:
    """What is not run and counts as done has to name the environment."""
    if options["confirm"] != options["environment"]:
        raise ComposeFailure(
            f"state=assume writes down that the init steps of environment {options['environment']} are done and runs "
            f"none: say so with confirm={options['environment']} (-e compose_init_confirm). Nothing was changed."
        )


def with_assumed(scene: InitScene, names: t.Iterable[str], actor: str) -> Ledger:
    """The ledger in which these steps are done for what they are now."""
    ledger, contents = scene.ledger, scene.contents()
    for name in names:
        content = contents[name]
        about = (now(), socket.gethostname(), actor, uuid.uuid4().hex)
        success = Success(content.fingerprint, content.image, dict(content.lives_on), 0, 0.0, *about, assumed=True)
        ledger = ledger.ended(name, success)
    return replace(ledger, selection=scene.selection if scene.steps else {})


def _image(scene: InitScene, name: str, operation: Operation) -> str | None:
    """The id that the image of a step has on this host; ``None`` where a build or pull is yet to give it one."""
    is_to_come = "always" in (operation.options["build"], operation.options["pull"])
    return None if is_to_come else scene.snapshot.images.get(scene.images[name])


def remember_selection(scene: InitScene) -> None:
    """Only an environment that has steps gets a ledger; one whose steps are gone must not ask for them any more."""
    if is_selection_new(scene):
        file = LedgerFile(scene.store.folder)
        file.write(replace(file.read(), selection=scene.selection if scene.steps else {}))


def is_selection_new(scene: InitScene) -> bool:
    return bool(scene.ledger.selection != (scene.selection if scene.steps else {}))


def remember_images(scene: InitScene) -> None:
    """Have words that await their image be for the one that is here, before another one is built or pulled."""
    here = {name: scene.snapshot.images.get(image) for name, image in scene.images.items()}
    known = scene.ledger.with_images(lambda name, _word: here.get(name))
    file = LedgerFile(scene.store.folder)
    if known != file.read():
        file.write(known)
