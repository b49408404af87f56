"""Modules in processes of their own that need not import everything anew: two thirds of the time of most of them.

A server imports what all modules import and forks for each run, as Ansible's own worker processes do. What a module
imports later, it imports itself. Used by `process` of conftest; what is killed or signalled in a test is started
without it.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import functools
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

MODULES = "ansible_collections.strata.compose.plugins.modules"
STREAMS = 3
LONGEST_REQUEST = 1 << 20


def run_module(module: str, arguments: str, environment: dict[str, str]) -> tuple[str, str]:
    """Run a module with its arguments on standard input; what it printed, and what it wrote to its standard error."""
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(tempfile.TemporaryFile()) for _stream in range(STREAMS)]
        streams[0].write(arguments.encode())
        streams[0].seek(0)
        connection = stack.enter_context(socket.socket(socket.AF_UNIX))
        connection.connect(_address(os.getpid()))
        files = [each.fileno() for each in streams]
        request = json.dumps({"module": module, "environment": environment, "folder": str(Path.cwd())})
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))]
        connection.sendmsg([request.encode()], rights)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()
        assert answer, f"module {module}: its process came to no end"
        output, errors = (os.pread(each, os.fstat(each).st_size, 0).decode() for each in files[1:])
        return output, errors


@functools.cache
def _address(_process: int) -> str:
    """The address of this process's own server, which ends with it."""
    folder = tempfile.TemporaryDirectory(prefix="strata-modules-")
    address = f"{folder.name}/socket"
    lifeline, kept = os.pipe()
    search = os.pathsep.join(filter(None, [str(_repository() / ".ansible/collections"), os.environ.get("PYTHONPATH")]))
    server = subprocess.Popen(
        [sys.executable, __file__, address, str(lifeline)],
        pass_fds=[lifeline],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": search},
    )
    os.close(lifeline)
    assert server.stdout
    assert server.stdout.readline() == b"ready\n"
    atexit.register(_end, server, kept, folder)
    return address


def _end(server: subprocess.Popen[bytes], kept: int, folder: tempfile.TemporaryDirectory[str]) -> None:
    os.close(kept)
    server.wait(10)
    folder.cleanup()


def _repository() -> Path:
    return Path(__file__).resolve().parents[2]


def serve(address: str, lifeline: int) -> None:
    """Fork for each request, until the process that started the server is gone."""
    _preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            ready = select.select([listener.fileno(), lifeline], [], [])[0]
            if lifeline in ready:
                return
            connection = listener.accept()[0]
            if os.fork() == 0:
                listener.close()
                os.close(lifeline)
                _attend(connection)
            connection.close()


def _preload() -> None:
    importlib.import_module("ansible.module_utils.basic")
    for name in ("compose_env", "compose_env_info", "compose_exec", "compose_init", "postgres_env"):
        importlib.import_module(f"{MODULES}.{name}")
        del sys.modules[f"{MODULES}.{name}"]


def _attend(connection: socket.socket) -> None:
    """Have one module run, and answer with its exit code. Never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, files = _received(connection)
    process = os.fork()
    if process == 0:
        connection.close()
        os._exit(_as_module(json.loads(request), files))
    status = os.waitpid(process, 0)[1]
    connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _received(connection: socket.socket) -> tuple[bytes, list[int]]:
    size = STREAMS * array.array("i").itemsize
    text, rights, _flags, _address = connection.recvmsg(LONGEST_REQUEST, socket.CMSG_SPACE(size))
    files = array.array("i")
    files.frombytes(rights[0][2][:size])
    while more := connection.recv(LONGEST_REQUEST):
        text += more
    return text, list(files)


def _as_module(request: dict[str, object], files: list[int]) -> int:
    """Become the module's process; its exit code."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[call-overload]
    os.chdir(str(request["folder"]))
    sys.argv = [str(request["module"])]
    code: object = 0
    try:
        runpy.run_module(f"{MODULES}.{request['module']}", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code if isinstance(code, int) else int(bool(code))


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
