"""The station's configuration: one TOML file, typed, every key documented, unknown keys refused.

`load(path)` reports everything that is wrong at once; each line names file, key, value and what is allowed.
`docs/configuration.md` is generated from these models (`python -m docs.generate.configuration`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from engines.store.store import EngineStore
from station.configuration import recipes
from station.configuration.cameras import CAMERA_NAME, MAX_CAMERAS, CameraSection, ViewsSection
from station.configuration.challenge import ChallengePart, ChallengeSection
from station.configuration.decision import (
    DecisionSection,
    LimitsSection,
    QualitySection,
    ViewDecisionSection,
    ViewRulesSection,
    ZoneSection,
    overlaid,
)
from station.configuration.plc import PlcSection
from station.configuration.recipe import EngineSection, RecipeSection, recipe_name
from station.configuration.recipes import Recipe
from station.configuration.reject import EjectorSection, RejectSection
from station.configuration.section import ConfigurationError, Section, Share, read_toml, validated
from station.configuration.selection import SelectionError, read_selection

__all__ = ["ConfigurationError", "Section"]


class StationSection(Section):
    """The station itself."""

    name: str = Field("station", description="Name in logs, records and reports.", min_length=1, max_length=64)
    work_dir: Path = Field(
        Path("work"),
        strict=False,
        description="Folder for records, images, the journal and the control socket. Relative to this file.",
    )
    deadline_ms: int = Field(
        500,
        ge=20,
        le=60_000,
        description="Longest time from trigger to result; after it the part is an error. DeadlineMs overrides it.",
    )
    max_parts_in_flight: int = Field(
        8, ge=1, le=64, description="Parts between trigger and result; one more is an error part (overload)."
    )
    errors_in_a_row_to_fault: int = Field(
        3,
        ge=1,
        le=1000,
        description="So many parts in a row that could not be inspected put the station in the state Error.",
    )
    engine_hang_s: float = Field(
        10.0,
        ge=1,
        le=600,
        description="An engine that has not answered for so long ends the daemon (systemd restarts it).",
    )
    start_online: bool = Field(True, description="Go online by itself after the start.")


class RecordsSection(Section):
    """What is kept of every part."""

    pass_image_share: Share = Field(
        0.02, description="Share of PASS parts whose image is kept. Images of all others always are."
    )
    disk_budget_mb: int = Field(10_000, ge=1, description="Images use at most so much; the oldest go first. Rows stay.")
    min_free_mb: int = Field(500, ge=0, description="Images also go while the disk has less free space than this.")
    queue_size: int = Field(256, ge=8, le=65536, description="Parts that may wait for a slow disk with their images.")


class LogSection(Section):
    """Logging to standard error."""

    format: Literal["auto", "json", "text"] = Field("auto", description="`auto`: text on a terminal, JSON otherwise.")
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is written.")


class Configuration(Section):
    """The whole file."""

    station: StationSection = Field(default_factory=StationSection, description="The station itself.")
    cameras: dict[str, CameraSection] = Field(description="Cameras by name, 1 to 8. The first one leads.")
    views: ViewsSection = Field(default_factory=ViewsSection, description="How the views of a part are joined.")
    recipe: RecipeSection = Field(default_factory=RecipeSection, description="What the product is.")
    engine: EngineSection = Field(default_factory=EngineSection, description="The engine.")
    decision: DecisionSection = Field(default_factory=DecisionSection, description="Rules for the verdict.")
    quality: QualitySection = Field(default_factory=QualitySection, description="Checks of the picture.")
    plc: PlcSection = Field(default_factory=PlcSection, description="The PLC.")
    challenge: ChallengeSection = Field(default_factory=ChallengeSection, description="The challenge test.")
    reject: RejectSection = Field(default_factory=RejectSection, description="Who pushes bad parts off, and where.")
    records: RecordsSection = Field(default_factory=RecordsSection, description="Records and images.")
    log: LogSection = Field(default_factory=LogSection, description="Logging.")

    @model_validator(mode="after")
    def _cameras(self) -> Configuration:
        names = list(self.cameras)
        if not 1 <= len(names) <= MAX_CAMERAS:
            raise ValueError(f"cameras: {len(names)} given, 1 to {MAX_CAMERAS} are allowed, each as [cameras.NAME]")
        for name, camera in self.cameras.items():
            if not re.fullmatch(CAMERA_NAME, name):
                raise ValueError(f'cameras: "{name}" is no name for a camera: 1 to 32 of A-Z a-z 0-9 _ -')
            if camera.after_ms >= self.station.deadline_ms:
                raise ValueError(
                    f"[cameras.{name}] after_ms = {camera.after_ms:g}: no part could have its result within "
                    f"[station] deadline_ms = {self.station.deadline_ms}; raise deadline_ms"
                )
        if self.cameras[names[0]].after_ms or self.cameras[names[0]].after_counts:
            raise ValueError(f"[cameras.{names[0]}] is the first camera: after_ms and after_counts count from it")
        devices = {(camera.producer, camera.serial_number, camera.folder) for camera in self.cameras.values()}
        if len(devices) < len(names):
            raise ValueError("cameras: two of them are the same device; give each its serial_number (or folder)")
        return self

    @model_validator(mode="after")
    def _votes(self) -> Configuration:
        unknown = sorted(set(self.decision.views) - set(self.cameras))
        if unknown:
            raise ValueError(f"[decision.views.{unknown[0]}]: no such camera; there are: {', '.join(self.cameras)}")
        if self.views.rule == "k_of_n" and self.views.k > len(self.cameras):
            raise ValueError(f"[views] k = {self.views.k}: no part could fail with {len(self.cameras)} cameras")
        if self.views.rule == "weighted" and (votes := sum(self.weights.values())) < 1:
            raise ValueError(f"[decision.views] the weights add up to {votes:g}: no part could fail with less than 1")
        return self

    @property
    def weights(self) -> dict[str, float]:
        """The vote of each camera."""
        views = self.decision.views
        return {name: views[name].weight if name in views else 1.0 for name in self.cameras}

    def decision_on(self, camera: str) -> ViewRulesSection:
        """The rules for the view of one camera."""
        return overlaid(self.decision, self.decision.views.get(camera))

    def quality_on(self, camera: str) -> QualitySection:
        """The checks of the picture of one camera."""
        view = self.decision.views.get(camera)
        return overlaid(self.quality, None if view is None else view.quality)

    @model_validator(mode="after")
    def _reject_outputs(self) -> Configuration:
        """The ejectors are driven by somebody, and their cameras are there."""
        reject = self.reject
        if reject.by == "plc":
            return self
        named = [ejector.camera for ejector in reject.ejectors if ejector.output == "camera"] + [reject.encoder_camera]
        for name in named:
            if name and name not in self.cameras:
                raise ValueError(f'[reject]: no camera "{name}"; there are: {", ".join(self.cameras)}')
        if self.plc.role == "off" and (
            reject.encoder == "plc" or any(ejector.output == "plc" for ejector in reject.ejectors)
        ):
            raise ValueError(
                '[reject] by = "station" without a PLC ([plc] role = "off"): every ejector needs output = "camera", '
                'and encoder must be "camera" or "time"'
            )
        return self

    @model_validator(mode="after")
    def _product_folder(self) -> Configuration:
        if self.engine.store is not None and self.recipe.active is None and self.engine.product is None:
            try:
                recipe_name(self.recipe.name)
            except ValueError as problem:
                raise ValueError(f"[recipe] name names a folder of [engine] store: {problem}") from problem
        return self


@dataclass(frozen=True, slots=True)
class LoadedConfiguration:
    """A valid configuration, where it came from, and the checksum that goes to map and record."""

    path: Path
    settings: Configuration
    checksum: str
    """SHA-256 of station.toml, hexadecimal."""
    data: Mapping[str, Any]
    """station.toml as written."""
    recipe: Recipe | None = None
    """The recipe that is laid over station.toml; None: station.toml is the only one."""
    warning: str = ""
    """Why the start recipe is in force and not the one that was selected."""

    @property
    def recipe_checksum(self) -> str:
        """SHA-256 of the recipe's file; empty when station.toml is the only recipe: `checksum` covers it."""
        return self.recipe.checksum if self.recipe else ""

    def resolve(self, path: Path) -> Path:
        """Paths in the file are relative to the file."""
        return path if path.is_absolute() else (self.path.parent / path).resolve()

    @property
    def work_dir(self) -> Path:
        return self.resolve(self.settings.station.work_dir)

    @property
    def control_socket(self) -> Path:
        return self.work_dir / "control.sock"

    @property
    def records_dir(self) -> Path:
        return self.work_dir / "records"

    @property
    def journal_path(self) -> Path:
        return self.work_dir / "journal.bin"

    @property
    def belt_path(self) -> Path:
        """Where the number of parts between camera and ejector is kept."""
        return self.work_dir / "belt.bin"

    @property
    def engine_store(self) -> Path | None:
        """The folder of this product's engines; None when the engine is a plain folder."""
        engine = self.settings.engine
        return (
            None if engine.store is None else self.resolve(engine.store) / (engine.product or self.settings.recipe.name)
        )

    @property
    def engine_path(self) -> Path | None:
        """Where the engine lies, or will. Raises StoreError when the store has no such version."""
        version, path = self.settings.engine.version, self.settings.engine.path
        if self.engine_store is not None:
            store = EngineStore(self.engine_store)
            return store.active_link if version is None else store.find(str(version)).path
        return None if path is None else self.resolve(path)

    @property
    def lead_camera(self) -> tuple[str, CameraSection]:
        """The camera whose trigger opens a part: (name, settings)."""
        return next(iter(self.settings.cameras.items()))


