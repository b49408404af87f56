"""Small projects whose second release makes the phases of a deployment slow enough to be struck in the middle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.integration.conftest import IMAGE, service

Services = dict[str, dict[str, Any]]

STUBBORN = {"command": ["sh", "-c", "trap '' TERM; while :; do sleep 0.2; done"], "init": False}
"""Is killed after its grace period: a slow stop."""
CHECKED = {"healthcheck": {"test": ["CMD", "true"], "interval": "1s"}}
"""Starting for a second, then healthy."""
SEALED = {"command": ["sh", "-c", "[ $$RELEASE = one ] || [ -e /outside/ready ] || exit 4; exec sleep 3600"]}
"""Its second release fails until something outside is made right."""
IDLE = service(restart="always", scale=2)
"""Stays as it is through all releases."""


@dataclass(frozen=True)
class Names:
    """What tells a cell's project from the others."""

    project: str
    outside: str
    """a folder on the place that is no part of the project"""
    image: str
    """an image that the registry has and the engine has not"""

    @property
    def build_seconds(self) -> str:
        """A unique number near 1, by which a step of this project's build is known among all processes."""
        return f"1.0{int(self.project[-8:], 16):010d}"


@dataclass(frozen=True)
class Scenario:
    """The first release and the second one, made from the names of a cell."""

    first: Callable[[Names], Services]
    second: Callable[[Names], Services]
    files: Callable[[Names], Mapping[str, str]] = lambda _names: {}
    is_bad: bool = False
    """whether the second release fails until the place is made ready"""
    options: Mapping[str, Any] = field(default_factory=dict)

    def wanted(self, names: Names) -> dict[str, int]:
        """Containers by service after the second release."""
        return containers_of(self.second(names))


def containers_of(services: Services) -> dict[str, int]:
    """How many containers of each service belong to a deployment."""
    return {name: int(each.get("scale", 1)) for name, each in services.items() if "profiles" not in each}


def release(name: str, **keys: Any) -> dict[str, Any]:
    """A service that says which release it is of."""
    return service(environment={"RELEASE": name}, **keys)


def replaced(name: str) -> Callable[[Names], Services]:
    return lambda _names: {"web": release(name, **STUBBORN), "idle": IDLE}


def chained(name: str) -> Callable[[Names], Services]:
    """The application starts when its database is healthy, and both change."""
    needs = {"depends_on": {"db": {"condition": "service_healthy"}}}
    return lambda _names: {"db": release(name, **CHECKED), "web": release(name, **needs, **STUBBORN), "idle": IDLE}


def with_old(name: str) -> Callable[[Names], Services]:
    return lambda _names: {
        "web": release(name),
        "idle": IDLE,
        **({"old": service(**STUBBORN)} if name == "one" else {}),
    }


def sealed(name: str) -> Callable[[Names], Services]:
    """One that fails in its second release, and one that is slow to stop."""
    return lambda names: {
        "web": release(name, **SEALED, volumes=[f"{names.outside}:/outside:ro"]),
        "db": release(name, **STUBBORN),
        "idle": IDLE,
    }


def built(names: Names) -> Services:
    web = {key: value for key, value in release("two").items() if key != "image"}
    return {"web": {**web, "build": ".", "image": f"{names.project}:built"}, "idle": IDLE}


def pulled(names: Names) -> Services:
    return {"web": release("two", image=names.image), "idle": IDLE}


def migrated(names: Names) -> Services:
    """A migration comes before the second release, exactly once."""
    steps = ["sh", "-c", "sleep 1; echo done >> /outside/steps"]
    migrate = service(command=steps, profiles=["init"], volumes=[f"{names.outside}:/outside"])
    return {**replaced("two")(names), "migrate": migrate}


def plain(_names: Names) -> Services:
    return {"web": release("one"), "idle": IDLE}


SCENARIOS = {
    "build": Scenario(
        plain,
        built,
        lambda names: {
            "Dockerfile": f"FROM {IMAGE}\nRUN sleep {names.build_seconds}\nRUN echo {names.project} > /made\n"
        },
    ),
    "pull": Scenario(plain, pulled),
    "replace": Scenario(replaced("one"), replaced("two")),
    "chain": Scenario(chained("one"), chained("two")),
    "remove": Scenario(with_old("one"), with_old("two")),
    "init": Scenario(replaced("one"), migrated),
    "bad": Scenario(sealed("one"), sealed("two"), is_bad=True),
}
