"""What is set on a GenICam camera at every connect: a camera keeps the settings of whoever used it before.

The functions hold nothing: they work on the features of a camera whose acquisition stands still. `camera` is its name
in messages. All raise CameraSettingError for what the camera refuses and CameraLost when it does not respond.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from drivers.camera.features import Features
from drivers.camera.heights import configure_heights
from drivers.camera.pixel_formats import SUPPORTED, bits_per_value, row_bytes
from drivers.camera.protocol import CameraSettingError
from drivers.camera.settings import DEPTH_FORMAT, CameraSettings


def configure(features: Features, settings: CameraSettings, camera: str) -> Callable[[], Any] | None:
    """Sets every feature the station relies on.

    Returns what reads the time of the exposure out of the last frame; None when the camera does not put it there.
    """
    _stop_leftover_stream(features)
    _triggers_off(features)
    if settings.depth is None:
        _set_pixel_format(features, settings.pixel_format, camera)
    else:
        configure_heights(features, settings.depth, camera)
    for name, offset, value in (("Width", "OffsetX", settings.width), ("Height", "OffsetY", settings.height)):
        if value is not None:
            if features.writable(offset):
                features.set(offset, 0)  # an offset of before limits the size
            features.set(name, value)
    for name, feature in settings.features.items():
        features.set(name, feature)
    for name, automatic, amount in (
        ("ExposureTime", "ExposureAuto", settings.exposure_time_us),
        ("Gain", "GainAuto", settings.gain_db),
    ):
        if amount is not None:
            if features.writable(automatic):
                features.set(automatic, "Off")
            features.set(name, amount)
    if features.writable("AcquisitionMode"):
        features.set("AcquisitionMode", "Continuous")
    if settings.trigger != "off":
        _set_trigger(features, settings, camera)
    return _set_chunks(features)


def check_values(features: Features, pixel_format: str, significant_bits: int | None, camera: str) -> None:
    """Whether frames of this format and of the size that is set can be read."""
    bits = bits_per_value(pixel_format)
    if significant_bits is not None and significant_bits > bits:
        raise CameraSettingError(
            f"camera {camera}: significant_bits = {significant_bits} refused: a value of {pixel_format} has {bits}; "
            f"allowed: 8 to {bits}, or leave it out"
        )
    try:
        row_bytes(pixel_format, features.get("Width", from_device=True))
    except ValueError as problem:
        raise CameraSettingError(f"camera {camera}: {problem}; set `width`, or a format that is not packed") from None


def user_output(features: Features, line: str, camera: str) -> str:
    """The user output that drives the selected line: the one it is wired to, else the one of the same number."""
    same_number = "UserOutput" + line.removeprefix("Line")
    if not features.has("LineSource"):
        return same_number
    source = str(features.get("LineSource"))
    if source.startswith("UserOutput"):
        return source
    sources = [name for name in features.choices("LineSource") if name.startswith("UserOutput")]
    if not sources:
        raise CameraSettingError(f'camera {camera}: line "{line}" cannot be driven by a user output')
    chosen = same_number if same_number in sources else sources[0]
    features.set("LineSource", chosen)
    return chosen


def _stop_leftover_stream(features: Features) -> None:
    """A camera whose last user was killed may still be streaming, with its parameters locked."""
    with suppress(CameraSettingError):
        features.execute("AcquisitionStop")
    if features.writable("TLParamsLocked"):
        features.set("TLParamsLocked", 0)


def _set_pixel_format(features: Features, wanted: str | None, camera: str) -> None:
    possible = sorted(
        (name for name in features.choices("PixelFormat") if name in SUPPORTED),
        key=lambda name: bits_per_value(name) > 8,  # no bits that are thrown away, where the station may choose
    )
    if wanted is None:
        current = features.get("PixelFormat")
        wanted = current if current in SUPPORTED else next(iter(possible), current)
    if wanted == DEPTH_FORMAT:
        raise CameraSettingError(
            f"camera {camera} sends heights ({DEPTH_FORMAT}): say what picture is made of them in its section `depth`"
        )
    if wanted not in SUPPORTED or wanted not in possible:
        raise CameraSettingError(
            f"camera {camera}: PixelFormat {wanted!r} cannot be used; "
            f"camera and station both know: {', '.join(possible) or 'none'}"
        )
    if features.writable("PixelFormat"):
        features.set("PixelFormat", wanted)


def _triggers_off(features: Features) -> None:
    """Every kind of trigger; then selects the one for frames, which trigger features of the user refer to."""
    selectors = features.choices("TriggerSelector") if features.writable("TriggerSelector") else ()
    for selector in sorted(selectors, key=lambda name: name == "FrameStart") or (None,):
        if selector is not None:
            features.set("TriggerSelector", selector)
        if features.writable("TriggerMode"):
            features.set("TriggerMode", "Off")


def _set_trigger(features: Features, settings: CameraSettings, camera: str) -> None:
    """TriggerMode last: some cameras refuse a new source while the trigger is armed."""
    if not features.has("TriggerMode"):
        raise CameraSettingError(f"camera {camera} has no TriggerMode: it cannot be triggered")
    if features.writable("AcquisitionFrameRateEnable") and "AcquisitionFrameRateEnable" not in settings.features:
        features.set("AcquisitionFrameRateEnable", False)  # a rate limit would swallow triggers
    if features.writable("TriggerSelector"):
        features.set("TriggerSelector", "FrameStart")
    features.set("TriggerSource", settings.trigger_line if settings.trigger == "line" else "Software")
    if settings.trigger == "line":
        features.set("TriggerActivation", settings.trigger_activation)
    features.set("TriggerMode", "On")


def _set_chunks(features: Features) -> Callable[[], Any] | None:
    """Asks for the time of the exposure inside each frame, where the camera has it; returns its reader."""
    selectable = features.choices("ChunkSelector")
    if (
        not features.exists("ChunkTimestamp")
        or not features.writable("ChunkModeActive")
        or (selectable and "Timestamp" not in selectable)
    ):
        return None
    timestamp = features.reader("ChunkTimestamp")
    features.set("ChunkModeActive", True)
    if selectable:
        features.set("ChunkSelector", "Timestamp")
        if features.writable("ChunkEnable"):
            features.set("ChunkEnable", True)
    return timestamp
