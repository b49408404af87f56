"""The faults, and how each strikes."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from tests import processes
from tests.faults.places import Attempt, ManagedHost, Place
from tests.lab import hosts


@dataclass(frozen=True)
class Target:
    """What a fault strikes: a deployment whose worker is stopped."""

    place: Place
    attempt: Attempt
    worker: int

    @property
    def host(self) -> ManagedHost:
        assert isinstance(self.place, ManagedHost)
        return self.place

    def resume(self) -> None:
        """Let the worker go on, if it is still there."""
        if processes.exists(self.worker):
            os.kill(self.worker, signal.SIGCONT)


@dataclass(frozen=True)
class Fault:
    """Something that happens to a deployment."""

    name: str
    strike: Callable[[Target], None]
    needs_host: bool = True
    worker_survives: bool = False
    """whether the deployment goes on to its end, unseen by its controller"""
    is_asked_to_end: bool = False
    """whether the worker is asked, so that it brings the deployment to an end itself"""


def signalled(number: signal.Signals) -> Callable[[Target], None]:
    def strike(target: Target) -> None:
        os.kill(target.worker, number)
        target.resume()

    return strike


def kill_playbook(target: Target) -> None:
    os.kill(target.attempt.process.pid, signal.SIGKILL)
    target.resume()


def cut_ssh(target: Target) -> None:
    """Kill the host's end of every ssh connection; its listener goes on."""
    init = target.host.init
    for pid in list(processes.inside(init)):
        if pid != init and processes.program(pid).startswith("sshd"):
            with contextlib.suppress(ProcessLookupError):  # it may end meanwhile, with the one that it belongs to
                os.kill(pid, signal.SIGKILL)
    target.resume()


def kill_engine(target: Target) -> None:
    """Kill dockerd, which takes its containerd with it, and start it as it was."""
    host = target.host
    (daemon,) = [pid for pid in processes.inside(host.init) if processes.program(pid) == "dockerd"]
    argv = processes.argv(daemon)
    helpers = [pid for pid in processes.inside(host.init) if processes.program(pid) == "containerd"]
    os.kill(daemon, signal.SIGKILL)
    target.resume()
    hosts.wait_until(lambda: not any(map(processes.exists, (daemon, *helpers))), "the end of the engine")
    hosts.run("docker", "exec", "--detach", host.name, *argv)
    host.wait_for_engine()


def kill_host(target: Target) -> None:
    """Kill the host with all that runs there, and start it; the controller would wait for it for long."""
    target.host.kill()
    target.attempt.end()
    target.host.bring_up()


FAULTS = (
    Fault("SIGINT", signalled(signal.SIGINT), needs_host=False, is_asked_to_end=True),
    Fault("SIGTERM", signalled(signal.SIGTERM), needs_host=False, is_asked_to_end=True),
    Fault("SIGKILL", signalled(signal.SIGKILL), needs_host=False),
    Fault("playbook killed", kill_playbook, worker_survives=True),
    Fault("ssh lost", cut_ssh, worker_survives=True),
    Fault("engine killed", kill_engine),
    Fault("host killed", kill_host),
)
