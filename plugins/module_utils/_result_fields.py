# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where names, values and free text stand in results, options and models. Pure. Private to strata.compose."""

from __future__ import annotations

import re
import typing as t


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


NAMES = words(
    "project project_name environment service services server container containers container_name name names id ids "
    "image images image_id image_name tags tag digest digests sha256 manifest ports port path paths file files folder "
    "folders state state_dir state_folder project_dir directory base_directory env_file env_files layers layers_of "
    "profile profiles health action gather source target network networks volume volumes hostname working_dir "
    "dockerfile platform restart depends_on origin used_in error_kind outcome database databases role roles owner "
    "group user users schema schemas extensions steps step version fetched fetch_dir backup backup_dir created "
    "removed changed kept missing unknown variables unused_profiles project_moved_from environment_renamed_from "
    "driver driver_name dest started finished mode kind type engine file_name plan_digest secrets configs links "
    "adopt_from example data_paths adopted applied backup_file data_version host image_version inputs invalid_indexes "
    "lacking log_file modified old_database out_of_order outdated pending pruned psql reverted server_version sqlstate "
    "stdout_file stderr_file undefined verified"
)
"""Keys of what is public: names, paths, ids, states. A mapping below such a key is looked at by its own keys."""

VALUES = words(
    "environment args build_args labels options driver_opts driver_options variables sysctls env connection "
    "settings url_parameters"
)
"""Keys of mappings from a name to a value."""

VALUE = words("value stdout stderr lines log content output health_output")
"""Keys of what is a value as a whole, and may be a secret as a whole."""

BY_NAME = words("services networks volumes secrets configs depends_on containers hosts inputs")
"""Keys of mappings from a name to what it names: ``environment`` may be a service there, and is no key."""

HOLDS_PASSWORD = re.compile(r"://|^//[^/\s]*@|(?:password|passwd|passphrase|pwd|secret|token|api_?key)=", re.IGNORECASE)
"""An address, or a pair of a name and a value, that users write where a name is due."""

Masked = t.Callable[[str, bool], str]
"""Gets a text, and whether it stands where a value stands."""


def replaced(value: t.Any, masked: Masked, key: str | None = None) -> t.Any:
    """A copy in which texts are masked, but for names. A text without a key is a value."""
    if isinstance(value, str):
        return value if key in NAMES and not may_hold_password(value) else masked(value, key is None or key in VALUE)
    if isinstance(value, (list, tuple)):
        return [replaced(each, masked, _key_in_list(key, each)) for each in value]
    if not isinstance(value, dict):
        return value
    if key in VALUES:
        return {name: replaced(each, masked) for name, each in value.items()}
    return {name: replaced(each, masked, _key_below(key, name, each)) for name, each in value.items()}


def names_in(value: t.Any, key: str | None = None) -> t.Iterator[str]:
    """The names that a result tells, keys of mappings included."""
    if isinstance(value, str):
        if key in NAMES and not may_hold_password(value):
            yield value
    elif isinstance(value, (list, tuple)):
        yield from (name for each in value for name in names_in(each, _key_in_list(key, each)))
    elif isinstance(value, dict):
        yield from (name for name in value if isinstance(name, str))
        if key not in VALUES:
            yield from (found for name, each in value.items() for found in names_in(each, _key_below(key, name, each)))


def may_hold_password(text: str) -> bool:
    """Whether a text is not only a name, but may have a password in it."""
    return HOLDS_PASSWORD.search(text) is not None


def _key_in_list(key: str | None, value: t.Any) -> str | None:
    """What an element of a list is looked at by: a mapping in it by its own keys only, and ``NAME=value`` by none."""
    return "" if isinstance(value, dict) or key == "environment" else key


def _key_below(key: str | None, name: t.Any, value: t.Any) -> str:
    """What a value of a mapping is looked at by: below names of services, not by these."""
    if key in BY_NAME:
        return "" if isinstance(value, (dict, list, tuple)) else key or ""
    return str(name)
