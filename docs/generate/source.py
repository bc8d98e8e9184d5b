"""What the diagrams of the code read: docstrings, contracts and type aliases, without importing what they describe."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]


@cache
def contracts() -> dict[str, Any]:
    """The import contracts of pyproject.toml by their names."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {contract["name"]: contract for contract in settings["tool"]["importlinter"]["contracts"]}


def layers(contract: str) -> list[list[str]]:
    """The floors of a layers contract, the highest first; a name in parentheses is a room that is kept free."""
    return [[room.strip() for room in layer.split("|")] for layer in contracts()[contract]["layers"]]


def file_of(module: str) -> Path:
    """The source of a module or package. Raises FileNotFoundError."""
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"{module}: no such module")


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(), str(path))


def purpose(module: str) -> str:
    """The first sentence of a module's docstring. Raises ValueError when there is none."""
    text = ast.get_docstring(tree(file_of(module)))
    if not text:
        raise ValueError(f"{module}: no docstring")
    return " ".join(text.split("\n\n")[0].split()).split(". ")[0].replace("`", "").rstrip(".")


def imported_from(path: Path) -> dict[str, str]:
    """Every name that a file imports from a module, with that module."""
    return {
        alias.asname or alias.name: node.module
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
