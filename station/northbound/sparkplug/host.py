"""Whether the primary host is there, by what it says of itself in its STATE messages. Pure.

A retained message of an earlier session may come late: only one that is not older than the last one counts.
"""

from __future__ import annotations

import json

MAX_BYTES = 1024


class Host:
    """Owns what is known of the primary host at one broker."""

    def __init__(self) -> None:
        self._online_ms: int | None = None
        """Time of the last message that said that it is there."""
        self._last_ms: int | None = None
        self.online: bool | None = None
        """None: it has said nothing yet."""

    def heard(self, payload: bytes) -> str:
        """A STATE message of this host. What is wrong with it, or empty."""
        try:
            if len(payload) > MAX_BYTES:
                raise ValueError(f"{len(payload)} bytes")
            state = json.loads(payload)
            online, time_ms = state["online"], state["timestamp"]
            if not isinstance(online, bool) or isinstance(time_ms, bool) or not isinstance(time_ms, int):
                raise TypeError("online is no boolean, or timestamp no number")
        except (ValueError, TypeError, KeyError, RecursionError) as problem:
            return f"a STATE message that is none of Sparkplug 3.0: {problem or type(problem).__name__}"
        if online:
            if self._last_ms is not None and time_ms < self._last_ms:
                return ""
            self._online_ms = time_ms
        elif self._online_ms is not None and time_ms < self._online_ms:
            return ""
        self._last_ms = time_ms if self._last_ms is None else max(time_ms, self._last_ms)
        self.online = online
        return ""
