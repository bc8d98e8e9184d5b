"""Recipes change while parts run: no part is judged by the wrong one, and a bad one is refused."""

from __future__ import annotations

import random
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.bundle.reading import read_bundle
from engines.store.store import EngineStore
from station.commands import main as cli
from station.configuration.selection import FILE
from station.records.audit import AuditRow, audit_rows
from station.records.configurations import kept_files
from station.records.schema import open_reader
from station.results import Verdict
from tests.bench.bench import HEIGHT, WIDTH, Bench, Picture
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.waiting import wait_for

SELECT_RECIPE, ACTIVATE_ENGINE, RELOAD = 1, 7, 8
GREY = {"dark": 64, "bright": 160}
NUMBER = {"dark": 1, "bright": 2}
BUSY: dict[str, Any] = {"station__deadline_ms": 8000, "camera__no_frame_ms": 4000}
"""No part is late because the machine has other work."""


def part_of(recipe: str) -> Picture:
    """A part that only this recipe passes."""
    return np.full((HEIGHT, WIDTH), GREY[recipe], np.uint8)


def engine_of(bench: Bench, recipe: str) -> str:
    return read_bundle(bench.directory / recipe).manifest.engine_id


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with two_recipes(tmp_path) as bench:
        bench.start()
        yield bench


def two_recipes(directory: Path, **settings: Any) -> Bench:
    bench = Bench(directory, with_engine=False, recipe__active="dark", **(BUSY | settings))
    for recipe, grey in GREY.items():
        reference = np.full((HEIGHT, WIDTH), grey, np.uint8)
        write_small_engine(directory / recipe, width=WIDTH, height=HEIGHT, reference=reference)
        exposure = {"camera__exposure_time_us": 300.0 + NUMBER[recipe]}
        bench.write_recipe(recipe, NUMBER[recipe], engine__path=recipe, **exposure)
    return bench


def station(bench: Bench, *arguments: str) -> int:
    return cli.main([*arguments, "--config", str(bench.config_path)])


def audit(bench: Bench) -> list[AuditRow]:
    with closing(open_reader(bench.directory / "work" / "records")) as connection:
        return list(audit_rows(connection, 100))


def test_no_part_is_judged_by_the_wrong_recipe(bench: Bench) -> None:
    """Parts of both products run at random while the PLC changes the recipe again and again."""
    rng, kinds = random.Random(5), {}
    for change in range(6):
        for _ in range(4):
            kind = rng.choice(tuple(GREY))
            kinds[bench.send(part_of(kind))] = kind  # without waiting for its result
        assert bench.plc.command(SELECT_RECIPE, 1 + (change + 1) % 2)
        wait_for(lambda: bench.plc.ready, "TriggerReady")
    assert len(kinds) == 24
    wait_for(bench.settled, "the last part")
    assert bench.terminate() == 0
    rows = bench.rows()
    bench.assert_balanced(len(rows))
    assert {row.recipe for row in rows} == set(GREY)
    checksums = {row.recipe: row.recipe_checksum for row in rows}
    for row in rows:
        assert row.engine_id == engine_of(bench, row.recipe)
        assert row.recipe_checksum == checksums[row.recipe]
        expected = Verdict.PASS if kinds[row.part_id] == row.recipe else Verdict.FAIL
        assert row.verdict == expected.name
        (told,) = bench.plc.results[row.part_id]
        assert told.result == expected
    # every part is there: with a verdict, or missed and so Reject
    assert len(rows) + bench.counts().missed == len(kinds)
    made = [row for row in audit(bench) if row.action == "recipe"]
    assert [(row.who, row.result) for row in made] == [("plc", "done")] * 6
    assert made[0].before.startswith("dark (1)")
    assert made[0].after.startswith("bright (2)")
    assert "[cameras.top] exposure_time_us: 301.0 -> 302.0; " in made[0].detail
    assert re.search(rf"; engine {engine_of(bench, 'dark')[:12]} -> {engine_of(bench, 'bright')[:12]}$", made[0].detail)
    with closing(open_reader(bench.directory / "work" / "records")) as connection:
        kept = {file.checksum: file for file in kept_files(connection)}
    for row in rows:
        assert kept[row.recipe_checksum].content == (bench.directory / f"recipes/{row.recipe}.toml").read_text()
        assert kept[row.config_checksum].content == bench.config_path.read_text()


