"""When a frame was triggered, on the host's clock: read from the camera's clock where it has one, else estimated."""

from __future__ import annotations

import time

from drivers.camera.device_clock import ClockMap
from drivers.camera.features import Features

_CLOCK_AGE_NS = 30_000_000_000
_CLOCK_SLACK_NS = 1_000_000
_OLDEST_FRAME_NS = 60_000_000_000
_LATCHES = (
    ("TimestampLatch", "TimestampLatchValue", ""),
    ("GevTimestampControlLatch", "GevTimestampValue", "GevTimestampTickFrequency"),
)
"""(command, value, feature with the ticks per second where the value is not in ns)."""


class TriggerClock:
    """Owns the map from the clock of one connected camera to the host's. Called by the thread that grabs its frames."""

    def __init__(self, features: Features) -> None:
        """`features`: of a camera whose exposure time is set."""
        self._features = features
        self._exposure_ns = int(features.get("ExposureTime") * 1000) if features.has("ExposureTime") else 0
        self._map: ClockMap | None = None
        self._tick_ns = 1.0
        self._latched_ns = 0

    def ticks_to_ns(self, ticks: int) -> int:
        """A time of the camera's clock in ns."""
        return int(ticks * self._tick_ns)

    def trigger_time_ns(self, device_ns: int | None, received_ns: int) -> int:
        """When the exposure was triggered, on the host's clock.

        Without a usable device clock: when the frame came, less the exposure time. That is late by readout and
        transport, never early.
        """
        if self._map is not None and device_ns is not None:
            triggered_ns = self._map.to_host(device_ns)
            if received_ns - _OLDEST_FRAME_NS < triggered_ns <= received_ns + _CLOCK_SLACK_NS:
                return min(triggered_ns, received_ns)
            self._latched_ns = 0  # the device clock was reset: latch again at the next occasion
        return received_ns - self._exposure_ns

    def latch_if_old(self, now_ns: int) -> None:
        """Latches again when the last one is so old that the crystals may have drifted apart."""
        if now_ns - self._latched_ns > _CLOCK_AGE_NS:
            self.latch()

    def latch(self) -> None:
        """Ties the device clock to the host clock; of three tries the one with the shortest way there and back."""
        features = self._features
        latch = next((names for names in _LATCHES if features.writable(names[0]) and features.has(names[1])), None)
        if latch is None:
            return
        command, value, frequency = latch
        self._tick_ns = 1e9 / features.get(frequency) if frequency and features.has(frequency) else 1.0
        tries = []
        for _ in range(3):
            before_ns = time.monotonic_ns()
            features.execute(command)
            after_ns = time.monotonic_ns()
            device_ns = round(features.get(value, from_device=True) * self._tick_ns)
            tries.append((after_ns - before_ns, device_ns, (before_ns + after_ns) // 2))
        _, device_ns, host_ns = min(tries)
        last = self._map
        self._map = ClockMap(device_ns, host_ns) if last is None else last.latched_again(device_ns, host_ns)
        self._latched_ns = time.monotonic_ns()
