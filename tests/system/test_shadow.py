"""An engine in the shadow of a running station: what it says is on record, and nothing of it reaches line or PLC."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engines.store.store import EngineStore
from station.background import GIVES_WAY
from station.commands import main as cli
from station.labels.labels import decide
from station.labels.schema import open_writer
from station.labels.writing import Reviewer
from station.records.audit import audit_rows
from station.records.engines.shadows import ShadowRow, differing, runs
from station.records.parts import parts
from station.records.schema import open_reader
from tests.bench.bench import HEIGHT, WIDTH, Bench, Picture, bad, good
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.waiting import children_of, command_of, wait_for

pytestmark = pytest.mark.system


def between() -> Picture:
    """A part that the active engine passes and the candidate rejects."""
    picture = good()
    picture[40:72, 40:72] = 64 + 25
    return picture


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.delenv(GIVES_WAY)  # this is about a shadow beside a line
    with station_with_candidate(tmp_path) as bench:
        bench.start()
        yield bench


def station_with_candidate(directory: Path, **settings: Any) -> Bench:
    """Version 1 is active and passes up to 30 grey levels; version 2 rejects above 20."""
    bench = Bench(directory, with_engine=False, engine__path=None, engine__store="engines", **settings)
    store = EngineStore(directory / "engines" / "default")
    one = write_small_engine(directory / "one", width=WIDTH, height=HEIGHT)
    two = write_small_engine(directory / "two", width=WIDTH, height=HEIGHT, reject_score=20.0, review_score=15.0)
    store.activate(store.add(one, why="first"), why="first")
    store.add(two, why="stricter")
    return bench


def station(bench: Bench, *arguments: str) -> int:
    return cli.main([*arguments, "--config", str(bench.config_path)])


def shadow_state(bench: Bench) -> dict[str, Any]:
    state: dict[str, Any] = bench.status()["shadow"]
    return state


def wait_for_shadow(bench: Bench) -> None:
    wait_for(lambda: shadow_state(bench)["state"] == "runs", "the shadow to be ready", 60.0)


def rows_of(bench: Bench) -> list[ShadowRow]:
    with closing(open_reader(bench.directory / "work" / "records")) as connection:
        found = connection.execute("SELECT COUNT(*) FROM shadows").fetchone()[0]
        run = runs(connection)[0].run
        rows = differing(connection, run, 100)
        assert len(rows) <= found
        return rows


def seen(bench: Bench) -> int:
    with closing(open_reader(bench.directory / "work" / "records")) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM shadows").fetchone()[0])


def send_seen(bench: Bench, picture: Picture) -> int:
    """A part that the shadow sees: sent when it is idle. Its id."""
    before = seen(bench)
    part_id = bench.send(picture)
    bench.result(part_id)
    wait_for(lambda: seen(bench) == before + 1, "the shadow to see the part")
    return part_id


def test_a_shadow_judges_after_the_verdict_and_survives_a_restart(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert station(bench, "engine", "shadow", "1") != 0
    assert "is the active engine" in capsys.readouterr().err
    assert station(bench, "engine", "shadow", "2") == 0
    wait_for_shadow(bench)
    send_seen(bench, good())
    differs = send_seen(bench, between())
    send_seen(bench, bad())
    assert bench.plc.results[differs][0].passed  # the shadow rejects it, and the PLC never hears of that
    (row,) = rows_of(bench)
    assert (row.part_id, row.active_verdict, row.verdict) == (differs, "PASS", "FAIL")
    assert row.active_score is not None
    assert row.score is not None
    assert row.active_score < 0.5 < row.score
    with closing(open_reader(bench.directory / "work" / "records")) as connection:
        wait_for(lambda: next(parts(connection, part_id=differs)).views[0].image_path is not None, "its picture")
        wait_for(lambda: next(audit_rows(connection, 1)).action == "shadow", "the entry")
        assert [(one.action, one.after) for one in audit_rows(connection, 1)] == [
            ("shadow", runs(connection)[0].version)
        ]

    bench.kill()
    bench.start()
    wait_for_shadow(bench)
    send_seen(bench, between())
    with closing(open_reader(bench.directory / "work" / "records")) as connection:
        (run,) = runs(connection)
    assert run.end_wall_time is None  # it is the same run, and the sums go on
    capsys.readouterr()
    with closing(open_reader(bench.directory / "work" / "records")) as connection:
        part = next(parts(connection, part_id=differs))
    with closing(open_writer(bench.directory / "work" / "labels.db")) as labels:
        decide(labels, part, "good", Reviewer("anna", "quality"))
    assert station(bench, "engine", "shadow", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["state"]["state"] == "runs"
    assert said["shadow"]["seen"] == 4
    assert [one["label"] for one in said["shadow"]["differing"]] == ["", "good"]
    assert said["shadow"]["false_rejects"]["only_candidate"] == 1
    assert not said["shadow"]["enough"]
    gallery = bench.directory / "gallery.svg"
    assert station(bench, "engine", "shadow", "--gallery", str(gallery)) == 0
    assert "2 parts" in gallery.read_text()

    assert station(bench, "engine", "shadow", "off") == 0
    assert shadow_state(bench)["state"] == "off"
    before = seen(bench)
    assert bench.part(between()).passed
    assert bench.terminate() == 0
    assert seen(bench) == before
    bench.assert_balanced()


def shadow_pid(bench: Bench) -> int:
    assert bench.process is not None
    (found,) = [pid for pid in children_of(bench.process.pid) if b"shadow_process" in command_of(pid)]
    return found


def test_a_shadow_that_dies_is_off_with_a_warning_and_the_line_goes_on(bench: Bench) -> None:
    assert station(bench, "engine", "shadow", "2") == 0
    wait_for_shadow(bench)
    pid = shadow_pid(bench)
    assert os.sched_getscheduler(pid) == os.SCHED_IDLE
    os.kill(pid, signal.SIGSEGV)
    wait_for(lambda: shadow_state(bench)["state"] == "failed", "the shadow to be off")
    assert "signal 11" in shadow_state(bench)["problem"]
    wait_for(lambda: any("shadow" in warning for warning in bench.status()["warnings"]), "the warning")
    assert bench.part(good()).passed
    assert bench.part(bad()).reject
    bench.kill()
    bench.start()
    assert shadow_state(bench)["state"] == "off"
    assert station(bench, "engine", "shadow", "2") == 0
    wait_for(lambda: not any("shadow" in warning for warning in bench.status()["warnings"]), "the warning to go")


def test_a_shadow_that_is_busy_drops_parts_and_says_how_many(bench: Bench) -> None:
    assert station(bench, "engine", "shadow", "2") == 0
    wait_for_shadow(bench)
    pid = shadow_pid(bench)
    os.kill(pid, signal.SIGSTOP)
    for _ in range(6):
        assert bench.part(good()).passed
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: seen(bench) == 3, "what waited")  # one in hand and two behind it
    state = shadow_state(bench)
    assert (state["offered"], state["dropped"], state["seen_share"]) == (6, 3, 0.5)
    assert bench.terminate() == 0


def test_broken_candidate(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """Its golden images do not agree: it is off with the reason, and no part has waited for it."""
    store = EngineStore(bench.directory / "engines" / "default")
    (model,) = store.find("2").path.glob("*.onnx")
    model.write_bytes(model.read_bytes()[:-40])
    assert station(bench, "engine", "shadow", "2") == 0
    wait_for(lambda: shadow_state(bench)["state"] == "failed", "the shadow to be off", 60.0)
    assert "cannot be used" in shadow_state(bench)["problem"]
    assert bench.part(good()).passed
    capsys.readouterr()
    assert station(bench, "status") == 0
    assert "the shadow failed and is off" in capsys.readouterr().out.replace("\n", " ")
