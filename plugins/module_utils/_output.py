# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command prints, of any size: on disk while it grows, in the result as far as it is wanted there.

Private to strata.compose.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import tempfile
import time
import typing as t

from ansible_collections.strata.compose.plugins.module_utils._errors import ComposeFailure
from ansible_collections.strata.compose.plugins.module_utils._files import replace_file
from ansible_collections.strata.compose.plugins.module_utils._redact import Redactor

KEPT = 20
"""Files of complete output that stay in the folder."""

MARGIN = 1 << 16
"""Bytes read before a tail and not told: a secret that the tail would cut is recognised and masked all the same."""

LONGEST = 1 << 14
"""Bytes at the beginning of what was read that are never told, for they may be the rest of a secret."""

TEMPORARY = "/var/tmp"
"""Meant for large files, where ``/tmp`` may be memory."""


class Output:
    """The standard output and standard error of one command, in nameless files that only this process can reach."""

    def __init__(self, streams: t.Mapping[str, t.IO[bytes]]) -> None:
        self._streams = streams

    @property
    def files(self) -> tuple[t.IO[bytes], t.IO[bytes]]:
        return self._streams["stdout"], self._streams["stderr"]

    @property
    def is_silent(self) -> bool:
        """Whether nothing came on standard output."""
        return _size(self._streams["stdout"]) == 0

    def errors(self) -> str:
        """The end of standard error, unmasked."""
        return _tail(self._streams["stderr"], MARGIN).decode("utf-8", "replace")

    def end(self, maximum: int, redactor: Redactor | None) -> str:
        """The ends of both streams, standard output first, each of ``maximum`` bytes, masked if there is a redactor."""
        ends = []
        for stream in self.files:
            read = _tail(stream, maximum + MARGIN)
            content = masked_tail(read, maximum, _size(stream), redactor) if redactor else read[-maximum:]
            ends.append(content.decode("utf-8", "replace"))
        return "\n".join(filter(None, (each.strip("\n") for each in ends)))

    def forget(self) -> None:
        """Begin anew."""
        for stream in self.files:
            stream.truncate(0)
            stream.seek(0)

    def told(self, maximum: int, redactor: Redactor, path: str) -> dict[str, t.Any]:
        """Both streams for the result; what exceeds ``maximum`` bytes is kept in ``<path>.<stream>``."""
        found: dict[str, t.Any] = {}
        for name, stream in self._streams.items():
            is_long = _size(stream) > maximum
            content = masked_tail(_tail(stream, maximum + MARGIN), maximum, _size(stream), redactor)
            found[name] = content.decode("utf-8", "replace")
            if not _is_text(content):
                found[f"{name}_base64"] = base64.b64encode(content).decode()
            if is_long:
                found.update(_told_kept(stream, f"{path}.{name}", f"{name}_file", found.get("warnings", [])))
        return found


def _told_kept(stream: t.IO[bytes], path: str, key: str, warnings: list[str]) -> dict[str, t.Any]:
    """Where a whole stream is kept. The command has run, so a full disk makes no failure of it, but a warning."""
    try:
        return {key: _kept(stream, path)}
    except ComposeFailure as failure:
        return {"warnings": [*warnings, f"The result has only the end of the command's output: {failure.message}"]}


@contextlib.contextmanager
def open_output() -> t.Iterator[Output]:
    """An output to let a command write to; it is gone afterwards."""
    folder = TEMPORARY if os.access(TEMPORARY, os.W_OK | os.X_OK) else None
    with tempfile.TemporaryFile(dir=folder) as output, tempfile.TemporaryFile(dir=folder) as errors:
        yield Output({"stdout": output, "stderr": errors})


def masked_tail(read: bytes, maximum: int, size: int, redactor: Redactor) -> bytes:
    """The end of what was ``read`` from a stream of ``size`` bytes, masked before it is cut."""
    text: str = redactor.mask(read.decode("utf-8", "surrogateescape"))
    content = text.encode("utf-8", "surrogateescape")
    if size <= maximum:
        return content
    wanted = maximum if len(read) == size else min(maximum, max(0, len(content) - LONGEST))
    tail = content[max(0, len(content) - wanted) :]
    start = next((at for at, byte in enumerate(tail[:4]) if byte & 0xC0 != 0x80), 0)
    return tail[start:] if _is_text(tail[start:]) else tail


def _size(stream: t.IO[bytes]) -> int:
    return os.fstat(stream.fileno()).st_size


def _tail(stream: t.IO[bytes], length: int) -> bytes:
    stream.seek(max(0, _size(stream) - length))
    return stream.read()


def _is_text(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _kept(stream: t.IO[bytes], path: str) -> str:
    """Copy the whole stream to a file for the owner only, and remove the oldest ones of its folder."""
    try:
        replace_file(path, b"")
        stream.seek(0)
        with open(path, "r+b") as file:
            shutil.copyfileobj(stream, file, 1 << 20)
        prune(os.path.dirname(path))
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise ComposeFailure(f"{path} cannot be written: {error.strerror}.") from error
    return path


def prune(folder: str) -> None:
    """Remove the oldest files of a folder beyond the last `KEPT`."""
    paths = sorted((os.path.join(folder, name) for name in os.listdir(folder)), key=os.path.getmtime)
    for path in paths[:-KEPT]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def file_name(service: str, token: str) -> str:
    """A name that sorts by time and is not given twice."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{service}-{token}"


def write_line(stream: t.TextIO, text: str) -> None:
    """Write a line at once, for programs that run without Ansible and are read in the host's journal."""
    stream.write(f"{text}\n")
    stream.flush()
