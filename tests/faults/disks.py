"""Small disks that are full, for real."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

PAGE = 4096
FILLER = "filler"


@contextlib.contextmanager
def small_disk(folder: Path, pages: int = 128) -> Iterator[None]:
    """A file system of its own over a folder that is empty."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={pages * PAGE},mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def filled(folder: Path, free_pages: int) -> Iterator[None]:
    """The disk of a folder with so many pages left."""
    filler = folder / FILLER
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(PAGE))
    size = filler.stat().st_size
    with filler.open("r+b") as file:
        file.truncate(size - free_pages * PAGE)
    try:
        yield
    finally:
        filler.unlink()
