# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Content on its way between a file and a command: counted and digested, and never in memory as a whole.

It passes through this process and is not handed over as a file: so a command ends when this process does, however it
does. Private to strata.compose.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import typing as t
from dataclasses import dataclass, field

BLOCK = 1 << 20
"""Bytes that are in memory at a time."""


@dataclass
class Stream:
    """What has passed."""

    size: int = 0
    error: OSError | None = None
    """why it ended before its time, such as a full disk"""
    begins: t.Callable[[], None] | None = None
    _digest: t.Any = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        """The digest of all that has passed."""
        return str(self._digest.hexdigest())

    def passed(self, block: memoryview) -> None:
        if not self.size and self.begins:
            self.begins()
        self._digest.update(block)
        self.size += len(block)


@contextlib.contextmanager
def written_to(file: t.IO[bytes], begins: t.Callable[[], None]) -> t.Iterator[tuple[t.IO[bytes], Stream]]:
    """A pipe for the output of a command, which goes into an unbuffered file; all is there when the block ends.

    ``begins`` is called when the first of it is there.
    """
    stream = Stream(begins=begins)
    with _pipe() as (reading, writing):

        def work() -> None:
            try:
                _copy(reading, file, stream)
            finally:
                # The command learns that nobody takes its output any more.
                reading.close()
                begins()

        with _alongside(work):
            try:
                yield writing, stream
            finally:
                writing.close()


@contextlib.contextmanager
def read_from(file: t.IO[bytes]) -> t.Iterator[tuple[t.IO[bytes], Stream]]:
    """A pipe for the input of a command, which comes from an unbuffered file."""
    stream = Stream()
    with _pipe() as (reading, writing):

        def work() -> None:
            try:
                _copy(file, writing, stream)
            finally:
                writing.close()

        with _alongside(work):
            try:
                yield reading, stream
            finally:
                reading.close()


@contextlib.contextmanager
def _pipe() -> t.Iterator[tuple[t.IO[bytes], t.IO[bytes]]]:
    first, second = os.pipe()
    with open(first, "rb", buffering=0) as reading, open(second, "wb", buffering=0) as writing:
        yield reading, writing


@contextlib.contextmanager
def _alongside(work: t.Callable[[], None]) -> t.Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _copy(source: t.IO[bytes], target: t.IO[bytes], stream: Stream) -> None:
    """Copy to the end, or until a side fails; a reader that has gone is told by the command itself."""
    buffer = memoryview(bytearray(BLOCK))
    try:
        while count := source.readinto(buffer):  # type: ignore[attr-defined]
            _write(target, buffer[:count])
            stream.passed(buffer[:count])
    except BrokenPipeError:
        return
    except OSError as error:
        stream.error = error


def _write(target: t.IO[bytes], block: memoryview) -> None:
    while block:
        block = block[target.write(block) :]
