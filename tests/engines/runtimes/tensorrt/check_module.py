"""Runs in an environment that holds a real module of TensorRT: `python check_module.py MODULE < used.json`.

Prints a JSON list of what the module does not have or does not take. Only the standard library is used here.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from typing import Any


def problems_of(module: Any, used: dict[str, list[list[Any]]]) -> list[str]:
    """Everything that is used and not there."""
    found = []
    for [name] in used["names"]:
        if _follow(module, name) is None:
            found.append(f"{name} does not exist")
    for owner, name in [*used["members"], *used["overridden"]]:
        if _follow(module, f"{owner}.{name}") is None:
            found.append(f"{owner}.{name} does not exist")
    for owner, name, arguments, keywords, anonymous in used["calls"]:
        # `Base.__init__(self)`: self is given by hand
        positional = arguments - (not owner and "." in name)
        path = f"{owner}.{name}" if owner else name
        called = _follow(module, path)
        if called is None:
            found.append(f"{path} does not exist")
            continue
        documented = (vars(called).get("__init__", called) if isinstance(called, type) else called).__doc__ or ""
        signatures = _signatures(documented)
        if signatures and not any(_takes(signature, positional, keywords) for signature, _ in signatures):
            found.append(f"{path} is called with {positional} arguments and {keywords}, it takes {signatures}")
        objects = [result for _, result in signatures if module.__name__ in result]
        if anonymous and (isinstance(called, type) or objects):
            found.append(f"{path} gives an object of TensorRT; bind it to a name with an annotation")
    return found


def _follow(module: Any, path: str) -> Any:
    for step in path.split("."):
        module = getattr(module, step, None)
    return module


def _signatures(documented: str) -> list[tuple[list[str], str]]:
    """(parameters, result) of each overload, as pybind11 and nanobind write them."""
    return [
        (_split(match[1]), match[2].strip())
        for match in re.finditer(r"^\s*(?:\d+\. )?(?:def )?\w+\((.*)\) -> (.*)$", documented, re.MULTILINE)
        if not match[1].startswith("*args")
    ]


def _split(text: str) -> list[str]:
    """At commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        depth += (character in "([{<") - (character in ")]}>" and text[index - 1] != "-")
        if character == "," and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    parts.append(text[start:].strip())
    return [part for part in parts if part and part not in "/*"]


def _takes(parameters: list[str], positional: int, keywords: list[str]) -> bool:
    own = parameters[1:] if parameters and parameters[0].startswith("self") else parameters
    names = [re.split(r"[:=]", parameter)[0].strip() for parameter in own]
    required = [name for name, parameter in zip(names, own, strict=True) if "=" not in parameter]
    given = names[:positional] + keywords
    return positional <= len(names) and set(given) <= set(names) and set(required) <= set(given)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(problems_of(importlib.import_module(sys.argv[1]), json.load(sys.stdin))))
