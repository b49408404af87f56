"""The short way of a deployment that has nothing to do: taken when nothing differs, and never when something does."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.strata.compose.plugins.module_utils import _asked, _records
from ansible_collections.strata.compose.plugins.module_utils._operations import run
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor
from ansible_collections.strata.compose.plugins.module_utils._spec import COMPOSE_ENV
from ansible_collections.strata.compose.plugins.module_utils._states import performer

from tests.integration.conftest import Environment, Outcome, service

PASSWORD = "tangerine-27-boats"


@pytest.fixture
def shop(environment: Environment) -> Environment:
    """An environment with all that a decision depends on, deployed, and found unchanged once."""
    files = {"conf.txt": "a=1\n", "data/state.txt": "0\n", "api.env": "LEVEL=info\n", "secret.txt": f"{PASSWORD}\n"}
    for name, text in files.items():
        environment.write(name, text)
    web = service(volumes=["./conf.txt:/conf.txt:ro", "./data/state.txt:/state.txt"], environment={"TAG": "${TAG}"})
    api = service(env_file=["api.env"], secrets=["password"], depends_on=["web"])
    checked = {"test": ["CMD", "true"], "interval": "200ms", "retries": 3}
    spare = service(profiles=["spare"])
    secrets = {"password": {"file": "./secret.txt"}}
    environment.write(
        "compose.yml",
        {
            "services": {"web": web, "api": api, "spare": spare, "checked": service(healthcheck=checked)},
            "secrets": secrets,
        },
    )
    environment.write(".env.dev", f"TAG=1\nDB_PASSWORD={PASSWORD}\n")
    environment.deploy()
    assert not environment.deploy().changed
    return environment


def kept(environment: Environment) -> Path:
    (found,) = (environment.state_dir / ".unchanged").iterdir()
    return found


def takes_the_short_way(environment: Environment, **options: Any) -> Outcome | None:
    """What a deployment tells if it did not decide anew: a mark in the kept result shows that."""
    record = _records.read_record(str(kept(environment)))
    assert isinstance(record, _records.Record)
    marked = {**record.content, "result": {**record.content["result"], "mark": "kept"}}
    _records.write(str(kept(environment)), marked)
    outcome = environment.run(**options)
    return outcome if outcome.result.pop("mark", "") else None


def test_second_time_nothing_is_decided_anew(shop: Environment) -> None:
    before, long = shop.ids(), json.loads(kept(shop).read_text())["result"]
    for options in ({}, {"actor": "somebody else", "revision": "4f2a", "lock_wait": 5}):
        outcome = takes_the_short_way(shop, **options)
        assert outcome
        told = {key: value for key, value in outcome.result.items() if key not in ("invocation", "failed")}
        assert told == long
        assert outcome.result["invocation"]["module_args"]["actor"] == options.get("actor")
    assert shop.ids() == before


def test_result_is_the_one_of_the_long_way(shop: Environment) -> None:
    short = takes_the_short_way(shop)
    shutil.rmtree(kept(shop).parent)
    long = shop.run()
    assert short
    assert short.result == long.result


def test_what_is_kept_tells_no_secret(shop: Environment) -> None:
    shop.deploy(variables={"TAG": "1", "API_TOKEN": PASSWORD[::-1]})
    shop.deploy(variables={"TAG": "1", "API_TOKEN": PASSWORD[::-1]})
    text = kept(shop).read_text()
    assert PASSWORD not in text
    assert PASSWORD[::-1] not in text
    assert kept(shop).stat().st_mode & 0o777 == 0o600


def stopped(shop: Environment) -> None:
    shop.container("web").stop(timeout=0)


def removed(shop: Environment) -> None:
    shop.container("web").remove(force=True)


def paused(shop: Environment) -> None:
    shop.container("web").pause()


def disconnected(shop: Environment) -> None:
    shop.engine.networks.get(f"{shop.project}_default").disconnect(shop.container("web"))


def another(shop: Environment) -> None:
    labels = {**shop.container("web").labels, "com.docker.compose.service": "orphan"}
    shop.engine.containers.run("busybox:1", ["sleep", "600"], labels=labels, detach=True, init=True)


def layer(shop: Environment) -> None:
    shop.write("compose.yml", (shop.folder / "compose.yml").read_text() + "\nx-note: {}\n")


def env_file(shop: Environment) -> None:
    shop.write(".env.dev", f"TAG=2\nDB_PASSWORD={PASSWORD}\n")


def written_in_place(shop: Environment) -> None:
    (shop.folder / "conf.txt").write_text("a=2\n")


def replaced_by_the_same(shop: Environment) -> None:
    """The container still has the old file."""
    shop.write("data/state.txt", "0\n")


def env_file_of_service(shop: Environment) -> None:
    shop.write("api.env", "LEVEL=debug\n")


def secret_file(shop: Environment) -> None:
    shop.write("secret.txt", "another-password\n")


def mounted_file_gone(shop: Environment) -> None:
    (shop.folder / "conf.txt").unlink()


def override_appears(shop: Environment) -> None:
    shop.write("compose.dev.yml", {"services": {"web": {"labels": {"new": "yes"}}}})


def second_base_appears(shop: Environment) -> None:
    shop.write("docker-compose.yml", {"services": {"web": service()}})


def second_env_file_appears(shop: Environment) -> None:
    shop.write("dev.env", "TAG=9\n")


def another_users_link(shop: Environment) -> None:
    """It cannot be asked any more; the long way says so."""
    (shop.folder / "secret.txt").unlink()
    (shop.folder / "secret.txt").symlink_to("/etc/shadow")
    if os.geteuid() == 0:
        os.chown(shop.folder / "secret.txt", 12345, 12345, follow_symlinks=False)


def linked(shop: Environment) -> None:
    (shop.folder / "conf.txt").rename(shop.folder / "old.txt")
    (shop.folder / "conf.txt").symlink_to("old.txt")


def current_is_lost(shop: Environment) -> None:
    (shop.state_dir / shop.project / "current").unlink()


def release_is_damaged(shop: Environment) -> None:
    (path,) = (shop.state_dir / shop.project / "releases").glob("*/release.json")
    path.write_text("{}")


def owner_is_lost(shop: Environment) -> None:
    (shop.state_dir / shop.project / "owner.json").unlink()


def kept_is_damaged(shop: Environment) -> None:
    kept(shop).write_text(kept(shop).read_text().replace('"changed": false', '"changed": true'))


def kept_is_foreign(shop: Environment) -> None:
    os.chown(kept(shop), 12345, 12345)


CHANGES: list[Callable[[Environment], None]] = [
    *(stopped, removed, paused, disconnected, another),
    *(layer, env_file, written_in_place, replaced_by_the_same, env_file_of_service, secret_file, mounted_file_gone),
    another_users_link,
    *(override_appears, second_base_appears, second_env_file_appears, linked),
    *(current_is_lost, release_is_damaged, owner_is_lost, kept_is_damaged, kept_is_foreign),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_after_a_change_it_is_decided_anew(shop: Environment, change: Callable[[Environment], None]) -> None:
    """And to what a check finds, which never takes the short way."""
    if change is kept_is_foreign and os.geteuid() != 0:
        pytest.skip("needs root, to give a file away")
    change(shop)
    planned = shop.plan()
    outcome = shop.run()
    assert (outcome.failed, outcome.changed) == (planned.failed, planned.changed)
    if not outcome.failed:
        assert outcome.actions == planned.actions
        shop.deploy()
        assert takes_the_short_way(shop)


@pytest.mark.parametrize("change", [each for each in CHANGES if not each.__name__.startswith("kept")])
def test_after_a_change_the_short_way_is_not_taken(shop: Environment, change: Callable[[Environment], None]) -> None:
    change(shop)
    assert not takes_the_short_way(shop)


@pytest.mark.parametrize(
    "options",
    [
        {"profiles": ["spare"]},
        {"variables": {"TAG": "3"}},
        {"services": ["web"]},
        {"scale": {"web": 2}},
        {"recreate": "always"},
        {"state": "restarted"},
        {"project_name": "other-name"},
    ],
    ids=str,
)
def test_other_options_are_decided_anew(shop: Environment, options: dict[str, Any]) -> None:
    assert not takes_the_short_way(shop, **options)


def test_another_operation_at_work_is_waited_for(shop: Environment) -> None:
    with (shop.state_dir / shop.project / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(json.dumps({"pid": 1, "operation": "present", "actor": "night shift", "started": "2026-01-01"}))
        lock.flush()
        outcome = shop.run()
    assert outcome.failed
    assert outcome.result["error_kind"] == "locked"
    assert outcome.result["lock"]["actor"] == "night shift"


def test_a_journal_is_recovered_from(shop: Environment) -> None:
    (shop.state_dir / shop.project / "journal.json").write_text("{}")
    outcome = shop.run()
    assert "journal.json" in str(outcome.result["warnings"])


def test_nothing_is_kept_of_what_was_removed(shop: Environment) -> None:
    shop.deploy(state="absent")
    assert not (shop.state_dir / ".unchanged").exists()


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """The absolute paths that this process looks at."""
    found: set[str] = set()

    def noting(function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(path: Any, *arguments: Any, **keys: Any) -> Any:
            if isinstance(path, str) and path.startswith("/"):
                found.add(path)
            return function(path, *arguments, **keys)

        return noted

    for name in ("stat", "lstat", "open", "listdir", "scandir", "readlink", "access"):
        monkeypatch.setattr(os, name, noting(getattr(os, name)))
    monkeypatch.setattr("builtins.open", noting(open))
    yield found


def test_all_that_a_decision_looks_at_is_asked_again(
    shop: Environment, looks: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads a file past `_files` makes the short way untrue."""
    monkeypatch.setattr(_asked, "_asked", [])
    defaults = {name: option.get("default") for name, option in COMPOSE_ENV.items()}
    options = {**defaults, **shop.options("compose_env", {})}
    asked = _asked.begin()
    looks.clear()
    result = run(options, Redactor(), False, False, performer("present"))
    seen = set(looks)
    assert not result["changed"]
    assert asked.is_whole
    assert asked.found_nothing_to_do
    again = {path for _question, path in asked.of_paths}
    state = str(shop.state_dir / shop.project)
    of_the_lock = {f"{state}/lock", f"{state}/engine.json", state, str(shop.state_dir)}
    places = (str(shop.folder), str(shop.state_dir))
    above = {str(parent) for _question, path in asked.of_paths for parent in Path(path).parents}
    assert {path for path in seen if path.startswith(places)} - again - above - of_the_lock == set()
    assert {f"{state}/journal.json", f"{state}/current", str(shop.folder / "secret.txt")} <= again
