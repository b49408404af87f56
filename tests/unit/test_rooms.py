"""Each file has a room, and imports only what stands in it or above it; what still goes the wrong way is listed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.tables import table

UTILS = Path(__file__).parents[2] / "plugins" / "module_utils"
PREFIX = "ansible_collections.strata.compose.plugins.module_utils"
HOUSE = table("rooms")
ROOM_OF = {file: room.split(".")[0] for room, files in HOUSE["rooms"].items() for file in files}
FLOORS = ("_core", "_project", "_plan", "_engine", "_state", "_rollout", "_deploy")
FILES = sorted(
    str(path.relative_to(UTILS).with_suffix("")).replace("/", ".")
    for path in UTILS.rglob("*.py")
    if path.name != "__init__.py"
)


def floor(room: str) -> int:
    """The features stand on the last one."""
    return FLOORS.index(room) if room in FLOORS else len(FLOORS)


def imports(name: str) -> Iterator[tuple[str, str]]:
    """What a file imports of others, late and for types alone too."""
    tree = ast.parse((UTILS / f"{name.replace('.', '/')}.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PREFIX):
            base = str(node.module)[len(PREFIX) :].lstrip(".")
            for each in node.names:
                yield (base, each.name) if base in ROOM_OF else (f"{base}.{each.name}".lstrip("."), "")


def wrong_ways(name: str) -> set[str]:
    own = ROOM_OF[name]
    others = {each for each in imports(name) if ROOM_OF[each[0]] != own}
    return {" ".join(filter(None, each)) for each in others if floor(ROOM_OF[each[0]]) >= floor(own)}


def test_every_file_has_a_room():
    assert sorted(ROOM_OF) == FILES


@pytest.mark.parametrize("name", FILES)
def test_a_file_imports_only_what_stands_above_it(name):
    """A way that is listed and no longer gone has to leave the list."""
    assert wrong_ways(name) == set(HOUSE["wrong_ways"].get(name, ()))
