"""Where the belt is at a given time. Pure: samples and times go in, positions come out.

Positions and distances are `BeltUnits`.

Encoder values arrive over a network: late by some milliseconds, now more, now less, and only when they have changed.
`EncoderBelt` therefore lays a straight line through the last samples (least squares) and reads the position from it,
also between two samples. A delay that all samples share cancels out: a part gets its place at the trigger from the same
line. A belt that stands sends no samples; some milliseconds after one was due the position stays where it is.

A sample that was held up looks like a belt that has stood, and those behind it come in a burst: a line through two of a
burst would put the belt far ahead, and push parts before they are there. So there is no line before the samples of a
movement span SHORTEST_SPAN_NS (until then the belt is where the last sample says), and when the samples turn out to go
on as before, so does the line.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from math import ceil
from typing import Protocol

BeltUnits = float
"""A position or a distance along the belt: counts of the encoder without its wrap-around, or, where time stands for the
encoder, ns."""

NS_PER_S = 1_000_000_000
ENCODER_MODULUS = 1 << 32
FIT_SAMPLES = 32
HISTORY_SAMPLES = 1024
SHORTEST_HOLD_NS = 15_000_000
LATE_NS = 10_000_000
"""A belt stands when a sample is this much later than the interval of those before."""
LONGEST_INTERVAL_NS = 100_000_000
"""Samples farther apart are not of one movement: between them the belt is where the last one says."""
SHORTEST_SPAN_NS = 15_000_000
STALL_TOLERANCE = 0.25
"""After a pause: a step within this share of what the old speed predicts was a late sample, else the belt has stood."""


class Belt(Protocol):
    """Position over time."""

    def position(self, time_ns: int, ahead_ns: int = 0) -> BeltUnits | None:
        """The position at `time_ns`, or, if the belt goes on as it does, `ahead_ns` later. None: not known."""
        ...

    def time_at(self, position: BeltUnits, now_ns: int) -> int | None:
        """When the belt will be at `position`; None when it stands, runs backwards, or nothing is known."""
        ...


class ClockBelt:
    """A belt of constant speed without an encoder: positions are times."""

    def position(self, time_ns: int, ahead_ns: int = 0) -> BeltUnits | None:
        return time_ns + ahead_ns

    def time_at(self, position: BeltUnits, now_ns: int) -> int | None:  # noqa: ARG002  of the protocol
        return ceil(position)


@dataclass(frozen=True, slots=True)
class _Line:
    """position = at + speed * (time - time_ns)."""

    time_ns: int
    at: float
    speed: float
    """Counts per ns."""

    def __call__(self, time_ns: int) -> float:
        return self.at + self.speed * (time_ns - self.time_ns)


class EncoderBelt:
    """Owns the samples of an encoder of 32 bits, which counts up when the belt runs forward. Used by one thread."""

    def __init__(self, jump_counts: BeltUnits) -> None:
        self.jump_counts = jump_counts
        """A step of at least this length between two samples is no movement: the counter was set anew."""
        self._last_count = 0
        self._gap_ns = 0
        """Between the last two samples."""
        self._history: deque[tuple[int, float]] = deque(maxlen=HISTORY_SAMPLES)
        self._run: deque[tuple[int, float]] = deque(maxlen=FIT_SAMPLES)
        """The last samples of the movement under way."""
        self._line: _Line | None = None
        self._doubted: tuple[deque[tuple[int, float]], _Line] | None = None
        """The movement before a pause, as long as that pause may have been a sample that was held up."""

    @property
    def speed_counts_per_s(self) -> float:
        return self._line.speed * NS_PER_S if self._line is not None else 0.0

    def sample(self, count: int, time_ns: int) -> bool:
        """The encoder read `count` at `time_ns`; times never go back. False: the counter jumped, positions are void."""
        if not self._history:
            self._begin(count, time_ns, float(count))
            return True
        # the shortest way round the circle of 32 bits
        step = (count - self._last_count + ENCODER_MODULUS // 2) % ENCODER_MODULUS - ENCODER_MODULUS // 2
        last_ns, last_at = self._history[-1]
        at = last_at + step
        if abs(step) >= self.jump_counts:
            self._history.clear()
            self._begin(count, time_ns, at)
            return False
        if step == 0 or time_ns <= last_ns:
            return True
        if self._has_stood(time_ns, step):
            self._doubted = (self._run, self._line) if self._line is not None else None
            self._run = deque(maxlen=FIT_SAMPLES)
        elif self._doubted is not None and _goes_on(*self._doubted, time_ns, at):
            self._run = self._doubted[0]
            self._doubted = None
        self._last_count = count
        self._gap_ns = time_ns - last_ns
        self._history.append((time_ns, at))
        self._run.append((time_ns, at))
        self._line = _fit(self._run)
        if self._line is not None:
            self._doubted = None
        return True

    def position(self, time_ns: int, ahead_ns: int = 0) -> BeltUnits | None:
        if not self._history:
            return None
        if time_ns < self._run[0][0]:
            return self._past(time_ns)
        if self._line is None or time_ns > self._holds_until_ns:
            return self._history[-1][1]
        return self._line(time_ns + ahead_ns)

    def time_at(self, position: BeltUnits, now_ns: int) -> int | None:
        line = self._line
        if line is None or line.speed <= 0 or now_ns > self._holds_until_ns:
            return None
        return line.time_ns + ceil((position - line.at) / line.speed) + 1  # not before: rounding must not cost a wakeup

    def _begin(self, count: int, time_ns: int, at: float) -> None:
        self._last_count = count
        self._gap_ns = 0
        self._history.append((time_ns, at))
        self._run.clear()
        self._run.append((time_ns, at))
        self._line = self._doubted = None

    @property
    def _holds_until_ns(self) -> int:
        """Until then the belt is taken to go on; without another sample it stands."""
        first_ns, last_ns = self._run[0][0], self._run[-1][0]
        if len(self._run) < 2:
            return last_ns
        interval_ns = (last_ns - first_ns) // (len(self._run) - 1)
        return last_ns + max(SHORTEST_HOLD_NS, interval_ns + LATE_NS)

    def _has_stood(self, time_ns: int, step: int) -> bool:
        """Whether the belt stood before this sample; a sample that was only held up fits to the old speed."""
        gap_ns = time_ns - self._history[-1][0]
        if gap_ns > LONGEST_INTERVAL_NS:
            return True
        if self._line is None:
            return gap_ns > max(SHORTEST_HOLD_NS, self._gap_ns + LATE_NS)
        if time_ns <= self._holds_until_ns:
            return False
        return not _goes_on(self._run, self._line, time_ns, self._run[-1][1] + step)

    def _past(self, time_ns: int) -> BeltUnits | None:
        """Between two samples of the history."""
        after = bisect_right(self._history, time_ns, key=lambda sample: sample[0])
        if after == 0:
            return None
        (before_ns, before), (after_ns, at) = self._history[after - 1], self._history[after]
        return before + (at - before) * (time_ns - before_ns) / (after_ns - before_ns)


def _goes_on(samples: deque[tuple[int, float]], line: _Line, time_ns: int, at: float) -> bool:
    """Whether the belt of these samples is at `at` when it just goes on."""
    last_ns, last_at = samples[-1]
    expected = line.speed * (time_ns - last_ns)
    return abs(at - last_at - expected) <= STALL_TOLERANCE * abs(expected) + 1


def _fit(samples: deque[tuple[int, float]]) -> _Line | None:
    """The least-squares line; None when the samples are too close to show a speed. Differences are small, so floats
    hold them exactly enough."""
    first_ns, first_at = samples[0]
    if samples[-1][0] - first_ns < SHORTEST_SPAN_NS:
        return None
    times = [time_ns - first_ns for time_ns, _ in samples]
    steps = [at - first_at for _, at in samples]
    mean_time, mean_step = sum(times) / len(times), sum(steps) / len(steps)
    spread = sum((time - mean_time) ** 2 for time in times)
    together = sum((time - mean_time) * (step - mean_step) for time, step in zip(times, steps, strict=True))
    centre_ns = round(mean_time)
    speed = together / spread
    return _Line(first_ns + centre_ns, first_at + mean_step + speed * (centre_ns - mean_time), speed)
