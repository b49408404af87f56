# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger of init steps that succeeded, by which each runs once for its content. Private to strata.compose."""

from __future__ import annotations

import os
import typing as t
from dataclasses import asdict, dataclass, field, replace

from ansible_collections.strata.compose.plugins.module_utils import _records
from ansible_collections.strata.compose.plugins.module_utils._current import Current, CurrentFile
from ansible_collections.strata.compose.plugins.module_utils._records import Damage
from ansible_collections.strata.compose.plugins.module_utils._snapshot import moment

GONE, ABSENT, UNKNOWN = "gone", "absent", ""
"""In the place of the time at which a volume was made: we have removed it since, it is not there, nobody can tell."""

IN_MEMORY = " in memory"
"""What follows a service's name where its data go with its container; no volume has a name with a blank."""

KEPT = 50
"""Successes of one step that stay in the ledger: one for each content it has had."""


def is_volume(name: str) -> bool:
    """Whether an entry of what a step lives on is a volume."""
    return not name.endswith(IN_MEMORY)


@dataclass(frozen=True)
class Content:
    """What a step is run with; a step that succeeded is not run again for the same content."""

    fingerprint: str
    """SHA-256 of its part of the model and of the digests of its files"""
    image: str | None
    """id of its image, ``None`` when that is not on this host"""
    lives_on: t.Mapping[str, str]
    """volumes, and containers whose data goes with them, that it works on, each with the moment of its making"""


@dataclass(frozen=True)
class Success:
    """A run of a step that ended with exit code 0."""

    fingerprint: str
    image: str | None
    """id of the image it ran in; of a word the id that the image had on this host, ``None`` while it is to come"""
    lives_on: t.Mapping[str, str] | None
    """as in `Content`, ``None`` when another host of the environment ran it and this is only its word"""
    exit_code: int
    seconds: float
    finished: str
    host: str
    actor: str
    run: str = ""
    """names this run of the step, on each host that has it written down"""
    there: str | None = None
    """of a word: id of the image on the host that ran the step; hosts that build for themselves have others"""
    after: int = 0
    """of a word: number of the newest release that this host had when it took it"""
    assumed: bool = False
    """nobody saw the run: the user has said that the step is done"""

    @property
    def awaits_image(self) -> bool:
        """Whether this is a word for an image that the host gets yet."""
        return self.lives_on is None and self.image is None

    def proves(self, content: Content) -> bool:
        """Whether nothing that the step depends on has changed since, as far as this host can tell."""
        return (
            self.fingerprint == content.fingerprint
            and self.is_for(content.image)
            and (self.lives_on is None or self._has_same_data(content.lives_on))
        )

    def _has_same_data(self, present: t.Mapping[str, str]) -> bool:
        """Whether volumes and containers are those that the step worked on, as far as this host can tell.

        One that was made before the step ended is, whatever an older version has written down of it (engines before 23
        told a time of change). A step that inserts rows must not run twice because of what nobody can tell.
        """
        then = self.lives_on or {}
        return set(filter(is_volume, then)) == set(filter(is_volume, present)) and all(
            then.get(name) == made
            or (is_volume(name) and not {then[name], made} & {GONE, ABSENT} and self._ended_after(made))
            for name, made in present.items()
        )

    def _ended_after(self, made: str) -> bool:
        return made == UNKNOWN or moment(made) < moment(self.finished) + 1  # told to the second

    def is_for(self, image: str | None) -> bool:
        """Whether the step ran in an image; an image that is not here speaks against nobody's word."""
        if self.lives_on is not None:
            return self.image == image
        return image is None or self.awaits_image or image in (self.image, self.there)

    def without_volumes(self, names: t.Collection[str]) -> Success:
        lives_on = {name: GONE if name in names else made for name, made in (self.lives_on or {}).items()}
        return self if self.lives_on is None else replace(self, lives_on=lives_on)

    def as_word(self, image: str | None, after: int) -> Success:
        """What another host, on which the image has another id, writes down of this run."""
        there = self.image if self.lives_on is not None else self.there
        return replace(self, image=image, lives_on=None, there=there, after=after)


