"""The watch on lines in numbers: nothing where nothing changes, the right name where something does, over restarts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from station.monitoring.band import is_independent, spread_of
from station.monitoring.diagnosis import Cause
from station.monitoring.seen import SeenPart
from station.monitoring.shares import LEARNED_SCORES
from station.monitoring.streams import BLOCK, LEARNED_BLOCKS
from station.monitoring.watch import Promise, Watch, WatchSettings
from tests.monitoring.line import Line

SETTINGS = WatchSettings(parts_per_hour=3600, false_alarms_per_year=1, defect_share=0.01, not_inspected_share=0.005)
PROMISE = Promise(rejected=0.01, doubted=0.05)
NORMAL = Line()
LEARNING = 1200
"""Scores of parts that pass take a few more parts than pictures."""


def watch_of(line: Line, random: np.random.Generator, parts: int = LEARNING) -> Watch:
    watch = Watch(SETTINGS, PROMISE)
    for part in line.parts(parts, random):
        watch.add(part)
    return watch


def delay(watch: Watch, line: Line, random: np.random.Generator, most: int) -> int:
    """Parts until a change is named; `most`: none was."""
    for number, part in enumerate(line.parts(most, random), start=1):
        watch.add(part)
        if watch.finding is not None:
            return number
    return most


def test_a_line_that_stays_as_it_is_gives_no_alarm() -> None:
    random = np.random.default_rng(1)
    watch = watch_of(NORMAL, random)
    assert watch.learned == 1
    assert delay(watch, NORMAL, random, 8000) == 8000


def test_light_that_wanders_slowly_within_what_was_learned_gives_no_alarm() -> None:
    random = np.random.default_rng(2)
    line = replace(NORMAL, wander=0.01)
    watch = watch_of(line, random)
    assert delay(watch, line, random, 6000) == 6000


@pytest.mark.parametrize(
    ("change", "cause", "within"),
    [
        ({"grey": 114.0}, Cause.LIGHT, 400),
        ({"grey": 108.0}, Cause.LIGHT, 300),
        ({"grey": 86.0, "score_shift": 3.0, "rejected": 0.9}, Cause.LIGHT, 300),
        ({"sharpness": 0.05}, Cause.LENS, 300),
        ({"sharpness": 0.05, "score_shift": -2.0}, Cause.LENS, 300),
        ({"sharpness": 0.12, "score_shift": 2.0}, Cause.PRODUCT, 300),
        ({"place": 0.56}, Cause.POSITION, 300),
        ({"score_shift": 1.5}, Cause.PRODUCT, 300),
        ({"score_shift": -1.5}, Cause.PRODUCT, 300),
        ({"not_inspected": 0.1}, Cause.MECHANICS, 600),
        ({"rejected": 0.1}, Cause.REJECTS, 600),
        ({"in_review": 0.2}, Cause.REJECTS, 600),
    ],
)
def test_a_change_is_found_and_named(change: dict[str, float], cause: Cause, within: int) -> None:
    random = np.random.default_rng(3)
    watch = watch_of(NORMAL, random)
    assert delay(watch, replace(NORMAL, **change), random, within) < within
    assert watch.finding is not None
    assert watch.finding.cause is cause
    assert "normal" in str(watch.finding)


def test_where_parts_vary_much_a_small_change_shows_in_time() -> None:
    """The band of the medians is 30 % wide; a lamp at -10 % is within it."""
    random, line = np.random.default_rng(11), replace(NORMAL, grey_spread=0.3)
    watch = watch_of(line, random)
    assert delay(watch, line, random, 6000) == 6000
    assert delay(watch, replace(line, grey=96.0), random, 4000) < 4000
    assert watch.finding is not None
    assert watch.finding.cause is Cause.LIGHT
    assert "below" in str(watch.finding)
    for part in line.parts(2000, random):
        watch.add(part)
    assert watch.finding is None, "as before"


def test_light_that_wanders_is_not_followed_part_by_part() -> None:
    """Its band is wide because it moves by itself, slowly: a long stay on one side is normal then."""
    random, line = np.random.default_rng(12), replace(NORMAL, wander=0.06)
    watch = watch_of(line, random)
    assert delay(watch, line, random, 10_000) == 10_000


def test_independent_parts_are_seldom_taken_for_a_wander() -> None:
    """Else a twentieth less light would be normal on one line of a hundred."""
    random = np.random.default_rng(13)
    wanders = 0
    for _ in range(400):
        blocks = 120 + 2.4 * random.normal(size=(LEARNED_BLOCKS, BLOCK))
        spread = float(np.median([spread_of(block.tolist()) for block in blocks]))
        wanders += not is_independent(np.median(blocks, axis=1).tolist(), spread, BLOCK)
    assert wanders <= 2


def test_blurred_highlights_are_the_lens_and_not_the_light() -> None:
    random = np.random.default_rng(10)

    def glossy(line: Line, saturated: float, parts: int) -> Iterator[SeenPart]:
        for part in line.parts(parts, random):
            yield replace(part, views=tuple(replace(view, saturated=saturated) for view in part.views))

    watch = Watch(SETTINGS, PROMISE)
    for part in (*glossy(NORMAL, 0.10, LEARNING), *glossy(replace(NORMAL, sharpness=0.05), 0.06, 300)):
        watch.add(part)
    assert watch.finding is not None
    assert watch.finding.cause is Cause.LENS


def test_a_cause_that_explains_more_replaces_what_was_named_first() -> None:
    random = np.random.default_rng(4)
    watch = watch_of(NORMAL, random)
    strange = replace(NORMAL, score_shift=1.5)
    delay(watch, strange, random, 400)
    assert watch.finding is not None
    assert watch.finding.cause is Cause.PRODUCT
    for part in replace(strange, grey=100.0).parts(400, random):
        watch.add(part)
    assert watch.finding.cause is Cause.LIGHT


def test_when_all_is_as_before_the_finding_goes() -> None:
    random = np.random.default_rng(5)
    watch = watch_of(NORMAL, random)
    delay(watch, replace(NORMAL, grey=100.0), random, 400)
    assert watch.finding is not None
    for part in NORMAL.parts(1500, random):
        watch.add(part)
    assert watch.finding is None


def test_a_person_says_that_what_comes_now_is_normal() -> None:
    random = np.random.default_rng(6)
    watch = watch_of(NORMAL, random)
    new_lamp = replace(NORMAL, grey=100.0)
    delay(watch, new_lamp, random, 400)
    watch.learn_again()
    assert watch.finding is None
    assert delay(watch, new_lamp, random, 3000) == 3000
    assert delay(watch, NORMAL, random, 400) < 400


def test_what_moved_while_it_was_learned_is_not_normal() -> None:
    """The lamp warms up in the first 500 parts: the band is that of after."""
    random = np.random.default_rng(7)
    watch = Watch(SETTINGS, PROMISE)
    for part in (*replace(NORMAL, grey=100.0).parts(500, random), *NORMAL.parts(2000, random)):
        watch.add(part)
    assert watch.learned == 1
    assert watch.finding is None
    assert delay(watch, replace(NORMAL, grey=112.0), random, 400) < 400


@pytest.mark.parametrize("stopped_after", [10, 700, LEARNING + 40, LEARNING + 130])
def test_a_restart_changes_nothing(stopped_after: int) -> None:
    """The same parts, once in one go and once with everything written and read in between."""
    random = np.random.default_rng(8)
    parts = [*NORMAL.parts(LEARNING, random), *replace(NORMAL, grey=110.0).parts(300, random)]
    whole, first, second = (Watch(SETTINGS, PROMISE) for _ in range(3))
    for part in parts[:stopped_after]:
        whole.add(part)
        first.add(part)
    second.restore(json.loads(json.dumps(first.memory)))
    for part in parts[stopped_after:]:
        whole.add(part)
        second.add(part)
    assert second.memory == whole.memory
    assert second.finding == whole.finding
    assert whole.finding is not None


def test_what_is_no_memory_of_a_watch_is_refused() -> None:
    memory = Watch(SETTINGS, PROMISE).memory
    for spoilt in ({}, {**memory, "streams": {"nothing": {}}}, {**memory, "settling": "x"}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            Watch(SETTINGS, PROMISE).restore(spoilt)


def test_a_value_that_is_no_number_is_left_out() -> None:
    random = np.random.default_rng(9)
    watch = watch_of(NORMAL, random)
    (part,) = NORMAL.parts(1, random)
    for _ in range(200):
        watch.add(replace(part, score=float("nan"), views=(replace(part.views[0], sharpness=float("inf")),)))
    assert watch.finding is None
    assert LEARNED_SCORES == 1000
