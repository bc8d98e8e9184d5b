"""Recipes with ejector settings of their own, changed while parts are on the belt: no part meets the wrong ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from station.codes import ReasonCode
from station.commissioning import check
from station.configuration import load as config
from station.control import ControlError, request
from station.records.ejections import Ejection, ejections
from station.records.schema import open_reader
from tests.bench.bench import Bench, bad, good
from tests.bench.bench_plc import PlcResult
from tests.bench.waiting import wait_for

SELECT_RECIPE, RELOAD = 1, 8
FIRST, SECOND, BROKEN = 1, 2, 3
"""Their numbers; FAIL goes to the ejector with the number of the recipe."""
BY_TIME = """
[reject]
by = "station"
encoder = "time"
window_ms = 300.0
[[reject.ejectors]]
distance_ms = 1200.0
pulse_ms = 60.0
[[reject.ejectors]]
distance_ms = 1500.0
pulse_ms = 60.0
"""
BY_ENCODER = BY_TIME.replace('"time"', '"camera"').replace("_ms", "_counts").replace(".0", "")
TO_FIRST = '[[reject.ejectors]]\nverdicts = ["FAIL"]\n[[reject.ejectors]]\n'
TO_SECOND = "[reject]\nwindow_{unit} = 290\n[[reject.ejectors]]\n[[reject.ejectors]]\n"
BUSY: dict[str, Any] = {"station__deadline_ms": 8000, "camera__no_frame_ms": 4000}
"""No part is late because the machine has other work."""


def two_recipes(folder: Path, reject: str, unit: str) -> Bench:
    bench = Bench(folder, recipe__active="first", **BUSY)
    bench.config_path.write_text(bench.config_path.read_text() + reject)
    second = TO_SECOND.format(unit=unit).replace("= 290", "= 290.0" if unit == "ms" else "= 290")
    for name, number, text in (("first", FIRST, TO_FIRST), ("second", SECOND, second)):
        path = bench.write_recipe(name, number, camera__exposure_time_us=500.0)
        path.write_text(path.read_text() + text)
    return bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with two_recipes(tmp_path, BY_TIME, "ms") as bench:
        bench.start()
        yield bench


def pushed(bench: Bench) -> list[Ejection]:
    with closing(open_reader(bench.directory / "work" / "records")) as connection:
        return list(ejections(connection))


def pushed_by(bench: Bench, part_id: int) -> int:
    """The ejector that pushed a part, which waits for that to be on record."""
    wait_for(lambda: any(ejection.part_id == part_id for ejection in pushed(bench)), f"the push of part {part_id}")
    (found,) = [ejection for ejection in pushed(bench) if ejection.part_id == part_id]
    return found.ejector


def wait_apart(bench: Bench) -> None:
    """Until the next part is far enough from the last one."""
    last_ns = bench.scene.exposure().trigger_ns
    wait_for(lambda: time.monotonic_ns() > last_ns + 600_000_000, "the last part to be far enough")


def bad_part(bench: Bench) -> int:
    part_id = bench.send(bad())
    assert not bench.result(part_id).passed
    return part_id


def test_every_part_is_pushed_by_the_settings_that_it_was_triggered_under(bench: Bench) -> None:
    """The recipe changes while bad parts, good parts and one that nobody inspects are on the belt."""
    under: dict[int, int] = {}
    passed: list[PlcResult] = []
    for number in (FIRST, SECOND, FIRST, SECOND):
        under[bad_part(bench)] = number
        bench.plc.set(command=SELECT_RECIPE, command_argument=SECOND + FIRST - number, execute=True)
        wait_for(lambda: not bench.plc.ready, "TriggerReady to fall")
        if number == SECOND:
            wait_apart(bench)
            bench.scene.pulse_line1()  # nobody announced it: a part that is missed
        wait_for(lambda: bench.plc.status is not None and bench.plc.status.command_completed, "the change")
        changed = time.time()
        wait_for(lambda: len(pushed(bench)) >= len(under), "the pushes on record")
        assert all(push.wall_time <= changed for push in pushed(bench)), "the parts on the belt come first"
        bench.plc.set(execute=False)
        wait_for(lambda: bench.plc.ready, "TriggerReady")
        passed.append(bench.part(good()))
        wait_apart(bench)
    assert all(result.passed for result in passed)
    for part_id, number in under.items():
        assert pushed_by(bench, part_id) == number
    assert bench.terminate() == 0
    missed = [ejection for ejection in pushed(bench) if ejection.reason is ReasonCode.NOT_READY]
    assert [ejection.ejector for ejection in missed] == [SECOND] * 2, "the last ejector takes them, once each"
    assert len(pushed(bench)) == len(under) + len(missed), "good parts are on no list"
    rows = {row.part_id: row for row in bench.rows()}
    assert {rows[part_id].recipe for part_id, number in under.items() if number == FIRST} == {"first"}
    bench.assert_balanced(len(under) + len(passed))


def test_a_change_that_fails_later_leaves_the_old_settings(bench: Bench) -> None:
    broken = bench.write_recipe("broken", BROKEN, camera__exposure_time_us=9_999_999.0)
    broken.write_text(broken.read_text() + "[[reject.ejectors]]\ndistance_ms = 700.0\n[[reject.ejectors]]\n")
    assert not bench.plc.command(SELECT_RECIPE, BROKEN)
    assert "ExposureTime" in bench.status()["refused"], "the camera, after the ejectors had their settings"
    wait_for(lambda: bench.plc.ready, "TriggerReady")
    assert pushed_by(bench, bad_part(bench)) == FIRST
    for wired in ('by = "plc"', 'encoder = "plc"'):
        broken.write_text(f"number = {BROKEN}\n[reject]\n{wired}\n")
        assert not bench.plc.command(SELECT_RECIPE, BROKEN)
        assert "unknown key; allowed here" in bench.status()["refused"]
    wait_for(lambda: bench.plc.ready, "TriggerReady")
    assert pushed_by(bench, bad_part(bench)) == FIRST


def test_reload_takes_up_what_a_recipe_may_set(bench: Bench) -> None:
    on_the_belt = bad_part(bench)
    path = bench.directory / "recipes" / "first.toml"
    path.write_text(path.read_text().replace('verdicts = ["FAIL"]', 'reasons = ["NOT_READY"]'))
    assert bench.plc.command(RELOAD)
    assert pushed_by(bench, on_the_belt) == FIRST
    wait_for(lambda: bench.plc.ready, "TriggerReady")
    assert pushed_by(bench, bad_part(bench)) == SECOND
    found = {finding.what: finding.detail for finding in check.check(config.load(bench.config_path))}
    assert "ejector 1 (plc) at 1200 ms, pulse 60 ms, lead 0 ms: NOT_READY; ejector 2" in found["reject"]
    assert "recipe first" in found["configuration"]
    text = bench.config_path.read_text()
    bench.config_path.write_text(text.replace('encoder = "time"', 'encoder = "time"\nencoder_feature = "CounterValue"'))
    assert not bench.plc.command(RELOAD)
    assert "need a restart: reject.encoder_feature" in bench.status()["refused"]
    bench.config_path.write_text(text.replace("distance_ms = 1500.0", "distance_ms = 1600.0"))
    assert bench.plc.command(RELOAD)


def test_refused_while_the_belt_stands_with_a_part_on_it(tmp_path: Path) -> None:
    with two_recipes(tmp_path, BY_ENCODER, "counts") as bench:
        bench.start()
        count, runs, ends = 0, threading.Event(), threading.Event()

        def turn() -> None:
            nonlocal count
            while not ends.wait(0.002):
                count += 5 if runs.is_set() else 0
                bench.scene.set_encoder(count)

        belt = threading.Thread(target=turn)
        belt.start()
        try:
            runs.set()
            wait_for(lambda: count > 500, "the belt to run")
            runs.clear()
            part_id = bad_part(bench)
            with pytest.raises(ControlError, match="a part is between camera and ejector and the belt stands"):
                request(bench.directory / "work" / "control.sock", {"command": "recipe", "recipe": SECOND}, 60.0)
            assert bench.status()["recipe"] == "first"
            wait_for(lambda: bench.plc.ready, "TriggerReady")
            assert not pushed(bench)
            runs.set()
            assert pushed_by(bench, part_id) == FIRST
            assert bench.plc.command(SELECT_RECIPE, SECOND)
            wait_for(lambda: bench.plc.ready, "TriggerReady")
            assert pushed_by(bench, bad_part(bench)) == SECOND
        finally:
            ends.set()
            belt.join()
