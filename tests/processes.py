"""Processes as the kernel tells of them, those inside of managed hosts too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")


def exists(pid: int) -> bool:
    return (PROC / str(pid)).exists()


def everyone() -> Iterator[int]:
    """All processes that can be seen from here."""
    return (int(path.name) for path in PROC.iterdir() if path.name.isdigit())


def argv(pid: int) -> list[str]:
    """The words of a process, none when it is gone."""
    try:
        return (PROC / str(pid) / "cmdline").read_text(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []


def program(pid: int) -> str:
    """The first word of a process, empty when it is gone."""
    return next(iter(argv(pid)), "")


def children(pid: int) -> list[list[str]]:
    """The words of each process that a process started."""
    try:
        found = (PROC / str(pid) / "task" / str(pid) / "children").read_text()
    except OSError:
        return []
    return [argv(int(each)) for each in found.split()]


def children_of_threads(pid: int) -> list[int]:
    """The processes that any thread of a process started, none when it is gone."""
    found: list[int] = []
    for thread in entries(PROC / str(pid) / "task"):
        with suppress(OSError):
            found += [int(word) for word in (thread / "children").read_text().split()]
    return found


def open_files(pid: int) -> list[Path]:
    """What the descriptors of a process lead to, none when it is gone."""
    found = []
    for descriptor in entries(PROC / str(pid) / "fd"):
        with suppress(OSError):
            found.append(descriptor.readlink())
    return found


def users_of(path: Path) -> list[int]:
    """The processes that have a file open."""
    return [pid for pid in everyone() if path in open_files(pid)]


def entries(folder: Path) -> list[Path]:
    """Of a folder of a process, which may end at any moment: a glob over /proc fails then."""
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def is_there(*words: str) -> bool:
    """Whether a process of just these words runs anywhere."""
    return any(argv(pid) == list(words) for pid in everyone())


def in_namespace_of(init: int, pid: int) -> int | None:
    """The number here of the process that has the number ``pid`` in a container; ``init`` is the container's first."""
    return next((each for each in inside(init) if numbers(each)[-1:] == [pid]), None)


def inside(init: int) -> Iterator[int]:
    """All processes of a container that are in no container inside of it."""
    home = namespace(init)
    return (each for each in everyone() if home and namespace(each) == home)


def namespace(pid: int) -> str:
    try:
        return str((PROC / str(pid) / "ns" / "pid").readlink())
    except OSError:
        return ""


def numbers(pid: int) -> list[int]:
    """The numbers of a process, from this machine's to the innermost container's."""
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return []
    return [int(word) for line in lines if line.startswith("NSpid:") for word in line.split()[1:]]


def is_stopped(pid: int) -> bool:
    """Whether a SIGSTOP has taken effect, or there is no such process any more."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] in "TZX"
    except OSError:
        return True