def test_map_and_status_say_which_recipe_is_in_force(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.plc.command(SELECT_RECIPE, 2)
    assert bench.plc.status is not None
    assert bench.plc.status.recipe == 2
    state = bench.status()
    assert (state["recipe"], state["recipe_number"]) == ("bright", 2)
    assert len(state["recipe_checksum"]) == 64
    assert station(bench, "status") == 0
    assert "bright, number 2" in capsys.readouterr().out
    wait_for(lambda: bench.plc.ready, "TriggerReady")
    assert bench.part(part_of("bright")).passed
    assert bench.part(part_of("dark")).reject


BROKEN = {
    "no such number": ("", "no recipe has the number 3; there are: 2 bright, 1 dark"),
    "unknown key": ("number = 3\nexposure = 5\n", "exposure: unknown key; allowed here: .*cameras"),
    "no TOML": ("number = 3\n[", "without a number that can be read: third"),
    "two with one number": ("number = 2\n", "number 2 is that of several recipes: bright, third"),
    "missing engine": ('number = 3\n[engine]\npath = "nowhere"\n', "nowhere is not there"),
    "broken engine": ('number = 3\n[engine]\npath = "broken"\n', "broken"),
    "engine for another camera": ('number = 3\n[engine]\npath = "large"\n', "320x64"),
    "unknown camera": ("number = 3\n[cameras.side]\ngain_db = 1.0\n", "cameras.side.*no such camera; it has: top"),
    "forgotten feature": ('number = 3\n[engine]\npath = "dark"\n[cameras.top]\ngain_db = 1.0\n', "Gain.*both"),
    "refused feature": (
        'number = 3\n[engine]\npath = "dark"\n[cameras.top]\nexposure_time_us = 9999999.0\n',
        "ExposureTime.*allowed",
    ),
}


def test_a_bad_recipe_is_refused_and_the_old_one_keeps_running(bench: Bench) -> None:
    (bench.directory / "broken").mkdir()
    write_small_engine(bench.directory / "large", width=320, height=64)
    for what, (text, expected) in BROKEN.items():
        path = bench.directory / "recipes" / "third.toml"
        path.unlink(missing_ok=True)
        if text:
            path.write_text(text)
        number = 2 if what == "two with one number" else 3
        assert not bench.plc.command(SELECT_RECIPE, number), what
        wait_for(lambda: bench.plc.ready, f"TriggerReady after: {what}")
        state = bench.status()
        assert state["recipe"] == "dark", what
        assert re.search(expected, state["refused"]), (what, state["refused"])
        assert bench.part(part_of("dark")).passed, what
    assert (bench.directory / "work" / FILE).exists() is False
    assert bench.terminate() == 0
    refused = [row for row in audit(bench) if row.result == "refused"]
    assert len(refused) == len(BROKEN)


def test_by_the_command_line_and_after_a_restart(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert station(bench, "recipe", "select", "middle") == 2
    assert "there are: bright, dark" in capsys.readouterr().err
    assert station(bench, "recipe", "select", "bright") == 0
    assert station(bench, "recipe", "check") == 0
    assert bench.status()["recipe"] == "bright"
    bench.kill()
    bench.start()
    assert bench.status()["recipe"] == "bright"
    assert bench.part(part_of("bright")).passed
    who = {row.who for row in audit(bench) if row.action == "recipe"}
    assert len(who) == 1
    assert who.pop().startswith("operator ")


def test_a_damaged_selection_falls_back_to_the_start_recipe(bench: Bench) -> None:
    assert bench.plc.command(SELECT_RECIPE, 2)
    bench.kill()
    (bench.directory / "work" / FILE).write_text('{"recipe": "bri')
    bench.start()
    state = bench.status()
    assert state["recipe"] == "dark"
    assert state["warnings"] == ["the recipe that was selected last is not known; the start recipe is active"]
    assert bench.part(part_of("dark")).passed
    assert bench.plc.command(SELECT_RECIPE, 2)
    assert bench.status()["warnings"] == []


def test_killed_during_a_change(tmp_path: Path) -> None:
    """After kill -9 the station has one recipe or the other, whole, and no part without a verdict."""
    with two_recipes(tmp_path) as bench:
        for delay_s in (0.0, 0.15, 0.35, 0.6):
            bench.start()
            recipe = bench.status()["recipe"]
            bench.send(part_of(recipe))
            bench.plc.set(command=SELECT_RECIPE, command_argument=3 - NUMBER[recipe], execute=True)
            wait_for(lambda: not bench.plc.ready, "TriggerReady to fall")
            time.sleep(delay_s)  # the moment to kill: anywhere in the change, also behind its end
            bench.kill()
            bench.plc.set(execute=False)
        bench.start()
        recipe = bench.status()["recipe"]
        assert bench.part(part_of(recipe)).passed
        assert bench.terminate() == 0
        for row in bench.rows():
            if not row.recovered:
                assert row.engine_id == engine_of(bench, row.recipe)
        bench.assert_balanced()


def test_engine_slots_and_reload_by_the_plc(tmp_path: Path) -> None:
    with two_recipes(tmp_path, engine__store="engines") as bench:
        # the store is in the way of `path` in write_config: only the store is left
        text = bench.config_path.read_text().replace('path = "engine"\n', "")
        bench.config_path.write_text(text)
        store = EngineStore(tmp_path / "engines" / "both")
        for recipe in GREY:
            store.add(tmp_path / recipe, why="test")
        store.activate(store.find("1"))
        bench.write_recipe("both", 5, camera__exposure_time_us=500.0)
        bench.config_path.write_text(text.replace('active = "dark"', 'active = "both"'))
        bench.start()
        assert bench.part(part_of("dark")).passed
        assert bench.plc.command(ACTIVATE_ENGINE, 2)
        assert store.active() == store.find("2")
        wait_for(lambda: bench.plc.ready, "TriggerReady")
        assert bench.part(part_of("bright")).passed
        assert not bench.plc.command(ACTIVATE_ENGINE, 9)
        assert 'version "9" is not in store' in bench.status()["refused"]
        checksum = bench.status()["config_checksum"]
        bench.config_path.write_text(bench.config_path.read_text() + "[quality]\nmin_mean_grey = 7.0\n")
        assert bench.plc.command(RELOAD)
        assert bench.status()["config_checksum"] != checksum
        bench.config_path.write_text(bench.config_path.read_text().replace("deadline_ms = 8000", "deadline_ms = 8001"))
        assert not bench.plc.command(RELOAD)
        assert "need a restart: station" in bench.status()["refused"]

        bench.config_path.write_text(bench.config_path.read_text().replace("deadline_ms = 8001", "deadline_ms = 8000"))
        second, in_force = store.find("2"), bench.status()["engine_id"]
        second.path.rename(tmp_path / "taken out")
        for leads_to, said in (
            (second.name, "which is not in the store; activate another version"),
            (str(tmp_path / "taken out"), "which is not in the store; activate another version"),
            (None, "a reload takes no engine away"),
        ):
            store.active_link.unlink()
            if leads_to is not None:
                store.active_link.symlink_to(leads_to)
            assert not bench.plc.command(RELOAD)
            assert said in bench.status()["refused"]
            wait_for(lambda: bench.plc.ready, "TriggerReady")
            assert bench.part(part_of("bright")).passed
        assert bench.status()["engine_id"] == in_force


def test_the_audit_log_is_append_only(bench: Bench) -> None:
    assert bench.plc.command(SELECT_RECIPE, 2)
    assert bench.terminate() == 0
    before = audit(bench)
    with closing(sqlite3.connect(bench.directory / "work" / "records" / "records.db")) as connection:
        for statement in ("DELETE FROM audit", "UPDATE audit SET who = 'nobody'"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
    assert audit(bench) == before
    assert [row.action for row in before] == ["start", "recipe"]


def test_a_change_that_is_under_way_at_the_stop_is_on_record(tmp_path: Path) -> None:
    """It waits for a part whose frame never comes; its row was lost, for the recorder had ended before the change."""
    with two_recipes(tmp_path, camera__no_frame_ms=15_000, station__deadline_ms=16_000) as bench:
        bench.start()
        bench.scene.fail_dropped(1)
        bench.send(part_of("dark"))
        said: list[int] = []
        asking = threading.Thread(target=lambda: said.append(station(bench, "recipe", "select", "bright")))
        asking.start()
        wait_for(lambda: "recipe is being loaded" in bench.status()["offline_reason"], "the change to be under way")
        bench.terminate()
        asking.join(60)
        assert said == [2]
        (row,) = [row for row in audit(bench) if row.action == "recipe"]
        assert (row.result, row.after) == ("refused", "bright")
        assert "the station is stopping" in row.detail
