"""Which fault comes when: drawn from a seed, so that a run can be repeated. The clock of the schedule is the part."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

KILLS_UNTIL = 2 / 3
"""The last third of a run ends no daemon: one session grows old, and shows whether its memory grows with it."""
UNDISTURBED = 0.02
"""Share of the parts at the end without a new fault: what was begun comes to its end."""


class What(str, Enum):
    """What a fault touches. One at a time of each: a second one waits until the first is over."""

    DAEMON = "daemon"
    CAMERA = "camera"
    PLC = "plc"
    DISK = "disk"
    LOG = "log"
    CLOCK = "clock"
    CHANGE = "change"
    NETWORK = "network"


class Kind(str, Enum):
    """Everything that is done to the station."""

    KILL = "kill"
    TERMINATE = "terminate"
    STOP_FOR_A_WHILE = "stop-for-a-while"
    KILL_CAMERA_PROCESS = "kill-camera-process"
    STOP_CAMERA_PROCESS = "stop-camera-process"
    INCOMPLETE_FRAME = "incomplete-frame"
    LOST_FRAME = "lost-frame"
    LATE_FRAME = "late-frame"
    CAMERA_CRASHES = "camera-crashes"
    CAMERA_UNPLUGGED = "camera-unplugged"
    LATE_ACK = "late-ack"
    LOST_CONNECTION = "lost-connection"
    DOUBLE_TRIGGER = "double-trigger"
    FROZEN_HEARTBEAT = "frozen-heartbeat"
    WRONG_PART_ID = "wrong-part-id"
    DISK_FROZEN = "disk-frozen"
    DISK_FULL = "disk-full"
    LOG_GONE = "log-gone"
    LOG_UNREAD = "log-unread"
    CLOCK_SET = "clock-set"
    RELOAD = "reload"
    BROKEN_CONFIGURATION = "broken-configuration"
    RECIPE = "recipe"
    ENGINE = "engine"
    BAD_ARCHIVE = "bad-archive"
    DANGLING_ENGINE = "dangling-engine"
    OFF_LINE = "off-line"
    HASTY_CLIENTS = "hasty-clients"
    MODBUS_GARBAGE = "modbus-garbage"
    CONTROL_GARBAGE = "control-garbage"


@dataclass(frozen=True, slots=True)
class _Rule:
    weight: float
    touches: What
    lasts_s: tuple[float, float] = (0.0, 0.0)


RULES = {
    Kind.KILL: _Rule(4, What.DAEMON),
    Kind.TERMINATE: _Rule(3, What.DAEMON),
    Kind.STOP_FOR_A_WHILE: _Rule(3, What.DAEMON, (0.1, 3.0)),
    Kind.KILL_CAMERA_PROCESS: _Rule(3, What.CAMERA),
    Kind.STOP_CAMERA_PROCESS: _Rule(2, What.CAMERA, (0.1, 3.0)),
    Kind.INCOMPLETE_FRAME: _Rule(5, What.CAMERA),
    Kind.LOST_FRAME: _Rule(5, What.CAMERA),
    Kind.LATE_FRAME: _Rule(5, What.CAMERA),
    Kind.CAMERA_CRASHES: _Rule(2, What.CAMERA),
    Kind.CAMERA_UNPLUGGED: _Rule(2, What.CAMERA, (0.5, 4.0)),
    Kind.LATE_ACK: _Rule(5, What.PLC),
    Kind.LOST_CONNECTION: _Rule(4, What.PLC),
    Kind.DOUBLE_TRIGGER: _Rule(5, What.PLC),
    Kind.FROZEN_HEARTBEAT: _Rule(1, What.PLC),
    Kind.WRONG_PART_ID: _Rule(5, What.PLC),
    Kind.DISK_FROZEN: _Rule(4, What.DISK, (0.5, 6.0)),
    Kind.DISK_FULL: _Rule(4, What.DISK, (1.0, 8.0)),
    Kind.LOG_GONE: _Rule(2, What.LOG),
    Kind.LOG_UNREAD: _Rule(3, What.LOG, (1.0, 8.0)),
    Kind.CLOCK_SET: _Rule(5, What.CLOCK),
    Kind.RELOAD: _Rule(4, What.CHANGE),
    Kind.BROKEN_CONFIGURATION: _Rule(4, What.CHANGE),
    Kind.RECIPE: _Rule(4, What.CHANGE),
    Kind.ENGINE: _Rule(4, What.CHANGE),
    Kind.BAD_ARCHIVE: _Rule(5, What.CHANGE),
    Kind.DANGLING_ENGINE: _Rule(3, What.CHANGE),
    Kind.OFF_LINE: _Rule(2, What.CHANGE, (0.2, 1.0)),
    Kind.HASTY_CLIENTS: _Rule(3, What.NETWORK),
    Kind.MODBUS_GARBAGE: _Rule(4, What.NETWORK),
    Kind.CONTROL_GARBAGE: _Rule(4, What.NETWORK),
}
ENDS_THE_DAEMON = frozenset({Kind.KILL, Kind.TERMINATE})


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of the schedule."""

    at_part: int
    """It begins when so many parts have left the belt."""
    kind: Kind
    lasts_s: float
    seed: int
    """Of what else is drawn when it begins."""

    @property
    def touches(self) -> What:
        return RULES[self.kind].touches


def schedule(parts: int, faults: int, seed: int, kinds: Collection[Kind] = tuple(Kind)) -> list[Fault]:
    """So many faults, evenly spread with a random distance, each kind at least once where there is room."""
    rng = random.Random(seed)
    last = int(parts * (1 - UNDISTURBED))
    places = sorted(rng.randrange(min(20, last - 1), last) for _ in range(faults))
    early = [place for place in places if place < parts * KILLS_UNTIL]
    late = places[len(early) :]
    ending = [kind for kind in kinds if kind in ENDS_THE_DAEMON]
    others = [kind for kind in kinds if kind not in ENDS_THE_DAEMON]
    drawn_early = _drawn([*ending, *others], len(early), rng)
    drawn_late = _drawn(others, len(late), rng)
    return [_fault(place, kind, rng) for place, kind in zip(places, [*drawn_early, *drawn_late], strict=True)]


def _drawn(kinds: list[Kind], count: int, rng: random.Random) -> list[Kind]:
    once = rng.sample(kinds, min(count, len(kinds)))
    weights = [RULES[kind].weight for kind in kinds]
    drawn = [*once, *rng.choices(kinds, weights, k=count - len(once))]
    rng.shuffle(drawn)
    return drawn


def _fault(place: int, kind: Kind, rng: random.Random) -> Fault:
    return Fault(place, kind, round(rng.uniform(*RULES[kind].lasts_s), 3), rng.randrange(1 << 32))
