"""docs/configuration.md, made from the models of the configuration."""

from __future__ import annotations

import inspect
import json
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from station.configuration.load import RELOADABLE
from station.configuration.model import SECTIONS, Configuration
from station.configuration.section import Section

HEADER = """# Configuration

One TOML file, by default the first there is of `$STATION_CONFIG`, `./station.toml` and `/etc/station/station.toml`;
`station check --config FILE` reports everything that is wrong with it.
Unknown keys are refused. Paths are relative to the file. This page is generated from the code (`make docs`).

A running station takes up with `station reload`: {reloadable},
and what a recipe may set of `[cameras.NAME]` and `[reject]`. Everything else needs a restart.
"""

TITLES = {
    "cameras": "[cameras.NAME]",
    "cameras.depth": "[cameras.NAME.depth]",
    "decision.views": "[decision.views.NAME]",
    "limits": "[decision.limits] (and in every zone)",
    "zones": "[[decision.zones]]",
    "shifts": "[[station.shifts]]",
    "parts": "[[challenge.parts]]",
    "registers": "[[process.registers]]",
    "ejectors": "[[reject.ejectors]]",
}


def markdown() -> str:
    """The whole page."""
    lines = [HEADER.format(reloadable=", ".join(f"`[{name}]`" for name in RELOADABLE))]
    for name, model in SECTIONS.items():
        lines += [f"## {TITLES.get(name, f'[{name}]')}", "", inspect.cleandoc(model.__doc__ or ""), ""]
        lines += ["| key | values | default | meaning |", "| --- | --- | --- | --- |"]
        for key, field in model.model_fields.items():
            if key in SECTIONS:
                continue
            lines.append(f"| `{key}` | {_values(field)} | {_default(field)} | {field.description} |")
        lines.append("")
    return "\n".join(lines)


def undocumented() -> list[str]:
    """Settings without a description."""
    models: tuple[type[Section], ...] = (Configuration, *SECTIONS.values())
    return [
        f"{model.__name__}.{key}"
        for model in models
        for key, field in model.model_fields.items()
        if not field.description
    ]


def _values(field: FieldInfo) -> str:
    annotation: Any = field.annotation
    choices = [choice for choice in get_args(annotation) if choice is not type(None)]
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice!r}`".replace("'", '"') for choice in choices)
    if len(choices) == 1 and get_origin(annotation) is not list:
        annotation = choices[0]
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "table"
    name = getattr(annotation, "__name__", str(annotation)).replace("|", "or")
    return " ".join([name if get_origin(annotation) is None else _generic(annotation), *_bounds(field)])


def _generic(annotation: Any) -> str:
    return {list: "list", tuple: "list", dict: "table"}.get(get_origin(annotation), "value")


def _bounds(field: FieldInfo) -> list[str]:
    found = []
    for rule in field.metadata:
        match rule:
            case Ge():
                found.append(f">= {rule.ge}")
            case Gt():
                found.append(f"> {rule.gt}")
            case Le():
                found.append(f"<= {rule.le}")
            case Lt():
                found.append(f"< {rule.lt}")
            case MinLen():
                found.append(f"at least {rule.min_length} long")
            case MaxLen():
                found.append(f"at most {rule.max_length} long")
    return found


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is PydanticUndefined:
        return "required"
    if default is None:
        return "unset"
    if isinstance(default, tuple):
        return f"`{json.dumps(default)}`"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default}`" if isinstance(default, (int, float)) else f'`"{default}"`' if default else "empty"
