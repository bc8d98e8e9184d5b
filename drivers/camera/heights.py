"""Heights of a GenICam 3-D camera: `Coord3D_C16`, alone or as the first of several parts of a buffer.

By the SFNC a height is value * Scan3dCoordinateScale + Scan3dCoordinateOffset of CoordinateC, in Scan3dDistanceUnit,
and Scan3dInvalidDataValue stands for no height while Scan3dInvalidDataFlag is on. Only outputs that are calibrated
along the axis have millimetres: a disparity or a bare sensor row has none, whatever scale stands beside it.

Scale and offset are read again for every frame: heights by a scale that somebody has changed would be wrong in silence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from drivers.camera.features import Features
from drivers.camera.protocol import CameraSettingError
from drivers.camera.settings import DEPTH_FORMAT, DepthSettings

INTENSITY_FORMAT = "Mono8"
_OUTPUTS = ("CalibratedC", "RectifiedC", "CalibratedC_Linescan", "RectifiedC_Linescan")
_UNITS_MM = {"Millimeter": 1.0, "Inch": 25.4}
_MOST = 0xFFFF
_WATCHED = ("Scan3dCoordinateScale", "Scan3dCoordinateOffset", "Scan3dInvalidDataValue")
"""Each is one question to the camera for every frame."""
_SAME = 1e-9
"""Relative difference of two scales that are one: a float of the camera and a number in a file."""


@dataclass(frozen=True, slots=True)
class Coordinates:
    """What a value of a frame means: value * scale_mm + offset_mm."""

    scale_mm: float
    offset_mm: float
    invalid: int | None
    """The value that stands for no height; None: none does."""

    def __str__(self) -> str:
        missing = "no value stands for no height" if self.invalid is None else f"{self.invalid} is no height"
        return f"a step is {self.scale_mm:g} mm, 0 is at {self.offset_mm:g} mm, {missing}"


def configure_heights(features: Features, settings: DepthSettings, camera: str) -> None:
    """Has the camera send heights, and intensity where the picture needs it. Acquisition stands still.

    Raises CameraSettingError, CameraLost.
    """
    if features.has("ComponentSelector"):
        _set_components(features, settings, camera)
    elif settings.needs_intensity:
        raise CameraSettingError(
            f"camera {camera}: no ComponentSelector, so it sends heights alone: take `intensity` out of the channels"
        )
    formats = features.choices("PixelFormat")
    if DEPTH_FORMAT not in formats:
        raise CameraSettingError(
            f"camera {camera}: PixelFormat {DEPTH_FORMAT} cannot be used, it has {', '.join(formats) or 'none'}; "
            f"heights are read from {DEPTH_FORMAT} only: take the section `depth` away, or another camera"
        )
    if features.writable("PixelFormat"):
        features.set("PixelFormat", DEPTH_FORMAT)
    if features.has("Scan3dOutputMode") and features.get("Scan3dOutputMode") not in _OUTPUTS:
        possible = [name for name in _OUTPUTS if name in features.choices("Scan3dOutputMode")]
        if not possible:
            raise CameraSettingError(
                f"camera {camera}: Scan3dOutputMode {features.get('Scan3dOutputMode')!r} has no millimetres; allowed: "
                f"{', '.join(_OUTPUTS)}; the camera has {', '.join(features.choices('Scan3dOutputMode'))}"
            )
        features.set("Scan3dOutputMode", possible[0])


def _set_components(features: Features, settings: DepthSettings, camera: str) -> None:
    """Range last, so that it stays selected and PixelFormat is its own; on before others go off: one must stay."""
    components = features.choices("ComponentSelector")
    needed = ("Range", "Intensity") if settings.needs_intensity else ("Range",)
    for name in needed:
        if name not in components:
            raise CameraSettingError(
                f"camera {camera}: no component {name}, which its heights need; it has {', '.join(components)}"
            )
    for name in (*needed, *(other for other in components if other not in needed), "Range"):
        features.set("ComponentSelector", name)
        if features.writable("ComponentEnable"):
            features.set("ComponentEnable", name in needed)
        if name == "Intensity" and settings.needs_intensity:
            formats = features.choices("PixelFormat")
            if INTENSITY_FORMAT not in formats:
                raise CameraSettingError(
                    f"camera {camera}: its intensity has {', '.join(formats)}; allowed: {INTENSITY_FORMAT}"
                )
            if features.writable("PixelFormat"):
                features.set("PixelFormat", INTENSITY_FORMAT)


def read_coordinates(features: Features, settings: DepthSettings, camera: str) -> Coordinates:
    """What the values of the camera mean, from the device. Raises CameraSettingError, CameraLost."""
    if features.writable("Scan3dCoordinateSelector"):
        features.set("Scan3dCoordinateSelector", "CoordinateC")
    if features.has("Scan3dOutputMode") and (output := features.get("Scan3dOutputMode")) not in _OUTPUTS:
        raise CameraSettingError(
            f"camera {camera}: Scan3dOutputMode {output!r} has no millimetres; allowed: {', '.join(_OUTPUTS)}"
        )
    unit = str(features.get("Scan3dDistanceUnit", from_device=True)) if features.has("Scan3dDistanceUnit") else ""
    if unit and unit not in _UNITS_MM:
        raise CameraSettingError(
            f"camera {camera}: Scan3dDistanceUnit {unit!r} is no length; allowed: {', '.join(_UNITS_MM)}"
        )
    factor = _UNITS_MM.get(unit, 1.0)
    scale = _mm(features, "Scan3dCoordinateScale", factor, ("scale_mm", settings.scale_mm), camera)
    if scale is None:
        raise CameraSettingError(
            f"camera {camera}: no Scan3dCoordinateScale: set `scale_mm` of its section `depth`, mm for a step of 1"
        )
    if not (math.isfinite(scale) and scale > 0):
        raise CameraSettingError(f"camera {camera}: Scan3dCoordinateScale is {scale:g} mm; it must be above 0")
    offset = _mm(features, "Scan3dCoordinateOffset", factor, ("offset_mm", settings.offset_mm), camera) or 0.0
    if not math.isfinite(offset):
        raise CameraSettingError(f"camera {camera}: Scan3dCoordinateOffset is {offset:g} mm; it must be a number")
    return Coordinates(scale, offset, _invalid(features, settings, camera))


def _mm(
    features: Features, name: str, factor: float, key_and_value: tuple[str, float | None], camera: str
) -> float | None:
    """In mm: what the camera says, which must be what is configured; None: neither says it."""
    key, configured = key_and_value
    if not features.has(name):
        return configured
    found = float(features.get(name, from_device=True)) * factor
    if configured is not None and not math.isclose(found, configured, rel_tol=1e-6, abs_tol=_SAME):
        raise CameraSettingError(
            f"camera {camera}: {name} is {found:g} mm, `{key}` = {configured:g}: heights would be wrong; leave `{key}` "
            "out, or set the camera as it was"
        )
    return found


def _invalid(features: Features, settings: DepthSettings, camera: str) -> int | None:
    flagged = not features.has("Scan3dInvalidDataFlag") or bool(features.get("Scan3dInvalidDataFlag", from_device=True))
    if not (flagged and features.has("Scan3dInvalidDataValue")):
        return settings.invalid_value
    value = float(features.get("Scan3dInvalidDataValue", from_device=True))
    if not (value.is_integer() and 0 <= value <= _MOST):
        raise CameraSettingError(
            f"camera {camera}: Scan3dInvalidDataValue {value:g} is no value of {DEPTH_FORMAT}; allowed: 0 to {_MOST}"
        )
    return int(value)


class CoordinatesWatch:
    """What the values of a camera meant at the connect, and whether that still holds. One thread uses it."""

    def __init__(self, features: Features, settings: DepthSettings, camera: str) -> None:
        self._features = features
        self.at_connect = read_coordinates(features, settings, camera)
        self._values = {name: self._value(name) for name in _WATCHED if features.has(name)}

    def changed(self) -> str:
        """What is not as it was at the connect; empty: nothing. Raises CameraLost."""
        try:
            now = {name: self._value(name) for name in self._values}
        except CameraSettingError as problem:
            return str(problem)
        different = [
            f"{name} was {before:g} and is {now[name]:g}"
            for name, before in self._values.items()
            if now[name] != before
        ]
        return f"heights do not mean what they did at the connect: {', '.join(different)}" if different else ""

    def _value(self, name: str) -> float:
        return float(self._features.get(name, from_device=True))
