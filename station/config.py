"""The station's configuration: one TOML file, typed, every key documented, unknown keys refused.

`load(path)` reports everything that is wrong at once; each line names file, key, value and what is allowed.
`docs/configuration.md` is generated from these models (`python -m station.config_doc`).
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from engines.store import EngineStore

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Share = Annotated[float, Field(ge=0, le=1)]
Corner = Annotated[tuple[float, float], Field(strict=False)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """Base of all sections: frozen, unknown keys refused, numbers not taken from strings."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


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


class CameraSection(Section):
    """One camera. The key of the table is its name: `[cameras.top]`."""

    driver: Literal["genicam", "folder"] = Field(
        "genicam",
        description="`genicam`: a GenTL producer through harvesters. `folder`: images, one per software trigger.",
    )
    producer: str = Field(
        "",
        description="Path of the GenTL producer (.cti), or `simtl` for the software camera of the station, or `viky`.",
    )
    serial_number: str = Field("", description="DeviceSerialNumber; empty: the only camera found.")
    folder: Path | None = Field(
        None, strict=False, description="Images for the driver `folder`. Relative to this file."
    )
    trigger: Literal["line", "plc"] = Field(
        "line",
        description="`line`: a light barrier on the camera's own input. `plc`: the coil Trigger, by software trigger.",
    )
    trigger_line: str = Field("Line1", description='TriggerSource for `trigger = "line"`.')
    trigger_activation: Literal["RisingEdge", "FallingEdge", "AnyEdge"] = Field(
        "RisingEdge", description="TriggerActivation."
    )
    pixel_format: Literal["Mono8", "RGB8", "BayerRG8", ""] = Field(
        "", description="PixelFormat; empty: as the camera is set."
    )
    width: int | None = Field(None, ge=16, le=65536, description="Width in px; unset: as the camera is set.")
    height: int | None = Field(None, ge=1, le=65536, description="Height in px; unset: as the camera is set.")
    exposure_time_us: float | None = Field(
        None, gt=0, le=10_000_000, description="ExposureTime; unset: as the camera is set."
    )
    gain_db: float | None = Field(None, ge=0, le=60, description="Gain; unset: as the camera is set.")
    features: dict[str, bool | int | float | str] = Field(
        default_factory=dict,
        description="Further GenICam features by their SFNC names, set in this order at every connect.",
    )
    ring_slots: int = Field(
        8, ge=2, le=64, description="Frames that the shared memory between camera process and station holds."
    )
    reconnect_min_s: float = Field(
        0.5, ge=0.05, le=60, description="First pause before reconnecting a lost camera; doubles up to the longest."
    )
    reconnect_max_s: float = Field(10.0, ge=0.1, le=600, description="Longest pause before reconnecting.")
    no_frame_ms: int = Field(
        1000,
        ge=10,
        le=60_000,
        description="A trigger or latched part id that has no frame after so long is an error part.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> CameraSection:
        if self.driver == "genicam" and not self.producer:
            raise ValueError('driver "genicam" needs `producer`: the path of a .cti, or "simtl"')
        if self.driver == "folder" and self.folder is None:
            raise ValueError('driver "folder" needs `folder`: a folder of images')
        if self.driver == "folder" and self.trigger == "line":
            raise ValueError('driver "folder" has no input line: set trigger = "plc"')
        if self.reconnect_max_s < self.reconnect_min_s:
            raise ValueError("reconnect_max_s is below reconnect_min_s")
        return self


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


class LimitsSection(Section):
    """Limits on the anomalous regions. Unset: no limit."""

    fail_area_mm2: float | None = Field(None, ge=0, description="FAIL when one region is larger.")
    review_area_mm2: float | None = Field(None, ge=0, description="REVIEW when one region is larger.")
    fail_total_area_mm2: float | None = Field(None, ge=0, description="FAIL when all regions together are larger.")
    review_total_area_mm2: float | None = Field(None, ge=0, description="REVIEW when all regions together are larger.")
    fail_length_mm: float | None = Field(None, ge=0, description="FAIL when one region is longer.")
    review_length_mm: float | None = Field(None, ge=0, description="REVIEW when one region is longer.")
    fail_count: int | None = Field(None, ge=0, description="FAIL when there are more regions.")
    review_count: int | None = Field(None, ge=0, description="REVIEW when there are more regions.")


class ZoneSection(LimitsSection):
    """A polygon with its own limits: `[[decision.zones]]`. A region belongs to the first zone that holds its centre."""

    name: str = Field(description="Name of the zone in reasons.", min_length=1, max_length=64)
    polygon: list[Corner] = Field(
        min_length=3,
        max_length=256,
        description="Corners [x, y] as fractions 0..1 of the frame's width and height.",
    )
    ignore: bool = Field(False, description="Whatever lies in this zone does not count.")

    @model_validator(mode="after")
    def _inside(self) -> ZoneSection:
        for x, y in self.polygon:
            if not (0 <= x <= 1 and 0 <= y <= 1):
                raise ValueError(f'corner [{x}, {y}] of zone "{self.name}" is outside 0..1 (fractions of the frame)')
        return self


class DecisionSection(Section):
    """When a part fails, passes or needs a look.

    Scores run from 0 to 1 whatever the engine: a typical good part is at 0.1, the calibrated reject limit at 0.5.
    """

    reject_score: float | None = Field(
        None, ge=0, le=1, description="FAIL above this score. Unset: 0.5, the engine's calibration. 1: never."
    )
    review_score: float | None = Field(
        None, ge=0, le=1, description="REVIEW above this score. Unset: the engine's calibration."
    )
    pixel_score: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Locations at or above this count as anomalous. Unset: 0.5, the engine's calibration. 1: none.",
    )
    pixel_size_mm: float = Field(0.1, gt=0, le=100, description="Size of one camera pixel on the part.")
    min_region_mm2: float = Field(0.0, ge=0, description="Smaller regions are noise and not reported.")
    limits: LimitsSection = Field(default_factory=LimitsSection, description="Limits outside all zones.")
    zones: list[ZoneSection] = Field(default_factory=list, description="Zones with their own limits.")

    @model_validator(mode="after")
    def _ordered(self) -> DecisionSection:
        if self.reject_score is not None and self.review_score is not None and self.review_score > self.reject_score:
            raise ValueError(f"review_score {self.review_score} is above reject_score {self.reject_score}")
        names = [zone.name for zone in self.zones]
        if len(set(names)) < len(names):
            raise ValueError(f"zone names must differ: {names}")
        return self


