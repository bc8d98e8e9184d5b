"""Whether a frame that the station has triggered can be that of the part which waits for one. Pure."""

from __future__ import annotations

NS_PER_MS = 1_000_000
SLACK_NS = 2 * NS_PER_MS
"""What the clocks of camera and station may differ: a part's own frame may seem so much older than its trigger."""


def may_be_of(part_ns: int, frame_ns: int, given_up_ns: int | None) -> bool:
    """`part_ns`, `frame_ns`: triggers of the part and of the frame. `given_up_ns`: trigger of the last part that was
    closed without its frame; None: there was none.

    A frame from before the part is the late one of a part that was given up. Within the slack it may be either's, where
    parts follow each other so fast: then it shows the part to which it is nearer, and in doubt not this one.
    """
    early_ns = part_ns - frame_ns
    if early_ns <= 0:
        return True
    return early_ns <= SLACK_NS and (given_up_ns is None or early_ns < abs(frame_ns - given_up_ns))
