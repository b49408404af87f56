# Copyright (c) The strata.compose authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of the collection, their specs and what they document."""

from __future__ import annotations

import ast
import functools
import importlib
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.strata.compose.plugins.module_utils import _spec

COLLECTION = "strata.compose"
FOLDER = Path(__file__).parents[2] / "plugins" / "modules"
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
SPECS: dict[str, dict[str, dict[str, Any]]] = {
    name.lower(): value
    for name, value in vars(_spec).items()
    if name.isupper() and name not in ("ENVIRONMENT", "INCOMING", "OWNERSHIP", "POSTGRES") and isinstance(value, dict)
}


@functools.cache
def documents_of(module: str) -> dict[str, Any]:
    """DOCUMENTATION, EXAMPLES and RETURN of a module as data, read without running it."""
    texts = assignments_in(ast.parse((FOLDER / f"{module}.py").read_text(encoding="utf-8")).body)
    return {name: yaml.safe_load(texts[name]) for name in ("DOCUMENTATION", "EXAMPLES", "RETURN")}


def assignments_in(body: list[ast.stmt]) -> dict[str, Any]:
    """What names stand for in a body of code: constants, or other names."""
    found = [each for each in body if isinstance(each, ast.Assign)]
    return {
        target.id: each.value.value if isinstance(each.value, ast.Constant) else each.value.id
        for each in found
        for target in each.targets
        if isinstance(target, ast.Name) and isinstance(each.value, (ast.Constant, ast.Name))
    }


def documented_options(module: str) -> dict[str, dict[str, Any]]:
    """The options that a module documents, those of its fragments included."""
    return _documented(module, "options")


def documented_attributes(module: str) -> dict[str, dict[str, Any]]:
    """What a module documents of its support for check mode and the like, by itself or by its fragments."""
    return _documented(module, "attributes")


def _documented(module: str, part: str) -> dict[str, dict[str, Any]]:
    documentation = documents_of(module)["DOCUMENTATION"]
    fragments = [_fragment(name) for name in documentation.get("extends_documentation_fragment") or ()]
    sources = [*fragments, documentation]
    return {name: each for source in sources for name, each in (source.get(part) or {}).items()}


@functools.cache
def _fragment(name: str) -> dict[str, Any]:
    """``strata.compose._environment``, or ``strata.compose._environment.part`` for ``PART`` in it."""
    collection, _dot, rest = name.partition(f"{COLLECTION}.")
    assert not collection, f"{name} is a fragment of another collection"
    file, _dot, part = rest.partition(".")
    path = f"ansible_collections.{COLLECTION}.plugins.doc_fragments.{file}"
    fragment = importlib.import_module(path).ModuleDocFragment
    return yaml.safe_load(getattr(fragment, part.upper() or "DOCUMENTATION"))
