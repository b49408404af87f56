"""What the role engine left on a host that came without an engine."""

from __future__ import annotations

from typing import Any

import docker

IMAGE = "busybox:1"


def test_compose_answers(bare_host: Any) -> None:
    assert bare_host.shell("docker compose version --short").strip().startswith("2.")


def test_a_container_runs(bare_host: Any) -> None:
    bare_host.engine.images.load(docker.from_env().images.get(IMAGE).save(named=True))
    assert bare_host.engine.containers.run(IMAGE, ["echo", "works"], remove=True) == b"works\n"


def test_the_engine_outlives_the_login_that_started_it(bare_host: Any) -> None:
    assert bare_host.shell("ps -o ppid= -C dockerd").split() == ["1"]
