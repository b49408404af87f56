# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Postgres of an environment's own: a Compose project beside it, of one layer that is made here.

Private to strata.compose.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._cli import Cli
from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import read_file, replace_file
from ansible_collections.strata.compose.plugins.module_utils._spec import COMPOSE_ENV, OWNERSHIP
from ansible_collections.strata.compose.plugins.module_utils._state import state_dir_of
from ansible_collections.strata.compose.plugins.module_utils.postgres._connection import published_as
from ansible_collections.strata.compose.plugins.module_utils.postgres._passwords import generated
from ansible_collections.strata.compose.plugins.module_utils.postgres._place import OWN_SERVICE

Options = t.Mapping[str, t.Any]

LAYER, PASSWORD = "compose.json", "superuser_password"
STOP_SECONDS = 60
"""The engine kills after 10 s by default, which a server that writes its last checkpoint may need longer than."""
HEALTH = "pg_isready --quiet --host=127.0.0.1 --username=postgres"
"""Over TCP: the server that initialises a new volume has its socket only (docker-library/postgres)."""
NEW_LAYOUT = re.compile(r"(/var/lib/postgresql)/\d+/docker")
"""Where the official image keeps data since Postgres 18; the volume belongs to the folder above, for upgrades."""
OLD_MOUNT = "/var/lib/postgresql/data"


def layer(options: Options, project: str, mount: str, password_file: str) -> dict[str, t.Any]:
    """The layer of a Postgres of its own. Pure."""
    told = {
        "services": {OWN_SERVICE: _service(options, project, mount)},
        "networks": {"database": {"name": project}},
        "volumes": {"data": {"name": options["volume"] or project}},
        "secrets": {PASSWORD: {"file": password_file}},
    }
    escaped: dict[str, t.Any] = json.loads(json.dumps(told).replace("$", "$$"))
    return escaped


def _service(options: Options, project: str, mount: str) -> dict[str, t.Any]:
    """The server.

    Connections over TCP need the password also from the container's own address: forwarded ones come from there with
    rootless engines (docker-library/postgres#720).
    """
    return {
        "image": options["image"],
        "restart": "unless-stopped",
        "environment": {
            "POSTGRES_USER": "postgres",
            "POSTGRES_PASSWORD_FILE": f"/run/secrets/{PASSWORD}",
            "POSTGRES_INITDB_ARGS": "--auth-host=scram-sha-256",
        },
        "secrets": [PASSWORD],
        "volumes": [{"type": "volume", "source": "data", "target": mount}],
        "networks": {"database": {"aliases": [project]}},
        "healthcheck": {
            "test": ["CMD-SHELL", HEALTH],
            "interval": "2s",
            "timeout": "3s",
            "retries": 15,
            "start_period": "60s",
        },
        "shm_size": options["shm_size"],
        "stop_grace_period": f"{STOP_SECONDS}s",
        **({"ports": [f"{published_as(options['port'])}:5432"]} if options["port"] else {}),
    }


def options_of(options: Options, project: str, folder: str, state: str) -> dict[str, t.Any]:
    """The options of compose_env for the layer in a folder."""
    shared = ("environment", "docker_host", "state_dir", "command_timeout", "lock_wait", "actor", "wait_timeout")
    owned = {name: options[name] for name in OWNERSHIP}
    return {
        **{name: details.get("default") for name, details in COMPOSE_ENV.items()},
        **{name: options[name] for name in shared},
        **owned,
        "project_dir": folder,
        "owner_dir": options["project_dir"],
        "project_name": project,
        "files": [LAYER],
        "state": state,
    }


@contextlib.contextmanager
def written_layer(options: Options, project: str, cli: Cli, check: bool) -> t.Iterator[str]:
    """The folder with the layer, and the superuser's password, made once. A check has a folder of its own."""
    own = os.path.join(state_dir_of(options), project, "layer")
    mount = _mount(options["image"], cli, check)
    password_file = os.path.join(own, PASSWORD)
    if not check:
        if read_file(password_file) is None:
            replace_file(password_file, generated().encode())
        _write(own, layer(options, project, mount, password_file))
        yield own
        return
    with tempfile.TemporaryDirectory(prefix="strata-") as folder:
        if read_file(password_file) is None:
            password_file = os.path.join(folder, PASSWORD)
            replace_file(password_file, b"not made yet")
        _write(folder, layer(options, project, mount, password_file))
        yield folder


def _write(folder: str, content: dict[str, t.Any]) -> None:
    """Left as it is when nothing differs."""
    path, text = os.path.join(folder, LAYER), (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()
    if read_file(path) != text:
        replace_file(path, text)


def _mount(image: str, cli: Cli, check: bool) -> str:
    """Where the image's volume belongs, as the image itself says; so it has to be here."""
    told = _environment(image, cli)
    if told is None and not check:
        _pull(image, cli)
        told = _environment(image, cli)
    data = dict(each.partition("=")[::2] for each in told or ()).get("PGDATA", OLD_MOUNT)
    return mount_of(data)


def _pull(image: str, cli: Cli) -> None:
    try:
        cli.docker("pull", "--quiet", image)
    except ComposeFailure as failure:
        raise ComposeFailure(
            f"image {image} cannot be had. {failure} Nothing was changed.", **failure.facts
        ) from failure


def mount_of(data: str) -> str:
    """The target of the volume for a ``PGDATA``. Pure."""
    found = NEW_LAYOUT.fullmatch(data)
    return found.group(1) if found else data


def _environment(image: str, cli: Cli) -> list[str] | None:
    completed = cli.docker("image", "inspect", "--format", "{{json .Config.Env}}", image, accept=(0, 1))
    return None if completed.rc else json.loads(completed.output) or []
