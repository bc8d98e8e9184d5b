"""The steps of a stop: each has its time, and whatever one of them does, the next one is taken."""

from __future__ import annotations

import threading

import pytest
from structlog.testing import capture_logs

from station.daemon.supervisor import Stopping


def test_a_step_that_hangs_does_not_hold_up_the_next_one() -> None:
    gate, taken = threading.Event(), threading.Event()
    stopping = Stopping()
    with capture_logs() as logs:
        stopping.step("link", 0.05, gate.wait)
        stopping.step("control", 20.0, taken.set)
    assert taken.is_set()
    assert stopping.hanging == ["link"]
    assert [entry["step"] for entry in logs] == ["link"]
    gate.set()


def test_a_step_for_which_no_thread_can_be_started_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fails)
    stopping = Stopping()
    with capture_logs() as logs:
        stopping.step("link", 1.0, lambda: None)
    assert stopping.hanging == ["link"]
    assert logs[0]["problem"] == "can't start new thread"
