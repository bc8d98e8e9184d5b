"""What needs a person, and who has seen it. Pure: the codes that stand now go in, the list that is shown comes out.

    comes ─► not seen ─► seen ─► gone from the list when its cause is
                │
                └─ cause gone: stays, as something that was there, until somebody has seen it

Nothing vanishes by itself: what came and went while nobody was at the panel is still there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

MOST = 50
"""A cause that comes and goes all night is one entry; more kinds than this there are not."""

Cause = tuple[str, int, str]
"""Table of `station.codes` ("fault", "camera", "warning"), the code, and what it is about."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that needs a person."""

    cause: Cause
    since: float
    """When it came last, seconds since the epoch."""
    stands: bool = True
    seen_by: str = ""
    times: int = 1
    """How often it has come since somebody has seen it."""

    @property
    def key(self) -> str:
        return ":".join(map(str, self.cause))


class Alarms:
    """Owns the list. One thread at a time calls it."""

    def __init__(self) -> None:
        self._alarms: dict[str, Alarm] = {}
        self.version = 0
        """Changes with the list."""

    @property
    def shown(self) -> list[Alarm]:
        """Not seen first, of these what stands before what was; then in the order in which they came."""
        return sorted(self._alarms.values(), key=lambda alarm: (bool(alarm.seen_by), not alarm.stands, alarm.since))

    def stand(self, causes: Iterable[Cause], now: float) -> None:
        """These causes stand now, and no others."""
        before = dict(self._alarms)
        standing = {Alarm(cause, now).key: Alarm(cause, now) for cause in causes}
        for key, alarm in standing.items():
            known = self._alarms.get(key)
            if known is None:
                self._alarms[key] = alarm
            elif not known.stands:
                self._alarms[key] = replace(alarm, times=known.times + 1)
        for key, alarm in list(self._alarms.items()):
            if key in standing:
                continue
            if alarm.seen_by or len(self._alarms) > MOST:
                del self._alarms[key]
            else:
                self._alarms[key] = replace(alarm, stands=False)
        self.version += self._alarms != before

    def seen(self, keys: Iterable[str], by: str) -> int:
        """Somebody has seen these; returns how many of them were not seen before."""
        fresh = [key for key in keys if key in self._alarms and not self._alarms[key].seen_by]
        for key in fresh:
            if self._alarms[key].stands:
                self._alarms[key] = replace(self._alarms[key], seen_by=by or "-", times=1)
            else:
                del self._alarms[key]
        self.version += bool(fresh)
        return len(fresh)
