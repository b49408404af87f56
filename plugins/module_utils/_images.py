# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of kept releases stay on the host under a tag of ours, so that going back needs no registry.

Private to strata.compose.
"""

from __future__ import annotations

import contextlib
import re
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli, failure_of
from ansible_collections.strata.compose.plugins.module_utils._snapshot import with_tag

if t.TYPE_CHECKING:
    from ansible_collections.strata.compose.plugins.module_utils._release import Release
    from ansible_collections.strata.compose.plugins.module_utils._snapshot import Snapshot


COMPONENT = re.compile(r"[a-z0-9]+(?:(?:_|__|-+)[a-z0-9]+)*")
"""A part of an image's name, as far as names of projects go (distribution/reference, `path-component`)."""

MISSING = "no such image"
"""How the engine says that somebody has removed an image."""

IN_USE = "conflict"
"""How the engine says that a container, be it somebody else's, still needs the last tag of its image."""


def repository(project: str) -> str:
    """Where our tags of a project's images are; no registry has this name, so nobody pushes them by mistake."""
    return f"strata.invalid/{project if COMPONENT.fullmatch(project) else 'hex-' + project.encode().hex()}"


def held(cli: Cli, project: str) -> set[str]:
    """The beginnings of the ids of the images that we hold."""
    return set(cli.docker("image", "ls", repository(project), "--format", "{{.Tag}}").text.split())


def hold(cli: Cli, project: str, images: t.Iterable[str]) -> None:
    """Tag images by their id, those that are not yet. One that somebody has removed cannot be held any more."""
    known = held(cli, project)
    for image in images:
        if _short(image) not in known:
            _tag(cli, image, f"{repository(project)}:{_short(image)}")


def release(cli: Cli, project: str, needed: t.Iterable[str]) -> None:
    """Give up the tags of images that no release needs; an image goes with its last tag, its build cache stays.

    One that a container still has keeps our tag until a later release gives it up.
    """
    for each in sorted(held(cli, project) - {_short(image) for image in needed}):
        gone = cli.docker("image", "rm", "--no-prune", f"{repository(project)}:{each}", accept=None)
        if gone.rc and IN_USE not in gone.error_text:
            raise failure_of(gone)


def moved_tags(earlier: Release, here: Snapshot) -> dict[str, tuple[str, str]]:
    """Image names that mean another image now than in an earlier release, with both ids: the earlier and today's.

    A name with a digest always means the same image, and cannot be given to one. ``here`` has to know all the names.
    """
    today = here.images
    return {
        name: (image, today.get(name, ""))
        for name, image in earlier.image_ids.items()
        if today.get(name) != image and not is_pinned(name)
    }


def is_pinned(name: str) -> bool:
    """Whether an image name has a digest (distribution/reference)."""
    return "@" in name


@contextlib.contextmanager
def tags_as_before(cli: Cli, moved: t.Mapping[str, tuple[str, str]], uncut: t.ContextManager[None]) -> t.Iterator[None]:
    """Let image names mean what they meant in an earlier release, and afterwards what the user made of them.

    ``uncut`` keeps signals from ending the CLI while it gives the names away: the engine may have its request by then,
    and carry it out after the one that takes the name back.
    """
    try:
        with uncut:
            for name, (earlier, _today) in moved.items():
                cli.docker("tag", earlier, with_tag(name))
        yield
    finally:
        restore_tags(cli, {name: today for name, (_earlier, today) in moved.items()})


def restore_tags(cli: Cli, tags: t.Mapping[str, str]) -> None:
    """Give image names back the image that they belong to, unless somebody has removed it."""
    for name, image in tags.items():
        if image:
            _tag(cli, image, with_tag(name))


def _tag(cli: Cli, image: str, name: str) -> None:
    """Give an image a name, if it is still here."""
    done = cli.docker("tag", image, name, accept=None)
    if done.rc and MISSING not in done.error_text.lower():
        raise failure_of(done)


def _short(image: str) -> str:
    return image.partition(":")[2][:12]