@dataclass(frozen=True)
class Ledger:
    """Which services are init steps, which of them succeeded for which content, and which are being run."""

    selection: t.Mapping[str, t.Any] = field(default_factory=dict)
    """the options that picked the steps, so that a deployment can tell which proofs it needs"""
    succeeded: t.Mapping[str, tuple[Success, ...]] = field(default_factory=dict)
    """by service, oldest first"""
    under_way: t.Mapping[str, str] = field(default_factory=dict)
    """by service, the fingerprint of a run whose end is not written down yet"""

    def proof(self, service: str, content: Content) -> Success | None:
        """The newest success of a service with this content."""
        return next((each for each in reversed(self.succeeded.get(service, ())) if each.proves(content)), None)

    def runs_outdated(self, service: str, content: Content) -> set[str]:
        """The runs of the same model and files that are known here and prove nothing for the image or the data now."""
        known = [each for each in self.succeeded.get(service, ()) if each.fingerprint == content.fingerprint]
        return set() if self.proof(service, content) else {each.run for each in known}

    def knows(self, service: str, run: str) -> bool:
        return any(each.run == run for each in self.succeeded.get(service, ()))

    def with_images(self, image_of: t.Callable[[str, Success], str | None]) -> Ledger:
        """With the images of words that await theirs, as far as they are told."""
        return replace(
            self,
            succeeded={
                name: tuple(
                    replace(each, image=image_of(name, each)) if each.awaits_image else each for each in entries
                )
                for name, entries in self.succeeded.items()
            },
        )

    def without_volumes(self, names: t.Collection[str]) -> Ledger:
        """With nothing proven for what was done in volumes that have been removed."""
        return replace(
            self,
            succeeded={
                step: tuple(each.without_volumes(names) for each in entries) for step, entries in self.succeeded.items()
            },
        )

    def beginning(self, service: str, fingerprint: str) -> Ledger:
        """With a run that is about to start."""
        return replace(self, under_way={**self.under_way, service: fingerprint})

    def ended(self, service: str, success: Success | None) -> Ledger:
        """With a run that is over; a success is added once."""
        others = {name: each for name, each in self.under_way.items() if name != service}
        earlier = self.succeeded.get(service, ())
        entries = earlier if success is None or success in earlier else (*earlier, success)
        return replace(self, under_way=others, succeeded={**self.succeeded, service: entries[-KEPT:]})


LOST = (
    "Which init steps have succeeded is not known, and none is run again for that. When they are done, as in an "
    "environment that serves, say so with state=assume and confirm=<environment> of compose_init (playbooks/init.yml "
    "-e compose_init_state=assume -e compose_init_confirm=<environment>). To run them all again, give "
    "run=always. A backup of the file does too. Nothing was changed."
)


class LedgerFile:
    """``init.json`` of a project."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.path = os.path.join(folder, "init.json")

    def read(self) -> Ledger:
        """The ledger; raises `ComposeFailure` when it is damaged or lost, which never means that no step has run."""
        found = self.found()
        if isinstance(found, Damage):
            raise found.failure("" if found.is_newer else LOST)
        return found

    def found(self) -> Ledger | Damage:
        """The ledger, empty for a project that has had none, or why what is there is not believed."""
        found = _records.read(self.path, ledger_of_record)
        if found is None:
            return Damage(self.path, "is missing") if self._was_there() else Ledger()
        return found

    def read_or_new(self) -> Ledger:
        """The ledger, without any step when it is damaged or lost and the user has said what to make of that."""
        found = self.found()
        if isinstance(found, Damage) and found.is_newer:
            raise found.failure("")
        return Ledger() if isinstance(found, Damage) else found

    def begin_anew(self) -> None:
        """Have a ledger without any step in the place of one that is damaged or lost."""
        if isinstance(self.found(), Damage):
            self.replace(Ledger())

    def replace(self, ledger: Ledger) -> None:
        """Write a ledger that takes the place of the one that is here, a damaged one of which is kept for a look."""
        if isinstance(self.found(), Damage):
            _records.set_aside(self.path)
        self.write(ledger)

    def write(self, ledger: Ledger) -> Ledger:
        _records.write(self.path, asdict(ledger))
        self._note_existence()
        return ledger

    def forget_volumes(self, names: t.Collection[str]) -> None:
        """Have the steps due again that lived on volumes which are gone, also on a full disk."""
        ledger = self.found() if names else None
        if isinstance(ledger, Ledger) and ledger.succeeded:
            _records.rewrite(self.path, asdict(ledger.without_volumes(names)))

    def _was_there(self) -> bool:
        current = CurrentFile(self.folder).read()
        if isinstance(current, Current) and current.is_sealed:
            return current.has_ledger
        releases = os.path.join(self.folder, "releases")
        names = os.listdir(releases) if os.path.isdir(releases) else ()
        return any(os.path.exists(os.path.join(releases, each, "init.json")) for each in names)

    def _note_existence(self) -> None:
        file = CurrentFile(self.folder)
        current = file.read() or Current(None)
        if isinstance(current, Current) and current.is_sealed and not current.has_ledger:
            file.write(replace(current, has_ledger=True))


def ledger_of_record(content: dict[str, t.Any]) -> Ledger:
    _records.checked(content, {"selection": dict, "succeeded": dict, "under_way": dict}, {})
    types = {"fingerprint": str, "lives_on": (dict, type(None)), "finished": str}
    succeeded = {
        name: tuple(_records.made_of(Success, each, **types) for each in entries)
        for name, entries in content["succeeded"].items()
    }
    return Ledger(content["selection"], succeeded, content["under_way"])
