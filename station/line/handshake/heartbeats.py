"""The heartbeats of the handshake: ours counts up, the PLC's has to move. Part of the handshake; pure like it."""

from __future__ import annotations

U16 = 0xFFFF


class Heartbeats:
    """Owns the station's count and when the PLC's heartbeat moved last. Called by `Handshake` alone."""

    def __init__(self, period_ns: int, plc_timeout_ns: int, now_ns: int) -> None:
        """`plc_timeout_ns`: how long the PLC's may stand still; 0: it is not supervised."""
        self._period_ns = period_ns
        self._plc_timeout_ns = plc_timeout_ns
        self._next_ns = now_ns + period_ns
        self._plc_moved_ns = now_ns
        self.count = 0
        """The register Heartbeat."""
        self.plc_alive = True

    def plc_moved(self, now_ns: int) -> bool:
        """True when the PLC is back."""
        self._plc_moved_ns = now_ns
        was_alive, self.plc_alive = self.plc_alive, True
        return not was_alive

    def tick(self, now_ns: int, *, supervised: bool) -> bool:
        """True when the PLC is lost now."""
        if now_ns >= self._next_ns:
            self.count = (self.count + 1) & U16
            self._next_ns = now_ns + self._period_ns
        if not self._watches(supervised) or now_ns < self._plc_moved_ns + self._plc_timeout_ns:
            return False
        self.plc_alive = False
        return True

    def next_wakeup_ns(self, *, supervised: bool) -> int:
        if not self._watches(supervised):
            return self._next_ns
        return min(self._next_ns, self._plc_moved_ns + self._plc_timeout_ns)

    def _watches(self, supervised: bool) -> bool:
        return supervised and self.plc_alive and self._plc_timeout_ns > 0
