# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the paths that services mount are on the host now. Reads the host. Private to strata.compose."""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.strata.compose.plugins.module_utils import _mounts
from ansible_collections.strata.compose.plugins.module_utils._files import identity_of_file, real_path
from ansible_collections.strata.compose.plugins.module_utils._inputs import granted_files
from ansible_collections.strata.compose.plugins.module_utils._mounts import Mounts


def mounts_of(model: t.Mapping[str, t.Any], name: str, patterns: t.Iterable[str] = ()) -> Mounts:
    """The mounts of a service, with what ``data_paths`` says of them."""
    definition, inputs = model["services"][name], granted_files(model, name)
    places = {path: real_path(path) for path in _mounts.sources_of(definition)}
    of_the_kernel = {path for path, place in places.items() if _mounts.is_of_the_kernel(place)}
    links = {path: place for path, place in _led_elsewhere(places).items() if path not in of_the_kernel}
    contexts = _led_elsewhere({path: real_path(path) for path in _mounts.contexts_of(definition)})
    data = {path for path in places if path in of_the_kernel or _mounts.is_data(path, patterns)} - inputs
    own = (_mounts.writable_sources_of(definition) | data) - inputs - of_the_kernel
    inodes = {path: inode for path in sorted(own) if (inode := identity_of_file(path)) is not None}
    return Mounts(links, inodes, frozenset(data), contexts)


def _led_elsewhere(places: t.Mapping[str, str]) -> dict[str, str]:
    return {path: place for path, place in places.items() if place != posixpath.normpath(path)}
