"""Reads what a Jetson says of itself in a few files: release of Jetson Linux, power mode, clocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
RELEASE_FILE = "etc/nv_tegra_release"
POWER_STATUS_FILE = "var/lib/nvpmodel/status"
POWER_MODES_FILE = "etc/nvpmodel.conf"
_JETPACK = {36: 6, 38: 7, 39: 7}
"""Major release of Jetson Linux -> JetPack."""
_CPU_CLOCKS = ("scaling_min_freq", "scaling_max_freq")
_GPU_CLOCKS = ("min_freq", "max_freq")


@dataclass(frozen=True, slots=True)
class Jetson:
    """Which one this is."""

    release: str
    """Of Jetson Linux: `36.4.3`."""
    jetpack: int | None
    """6 or 7; None: one that TensorRT 10.3 does not come with, or that is not known here."""


@dataclass(frozen=True, slots=True)
class PowerMode:
    """What nvpmodel allows the board to use."""

    name: str
    fastest: str
    fastest_id: int

    @property
    def is_fastest(self) -> bool:
        """No other mode is faster."""
        return self.name == self.fastest


def read_jetson(root: Path = ROOT) -> Jetson | None:
    """The Jetson whose files lie under `root`; None when this is none."""
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", _text(root / RELEASE_FILE))
    if found is None:
        return None
    return Jetson(f"{found[1]}.{found[2]}", _JETPACK.get(int(found[1])))


def read_power_mode(root: Path = ROOT) -> PowerMode | None:
    """The power mode; None when it is not known."""
    status = re.search(r"pmode:0*(\d+)", _text(root / POWER_STATUS_FILE))
    modes = {
        int(number): name
        for number, name in re.findall(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", _text(root / POWER_MODES_FILE))
    }
    without_limit = [number for number, name in modes.items() if name.startswith("MAXN")]
    if status is None or int(status[1]) not in modes or not without_limit:
        return None
    fastest = max(without_limit, key=lambda number: len(modes[number]))  # MAXN_SUPER rather than MAXN
    return PowerMode(modes[int(status[1])], modes[fastest], fastest)


def clocks_are_held(root: Path = ROOT) -> bool | None:
    """Whether GPU and processor stay at their highest clock, as `jetson_clocks` sets them; None: not known."""
    devices = [
        *((folder, _GPU_CLOCKS) for folder in sorted((root / "sys/class/devfreq").glob("*gpu*"))),
        *((folder, _CPU_CLOCKS) for folder in sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))),
    ]
    ranges = [(_text(folder / low).strip(), _text(folder / high).strip()) for folder, (low, high) in devices]
    known = [(low, high) for low, high in ranges if low and high]
    return all(low == high for low, high in known) if known else None


def _text(path: Path) -> str:
    """Empty when it cannot be read."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
