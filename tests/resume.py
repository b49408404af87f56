"""Long suites that were cut off go on where they were: what has passed on the same code and engine is not run again.

A plugin for pytest, ``-p tests.resume``; its journal lies in ``.cache/resume``.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDER = REPOSITORY / ".cache" / "resume"
TESTED = ("plugins", "roles", "playbooks", "tests")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Resumed(config, _journal()), "resumed")


class _Resumed:
    """Leaves out what the journal has, and notes what passes."""

    def __init__(self, config: pytest.Config, journal: Path) -> None:
        self.config = config
        self.journal = journal
        self.passed: set[str] = set()

    def pytest_report_header(self) -> str:
        return f"{len(_noted(self.journal))} tests have passed on this code before: {self.journal}"

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        done = _noted(self.journal)
        self.config.hook.pytest_deselected(items=[each for each in items if each.nodeid in done])
        items[:] = [each for each in items if each.nodeid not in done]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and _noted(self.journal):
            session.exitstatus = pytest.ExitCode.OK

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if hasattr(self.config, "workerinput") or not report.passed:
            return
        if report.when == "call":
            self.passed.add(report.nodeid)
        elif report.when == "teardown" and report.nodeid in self.passed:
            _note(self.journal, report.nodeid, report.duration)


def _journal() -> Path:
    """One for each state of the code, of the engine and of Compose."""
    code = _output("git", "ls-tree", "HEAD", "--", *TESTED) + _output("git", "status", "--porcelain", "--", *TESTED)
    code += _output("git", "diff", "HEAD", "--", *TESTED)
    engine = _output("docker", "version", "--format", "{{.Server.Version}}")
    compose = _output("docker", "compose", "version", "--short")
    return FOLDER / f"{hashlib.sha256(code.encode()).hexdigest()[:12]}-{engine}-compose-{compose}.jsonl"


def _output(*argv: str) -> str:
    return subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.strip()


def _noted(journal: Path) -> set[str]:
    if not journal.exists():
        return set()
    return {str(json.loads(line)["test"]) for line in journal.read_text().splitlines()}


def _note(journal: Path, test: str, seconds: float) -> None:
    journal.parent.mkdir(parents=True, exist_ok=True)
    with journal.open("a") as file:
        file.write(json.dumps({"test": test, "seconds": round(seconds, 1)}) + "\n")
