"""A cell: a case is played on the engine, and after each step all rules are asked."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

from tests.integration.conftest import Environment, Outcome
from tests.property import oracle
from tests.property.case import Case, Document, Step
from tests.property.document import active, closure, profiles, services
from tests.property.project import Project, bystander, bystander_now
from tests.property.witness import Sight, as_text

STATES = {"restarted": "restarted", "stopped": "stopped", "started": "started", "rolled_back": "rolled_back"}
GATE = {"stable_for": 1, "wait_timeout": 40}
LAST = Step("check then deploy")
"""Every case ends with a full deployment, so that Compose can be asked whether it would do anything."""


@dataclass
class Verdict:
    """What is wrong after a step; empty when all is well."""

    violations: list[str] = field(default_factory=list)
    where: str = ""
    """the step, what was planned and told, and what the engine had before and after"""

    @property
    def kinds(self) -> set[str]:
        return {each.partition(":")[0] for each in self.violations}

    def __str__(self) -> str:
        return "\n".join([*self.violations, self.where])


@dataclass
class Cell:
    """What is known of the environment while a case is played."""

    project: Project
    releases: dict[int, dict[str, list[tuple[str, str]]]] = field(default_factory=dict)
    needless: dict[str, Any] = field(default_factory=dict)
    """definitions of the one-shot services whose containers are gone, by hand or as no longer needed, as they were"""
    current: int | None = None
    is_settled: bool = False
    """whether all that the document says was deployed last, and nobody meddled since"""
    notes: list[str] = field(default_factory=list)

    def play(self, case: Case) -> Verdict:
        """All steps and a last deployment; ends at the first step after which something is wrong."""
        now = case.document
        for number, (step, (old, document)) in enumerate(zip(case.steps, case.transitions()), start=1):
            verdict = self._checked(step, document, old, f"step {number}")
            if verdict.violations:
                return verdict
            now = old if step.operation == "failing gate" else document
        return self._checked(LAST, now, now, "last step", is_last=True)

    def _checked(self, step: Step, document: Document, old: Document, name: str, is_last: bool = False) -> Verdict:
        self.notes = []
        violations = list(self._step(step, document, old))
        if is_last and not violations:
            violations = list(self._plain_up())
        where = "\n".join([f"-- {name}: {step}", *self.notes])
        return Verdict(violations, where)

    def _step(self, step: Step, document: Document, old: Document) -> Iterator[str]:
        for how, service in step.by_hand:
            self.project.meddle(how, service)
            if how == "prune":
                self.needless[service] = active(self.project.document).get(service)
            self.is_settled = False
        self.project.write(document)
        if step.operation == "plain up":
            yield from self._plain_up()
        elif step.operation == "failing gate":
            yield from self._failing(step, old)
        else:
            yield from self._operation(step, old)

    def _operation(self, step: Step, old: Document) -> Iterator[str]:
        document, options = self.project.document, options_of(step, self.project.document)
        before = self._look("before")
        plan = self._run("check", options, check=True) if step.operation != "deploy" else None
        if plan is not None:
            yield from oracle.nothing_changed(before, self.project.look(), "check mode changes")
        outcome = self._run("told", options)
        after = self._look("after")
        if outcome.failed:
            yield from self._refused(step, outcome, before, after)
            return
        if plan is not None and plan.failed:
            yield f"the plan failed, the deed did not: {plan.message}"
            return
        can_stop = step.operation == "stopped"
        planned = outcome.result["actions"] if plan is None else plan.result["actions"]
        yield from oracle.is_the_plan(planned, outcome.result["actions"], before, after, can_stop)
        yield from unplanned(outcome)
        self._note_done(old, before, after, step.operation == "rolled_back")
        yield from self._state_is_right(step, document, before, after)
        self._remember(step, outcome, after)
        yield from self._second_run(step, options, after)

    def _note_done(self, old: Document, before: Sight, after: Sight, goes_back: bool) -> None:
        """Note the one-shots that need no container: they would have run again, or had run in an earlier release."""
        gone = oracle.done_and_gone(old, before, after)
        found = {each for each in gone if goes_back or oracle.lost_its_leader(old, each, before, after)}
        self.needless.update({each: active(old)[each] for each in found})

    def _state_is_right(self, step: Step, document: Document, before: Sight, after: Sight) -> Iterator[str]:
        yield from oracle.none_is_left_created(after)
        if step.operation == "stopped":
            yield from (f"state: {each.service} is {each.state}" for each in after.values() if not each.stands)
            return
        yield from oracle.shares_what_is_there(after)
        only = None if step.services is None else closure(document, step.services)
        if step.operation == "rolled_back":
            return
        yield from oracle.follows_its_leader(document, after, only)
        if step.operation == "started":
            return
        done_and_gone = {name for name, it in self.needless.items() if active(document).get(name) == it}
        yield from oracle.is_what_layers_say(document, after, only, done_and_gone)
        yield from oracle.has_its_variables(document, after, only)
        yield from oracle.starts_in_order(document, before, after)
        yield from oracle.restarts_with_what_it_depends_on(document, before, after, only)
        yield from self.project.stale_files(set(active(document)) if only is None else only)

    def _remember(self, step: Step, outcome: Outcome, after: Sight) -> None:
        number = outcome.result.get("release")
        if step.operation == "rolled_back":
            self.is_settled = False
            if number in self.releases:
                self.notes.append(f"rolled back to {number}")
        if number is not None:
            self.releases[number] = oracle.fingerprints(after)
            self.current = number
        if step.operation in ("deploy", "check then deploy", "restarted"):
            self.is_settled = step.services is None
        elif step.operation in ("services", "stopped"):
            self.is_settled = False

    def _second_run(self, step: Step, options: dict[str, Any], after: Sight) -> Iterator[str]:
        if step.operation == "rolled_back":
            return
        if options["state"] == "restarted":
            options = {**options, "state": "present"}
        again = self._run("again", options)
        yield from oracle.nothing_changed(after, self.project.look(), "second run changes")
        if again.failed or again.changed:
            yield f"second run tells of changes: {again.message} {again.result.get('actions')}"

    def _refused(self, step: Step, outcome: Outcome, before: Sight, after: Sight) -> Iterator[str]:
        """A failure that the case does not ask for: right only where there is nothing to do it with."""
        nowhere = step.operation == "rolled_back" and len(self.releases) < 2
        if nowhere or (step.operation == "started" and oracle.lacks_a_server(self.project.document, before)):
            yield from oracle.nothing_changed(before, after, "refused, but changed")
            return
        yield f"failed: {outcome.message}"

    def _failing(self, step: Step, old: Document) -> Iterator[str]:
        """One service does not pass: the release before serves, and deploying it once more does nothing."""
        options = options_of(step, self.project.document)
        before = self._look("before")
        plan = self._run("check", options, check=True)
        if plan.failed:
            yield f"failed: {plan.message}"
            return
        outcome = self._run("told", options)
        after = self._look("after")
        if not outcome.failed or outcome.result.get("state") != "rolled_back":
            yield f"gate: {outcome.result.get('state', 'passed')} instead of rolled back: {outcome.message}"
        touched = {each["service"] for each in plan.result["actions"]}
        yield from (f"unplanned: {each}" for each in untouched_changed(before, after, touched))
        yield from oracle.none_is_left_created(after)
        yield from oracle.follows_its_leader(old, after)
        yield from oracle.serves(before, after)
        self._note_done(old, before, after, goes_back=True)
        gone = {name for name, it in self.needless.items() if active(old).get(name) == it}
        # Of what had left the layers already, and only now goes, the last release still has a record.
        gone |= oracle.completed_and_gone(before, after) - set(active(old))
        if self.current is not None:
            yield from oracle.is_the_release(self.releases[self.current], after, old, "not back", gone)
        failed = self.project.document
        self.project.write(old)
        if self.is_settled:
            yield from self._files_are_back(oracle.made_with_other_files(failed, old, before, after), old)
            yield from self._second_run(LAST, options_of(LAST, old), self.project.look())
            yield from self.project.stale_files(set(active(old)))

    def _files_are_back(self, others: set[str], old: Document) -> Iterator[str]:
        """What went back while the failed release's files were there is made anew with the old ones, and no more."""
        if not others:
            return
        stale = {name for name in others if any(self.project.stale_files({name}))}
        outcome = self._run("files are back", options_of(LAST, old))
        if outcome.failed:
            yield f"failed: {outcome.message}"
            return
        yield from oracle.gets_its_files_back(old, stale, others, outcome.result["actions"])
        self._remember(LAST, outcome, self._look("files are back"))

    def _plain_up(self) -> Iterator[str]:
        """Compose itself has nothing to recreate, and what it has done needs nothing from us."""
        before = self._look("before plain up")
        if not self._compose_up():
            yield f"plain up: {self.notes[-1]}"
            return
        after = self._look("after plain up")
        if not self.is_settled:
            return
        # Compose runs a one-shot service again whose containers are gone, or that lived with a container that is gone;
        # we do not, and cannot prove what that mounts.
        cut_off = oracle.done_and_cut_off(self.project.document, before)
        kept = {each for each in after if each in before or after[each].service not in {*self.needless, *cut_off}}
        there = {each for each in before if each in after or before[each].service not in cut_off}
        restless = self._is_restless(after) if there != kept else False
        if there != kept and not restless:
            yield f"plain up recreates: {sorted({before[each].service for each in before.keys() - after.keys()})}"
        elif not restless and kept == after.keys():
            yield from self._second_run(LAST, options_of(LAST, self.project.document), after)

    def _compose_up(self) -> bool:
        done = self.project.compose("up", "-d")
        self.notes.append(f"docker compose up -d: {done.returncode} {done.stderr}")
        return done.returncode == 0

    def _is_restless(self, after: Sight) -> bool:
        """Whether Compose recreates what it has just made itself."""
        self._compose_up()
        return after.keys() != self.project.look().keys()

    def _look(self, when: str) -> Sight:
        sight = self.project.look()
        self.notes.append(f"{when}:\n{as_text(sight)}")
        return sight

    def _run(self, what: str, options: dict[str, Any], check: bool = False) -> Outcome:
        outcome = self.project.environment.run("compose_env", *(["--check"] if check else []), **options)
        lines = [f"{each['action']} {each['service']}: {each['reason']}" for each in outcome.result.get("actions", ())]
        self.notes.append(f"{what}: {'; '.join(lines) or '-'} {outcome.message}".rstrip())
        return outcome


