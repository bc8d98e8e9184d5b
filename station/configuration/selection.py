"""Which recipe was selected last: a small file in the work folder, so that a restart goes on with the same product."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from engines.bundle.files import sync_directory
from station.configuration.recipe import recipe_name

FILE = "recipe.json"
LARGEST_BYTES = 4096


class SelectionError(Exception):
    """The file cannot be read or written."""


class SelectedRecipe(BaseModel):
    """Who selected which recipe, and when."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    recipe: str
    who: str = Field(max_length=200)
    wall_time: float
    """Seconds since the epoch."""

    @field_validator("recipe")
    @classmethod
    def _name(cls, recipe: str) -> str:
        return recipe_name(recipe)


def read_selection(work_dir: Path) -> SelectedRecipe | None:
    """The last selection; None when there was none. Raises SelectionError when the file is damaged."""
    path = work_dir / FILE
    try:
        with path.open("rb") as file:
            return SelectedRecipe.model_validate_json(file.read(LARGEST_BYTES))
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise SelectionError(f"{path}: cannot be read: {problem.strerror}") from problem
    except ValidationError as problem:
        raise SelectionError(f"{path}: is damaged; select the recipe anew: station recipe select") from problem


def restore_selection(work_dir: Path, before: SelectedRecipe | None) -> None:
    """The file as it was: `before`, or none. Raises SelectionError."""
    if before is not None:
        write_selection(work_dir, before)
        return
    path = work_dir / FILE
    try:
        path.unlink(missing_ok=True)
        sync_directory(work_dir)
    except OSError as problem:
        raise SelectionError(f"{path}: cannot be removed: {problem.strerror}") from problem


def write_selection(work_dir: Path, selection: SelectedRecipe) -> None:
    """Replaces the file in one step: after a kill or a power cut it is the old one or this one, whole.

    Raises SelectionError; the old one then stays.
    """
    path = work_dir / FILE
    temporary = path.with_suffix(".new")
    try:
        with temporary.open("w") as file:
            file.write(selection.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(work_dir)
    except OSError as problem:
        raise SelectionError(f"{path}: cannot be written: {problem.strerror}") from problem