def load_station(path: Path) -> LoadedConfiguration:
    """station.toml alone, whatever the recipes are like. Raises ConfigurationError with every problem found."""
    raw, data = read_toml(path)
    settings = validated(Configuration, data, path)
    return LoadedConfiguration(path.resolve(), settings, hashlib.sha256(raw).hexdigest(), data)


def load(path: Path, recipe: str | None = None) -> LoadedConfiguration:
    """Reads and checks a configuration file and the recipe in force: `recipe`, else the one selected last, else the one
    to start with.

    Raises ConfigurationError with every problem found in the first file that has any.
    """
    station = load_station(path)
    start = station.settings.recipe.active
    if recipe is not None:
        return with_recipe(station, recipe)
    if start is None:
        return _complete(station)
    name, warning = _selected(station, start)
    return replace(with_recipe(station, name), warning=warning)


def with_recipe(station: LoadedConfiguration, recipe: str | int) -> LoadedConfiguration:
    """The same station.toml, as it was read, with a recipe by name or number. Raises ConfigurationError."""
    if station.settings.recipe.active is None and station.recipe is None:
        raise ConfigurationError(station.path, [f'[recipe] active is not set, so there is no recipe "{recipe}"'])
    folder = recipes.folder_of(station.path)
    chosen = recipes.read(folder, recipe) if isinstance(recipe, str) else recipes.with_number(folder, recipe)
    settings = validated(Configuration, recipes.layered(station.data, chosen), chosen.path)
    return _complete(replace(station, settings=settings, recipe=chosen, warning=""))


