"""Content that passes through pipes and a file: all of it arrives, and every side ends when another one does."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest
from ansible_collections.strata.compose.plugins.module_utils.postgres._streams import Stream, read_behind, written_to

PIECE = 100_000


def write(output: IO[bytes], content: bytes) -> None:
    for start in range(0, len(content), PIECE):
        rest = memoryview(content[start : start + PIECE])
        while rest:
            rest = rest[output.write(rest) :]


@pytest.mark.parametrize("size", [0, 1, 1 << 16, (1 << 20) - 1, 3 << 20])
def test_reader_behind_gets_all_that_was_written(size: int) -> None:
    content = random.Random(size).randbytes(size)
    begins: list[int] = []
    stream = Stream(begins=lambda: begins.append(stream.size))
    with tempfile.TemporaryFile(buffering=0) as file, ThreadPoolExecutor(1) as pool:
        with read_behind(file, stream) as behind:
            got = pool.submit(behind.read)
            with written_to(file, stream) as output:
                write(output, content)
            assert got.result() == content
        file.seek(0)
        assert file.read() == content
    assert (stream.size, stream.sha256) == (size, hashlib.sha256(content).hexdigest())
    assert begins == ([0, size] if size else [0])


def test_reader_that_leaves_does_not_hold_up_the_writer() -> None:
    content = bytes(3 << 20)
    stream = Stream()
    with tempfile.TemporaryFile(buffering=0) as file:
        with read_behind(file, stream) as behind:
            behind.close()
            with written_to(file, stream) as output:
                write(output, content)
        assert os.fstat(file.fileno()).st_size == len(content) == stream.size
    assert stream.error is None


def test_full_disk_ends_both_sides() -> None:
    stream = Stream()
    with Path("/dev/full").open("r+b", buffering=0) as file, read_behind(file, stream) as behind:
        with written_to(file, stream) as output:
            output.write(b"content")
        assert behind.read() == b""
    assert stream.error is not None
    assert stream.error.errno == errno.ENOSPC
