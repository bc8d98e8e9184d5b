"""What may stand in station.toml: the whole file as one typed model, every key documented.

`docs/configuration.md` is generated from this model and its sections (`python -m docs.generate.configuration`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from station.configuration.cameras import CAMERA_NAME, MAX_CAMERAS, CameraSection, DepthSection, ViewsSection
from station.configuration.challenge import ChallengePart, ChallengeSection
from station.configuration.decision import (
    DecisionSection,
    LimitsSection,
    QualitySection,
    ViewDecisionSection,
    ViewLimitsSection,
    ZoneSection,
    overlaid,
)
from station.configuration.file import DEFAULT_WORK_DIR
from station.configuration.northbound.addresses import is_loopback
from station.configuration.northbound.fleet import ChannelSection, FleetSection, ImagesSection, PostgresSection
from station.configuration.northbound.sections import OpcUaSection, PlantSection, SparkplugSection, WebhookSection
from station.configuration.plc import PlcSection, ProcessRegisterSection, ProcessSection
from station.configuration.recipe import EngineSection, RecipeSection, recipe_name
from station.configuration.reject import EjectorSection, RejectSection
from station.configuration.section import Port, Section, Share
from station.configuration.shifts import ShiftSection, check_shifts, check_time_zone


class StationSection(Section):
    """The station itself."""

    name: str = Field("station", description="Name in logs, records and reports.", min_length=1, max_length=64)
    work_dir: Path = Field(
        Path(DEFAULT_WORK_DIR),
        strict=False,
        description="Folder for records, images and the control socket. Relative to this file.",
    )
    runtime_dir: Path | None = Field(
        None,
        strict=False,
        description="Folder for open parts and parts on the belt, which survive a kill: on a memory file system. "
        "Without: the RuntimeDirectory of systemd, else a folder in /dev/shm.",
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
        description="This number of parts in a row that could not be inspected puts the station in the state Error.",
    )
    engine_hang_s: float = Field(
        10.0,
        ge=1,
        le=600,
        description="Time limit of one result of the engine; after it the daemon ends (systemd restarts it).",
    )
    start_online: bool = Field(True, description="Go online by itself after the start.")
    time_zone: str | None = Field(
        None, description='Of times in commands and reports, as "Europe/Berlin". Unset: that of this computer.'
    )
    shifts: list[ShiftSection] = Field(default_factory=list, description="Shifts, for reports: `[[station.shifts]]`.")

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return check_time_zone(name)

    @field_validator("shifts")
    @classmethod
    def _distinct(cls, shifts: list[ShiftSection]) -> list[ShiftSection]:
        check_shifts(shifts)
        return shifts


class RecordsSection(Section):
    """What is kept of every part."""

    pass_image_share: Share = Field(
        0.02, description="Share of PASS parts whose image is kept, drawn at random. Images of all others always are."
    )
    disk_budget_mb: int = Field(
        10_000, ge=1, description="Space for images; the oldest are deleted first. Rows stay, and the quarantine."
    )
    min_free_mb: int = Field(500, ge=0, description="Images also go while the disk has less free space than this.")
    keep_rows_days: int = Field(
        730, ge=1, le=36_500, description="Rows of parts, events and ejections that are older are deleted, with images."
    )
    rows_budget_mb: int = Field(
        20_000,
        ge=64,
        description="Space for all rows; the oldest are deleted first. Parts with a label or in the quarantine stay.",
    )
    queue_size: int = Field(256, ge=8, le=65536, description="Parts that may wait for a slow disk with their images.")


class ReviewSection(Section):
    """What people look at. Every part in REVIEW is in the queue; the daemon does not need these keys."""

    due_min: int = Field(
        60, ge=1, le=100_000, description="Minutes until a part in REVIEW that nobody has decided is treated as FAIL."
    )
    pass_share: Share = Field(
        0.002, description="Share of PASS parts that people look at, drawn at random; at most `pass_image_share`."
    )
    fail_share: Share = Field(0.02, description="Share of FAIL parts that people look at, drawn at random.")
    blind_share: Share = Field(
        0.05, description="Share of the queue that two people decide, neither of them seeing what the other says."
    )


class AccessSection(Section):
    """Who may do what on the control socket. Members of the group of the station's user may look."""

    operate: list[str] = Field(
        default_factory=lambda: ["station-operate"],
        description="Groups of this computer whose members may also take the station on and off line, clear errors, "
        "select recipes and make challenge tests.",
    )
    maintain: list[str] = Field(
        default_factory=lambda: ["station-maintain"],
        description="Groups whose members may do all that and reload, teach, and reset a failed challenge test.",
    )
    pages_user: str = Field(
        "station-hmi",
        description="User of this computer that runs the pages: alone he may look, all else on behalf of a person with "
        "an account, whose roles decide. Empty: the pages run as the station's own user.",
    )
    plant_user: str = Field(
        "station-plant",
        description="User of this computer that runs the plant process: alone he may look; on behalf of a person who "
        "signed in over OPC UA he may what `[opcua] commands` says. Empty: it runs as the station's own user.",
    )
    second_person: list[Literal["engine", "limits", "quarantine"]] = Field(
        default_factory=list,
        description="What is done only when a second person with the role confirms it: `engine` (activate, roll back), "
        "`limits` (settings, and taking up an edited file), `quarantine` (letting a part out).",
    )
    second_person_min: int = Field(
        480, ge=1, le=100_000, description="Minutes that such a request waits; then nothing comes of it."
    )


