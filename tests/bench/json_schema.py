"""As much of JSON Schema as the API's description uses: what does not fit is named with its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}
KNOWN = {
    *("type", "description", "enum", "required", "properties", "items", "minimum", "maximum", "maxLength"),
    "additionalProperties",
}


def misfits(value: Any, schema: dict[str, Any], place: str = "$") -> Iterator[str]:
    """What of the value the schema does not allow."""
    assert set(schema) <= KNOWN, f"{place}: this test does not know {set(schema) - KNOWN}"
    allowed = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    is_bool = isinstance(value, bool)
    if not any(isinstance(value, _TYPES[name]) and (name == "boolean" or not is_bool) for name in allowed):
        yield f"{place}: {value!r:.60} is no {' or '.join(allowed)}"
        return
    if value is None:
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value!r:.60} is none of {schema['enum']}"
    if isinstance(value, dict):
        yield from (f"{place}: {key} is missing" for key in schema.get("required", ()) if key not in value)
        for key, inner in schema.get("properties", {}).items():
            if key in value:
                yield from misfits(value[key], inner, f"{place}.{key}")
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from misfits(item, schema["items"], f"{place}[{number}]")
