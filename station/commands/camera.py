"""`station camera list` and `station camera grab`: looking through a camera without the station."""

from __future__ import annotations

import argparse
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from drivers.camera.images import write_png
from drivers.camera.library import require_genicam
from drivers.camera.open import open_camera
from drivers.camera.producer import producer_from_name
from drivers.camera.protocol import (
    Camera,
    CameraError,
    CameraLost,
    CameraNotFound,
    CameraUnreadable,
    GrabbedFrame,
    HeightMap,
)
from drivers.camera.settings import DEPTH_FORMAT, CameraSettings, DepthSettings
from drivers.imagefiles.heights import encode_heights
from station.commands.options import add_config_option, add_json_option, calendar_at, print_json, show
from station.reports.shifts import Calendar
from station.terminal import say

_GRAB_MS = 50
_STEEP = 10.0


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `camera list` and `camera grab`."""
    camera = commands.add_parser("camera", help="find cameras and look through them")
    actions = camera.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")
    list_parser = actions.add_parser("list", help="the cameras that a GenTL producer finds")
    grab_parser = actions.add_parser("grab", help="store frames of a camera as PNG files")
    for parser in (list_parser, grab_parser):
        parser.add_argument(
            "--producer", default="simtl", metavar="X.cti", help="GenTL producer; also: simtl, viky (default: simtl)"
        )
        add_config_option(parser)
        parser.set_defaults(run=run)
    add_json_option(list_parser, "a list of serial_number, vendor, model, user_id")
    add_json_option(grab_parser, "a list of file, frame_id, width_px, height_px, pixel_format, triggered, took_ms")
    grab_parser.add_argument("--serial", default="", help="DeviceSerialNumber (default: the first camera)")
    grab_parser.add_argument("--count", type=_positive, default=1, metavar="N", help="how many frames (default: 1)")
    grab_parser.add_argument("--software-trigger", action="store_true", help="trigger each frame (default: run freely)")
    grab_parser.add_argument(
        "--heights",
        type=_range_mm,
        metavar="MM",
        help="of a 3-D camera: heights as PNG of 16 bit, and beside each a picture of MM above and below its plane",
    )
    grab_parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the PNG files")


def run(options: argparse.Namespace) -> int:
    """Carries out the parsed command; 2 when the producer, the camera or the output folder cannot be used."""
    try:
        producer = producer_from_name(options.producer)
        if options.action == "list":
            cameras = camera_list(producer)
            keys = ("serial_number", "vendor", "model", "user_id")
            show(options, [dict(zip(keys, one, strict=True)) for one in cameras], camera_table(cameras))
            return 0
        settings = CameraSettings(
            producer=producer,
            serial_number=options.serial or first_serial_number(producer),
            trigger="software" if options.software_trigger else "off",
            depth=None if options.heights is None else _look_at(options.heights),
        )
        calendar, grabbed = calendar_at(options.config), []
        for path, frame in camera_grab(settings, options.count, options.output):
            grabbed.append(_grabbed(path, frame, calendar))
            if not options.json:
                say(_in_words(path, frame, calendar))
        if options.json:
            print_json(grabbed)
    except BrokenPipeError:
        raise
    except (CameraError, OSError) as error:
        say(f"{type(error).__name__}: {error}", error=True)
        return 2
    return 0


def camera_list(producer: Path) -> list[tuple[str, str, str, str]]:
    """(serial number, vendor, model, user id) of each camera of a producer. Raises ProducerError."""
    require_genicam()
    from drivers.camera.discovery import list_cameras  # noqa: PLC0415  (loads GenICam)

    return [(camera.serial_number, camera.vendor, camera.model, camera.user_name) for camera in list_cameras(producer)]


def camera_table(cameras: list[tuple[str, str, str, str]]) -> str:
    """The cameras in columns, with a heading."""
    rows = [("SERIAL", "VENDOR", "MODEL", "USER ID"), *cameras]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines) + ("" if cameras else "\n(no camera found)")


def first_serial_number(producer: Path) -> str:
    """Serial number of the first camera of a producer. Raises ProducerError, CameraNotFound."""
    cameras = camera_list(producer)
    if not cameras:
        raise CameraNotFound(f'producer "{producer}" finds no camera')
    return cameras[0][0]


def camera_grab(
    settings: CameraSettings, count: int, output: Path, *, timeout_s: float = 5.0
) -> Iterator[tuple[Path, GrabbedFrame]]:
    """Grabs `count` complete frames and writes each as a PNG into `output`, which is made if need be.

    With `settings.trigger` "software" each frame is triggered. The pixels of a frame are valid until the next.
    Raises CameraError, and OSError when a file cannot be written.
    """
    output.mkdir(parents=True, exist_ok=True)
    with open_camera(settings) as camera:
        camera.start()
        for _ in range(count):
            if settings.trigger == "software":
                camera.trigger()
            frame = _complete_frame(camera, timeout_s)
            camera_name = (
                re.sub(r"[^\w.-]", "_", camera.info.serial_number) or "camera"
            )  # a device chose these characters
            path = output / f"{camera_name}-{frame.frame_id:06d}.png"
            if frame.heights is None:
                write_png(path, frame.pixels)
            else:
                write_heights(path, frame.heights, settings)
            yield path, frame


def write_heights(path: Path, heights: HeightMap, settings: CameraSettings) -> None:
    """Heights as PNG of 16 bit, and beside them `NAME-relief.png` for people. Raises OSError, CameraUnreadable."""
    assert settings.depth is not None
    from engines.inputs.depth import NoHeights, depth_picture, shaded  # noqa: PLC0415  (loads OpenCV)
    from engines.inputs.depth_spec import DepthSpec  # noqa: PLC0415

    values = heights.values.copy()
    path.write_bytes(encode_heights(values, heights.scale_mm, heights.offset_mm, heights.invalid))
    spec = DepthSpec(settings.depth.range_mm, settings.depth.slope_range_mm)
    try:
        picture = depth_picture(values, heights.scale_mm, heights.offset_mm, heights.invalid, spec)
    except NoHeights as problem:
        raise CameraUnreadable(f"{path}: {problem}; check lens cap, light and working distance") from problem
    write_png(path.with_name(f"{path.stem}-relief.png"), shaded(picture, spec.channels))


def _look_at(range_mm: float) -> DepthSettings:
    """For a look at heights: a rise of a tenth of the range from pixel to pixel is steep."""
    return DepthSettings(range_mm=range_mm, slope_range_mm=range_mm / _STEEP)


def _complete_frame(camera: Camera, timeout_s: float) -> GrabbedFrame:
    deadline = time.monotonic() + timeout_s
    incomplete = 0
    while time.monotonic() < deadline:
        frame = camera.grab(_GRAB_MS)
        if frame is not None and frame.problem:
            raise CameraUnreadable(
                f'frame {frame.frame_id} of camera "{camera.info.serial_number}" has no pixels: {frame.problem}; '
                "check PixelFormat, Width and Height of the camera"
            )
        if frame is not None and frame.complete:
            return frame
        incomplete += frame is not None
    raise CameraLost(
        f'no complete frame from camera "{camera.info.serial_number}" in {timeout_s:g} s ({incomplete} incomplete); '
        "check its trigger settings, or use --software-trigger"
    )


def _triggered(frame: GrabbedFrame) -> float:
    """When the frame was triggered, on the wall clock: seconds since the epoch."""
    return time.time() - (time.monotonic_ns() - frame.trigger_time_ns) / 1e9


def _took_ms(frame: GrabbedFrame) -> float:
    return (frame.received_time_ns - frame.trigger_time_ns) / 1e6


def _in_words(path: Path, frame: GrabbedFrame, calendar: Calendar) -> str:
    height, width = _shape(frame)
    when = calendar.in_words(_triggered(frame), "ms")
    return (
        f"{path}: frame {frame.frame_id}, {width} x {height} px, {_format(frame)}, "
        f"triggered {when}, here {_took_ms(frame):.1f} ms later"
    )


def _grabbed(path: Path, frame: GrabbedFrame, calendar: Calendar) -> dict[str, Any]:
    height, width = _shape(frame)
    return {
        "file": path,
        "frame_id": int(frame.frame_id),
        "width_px": width,
        "height_px": height,
        "pixel_format": _format(frame),
        "triggered": calendar.iso(_triggered(frame)),
        "took_ms": _took_ms(frame),
    }


def _shape(frame: GrabbedFrame) -> tuple[int, int]:
    height, width = (frame.pixels if frame.heights is None else frame.heights.values).shape[:2]
    return height, width


def _format(frame: GrabbedFrame) -> str:
    if frame.heights is not None:
        return DEPTH_FORMAT
    return "Mono8" if frame.pixels.ndim == 2 else "RGB8"


def _range_mm(text: str) -> float:
    range_mm = float(text)
    if not 0 < range_mm < math.inf:
        raise argparse.ArgumentTypeError(f"{text} mm is not above 0")
    return range_mm


def _positive(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count} is not at least 1")
    return count
