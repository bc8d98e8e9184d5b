"""The shared-memory ring: what comes out is what went in, and a slot in use is never overwritten."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from station.line.acquisition.ring import FrameRing

SLOTS, SHAPE = 3, (4, 5)


class RingMachine(RuleBasedStateMachine):
    """Producer and consumer, each with its own mapping of the memory, against a plain dictionary."""

    def __init__(self) -> None:
        super().__init__()
        fd = FrameRing.allocate(SLOTS, SHAPE)
        self.producer, self.consumer = FrameRing(fd, SLOTS, SHAPE), FrameRing(fd, SLOTS, SHAPE)
        os.close(fd)
        self.in_use: dict[int, int] = {}

    def teardown(self) -> None:
        self.producer.close()
        self.consumer.close()

    @rule(grey=st.integers(0, 255))
    def put(self, grey: int) -> None:
        slot = self.producer.put(np.full(SHAPE, grey, np.uint8))
        if len(self.in_use) == SLOTS:
            assert slot is None
        else:
            assert slot is not None
            assert slot not in self.in_use
            self.in_use[slot] = grey

    @precondition(lambda self: self.in_use)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        slot = data.draw(st.sampled_from(sorted(self.in_use)))
        del self.in_use[slot]
        self.producer.release(slot)

    @invariant()
    def every_slot_in_use_holds_its_frame(self) -> None:
        for slot, grey in self.in_use.items():
            assert (self.consumer.take(slot) == grey).all()


TestRingMachine = RingMachine.TestCase
TestRingMachine.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)


@pytest.fixture
def ring() -> Iterator[FrameRing]:
    fd = FrameRing.allocate(SLOTS, SHAPE)
    ring = FrameRing(fd, SLOTS, SHAPE)
    os.close(fd)
    yield ring
    ring.close()


def test_a_taken_frame_is_an_own_copy(ring: FrameRing) -> None:
    slot = ring.put(np.full(SHAPE, 1, np.uint8))
    assert slot is not None
    taken = ring.take(slot)
    ring.release(slot)
    for grey in range(2, 2 + SLOTS):
        ring.put(np.full(SHAPE, grey, np.uint8))
    assert (taken == 1).all()


@pytest.mark.parametrize("slot", [-1, 0, SLOTS])
def test_releasing_a_slot_that_is_not_in_use_is_refused(ring: FrameRing, slot: int) -> None:
    with pytest.raises(ValueError, match="not in use"):
        ring.release(slot)


def test_a_frame_of_another_shape_is_refused(ring: FrameRing) -> None:
    with pytest.raises(ValueError, match="shape"):
        ring.put(np.zeros((5, 4), np.uint8))


def test_memory_smaller_than_the_ring_is_refused() -> None:
    fd = FrameRing.allocate(1, (2, 2))
    try:
        with pytest.raises(ValueError, match="size"):
            FrameRing(fd, 8, (640, 480))
    finally:
        os.close(fd)