class HmiSection(Section):
    """Pages for people, served by `station hmi`, a process of its own. The line needs none of it."""

    host: str = Field(
        "127.0.0.1", description="Address it listens on. Any but that of this computer needs `certificate` and `key`."
    )
    port: Port = Field(8470, description="Port it listens on.")
    certificate: Path | None = Field(None, strict=False, description="File (PEM) of the certificate and its chain.")
    key: Path | None = Field(None, strict=False, description="File (PEM) of its private key.")
    data_dir: Path | None = Field(
        None, strict=False, description="Folder of accounts and sessions. Unset: `hmi` in the work folder."
    )
    idle_min: int = Field(15, ge=1, le=720, description="Minutes without a request after which a login ends.")
    open_live: bool = Field(True, description="Live is shown without a login.")
    display: Literal["auto", "panel", "desktop", "phone"] = Field(
        "auto", description="Sizes: `panel` is a 10-inch touch panel at the line, `auto` goes by the width."
    )
    language: str = Field(
        "en",
        pattern="^[a-z]{2,3}(_[A-Z]{2})?$",
        description="Until a person chooses another one, and of reports by command and timer: `en`, `de`, or one that "
        "was added to `station/hmi/locale`.",
    )

    @model_validator(mode="after")
    def _encrypted(self) -> HmiSection:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both or none")
        if self.certificate is None and not is_loopback(self.host):
            raise ValueError(
                f'host = "{self.host}" without certificate: passwords would cross the network in clear; give '
                'certificate and key, or host = "127.0.0.1"'
            )
        return self


