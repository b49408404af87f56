"""The rows on the engine of this machine: no-op, number of processes, deployment, command in a container."""

from __future__ import annotations

import contextlib
import functools
import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace

import tasks
from controller import Controller
from counting import Counter, counter
from measure import Finding, Row, Sample, Side, interleaved, median, median_over, ratio, run, timed
from projects import Project, chained_project, remove, shop_project, small_project

BY_HAND = "docker compose up"
SIZES = (2, 20)


@dataclass(frozen=True)
class Bench:
    """What every row gets."""

    controller: Controller
    rounds: int
    loop: int
    """tasks in a playbook of rows 1 and 5"""
    hosts: int
    """managed hosts in row 4"""


@contextlib.contextmanager
def deployed(bench: Bench, size: int) -> Iterator[Project]:
    """A small project that runs for as long as the block does."""
    controller = bench.controller
    project = small_project(controller.folder / f"small-{size}", f"bench-{size}", size)
    remove(project.name)
    try:
        controller.play(controller.write(f"deploy-{size}", tasks.ours(project, controller.state_dir)), quiet=False)
        yield project
    finally:
        remove(project.name)
        shutil.rmtree(project.folder)
        shutil.rmtree(controller.state_dir, ignore_errors=True)


def looping(bench: Bench, name: str, task: tasks.Task) -> Side:
    """A side that runs a playbook with the task in a loop."""
    playbook = bench.controller.write(name, tasks.repeated(task, bench.loop))
    return lambda: bench.controller.play(playbook)


def no_op(bench: Bench) -> Row:
    """Row 1: what a deployment without a change costs over a ping."""
    with contextlib.ExitStack() as stack:
        sides = {"ping": looping(bench, "ping", tasks.ping())}
        for size in SIZES:
            project = stack.enter_context(deployed(bench, size))
            ours = tasks.ours(project, bench.controller.state_dir)
            sides[f"ours {size}"] = looping(bench, f"ours-{size}", ours)
            sides[f"rival {size}"] = looping(bench, f"rival-{size}", tasks.rivals(project))
        samples = interleaved("no-op", sides, bench.rounds)
    findings = []
    for size in SIZES:
        for metric in ("wall", "cpu"):
            each = {
                side: median_over(samples, f"{side} {size}", "ping", metric) / bench.loop * 1000
                for side in ("ours", "rival")
            }
            what = f"no-op over ping, {size} services{', CPU' if metric == 'cpu' else ''}"
            found = ratio(what, "ms", each["ours"], (tasks.RIVAL, each["rival"]), 1 / 3, "<= 0.33 x, aim 0.17 x")
            findings.append(replace(found, aim=1 / 6))
    return Row(1, findings, dict(samples))


def processes(bench: Bench) -> Row:
    """Row 2: calls of the docker CLI and of Compose in a deployment without a change."""
    count = counter(bench.controller.folder / "wrappers")
    controller = replace(bench.controller, variables=count.variables)
    logs: dict[str, object] = {}
    findings = []
    for size in SIZES:
        with deployed(bench, size) as project:
            ours = started(controller, count, f"count-ours-{size}", tasks.ours(project, controller.state_dir))
            rival = started(controller, count, f"count-rival-{size}", tasks.rivals(project))
        logs |= {f"ours {size}": ours, f"rival {size}": rival}
        mine, theirs = calls(ours), calls(rival)
        what = f"CLI calls of a no-op, {size} services"
        findings.append(Finding(what, "calls", mine, theirs, tasks.RIVAL, mine, 3, "<= 3"))
    return Row(2, findings, logs)


def started(controller: Controller, count: Counter, name: str, task: tasks.Task) -> list[str]:
    """What the second run of a task starts; the first one may notice that Compose is at another place."""
    playbook = controller.write(name, task)
    controller.play(playbook)
    count.lines()
    controller.play(playbook)
    return count.lines()


def calls(lines: list[str]) -> int:
    """How many of the processes were not started by the docker CLI itself."""
    return sum(not line.startswith("plugin ") for line in lines)


