"""What all sections of the configuration have in common, and how errors in a file are reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engines.text_file import text_of
from station.configuration.file import ConfigurationError
from station.configuration.lines import KeyLines

_Model = TypeVar("_Model", bound=BaseModel)

Share = Annotated[float, Field(ge=0, le=1)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """Base of all sections: frozen, unknown keys refused, numbers not taken from strings."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def validated(model: type[_Model], data: Mapping[str, Any], path: Path, raw: bytes) -> _Model:
    """The checked content of the file `path`, whose bytes are `raw`.

    Raises ConfigurationError with every problem found, and the line of its key if that stands in this file.
    """
    try:
        return model.model_validate(data)
    except ValidationError as problem:
        lines = KeyLines(text_of(raw))
        found = [(lines.of(item["loc"]), _explain(model, item)) for item in problem.errors(include_url=False)]
        problems = [text if line is None else f"line {line}: {text}" for line, text in found]
        raise ConfigurationError(path, problems) from problem


def _explain(model: type[BaseModel], item: Any) -> str:
    """One pydantic error as `[section] key = value: what is allowed`."""
    location = [str(step) for step in item["loc"]]
    key = location[-1] if location else ""
    section = ".".join(location[:-1])
    where = f"[{section}] {key}" if section else key
    if item["type"] == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        return f"{where}: unknown key{did_you_mean(key, known)}; allowed here: {', '.join(known)}"
    if item["type"] == "missing":
        return f"{where}: missing"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "value_error":
        return f"{where}: {message}" if where else message
    return f"{where} = {item['input']!r}: {message}"


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """`, did you mean "..."?` when something known is spelled much like the word; else empty."""
    similar = get_close_matches(word, known, 1)
    return f', did you mean "{similar[0]}"?' if similar else ""


def _known_keys(model: type[BaseModel], location: list[str]) -> list[str]:
    for step in location:
        field = model.model_fields.get(step)
        if field is not None:  # else: the name of a camera, or the index of a zone
            model = _section_in(field.annotation) or model
    return sorted(model.model_fields)


def _section_in(annotation: Any) -> type[Section] | None:
    """The section that a field holds, by itself, in a list or in a table."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_in(part))), None)
