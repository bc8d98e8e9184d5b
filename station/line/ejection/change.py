"""Other settings of the ejectors while the station runs.

The stage takes them when no part is on its way to an ejector: the settings at its trigger decide about every part.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable

import structlog

from station.line.ejection.messages import OnBelt, TrackingSettings
from station.line.ejection.stage import EjectionStage

log = structlog.get_logger()

STANDS_S = 5.0
"""Longest wait for a belt that stands with parts on it: somebody has to start it."""
BACK_S = 10.0
"""After a change that failed: time for the parts that came meanwhile to reach their ejectors."""
TURN_S = 0.01


class BeltNotEmpty(Exception):
    """The settings were not taken: parts stay between camera and ejector."""


def change_tracking(
    stage: EjectionStage, settings: TrackingSettings, give_up_s: float, check: Callable[[], None] = lambda: None
) -> None:
    """Waits until the belt is empty and hands over the settings. `give_up_s`: time limit, of the monotonic clock.
    `check`: raises what ends the wait.

    Raises BeltNotEmpty, and queue.Empty when the stage does not reply: it may take the settings all the same, so call
    `change_tracking_back`.
    """
    moved_s = time.monotonic()
    while (on_belt := stage.change(settings)) is not None:
        now_s = time.monotonic()
        moved_s = moved_s if on_belt.stands else now_s
        check()
        if now_s - moved_s > STANDS_S or now_s > give_up_s:
            raise BeltNotEmpty(_what_to_do(on_belt))
        time.sleep(TURN_S)


def change_tracking_back(stage: EjectionStage, settings: TrackingSettings) -> None:
    """Undoes a change, made or not. Parts that stay on the belt are given up then: the line stops and names them."""
    try:
        change_tracking(stage, settings, time.monotonic() + BACK_S)
    except (BeltNotEmpty, queue.Empty) as problem:
        log.error("parts are lost: the ejectors have to go back to their old settings", problem=str(problem))
        with contextlib.suppress(queue.Empty):  # the message is in its inbox; a stage that has died ends the station
            stage.change(settings, lose_parts=True)


def _what_to_do(on_belt: OnBelt) -> str:
    if not on_belt.parts:
        return "a push is not over or not confirmed yet; try again when the bins have seen their parts"
    parts = f"{on_belt.parts} parts are" if on_belt.parts > 1 else "a part is"
    if on_belt.stands:
        return f"{parts} between camera and ejector and the belt stands: run it empty, then try again"
    return f"{parts} still between camera and ejector: stop feeding parts and run the belt empty, then try again"