def deployment(bench: Bench) -> Row:
    """Row 3: the example from nothing, and after a change of one value, each beside Compose by hand."""
    controller = bench.controller
    project = shop_project(controller.folder / "shop", "shop-bench")
    playbook = controller.write("shop", tasks.ours(project, controller.state_dir))

    def by_hand() -> Sample:
        return timed(lambda: run(*project.compose, "up", "--detach", "--wait"))

    def ours() -> Sample:
        return controller.play(playbook, quiet=False)

    try:
        sides = {"ours": lambda: both(bench, project, ours), "by hand": lambda: both(bench, project, by_hand)}
        samples = interleaved("deployment of the example", sides, bench.rounds)
    finally:
        begin_anew(bench, project)
    first, change = (
        {side: median(samples, side, metric) for side in samples} for metric in ("first", "change")
    )  # fmt: skip
    return Row(
        3,
        [
            ratio("first deployment of the example", "s", first["ours"], (BY_HAND, first["by hand"]), 1.1, "<= 1.1 x"),
            ratio("changed deployment of it", "s", change["ours"], (BY_HAND, change["by hand"]), 1.15, "<= 1.15 x"),
        ],
        dict(samples),
    )


def both(bench: Bench, project: Project, up: Side) -> Sample:
    """Seconds of the deployment from nothing, and of the one after a change that api, app and scheduler see."""
    begin_anew(bench, project)
    project.write_env()
    first = up()
    project.write_env(LOG_LEVEL="warning")
    return {"first": first["wall"], "change": up()["wall"]}


def begin_anew(bench: Bench, project: Project) -> None:
    """Remove the project with its volumes and its releases."""
    remove(project.name)
    shutil.rmtree(bench.controller.state_dir, ignore_errors=True)


def chains(bench: Bench) -> Row:
    """Row 6: a change of 6 services of 20, the ends of 3 chains; each side has a project of its own."""
    controller = bench.controller
    projects = {
        side: chained_project(controller.folder / f"chained-{side}", f"bench-chained-{side}", services=20, chains=3)
        for side in ("ours", "rival", "hand")
    }
    playbooks = {
        "ours": controller.write("chains-ours", tasks.ours(projects["ours"], controller.state_dir)),
        "rival": controller.write("chains-rival", tasks.rivals(projects["rival"])),
    }
    changes = itertools.count(1)

    def changed(side: str) -> Sample:
        projects[side].write_env(CHANGED=str(next(changes)))
        if side in playbooks:
            return controller.play(playbooks[side], quiet=False)
        return timed(lambda: run(*projects[side].compose, "up", "--detach", "--wait"))

    try:
        sides = {side: functools.partial(changed, side) for side in projects}
        samples = interleaved("6 services of 20", sides, bench.rounds)
    finally:
        for project in projects.values():
            remove(project.name)
            shutil.rmtree(project.folder)
        shutil.rmtree(controller.state_dir, ignore_errors=True)
    ours, rival, hand = (median(samples, side) for side in ("ours", "rival", "hand"))
    what = "change of 6 services of 20"
    return Row(
        6,
        [
            ratio(what, "s", ours, (BY_HAND, hand), 1.5, "<= 1.5 x"),
            ratio(what, "s", ours, (tasks.RIVAL, rival), 1.1, "<= 1.1 x"),
        ],
        dict(samples),
    )


def command(bench: Bench) -> Row:
    """Row 5: what compose_exec costs over the same command by hand, besides the ping task that any module costs."""
    with deployed(bench, SIZES[0]) as project:
        container = f"{project.name}-service-01-1"
        sides = {
            "ping": looping(bench, "ping", tasks.ping()),
            "ours": looping(bench, "exec", tasks.command(project, bench.controller.state_dir, "service-01")),
            "by hand": in_loop(bench, *project.compose, "exec", "-T", "service-01", "true"),
            "docker exec by hand": in_loop(bench, "docker", "exec", container, "true"),
        }
        samples = interleaved("command in a container", sides, bench.rounds)
    over = median_over(samples, "ours", "ping") / bench.loop * 1000
    by_hand = median(samples, "by hand") / bench.loop * 1000
    what, other = "compose_exec over ping, 1 command", "docker compose exec"
    return Row(5, [Finding(what, "ms", over, by_hand, other, over - by_hand, 60, "<= 60 ms over it")], dict(samples))


def in_loop(bench: Bench, *argv: str) -> Side:
    """A side that runs a command by hand as often as the playbooks do."""
    return lambda: timed(lambda: [run(*argv) for _number in range(bench.loop)])
