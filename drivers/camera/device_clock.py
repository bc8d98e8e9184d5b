"""The camera's clock read on the host's clock."""

from __future__ import annotations

from dataclasses import dataclass

_MIN_BASELINE_NS = 10_000_000_000
"""Two latches closer than this say more about the jitter of a latch than about the drift of a crystal."""
_MAX_DRIFT = 1e-3
"""Ten times the worst crystal: beyond it the device clock was reset or jumped."""


@dataclass(frozen=True, slots=True)
class ClockMap:
    """A line through points (device time, host time), each a timestamp latched by the camera; all in ns.

    host = host_ns + (device - device_ns) * rate
    """

    device_ns: int
    host_ns: int
    rate: float = 1.0

    def to_host(self, device_ns: int) -> int:
        """CLOCK_MONOTONIC of a device timestamp."""
        # The difference is small, the times are not: a float holds only the difference to the nanosecond.
        elapsed = device_ns - self.device_ns
        return self.host_ns + elapsed + round(elapsed * (self.rate - 1.0))

    def latched_again(self, device_ns: int, host_ns: int) -> ClockMap:
        """The map through a newer latch, with the drift between the two when they lie far enough apart."""
        baseline = device_ns - self.device_ns
        if baseline < _MIN_BASELINE_NS:
            return ClockMap(device_ns, host_ns, self.rate if baseline > 0 else 1.0)
        rate = (host_ns - self.host_ns) / baseline
        return ClockMap(device_ns, host_ns, rate if abs(rate - 1.0) <= _MAX_DRIFT else 1.0)
