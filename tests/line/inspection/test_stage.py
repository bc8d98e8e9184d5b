"""The inspection stage: what is done for a frame is done once, by the inspector that judges it, and never lost."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from engines.engine import Prepared
from engines.errors import PartNotLocated
from engines.scale import ScoreScale
from station.codes import ReasonCode
from station.line.inspection import inspector as inspector_module
from station.line.inspection.decision import Limits
from station.line.inspection.frame_quality import frame_quality
from station.line.inspection.inspector import Inspector, ViewLimits
from station.line.inspection.stage import Inspected, InspectionStage, InspectorChanged
from station.results import Frame, FrameQuality, Identity, Part, Pixels, Scores, Verdict
from tests.bench.waiting import wait_for

WAIT_S = 10.0
QUEUE_SIZE = 3


@dataclass
class CountingScorer:
    """An engine that says how often it was asked, and waits for a gate."""

    prepared: list[int] = field(default_factory=list)
    """Frames, by the value of their pixels."""
    by: list[str] = field(default_factory=list)
    """The threads that prepared them."""
    scored: list[int] = field(default_factory=list)
    reached: threading.Event = field(default_factory=threading.Event)
    """The engine has been asked, and waits at its gate."""
    gate: threading.Event = field(default_factory=threading.Event)
    closed: bool = False

    def prepare(self, pixels: Pixels, /) -> Prepared:
        self.by.append(threading.current_thread().name)
        self.prepared.append(int(pixels[0, 0]))
        if pixels[0, 0] == 255:
            raise ValueError("this frame cannot be prepared")
        return pixels

    def score(self, prepared: Sequence[Prepared], /) -> Sequence[Scores | PartNotLocated]:
        self.reached.set()
        assert self.gate.wait(WAIT_S)
        for one in prepared:
            assert isinstance(one, np.ndarray)
            self.scored.append(int(one[0, 0]))
        return [Scores(0.0, np.zeros((2, 2), np.float32), 1, 2) for _ in prepared]

    def close(self) -> None:
        self.closed = True


def inspector(scorer: CountingScorer) -> Inspector:
    scale = ScoreScale(typical=0.0, limit=1.0)
    return Inspector(scorer, "0" * 64, scale, scale, ViewLimits(Limits(0.5, 0.4), 0.5, 0.1))


def frame(number: int, camera: str = "top") -> Frame:
    return Frame(camera, number, np.full((8, 8), number, np.uint8), 0, 0)


def part(number: int) -> Part:
    return Part(number, 0, "line", 0, 0.0, 10**12)


class Line:
    """The stage with its posts."""

    def __init__(self) -> None:
        self.posts: queue.SimpleQueue[Inspected | InspectorChanged] = queue.SimpleQueue()
        self.stage = InspectionStage(self.posts.put, queue_size=QUEUE_SIZE)
        self.scorer = CountingScorer()
        self.scorer.gate.set()

    def install(self, scorer: CountingScorer) -> None:
        self.stage.install(inspector(scorer))
        assert isinstance(self.posts.get(timeout=WAIT_S), InspectorChanged)

    def inspected(self) -> Inspected:
        post = self.posts.get(timeout=WAIT_S)
        assert isinstance(post, Inspected)
        return post


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    line.stage.start()
    line.install(line.scorer)
    yield line
    line.scorer.gate.set()
    assert line.stage.stop(WAIT_S)


def test_a_frame_that_was_begun_is_prepared_once(line: Line) -> None:
    taken = frame(7)
    line.stage.begin(taken)
    assert line.stage.submit(part(1), taken)
    found = line.inspected()
    assert (found.acquisition_id, found.inspection.decision.verdict) == (1, Verdict.PASS)
    assert found.inspection.frame is taken  # and not a copy of its pixels
    assert (line.scorer.prepared, line.scorer.scored) == ([7], [7])


def test_a_frame_that_was_not_begun_is_judged_all_the_same(line: Line) -> None:
    assert line.stage.submit(part(1), frame(7))
    assert line.inspected().inspection.decision.verdict is Verdict.PASS
    assert (line.scorer.prepared, line.scorer.scored) == ([7], [7])


def test_quality_is_measured_once_for_each_frame(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []

    def counted(pixels: Pixels, _missing: object) -> FrameQuality:
        measured.append(int(pixels[0, 0]))
        return frame_quality(pixels)

    monkeypatch.setattr(inspector_module, "frame_quality", counted)
    for number in (1, 2):
        taken = frame(number)
        line.stage.begin(taken)
        assert line.stage.submit(part(number), taken)
        line.inspected()
    assert measured == [1, 2]


def test_the_next_frame_is_prepared_while_the_engine_runs(line: Line) -> None:
    line.scorer.gate.clear()
    first, second = frame(1), frame(2)
    line.stage.begin(first)
    assert line.stage.submit(part(1), first)
    assert line.scorer.reached.wait(WAIT_S)
    line.stage.begin(second)
    begun = next(begun for begun in line.stage._begun if begun.frame is second)
    assert begun.prepared.result(WAIT_S) is second.pixels  # the engine still waits at its gate
    assert line.scorer.scored == []
    assert line.stage.submit(part(2), second)
    line.scorer.gate.set()
    assert [line.inspected().acquisition_id for _ in range(2)] == [1, 2]
    assert line.scorer.prepared == [1, 2]


def test_the_thread_that_waits_for_work_prepares_the_frame_itself(line: Line) -> None:
    taken = frame(7)
    wait_for(lambda: line.stage._idle, "the inspection thread to wait for work")
    line.stage.begin(taken)
    (begun,) = line.stage._begun
    assert begun.prepared.result(WAIT_S) is taken.pixels  # nobody knows yet whose it is
    assert line.scorer.by == ["inspection"]


def test_views_that_wait_together_go_through_the_engine_together(line: Line) -> None:
    line.scorer.gate.clear()
    assert line.stage.submit(part(1), frame(1))
    for camera, number in (("top", 2), ("side", 3)):
        assert line.stage.submit(part(2), frame(number, camera))
    line.scorer.gate.set()
    assert [line.inspected().inspection.camera for _ in range(3)] == ["top", "top", "side"]


def test_another_inspector_prepares_anew(line: Line) -> None:
    taken, other = frame(7), CountingScorer()
    other.gate.set()
    line.stage.begin(taken)
    line.install(other)
    assert line.stage.submit(part(1), taken)
    assert line.inspected().inspection.decision.verdict is Verdict.PASS
    assert (line.scorer.scored, other.prepared, other.scored) == ([], [7], [7])
    assert line.scorer.closed


def test_frames_that_find_no_part_do_not_pile_up(line: Line) -> None:
    frames = [frame(number) for number in range(QUEUE_SIZE + 5)]
    for taken in frames:
        line.stage.begin(taken)
    assert len(line.stage._begun) == QUEUE_SIZE
    assert line.stage.submit(part(1), frames[0])  # fell out: prepared again
    assert line.inspected().inspection.decision.verdict is Verdict.PASS
    assert line.scorer.prepared.count(0) == 2


def test_a_frame_that_cannot_be_prepared_is_an_error_part(line: Line) -> None:
    bad = frame(255)
    line.stage.begin(bad)
    assert line.stage.submit(part(1), bad)
    decision = line.inspected().inspection.decision
    assert (decision.verdict, decision.code) == (Verdict.ERROR, ReasonCode.ENGINE_RAISED)


def test_a_full_queue_refuses(line: Line) -> None:
    line.scorer.gate.clear()
    accepted = 0
    while accepted < 20 and line.stage.submit(part(accepted), frame(accepted)):
        accepted += 1
    assert QUEUE_SIZE < accepted < 20
    line.scorer.gate.set()
    assert [line.inspected().acquisition_id for _ in range(accepted)] == list(range(accepted))


IDENTITY = Identity("session", "disc", 1, "c" * 64)


def test_each_part_stays_with_the_engine_that_its_first_view_met(line: Line) -> None:
    """Views of two parts come one by one while another engine is installed: no part is judged by half a change."""
    other = CountingScorer()
    other.gate.set()
    assert line.stage.submit(part(4), frame(1, "left"))
    line.inspected()
    assert line.stage.install_between_parts(inspector(other), IDENTITY) == 4
    changed = line.posts.get(timeout=WAIT_S)
    assert isinstance(changed, InspectorChanged)
    assert (changed.after, changed.identity) == (4, IDENTITY)
    for number, camera, pixel in ((5, "left", 2), (4, "right", 3), (5, "right", 4)):
        assert line.stage.submit(part(number), frame(pixel, camera))
        assert line.inspected().acquisition_id == number
    assert (line.scorer.scored, other.scored) == ([1, 3], [2, 4])
    assert not line.scorer.closed
    line.stage.retire()
    assert (line.scorer.closed, other.closed) == (True, False)


def test_frames_that_were_queued_before_stay_with_the_engine_before(line: Line) -> None:
    other = CountingScorer()
    other.gate.set()
    line.scorer.gate.clear()
    assert line.stage.submit(part(1), frame(1))
    assert line.scorer.reached.wait(WAIT_S)
    assert line.stage.submit(part(2), frame(2))
    last: list[int] = []
    asking = threading.Thread(target=lambda: last.append(line.stage.install_between_parts(inspector(other), IDENTITY)))
    asking.start()
    wait_for(lambda: line.stage._queue.qsize() == 2, "the other engine to wait behind part 2")
    line.scorer.gate.set()
    asking.join()
    assert last == [2]
    assert line.stage.submit(part(3), frame(3))
    wait_for(lambda: other.scored == [3], "part 3")
    assert line.scorer.scored == [1, 2]


def test_a_stop_closes_both(line: Line) -> None:
    other = CountingScorer()
    line.stage.install_between_parts(inspector(other), IDENTITY)
    assert line.stage.stop(WAIT_S)
    assert line.scorer.closed
    assert other.closed