def options_of(step: Step, document: Document) -> dict[str, Any]:
    limited = {} if step.services is None else {"services": list(step.services)}
    state = STATES.get(step.operation, "present")
    return {**GATE, "state": state, "profiles": profiles(document), **limited}


def unplanned(outcome: Outcome) -> Iterator[str]:
    for each in outcome.result["actions"]:
        if each["reason"] == "follows from the others":
            yield f"unplanned: {each['action']} {each['service']}"


def untouched_changed(before: Sight, after: Sight, touched: set[str]) -> Iterator[str]:
    for key, each in before.items():
        same = key in after and after[key].started == each.started
        if each.service not in touched and not same:
            yield f"{each.service} was touched although nothing was planned for it"


def played(case: Case, engine: docker.DockerClient, folder: Path) -> Verdict:
    """Play a case in a folder of its own; nothing of it stays."""
    name = f"p{'' if case.seed is None else case.seed}x{uuid.uuid4().hex[:6]}"
    root = folder / name
    root.mkdir(parents=True)
    environment = Environment(root, folder / f"{name}-state", engine)
    try:
        with bystander(engine, environment.project, sorted(services(case.document))) as made:
            verdict = Cell(Project(environment)).play(case)
            if bystander_now(engine, environment.project) != made:
                verdict.violations.append("bystander: another project was touched")
            return verdict
    finally:
        environment.clean_up()
        shutil.rmtree(root)
