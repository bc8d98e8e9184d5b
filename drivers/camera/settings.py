"""The settings of a camera driver: plain data, so that they can cross to the camera process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

FeatureValue = bool | int | float | str
Trigger = Literal["line", "software", "off"]

_DEEP = ("10", "10p", "10Packed", "12", "12p", "12Packed", "16")
_PATTERNS = ("BayerRG", "BayerGR", "BayerGB", "BayerBG")
PIXEL_FORMATS = (
    *("Mono8", "RGB8", "BGR8", "RGBa8", "BGRa8", *(f"{pattern}8" for pattern in _PATTERNS)),
    *(f"Mono{depth}" for depth in (*_DEEP, "14")),
    *(f"{pattern}{depth}" for pattern in _PATTERNS for depth in _DEEP),
)
"""What the station takes from a camera, by the names of the PFNC: `drivers.camera.pixel_formats` says how."""
DEPTH_FORMAT = "Coord3D_C16"
"""Heights of a 3-D camera, which `CameraSettings.depth` goes with: `drivers.camera.heights` says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthSettings:
    """A 3-D camera: what its heights mean, where it does not say so itself, and what picture is made of them."""

    range_mm: float
    slope_range_mm: float
    channels: tuple[str, ...] = ("height", "slope_x", "slope_y")
    reference: str = "plane"
    zero_mm: float = 0.0
    """These are those of `engines.inputs.depth.DepthSpec`: no driver uses more of them than what channels there are."""
    scale_mm: float | None = None
    """Scan3dCoordinateScale in mm; None: what the camera says. A camera that says something else is refused."""
    offset_mm: float | None = None
    """Scan3dCoordinateOffset in mm, likewise."""
    invalid_value: int | None = None
    """What stands for no height, for a camera or file that does not say it; a camera that says it is believed."""

    @property
    def picture_channels(self) -> int:
        """Of the picture: grey of one channel, else in colours."""
        return 1 if len(self.channels) == 1 else 3

    @property
    def needs_intensity(self) -> bool:
        """The camera must send how bright a pixel is beside how high."""
        return "intensity" in self.channels


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    """One camera. None stands for "as the camera is set"; a setting of the other driver is ignored."""

    driver: Literal["genicam", "folder"] = "genicam"
    trigger: Trigger = "line"
    """`off` runs freely: for looking through a camera, not for inspecting parts."""

    producer: Path | None = None
    """The GenTL producer (.cti)."""
    serial_number: str = ""
    """DeviceSerialNumber; empty for the only camera of the producer."""
    trigger_line: str = "Line1"
    """TriggerSource when `trigger` is `line`."""
    trigger_activation: str = "RisingEdge"
    pixel_format: str | None = None
    significant_bits: int | None = None
    """Of a format with more than 8 bit: how many bits of a value count, from the lowest; None: all."""
    depth: DepthSettings | None = None
    """Of a 3-D camera, whose pixel format is `DEPTH_FORMAT`; None: of any other."""
    width: int | None = None
    height: int | None = None
    exposure_time_us: float | None = None
    gain_db: float | None = None
    features: Mapping[str, FeatureValue] = field(default_factory=dict)
    """Further GenICam features, set in this order. They come after PixelFormat, Width and Height and before the rest:
    a camera that wants another order (UserSetLoad, binning, then size) gets those three in here too."""
    num_buffers: int = 8
    """At least; a camera that needs more gets more."""

    encoder_feature: str = ""
    """The feature that holds the encoder of the belt, such as EncoderValue: read all the time while streaming."""
    prompt: bool = False
    """Commands must not wait for the usual time between two looks: output lines drive something."""

    folder: Path | None = None
    """The images to play, in the order of their names."""
    loop: bool = True
    """Begin again after the last image."""
    frame_rate_hz: float = 10.0
    """Images per second of a folder when `trigger` is `off`."""