class QualitySection(Section):
    """Whether the picture can be trusted. Unset limits are not checked; wrong size and pixel format always are."""

    min_mean_grey: float | None = Field(5.0, ge=0, le=255, description="Darker pictures are not trusted.")
    max_mean_grey: float | None = Field(250.0, ge=0, le=255, description="Brighter pictures are not trusted.")
    max_saturated_share: float | None = Field(None, ge=0, le=1, description="Largest share of saturated pixels (255).")
    min_sharpness: float | None = Field(
        None, ge=0, description="Smallest variance of the Laplacian; see the records for usual values."
    )
    action: Literal["review", "fail"] = Field("review", description="Verdict for a picture that is not trusted.")


class PlcSection(Section):
    """The Modbus bridge to the PLC."""

    role: Literal["server", "off"] = Field(
        "server", description="`server`: the station listens. `off`: no PLC; the station is always enabled."
    )
    host: str = Field("127.0.0.1", description="Address to listen on. Loopback unless told otherwise.")
    port: Port = Field(1502, description="TCP port (502 is the standard one and needs a privilege).")
    unit_id: int = Field(1, ge=0, le=247, description="Modbus unit id.")
    writers: list[str] = Field(
        default_factory=list, description="Addresses or networks that may write; empty: any, one at a time."
    )
    heartbeat_timeout_s: float = Field(
        3.0, ge=0, le=60, description="PlcHeartbeat may stand still for so long. 0: not supervised."
    )

    @field_validator("writers")
    @classmethod
    def _networks(cls, writers: list[str]) -> list[str]:
        for writer in writers:
            ipaddress.ip_network(writer)  # raises ValueError that says what is wrong
        return writers


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
    cameras: dict[str, CameraSection] = Field(description="Cameras by name. This version takes exactly one.")
    recipe: RecipeSection = Field(default_factory=RecipeSection, description="What the product is.")
    engine: EngineSection = Field(default_factory=EngineSection, description="The engine.")
    decision: DecisionSection = Field(default_factory=DecisionSection, description="Rules for the verdict.")
    quality: QualitySection = Field(default_factory=QualitySection, description="Checks of the picture.")
    plc: PlcSection = Field(default_factory=PlcSection, description="The PLC.")
    records: RecordsSection = Field(default_factory=RecordsSection, description="Records and images.")
    log: LogSection = Field(default_factory=LogSection, description="Logging.")

    @model_validator(mode="after")
    def _one_camera(self) -> Configuration:
        if len(self.cameras) != 1:
            raise ValueError(f"cameras: {len(self.cameras)} given, this version takes exactly one, as [cameras.NAME]")
        return self

    @model_validator(mode="after")
    def _product_folder(self) -> Configuration:
        if self.engine.store is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.recipe.name):
            raise ValueError(
                f'[recipe] name = "{self.recipe.name}" names a folder of [engine] store: only A-Z a-z 0-9 _ . -'
            )
        return self


