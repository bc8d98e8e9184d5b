"""Sections on the cameras, and on how what they see of one part is joined."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from drivers.camera.settings import DEPTH_FORMAT, PIXEL_FORMATS, DepthSettings
from engines.inputs.depth_spec import MOST_CHANNELS, DepthSpec
from station.configuration.section import Section

MAX_CAMERAS = 8
CAMERA_NAME = r"[A-Za-z0-9_-]{1,32}"
"""It stands in file names and reasons."""


class CameraFeatures(Section):
    """What a recipe may set on a camera: `[cameras.NAME]`, with the name that it has in station.toml."""

    exposure_time_us: float | None = Field(
        None, gt=0, le=10_000_000, description="ExposureTime; unset: as the camera is set."
    )
    gain_db: float | None = Field(None, ge=0, le=60, description="Gain; unset: as the camera is set.")
    features: dict[str, bool | int | float | str] = Field(
        default_factory=dict,
        description="Further GenICam features by their SFNC names, set in this order at every connect.",
    )


class DepthSection(Section):
    """A 3-D camera (`pixel_format = "Coord3D_C16"`): how its heights become a picture of 8 bit, `[cameras.NAME.depth]`.

    An engine holds for the pictures that it was taught with: after a change here teach again.
    """

    range_mm: float = Field(
        gt=0,
        le=10_000,
        description="Height above the plane of the part that is white in the picture; as far below it is black.",
    )
    slope_range_mm: float = Field(
        gt=0,
        le=10_000,
        description="Rise from one pixel to the next that is white in the picture; the same fall is black.",
    )
    channels: tuple[Literal["height", "slope_x", "slope_y", "intensity"], ...] = Field(
        ("height", "slope_x", "slope_y"),
        strict=False,
        description="What the engine sees: one to three channels. `intensity` is what the camera sends beside heights.",
    )
    reference: Literal["plane", "camera"] = Field(
        "plane",
        description="What a height is measured from. `plane`: the plane that fits most of the frame. `camera`: "
        "`zero_mm` of the camera's own axis, for parts that have no plane.",
    )
    zero_mm: float = Field(0.0, ge=-1e6, le=1e6, description='For `reference = "camera"`: the height that is 0.')
    scale_mm: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="mm for a step of 1 (Scan3dCoordinateScale). Needed for files and cameras that do not say it; else "
        "what the camera says must be this.",
    )
    offset_mm: float | None = Field(None, ge=-1e6, le=1e6, description="Height of a value of 0, likewise.")
    invalid_value: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="The value that stands for no height, for files and cameras that do not say it (0 as a rule).",
    )

    @field_validator("channels")
    @classmethod
    def _different(cls, channels: tuple[str, ...]) -> tuple[str, ...]:
        if not 1 <= len(set(channels)) == len(channels) <= MOST_CHANNELS:
            raise ValueError(f"{len(channels)} channels; allowed are 1 to {MOST_CHANNELS} different ones")
        return channels

    @property
    def settings(self) -> DepthSettings:
        """As the driver of the camera takes it."""
        return DepthSettings(**self.model_dump())

    @property
    def spec(self) -> DepthSpec:
        """How heights become a picture."""
        return DepthSpec(self.range_mm, self.slope_range_mm, self.channels, self.reference, self.zero_mm)


class CameraSection(CameraFeatures):
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
        description="`line`: a light barrier on the camera's own input. `plc`: by software trigger, at the coil "
        "Trigger or, behind a first camera with `line`, `after_ms` later.",
    )
    trigger_line: str = Field("Line1", description='TriggerSource for `trigger = "line"`.')
    trigger_activation: Literal["RisingEdge", "FallingEdge", "AnyEdge"] = Field(
        "RisingEdge", description="TriggerActivation."
    )
    pixel_format: str = Field(
        "",
        description="PixelFormat; empty: as the camera is set. Mono8, RGB8, BGR8, RGBa8, BGRa8, BayerRG8 (GR, GB, "
        "BG); of more than 8 bit Mono10, 12, 14 and 16, BayerRG10, 12 and 16, packed ones too (Mono12p, Mono12Packed); "
        "of a 3-D camera Coord3D_C16, with `[cameras.NAME.depth]`.",
    )
    depth: DepthSection | None = Field(None, description="Of a 3-D camera: see below.")
    significant_bits: int | None = Field(
        None,
        ge=8,
        le=16,
        description="For formats of more than 8 bit: how many bits of a value count, from the lowest. The highest 8 of "
        "them are the pixel, what is brighter is 255. Unset: all of the format.",
    )
    width: int | None = Field(None, ge=16, le=65536, description="Width in px; unset: as the camera is set.")
    height: int | None = Field(None, ge=1, le=65536, description="Height in px; unset: as the camera is set.")
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
        description="Longest wait for the frame of a trigger or latched part id; after it the part is an error.",
    )
    after_ms: float = Field(
        0.0,
        ge=0,
        le=60_000,
        description="How long behind the first camera's trigger this camera takes the same part; 0: together with it.",
    )
    after_counts: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        description="In place of `after_ms`: how far behind, in counts of the register EncoderNow.",
    )
    tolerance_ms: float = Field(
        20.0,
        gt=0,
        le=10_000,
        description="A frame belongs to the part within this time of it. Less than half the time between two parts.",
    )
    tolerance_counts: int | None = Field(
        None, ge=1, le=2**30, description="The same for `after_counts`, in counts. Less than half the distance."
    )

    @field_validator("pixel_format")
    @classmethod
    def _known_format(cls, name: str) -> str:
        known = (*PIXEL_FORMATS, DEPTH_FORMAT)
        if name and name not in known:
            similar = ", ".join(get_close_matches(name, known)) or "none"
            raise ValueError(f"no pixel format that the station takes; similar: {similar}. Names are those of the PFNC")
        return name

    @model_validator(mode="after")
    def _consistent(self) -> CameraSection:
        if self.driver == "genicam" and not self.producer:
            raise ValueError('driver "genicam" needs `producer`: the path of a .cti, or "simtl"')
        if self.driver == "folder" and self.folder is None:
            raise ValueError('driver "folder" needs `folder`: a folder of images')
        if self.driver == "folder" and self.trigger == "line":
            raise ValueError('driver "folder" has no input line: set trigger = "plc"')
        if self.depth is None and self.pixel_format == DEPTH_FORMAT:
            raise ValueError(f"pixel_format {DEPTH_FORMAT} needs the section `depth`: what picture is made of heights")
        if self.depth is not None and self.driver == "genicam" and self.pixel_format != DEPTH_FORMAT:
            raise ValueError(f'the section `depth` needs pixel_format = "{DEPTH_FORMAT}"; heights come in no other one')
        if self.depth is not None and self.driver == "folder" and self.pixel_format not in ("", DEPTH_FORMAT):
            raise ValueError(f"the section `depth` goes with pixel_format {DEPTH_FORMAT}, or none")
        if self.depth is not None and self.significant_bits is not None:
            raise ValueError("significant_bits is for grey and colour; of heights all 16 bits count")
        if self.reconnect_max_s < self.reconnect_min_s:
            raise ValueError("reconnect_max_s is below reconnect_min_s")
        if self.after_counts and self.after_ms:
            raise ValueError("after_ms and after_counts are both set: the place of a camera is given by one of them")
        if bool(self.after_counts) != (self.tolerance_counts is not None):
            raise ValueError("after_counts and tolerance_counts belong together: set both, or none")
        if self.after_counts and self.trigger == "plc":
            raise ValueError('after_counts needs trigger = "line"; a camera that the station triggers takes after_ms')
        return self

    @property
    def depth_spec(self) -> DepthSpec | None:
        """How its heights become a picture; None: it is no 3-D camera."""
        return None if self.depth is None else self.depth.spec


class ViewsSection(Section):
    """How the verdicts on the views of a part become its verdict. With one camera there is nothing to join.

    A missing view, an error in a view, and a picture that cannot be trusted are never outvoted.
    """

    rule: Literal["worst", "k_of_n", "weighted"] = Field(
        "worst",
        description="`worst`: the worst view decides. `k_of_n`: `k` views must FAIL for FAIL, FAIL or REVIEW for "
        "REVIEW. `weighted`: the same for views whose `[decision.views.NAME] weight` add up to 1.",
    )
    k: int = Field(2, ge=1, le=MAX_CAMERAS, description="For `k_of_n`: how many views it takes.")
