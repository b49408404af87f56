"""The row on managed hosts: playbooks/deploy.yml beside a plain play with the rival, over real SSH."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import tasks
from measure import Row, interleaved, median, ratio, run, told
from projects import ENVIRONMENT, IMAGE, ROOT, Project, small_project
from rows import Bench

LAB = "bench-lab"
HOSTS = ROOT / "tests" / "lab" / "hosts.py"
OURS, RIVALS = "/opt/bench-ours", "/opt/bench-rival"


@contextlib.contextmanager
def lab(folder: Path, count: int) -> Iterator[Path]:
    """The inventory of so many managed hosts, which end with the block."""
    inventory = folder / "lab.yml"
    told(f"bringing up {count} managed hosts")
    try:
        run(
            *(sys.executable, HOSTS, "up", "--name", LAB, "--count", str(count)),
            *("--image", IMAGE, "--inventory", inventory),
        )
        yield inventory
    finally:
        run(sys.executable, HOSTS, "down", "--name", LAB)


def deployments(bench: Bench) -> Row:
    """Row 4: the whole playbook without a change, on one host and on many."""
    controller = bench.controller
    source = small_project(controller.folder / "source", "bench-hosts", 2)
    source.env_file.unlink()  # both sides render it on the host
    rival = controller.write("rivals", *_rivals(source, controller.folder))
    variables = controller.folder / "variables.json"
    variables.write_text(json.dumps(_ours(source)))
    try:
        with lab(controller.folder, bench.hosts) as inventory:
            sides = {}
            for count, limit in {1: f"{LAB}-1", bench.hosts: "all"}.items():
                options = ("-i", str(inventory), "--limit", limit)
                ours = (controller.collection / "playbooks" / "deploy.yml", *options, "-e", f"@{variables}")
                controller.play(*ours, quiet=False)
                controller.play(rival, *options, quiet=False)
                sides[f"ours {count}"] = lambda ours=ours: controller.play(*ours)
                sides[f"rival {count}"] = lambda options=options: controller.play(rival, *options)
            samples = interleaved("no-op on managed hosts", sides, bench.rounds, warm=True)
    finally:
        shutil.rmtree(source.folder)
    findings = [
        ratio(
            f"no-op deploy.yml on {count} host{'s' if count > 1 else ''}",
            "s",
            median(samples, f"ours {count}"),
            (f"copy, template, {tasks.RIVAL}", median(samples, f"rival {count}")),
            0.5,
            "<= 0.5 x",
        )
        for count in sorted({1, bench.hosts})
    ]
    return Row(4, findings, dict(samples))


def _ours(source: Project) -> dict[str, object]:
    return {
        "compose_env_project_dir": OURS,
        "compose_env_environment": ENVIRONMENT,
        "compose_env_stable_for": 1,
        "deploy_source": str(source.folder),
        "env_file_variables": dict(source.variables),
    }


def _rivals(source: Project, folder: Path) -> tuple[tasks.Task, ...]:
    template = folder / "env.j2"
    variables = dict(source.variables)
    template.write_text("{% for name, value in variables.items() %}\n{{ name }}={{ value }}\n{% endfor %}\n")
    on_host = Project(f"bench-rival-{ENVIRONMENT}", Path(RIVALS), source.layers)
    return tuple(
        {**task, "vars": {"variables": variables}}
        for task in (*tasks.rivals_files(source.folder, template, RIVALS), tasks.rivals(on_host))
    )
