"""Sections on the product: `[recipe]` and `[engine]` of station.toml, and the files `recipes/NAME.toml`.

What a recipe may set is a base class here, and the section of station.toml inherits from it: one meaning, one text.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from engines.runtimes.names import Asked, Precision
from engines.signatures.trust import Requirement
from station.configuration.cameras import CameraFeatures, ViewsSection
from station.configuration.challenge import ChallengeParts
from station.configuration.decision import DecisionSection, QualitySection
from station.configuration.reject import RejectOfRecipe
from station.configuration.section import Section

RECIPE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Names files and folders: nothing that leads elsewhere."""


def recipe_name(name: str) -> str:
    """The name of a recipe. Raises ValueError when no file may be called so."""
    if not RECIPE_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a recipe: only A-Z a-z 0-9 _ . - (not first), at most 64")
    return name


class RecipeSection(Section):
    """What the product is. With `active` the product is a file `recipes/NAME.toml` beside this file."""

    name: str = Field("default", description="Name of the recipe in records.", min_length=1, max_length=64)
    number: int = Field(0, ge=0, le=65535, description="Number of the recipe on the PLC map (register Recipe).")
    active: str | None = Field(
        None,
        description="The recipe to start with, `recipes/NAME.toml`, until another is selected. Unset: this file is the "
        "only recipe.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> RecipeSection:
        if self.active is not None:
            recipe_name(self.active)
            if self.model_fields_set & {"name", "number"}:
                raise ValueError("`active` is set: name and number are those of the recipe's file, remove them here")
        return self


class EngineChoice(Section):
    """Which engine."""

    path: Path | None = Field(
        None,
        strict=False,
        description="Folder of the engine, relative to station.toml. Unset or not there yet: waits for teaching.",
    )
    product: str | None = Field(
        None, description="Folder of the product in the engine store; unset: the name of the recipe."
    )
    version: int | None = Field(
        None,
        ge=1,
        description="Number of the version in the engine store; unset: the active one, see `station engine`.",
    )

    variants: Literal["remove"] | None = Field(
        None,
        description="Reply for an engine that is named here, by `path` or `version`: images that look alike and were "
        "not learned are defects. For good parts teach again with --variants keep.",
    )
    why: str = Field(
        "",
        max_length=200,
        description="Why an engine that is named here and finds next to nothing is used all the same.",
    )

    @field_validator("product")
    @classmethod
    def _a_name(cls, product: str | None) -> str | None:
        return None if product is None else recipe_name(product)


class EngineSection(EngineChoice):
    """The engine that scores the parts."""

    store: Path | None = Field(
        None, strict=False, description="In place of `path`: folder of the engine store, relative to this file."
    )
    runtime: Asked = Field(
        "auto",
        description="What runs the engine. `tensorrt`: on the NVIDIA GPU, nothing else will do. `onnx`: ONNX Runtime "
        "on the processor. `openvino`: the same in OpenVINO (extra `openvino`). `auto`: TensorRT where there is a GPU "
        "that can be used, else `onnx`; log, `station check` and `station status` say which, and why.",
    )
    precision: Precision = Field(
        "fp16",
        description="Which graph of the engine TensorRT runs. `fp16`: half precision where it does no harm. "
        "`int8-backbone`: the backbone in 8 bits, for engines that were taught with it.",
    )
    missing_plan: Literal["build", "refuse"] = Field(
        "build",
        description="What a TensorRT plan that is missing, damaged or for another GPU means at the start. `build`: "
        "the station builds it, off line, for minutes. `refuse`: a fault until `station engine build`; `auto` takes "
        "the processor.",
    )
    require_signature: Requirement = Field(
        "no",
        description="Whether engines must be signed by a key in `trusted_keys`. `import`: what comes into the store "
        "from outside. `load`: also every engine that is to be active. `no`: need not; a wrong signature by a trusted "
        "key is refused all the same. Needs `store`.",
    )
    trusted_keys: Path = Field(
        Path("/etc/station/trusted_keys"),
        strict=False,
        description="Folder of the public keys, `NAME.pub` as `minisign -G` writes them, relative to this file.",
    )
    probation_parts: int = Field(
        5000,
        ge=0,
        le=1_000_000,
        description="Parts after an activation, or a shift with 500, during which the engine before runs in the shadow "
        "of the new one, on the processor, behind everything else. 0: no probation. Needs `store`.",
    )
    on_probation_failure: Literal["warn", "rollback"] = Field(
        "warn",
        description="What follows where the new engine rejects more than agreed and the one before does not, fails a "
        "challenge test that the one before would pass, or does not judge. `warn`: warning 32. `rollback`: the station "
        "goes back to the one before, once.",
    )
    threads: int = Field(
        0,
        ge=0,
        le=64,
        description="CPU threads of the runtime. 0: all cores but one, which is left to camera, PLC, records.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> EngineSection:
        if self.path is not None and self.store is not None:
            raise ValueError("`path` and `store` are both set: the engine is either a folder or one of the store")
        if self.store is None and (self.product is not None or self.version is not None):
            raise ValueError("`product` and `version` name an engine of the store: set `store` in station.toml")
        if self.require_signature != "no" and self.store is None:
            raise ValueError(
                f'require_signature = "{self.require_signature}" needs `store` in place of `path`: only a store keeps '
                "signatures"
            )
        return self


class RecipeFile(Section):
    """A recipe, `recipes/NAME.toml`: what it does not set is as in station.toml. Tables are laid over each other key by
    key, lists are replaced; the ejectors are laid over those of station.toml one by one.
    """

    number: int = Field(ge=1, le=65535, description="What the PLC calls it (CommandArgument, register Recipe).")
    description: str = Field("", max_length=200, description="For people.")
    engine: EngineChoice = Field(default_factory=EngineChoice, description="Its engine.")
    decision: DecisionSection = Field(default_factory=DecisionSection, description="Its limits and zones.")
    quality: QualitySection = Field(default_factory=QualitySection, description="Its checks of the picture.")
    cameras: dict[str, CameraFeatures] = Field(default_factory=dict, description="Its camera features.")
    views: ViewsSection = Field(default_factory=ViewsSection, description="How the views of a part are joined.")
    reject: RejectOfRecipe = Field(default_factory=RejectOfRecipe, description="Its way to the ejectors.")
    challenge: ChallengeParts = Field(default_factory=ChallengeParts, description="Its master parts.")

    @model_validator(mode="after")
    def _one_engine(self) -> RecipeFile:
        if self.engine.path is not None and (self.engine.product is not None or self.engine.version is not None):
            raise ValueError("[engine] `path` is set: `product` and `version` name an engine of the store instead")
        return self
