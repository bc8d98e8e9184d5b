"""The demo's folder: made or emptied, and the configuration of the station that runs in it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from station.control import LONGEST_SOCKET_PATH
from station.simulation.parts.pictures import Canvas

MARKER = ".station-demo"
PIXEL_SIZE_MM = 0.16
"""The rendered flange is 60 mm wide and about 380 px."""
DEADLINE_MS = 1000
MAX_PARTS_IN_FLIGHT = 32
"""At 200 parts/s a hiccup of 0.1 s brings 20."""
TOLERANCE_MS = 24.0
"""Less than half the time between two parts: with several cameras they come 50 ms apart or more (20 parts/s)."""
EXPOSURE_TIME_US = 500.0
"""Short, as for parts that move: at 4 parts/s they blur by less than a pixel or two."""


class WorkspaceError(Exception):
    """The folder cannot be used."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where everything of one demo lies."""

    folder: Path

    @property
    def configuration(self) -> Path:
        return self.folder / "station.toml"

    @property
    def control_socket(self) -> Path:
        return self.folder / "control.sock"

    @property
    def records(self) -> Path:
        return self.folder / "records"

    @property
    def engine(self) -> Path:
        return self.folder / "engine"

    @property
    def training_images(self) -> Path:
        return self.folder / "training_images"

    @property
    def schedule(self) -> Path:
        return self.folder / "schedule.json"

    @property
    def scene_prefix(self) -> Path:
        return self.folder / "camera"

    @property
    def station_log(self) -> Path:
        return self.folder / "station.log"

    @property
    def report(self) -> Path:
        return self.folder / "report.json"

    @property
    def contact_sheet(self) -> Path:
        return self.folder / "contact_sheet.png"

    def engine_of(self, product: str) -> Path:
        """Where the engine of a recipe is taught."""
        return self.folder / f"engine-{product}"

    def configure_recipes(self, recipes: Mapping[int, str], engines: Mapping[str, Path], cameras: int) -> str:
        """Writes a recipe for each product, by number, with its engine; returns the section of the configuration."""
        if not recipes:
            return ""
        folder = self.folder / "recipes"
        folder.mkdir()
        for number, product in recipes.items():
            exposure = f"exposure_time_us = {EXPOSURE_TIME_US - 50 * (number - 1)}\n"
            text = f"number = {number}\n[engine]\npath = {_toml(str(engines[product]))}\n" + "".join(
                f"[cameras.{_camera_name(device, cameras)}]\n{exposure}" for device in range(cameras)
            )
            (folder / f"{product}.toml").write_text(text, encoding="utf-8")
        return f"\n[recipe]\nactive = {_toml(next(iter(recipes.values())))}\n"


def configuration(
    canvas: Canvas,
    engine: Path,
    port: int,
    *,
    trigger: str,
    work_dir: Path = Path(),
    cameras: int = 1,
    runtime: str = "auto",
    batches: bool = False,
) -> str:
    """The configuration of a station in front of the simulated line; more sections may be added to it.

    `work_dir`: of the station, seen from where the configuration lies. `batches`: the PLC begins and ends them.
    """
    of_cameras = "\n".join(_camera(canvas, trigger, device, cameras) for device in range(cameras))
    return f"""# A station in front of the simulated line; `station check --config` explains it.
[station]
name = "demo"
work_dir = {_toml(str(work_dir))}
deadline_ms = {DEADLINE_MS}
max_parts_in_flight = {MAX_PARTS_IN_FLIGHT}

{of_cameras}
[engine]
path = {_toml(str(engine))}
runtime = {_toml(runtime)}

[decision]
pixel_size_mm = {PIXEL_SIZE_MM}

[plc]
port = {port}
{"batches = true" if batches else ""}
[records]
min_free_mb = 50
"""


def _camera_name(device: int, cameras: int) -> str:
    return "demo" if cameras == 1 else f"face{device + 1}"


def _camera(canvas: Canvas, trigger: str, device: int, cameras: int) -> str:
    """The section of one camera."""
    name = _camera_name(device, cameras)
    of_several = f"serial_number = {_toml(f'SIM{device:04d}')}\ntolerance_ms = {TOLERANCE_MS}\n" if cameras > 1 else ""
    return f"""[cameras.{name}]
driver = "genicam"
producer = "simtl"
trigger = {_toml(trigger)}
pixel_format = {_toml(canvas.pixel_format)}
width = {canvas.width_px}
height = {canvas.height_px}
exposure_time_us = {EXPOSURE_TIME_US}
{of_several}"""


def prepare(folder: Path) -> Workspace:
    """Makes the folder, or empties that of an earlier demo. Anything else in it is left alone: WorkspaceError."""
    folder = folder.absolute()
    if len(os.fsencode(folder / "control.sock")) > LONGEST_SOCKET_PATH:
        raise WorkspaceError(f"{folder}: too long for a socket in it; choose a shorter --work")
    try:
        if folder.exists():
            _empty(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKER).touch()
    except OSError as problem:
        raise WorkspaceError(f"{folder}: cannot be used as --work: {problem.strerror}") from problem
    return Workspace(folder)


def _empty(folder: Path) -> None:
    if not folder.is_dir():
        raise WorkspaceError(f"{folder}: is not a folder; choose another --work")
    if any(folder.iterdir()) and not (folder / MARKER).exists():
        raise WorkspaceError(f"{folder}: holds files that are not of a demo; choose another --work or empty it")
    for entry in folder.iterdir():
        if entry.name == MARKER:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _toml(text: str) -> str:
    """A TOML basic string; JSON escapes the same way."""
    return json.dumps(text, ensure_ascii=False)