class MonitoringSection(Section):
    """Watching for drift: whether the station still sees what it was taught. It never decides about a part."""

    enabled: bool = Field(True, description="Learn what is normal from the first 1,000 parts, then watch.")
    parts_per_hour: float = Field(
        3600.0, gt=0, le=1_000_000, description="About as many come; turns years into parts for the run length."
    )
    false_alarms_per_year: float = Field(
        1.0,
        ge=0.001,
        le=365,
        description="As many false alarms of drift and shares are accepted, all streams together.",
    )
    defect_share: Share = Field(
        0.01, description="Share of truly defective parts that is normal here; above it and the promise is an alarm."
    )
    not_inspected_share: Share = Field(0.005, description="Share of parts not found, late or without picture: normal.")
    virtual_challenge_min: float = Field(
        60.0,
        ge=0,
        le=10_080,
        description="Minutes between virtual challenges: synthetic defects in pictures of recent good parts; 0: none.",
    )
    trends_every_h: float = Field(
        6.0,
        ge=0,
        le=168,
        description="Hours between looks for what wears out (`station trends`) as a warning; 0: none.",
    )
    refresh_after_drift_h: float = Field(
        0.0,
        ge=0,
        le=720,
        description="Hours that a drift stands before a candidate engine is made of the newest parts (extra `train`); "
        "at most one a day; 0: never.",
    )
    rejects_in_a_row: int = Field(5, ge=0, le=1000, description="This number of rejects in a row is an alarm; 0: none.")


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
    decision: DecisionSection = Field(default_factory=DecisionSection, description="Limits for the verdict.")
    quality: QualitySection = Field(default_factory=QualitySection, description="Checks of the picture.")
    plc: PlcSection = Field(default_factory=PlcSection, description="The PLC.")
    challenge: ChallengeSection = Field(default_factory=ChallengeSection, description="The challenge test.")
    reject: RejectSection = Field(default_factory=RejectSection, description="Who pushes bad parts off, and where.")
    records: RecordsSection = Field(default_factory=RecordsSection, description="Records and images.")
    review: ReviewSection = Field(default_factory=ReviewSection, description="The review queue.")
    access: AccessSection = Field(default_factory=AccessSection, description="Who may do what on the control socket.")
    hmi: HmiSection = Field(default_factory=HmiSection, description="Pages for people.")
    process: ProcessSection = Field(default_factory=ProcessSection, description="Process values of the line.")
    monitoring: MonitoringSection = Field(default_factory=MonitoringSection, description="Watching for drift.")
    plant: PlantSection = Field(default_factory=PlantSection, description="What is sent to the plant.")
    webhook: WebhookSection = Field(default_factory=WebhookSection, description="Results by HTTP.")
    sparkplug: SparkplugSection = Field(default_factory=SparkplugSection, description="Sparkplug B over MQTT.")
    opcua: OpcUaSection = Field(default_factory=OpcUaSection, description="OPC UA for Machine Vision.")
    postgres: PostgresSection = Field(default_factory=PostgresSection, description="Rows to PostgreSQL.")
    images: ImagesSection = Field(default_factory=ImagesSection, description="Images to a share or an S3 store.")
    channel: ChannelSection = Field(default_factory=ChannelSection, description="New engines for many stations.")
    fleet: FleetSection = Field(default_factory=FleetSection, description="Refresh of many stations in one place.")
    log: LogSection = Field(default_factory=LogSection, description="Logging.")

    @property
    def sends_to_plant(self) -> bool:
        """`station plant run` has something to do."""
        ways = (self.webhook.url, self.sparkplug.brokers, self.opcua.enabled, self.postgres.host, self.images.is_wanted)
        return any(map(bool, ways))

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
    def lead_name(self) -> str:
        """The name of the first camera, whose trigger opens a part."""
        return next(iter(self.cameras))

    @property
    def lead_camera(self) -> CameraSection:
        """The first camera, whose trigger opens a part."""
        return self.cameras[self.lead_name]

    @property
    def weights(self) -> dict[str, float]:
        """The vote of each camera."""
        views = self.decision.views
        return {name: views[name].weight if name in views else 1.0 for name in self.cameras}

    def decision_on(self, camera: str) -> ViewLimitsSection:
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
        if self.channel.url is not None and self.engine.store is None:
            raise ValueError(
                "[channel] url without [engine] store: only a store takes engines that nobody activates yet"
            )
        if self.engine.store is not None and self.recipe.active is None and self.engine.product is None:
            try:
                recipe_name(self.recipe.name)
            except ValueError as problem:
                raise ValueError(f"[recipe] name names a folder of [engine] store: {problem}") from problem
        return self


SECTIONS: dict[str, type[Section]] = {
    "station": StationSection,
    "shifts": ShiftSection,
    "cameras": CameraSection,
    "cameras.depth": DepthSection,
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
    "process": ProcessSection,
    "registers": ProcessRegisterSection,
    "reject": RejectSection,
    "ejectors": EjectorSection,
    "records": RecordsSection,
    "review": ReviewSection,
    "access": AccessSection,
    "hmi": HmiSection,
    "monitoring": MonitoringSection,
    "plant": PlantSection,
    "webhook": WebhookSection,
    "sparkplug": SparkplugSection,
    "opcua": OpcUaSection,
    "postgres": PostgresSection,
    "images": ImagesSection,
    "channel": ChannelSection,
    "fleet": FleetSection,
    "log": LogSection,
}
