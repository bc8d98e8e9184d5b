"""How a connector does, in a sentence."""

from __future__ import annotations

from station.forwarding.progress import Progress

_DAY_S = 86_400.0
LEFT_OUT_SHOWN_S = 7 * _DAY_S
"""How long people are reminded of parts that were never sent."""


def waiting(one: Progress, newest_id: int) -> int:
    """Parts behind the cursor. `newest_id`: the newest row of `parts`, 0 without any."""
    return max(0, newest_id - one.cursor.last_id)


def is_well(one: Progress, now: float) -> bool:
    """Nothing of it needs a person. `now`: seconds since the epoch."""
    lost_lately = one.left_out_at is not None and now - one.left_out_at < LEFT_OUT_SHOWN_S
    return one.failing_since is None and not one.parked and not lost_lately


def sentence_of(one: Progress, newest_id: int, now: float) -> str:
    """`1200 sent, 3 wait; fails for 10 min: ...`."""
    said = f"{one.sent} sent, {waiting(one, newest_id)} wait"
    if one.failing_since is not None:
        said += f"; fails for {_duration(now - one.failing_since)}: {one.detail}"
    if one.parked:
        said += f"; {one.parked} refused by the receiver: station plant resend parked"
    if one.left_out:
        said += f"; {one.left_out} were never sent: they were deleted first"
    return said


def _duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h`, `5 d`."""
    for unit, length, most in (("s", 1.0, 120.0), ("min", 60.0, 7200.0), ("h", 3600.0, 2 * _DAY_S)):
        if seconds < most:
            return f"{max(0.0, seconds) / length:.0f} {unit}"
    return f"{seconds / _DAY_S:.0f} d"
