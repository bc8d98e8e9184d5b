"""Who drives the ejector of the simulated line, and what may go wrong at it."""

from __future__ import annotations

from collections import Counter
from enum import Enum

from station.simulation.plant.belt import Layout

WINDOW_COUNTS = 250
PULSE_COUNTS = 200
LEAD_MS = 6.0
"""The bit waits for the next scan of the PLC, the line for the next look of the camera process."""
CONFIRM_MS = 3000.0
FALL_S = 0.03
"""From the ejector to the sensor in the bin."""
SENSOR_PULSE_S = 0.1
LINE = "Line2"


class EjectBy(str, Enum):
    """Who tracks the parts and what drives the ejector."""

    PLC = "plc"
    """The PLC tracks."""
    STATION = "station"
    """The station tracks; the PLC copies its bit Ejector1 to the ejector."""
    CAMERA = "camera"
    """The station tracks; the ejector hangs on an output line of the camera."""


class BeltFault(str, Enum):
    """What may happen to the next part, or to the bin."""

    BLOCKED_EJECTOR = "blocked-ejector"
    """The ejector is on and the part stays."""
    TAKEN_OFF = "taken-off"
    """A part is taken off by hand behind the camera."""
    STRAY_PART = "stray-part"
    """A part is put on the belt behind the camera."""
    FULL_BIN = "full-bin"
    """The bin is full until it is emptied."""


class Sabotage:
    """The faults that were asked for and have not happened yet."""

    def __init__(self) -> None:
        self._due: Counter[BeltFault] = Counter()
        self.bin_full = False

    def ask(self, kind: BeltFault) -> None:
        """The fault happens once, as soon as it can; a full bin is emptied by asking again."""
        if kind is BeltFault.FULL_BIN:
            self.bin_full = not self.bin_full
        else:
            self._due[kind] += 1

    def happens(self, kind: BeltFault) -> bool:
        """True when it happens now."""
        if not self._due[kind]:
            return False
        self._due[kind] -= 1
        return True


class SensorPulses:
    """A sensor whose level is 1 for a while after something has passed it."""

    def __init__(self) -> None:
        self._pulses: list[tuple[float, float]] = []

    def passed(self, at_s: float) -> None:
        """Something passes the sensor at this time, maybe one to come."""
        self._pulses.append((at_s, at_s + SENSOR_PULSE_S))

    def level(self, now_s: float) -> bool:
        self._pulses = [pulse for pulse in self._pulses if now_s < pulse[1]]
        return any(start_s <= now_s for start_s, _ in self._pulses)


def section(by: EjectBy, layout: Layout) -> str:
    """`[reject]` of a station in front of this belt; empty where the PLC tracks."""
    if by is EjectBy.PLC:
        return ""
    output = f'output = "camera"\nline = "{LINE}"' if by is EjectBy.CAMERA else 'output = "plc"'
    return f"""
[reject]
by = "station"
encoder = "plc"
window_counts = {WINDOW_COUNTS}
sensor_counts = {layout.sensor_counts - layout.barrier_counts}

[[reject.ejectors]]
distance_counts = {layout.barrier_to_ejector_counts}
pulse_counts = {PULSE_COUNTS}
lead_ms = {LEAD_MS}
confirm_ms = {CONFIRM_MS}
{output}
"""