class ConfigurationError(Exception):
    """The file cannot be used. `problems` holds one line per thing that is wrong."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.path = path
        self.problems = problems
        super().__init__("\n".join(f"{path}: {problem}" for problem in problems))


@dataclass(frozen=True, slots=True)
class LoadedConfiguration:
    """A valid configuration, where it came from, and the checksum that goes to map and record."""

    path: Path
    settings: Configuration
    checksum: str
    """SHA-256 of the file, hexadecimal."""

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
    def engine_store(self) -> Path | None:
        """The folder of this product's engines; None when the engine is a plain folder."""
        store = self.settings.engine.store
        return None if store is None else self.resolve(store) / self.settings.recipe.name

    @property
    def engine_path(self) -> Path | None:
        if self.engine_store is not None:
            return EngineStore(self.engine_store).active_link
        path = self.settings.engine.path
        return None if path is None else self.resolve(path)

    @property
    def camera(self) -> tuple[str, CameraSection]:
        """The one camera of this version: (name, settings)."""
        return next(iter(self.settings.cameras.items()))


def load(path: Path) -> LoadedConfiguration:
    """Reads and checks a configuration file. Raises ConfigurationError with every problem found."""
    try:
        raw = path.read_bytes()
    except OSError as problem:
        raise ConfigurationError(path, [f"cannot be read: {problem.strerror}"]) from problem
    try:
        data = tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise ConfigurationError(path, [f"is not valid TOML: {problem}"]) from problem
    try:
        settings = Configuration.model_validate(data)
    except ValidationError as problem:
        raise ConfigurationError(path, [_explain(item) for item in problem.errors(include_url=False)]) from problem
    return LoadedConfiguration(path.resolve(), settings, hashlib.sha256(raw).hexdigest())


RELOADABLE = ("recipe", "engine", "decision", "quality")
"""Sections that a running station takes up by `station reload`."""


def changed_for_restart(old: Configuration, new: Configuration) -> list[str]:
    """Changed sections that a running station cannot take up."""
    names = (name for name in Configuration.model_fields if name not in RELOADABLE)
    return [name for name in names if getattr(old, name) != getattr(new, name)]


def _explain(item: Any) -> str:
    """One pydantic error as `[section] key = value: what is allowed`."""
    location = [str(step) for step in item["loc"]]
    key = location[-1] if location else ""
    section = ".".join(location[:-1])
    where = f"[{section}] {key}" if section else key
    if item["type"] == "extra_forbidden":
        return f"{where}: unknown key; allowed here: {', '.join(_known_keys(location[:-1]))}"
    if item["type"] == "missing":
        return f"{where}: missing"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "value_error":
        return f"{where}: {message}" if where else message
    return f"{where} = {item['input']!r}: {message}"


def _known_keys(location: list[str]) -> list[str]:
    model: type[BaseModel] = Configuration
    for step in location:
        found = model.model_fields.get(step)
        if found is None:  # the name of a camera, or the index of a zone
            continue
        model = SECTIONS.get(step, model)
    return sorted(model.model_fields)


SECTIONS: dict[str, type[Section]] = {
    "station": StationSection,
    "cameras": CameraSection,
    "recipe": RecipeSection,
    "engine": EngineSection,
    "decision": DecisionSection,
    "limits": LimitsSection,
    "zones": ZoneSection,
    "quality": QualitySection,
    "plc": PlcSection,
    "records": RecordsSection,
    "log": LogSection,
}