def _selected(loaded: LoadedConfiguration, start: str) -> tuple[str, str]:
    """The recipe selected last, or the one to start with and the reason for it."""
    try:
        selection = read_selection(loaded.work_dir)
    except SelectionError as problem:
        return start, f'{problem}; started with recipe "{start}"'
    return (start if selection is None else selection.recipe), ""


def _complete(loaded: LoadedConfiguration) -> LoadedConfiguration:
    """What only station.toml and recipe together can be asked."""
    challenge, path = loaded.settings.challenge, loaded.recipe.path if loaded.recipe else loaded.path
    if challenge.becomes_due and not challenge.parts:
        raise ConfigurationError(path, ["[challenge] becomes due, but there are no master parts: [[challenge.parts]]"])
    if loaded.recipe and "reject" in loaded.recipe.data and loaded.settings.reject.by == "plc":
        raise ConfigurationError(
            path, ['[reject] would do nothing: the PLC tracks ([reject] by = "plc" in station.toml); remove it']
        )
    return loaded


SECTIONS: dict[str, type[Section]] = {
    "station": StationSection,
    "cameras": CameraSection,
    "views": ViewsSection,
    "recipe": RecipeSection,
    "engine": EngineSection,
    "decision": DecisionSection,
    "limits": LimitsSection,
    "zones": ZoneSection,
    "decision.views": ViewDecisionSection,
    "quality": QualitySection,
    "challenge": ChallengeSection,
    "parts": ChallengePart,
    "plc": PlcSection,
    "reject": RejectSection,
    "ejectors": EjectorSection,
    "records": RecordsSection,
    "log": LogSection,
}
