"""The conveyor: where each part is, who stands in front of the ejector, and in which bin each part ends.

All positions are encoder counts, measured from where parts are put on the belt:

    0 ── entry sensor ── light barrier and camera ────────────── ejector ── good bin
                          (centre of the part)                     │
                                                                reject bin

The belt knows the parts themselves and nothing of ids or verdicts: it is the truth that everything else is held to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

PITCH_COUNTS = 1000
"""Distance from part to part; 10 counts are 1 mm."""
PART_LENGTH_COUNTS = 600
VIEW_COUNTS = (100, 650)
"""A part is in front of the camera from so much before to so much after the light barrier."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand along the belt, in counts, and how fast it runs."""

    speed_counts_per_s: float
    entry_counts: int
    barrier_counts: int
    ejector_counts: int

    @classmethod
    def for_rate(cls, rate_per_s: float, transit_s: float) -> Layout:
        """A belt that brings `rate_per_s` parts a second; each needs at least `transit_s` from barrier to ejector."""
        speed = rate_per_s * PITCH_COUNTS
        # Entry sensor to barrier is less than a pitch, so that the id of a part is given when the part before it has
        # been taken, and at most 0.5 s, because a station gives up an id that no frame follows.
        barrier = 900
        entry = barrier - min(850, round(0.5 * speed))
        return cls(speed, entry, barrier, barrier + max(PITCH_COUNTS, round(transit_s * speed)))

    @property
    def sensor_counts(self) -> int:
        """The sensor before the ejector: the part before has left, this one is not there yet."""
        return self.ejector_counts - PART_LENGTH_COUNTS // 2 - 20

    @property
    def barrier_to_ejector_counts(self) -> int:
        return self.ejector_counts - self.barrier_counts


class Bin(str, Enum):
    """Where a part ends."""

    GOOD = "good"
    REJECT = "reject"
    HAND = "hand"
    """Taken off by hand."""


class Place(Enum):
    """Places a part passes on its way, in order."""

    ENTRY = "entry"
    INTO_VIEW = "into view"
    BARRIER = "barrier"
    OUT_OF_VIEW = "out of view"
    SENSOR = "sensor before the ejector"
    PAST_EJECTOR = "past the ejector"


@dataclass(frozen=True, slots=True)
class Passage:
    """A part came to a place. `at_counts` is the encoder at that moment, as a counter with capture input latches it."""

    serial: int
    place: Place
    at_counts: int


@dataclass(frozen=True, slots=True)
class Ejection:
    """A part was pushed off."""

    serial: int
    at_counts: int
    error_counts: int
    """Position of the part's centre minus that of the ejector."""


@dataclass(slots=True)
class _OnBelt:
    serial: int
    put_on_at: int
    next_place: int = 0


@dataclass(slots=True)
class Belt:
    """Moves only to an encoder count that is passed in, so it can be driven by any clock."""

    layout: Layout
    _parts: list[_OnBelt] = field(default_factory=list)
    _last_put_on: int = -PITCH_COUNTS
    _places: tuple[tuple[Place, int], ...] = field(init=False)

    def __post_init__(self) -> None:
        self._places = _places(self.layout)

    @property
    def empty(self) -> bool:
        return not self._parts

    def has_room(self, encoder: int) -> bool:
        """True when the last part has moved on by one pitch."""
        return encoder - self._last_put_on >= PITCH_COUNTS

    def all_past(self, place: Place) -> bool:
        """Every part on the belt has come to this place."""
        passed = [known for known, _ in self._places].index(place)
        return all(part.next_place > passed for part in self._parts)

    def put_on(self, serial: int, encoder: int) -> None:
        """Puts a part on the belt at position 0."""
        if not self.has_room(encoder):
            raise ValueError(f"part {serial} at encoder {encoder}: the last one lies at {self._last_put_on}")
        self._parts.append(_OnBelt(serial, encoder))
        self._last_put_on = encoder

    def put_behind_camera(self, serial: int, encoder: int) -> None:
        """Puts a part on the belt by hand, where the camera does not see it any more."""
        places = [place for place, _ in self._places]
        behind = self.layout.barrier_counts + VIEW_COUNTS[1]
        self._parts.append(_OnBelt(serial, encoder - behind, places.index(Place.OUT_OF_VIEW) + 1))

    def take_off(self, serial: int) -> None:
        """Takes a part off by hand."""
        self._parts = [part for part in self._parts if part.serial != serial]

    def advance(self, encoder: int) -> list[Passage]:
        """Everything that happened up to this encoder count, part by part, oldest part first."""
        passages = []
        for part in tuple(self._parts):
            for place, position in self._places[part.next_place :]:
                if encoder - part.put_on_at < position:
                    break
                passages.append(Passage(part.serial, place, part.put_on_at + position))
                part.next_place += 1
                if place is Place.PAST_EJECTOR:
                    self._parts.remove(part)
        return passages

    def fire_ejector(self, encoder: int) -> Ejection | None:
        """Pushes off the part in front of the ejector, if one is there."""
        for part in self._parts:
            error = encoder - part.put_on_at - self.layout.ejector_counts
            if abs(error) < PART_LENGTH_COUNTS // 2:
                self._parts.remove(part)
                return Ejection(part.serial, encoder, error)
        return None


def _places(layout: Layout) -> tuple[tuple[Place, int], ...]:
    """Where a part passes them, in counts after it was put on."""
    return (
        (Place.ENTRY, layout.entry_counts),
        (Place.INTO_VIEW, max(layout.entry_counts, layout.barrier_counts - VIEW_COUNTS[0])),
        (Place.BARRIER, layout.barrier_counts),
        (Place.OUT_OF_VIEW, layout.barrier_counts + VIEW_COUNTS[1]),
        (Place.SENSOR, layout.sensor_counts),
        (Place.PAST_EJECTOR, layout.ejector_counts + PART_LENGTH_COUNTS // 2),
    )
