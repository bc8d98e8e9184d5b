"""Sections on the product: `[recipe]` and `[engine]`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from station.config_section import Section


class RecipeSection(Section):
    """What the product is."""

    name: str = Field("default", description="Name of the recipe in records.", min_length=1, max_length=64)
    number: int = Field(0, ge=0, le=65535, description="Number of the recipe on the PLC map (register Recipe).")


class EngineSection(Section):
    """The engine that scores the parts."""

    path: Path | None = Field(
        None,
        strict=False,
        description="Folder of the engine, relative to this file. Unset or not there yet: waits for teaching.",
    )
    store: Path | None = Field(
        None,
        strict=False,
        description="In place of `path`: folder of the engine store, relative to this file. The engine is the active "
        "one of the product `[recipe] name`; see `station engine`.",
    )
    runtime: Literal["onnx"] = Field("onnx", description="What runs the engine: ONNX Runtime on the CPU.")
    threads: int = Field(
        0,
        ge=0,
        le=64,
        description="CPU threads of the runtime. 0: all cores but one, which is left to camera, PLC, records.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> EngineSection:
        if self.path is not None and self.store is not None:
            raise ValueError("`path` and `store` are both set: the engine is either a folder or the store's active one")
        return self
