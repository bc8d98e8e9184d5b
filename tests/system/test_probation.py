"""A new engine on probation: the one before judges the same parts, and the station warns, or goes back once."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engines.store.store import EngineStore
from station.control import request
from station.records.audit import audit_rows
from station.records.schema import open_reader
from tests.bench.bench import HEIGHT, WIDTH, Bench, Picture, good
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.waiting import wait_for

pytestmark = pytest.mark.system


def doubtful() -> Picture:
    """A good part that only the new engine rejects."""
    picture = good()
    picture[40:72, 40:72] = 64 + 25
    return picture


def station_with_two(directory: Path, parts: int, **settings: Any) -> Bench:
    bench = Bench(
        directory,
        with_engine=False,
        engine__path=None,
        engine__store="engines",
        engine__probation_parts=parts,
        **settings,
    )
    store = EngineStore(directory / "engines" / "default")
    one = write_small_engine(directory / "one", width=WIDTH, height=HEIGHT)
    two = write_small_engine(directory / "two", width=WIDTH, height=HEIGHT, reject_score=20.0, review_score=15.0)
    store.activate(store.add(one, why="first"), why="first")
    store.add(two, why="stricter")
    return bench


def activate(bench: Bench, version: str) -> None:
    message = {"command": "engine", "action": "activate", "version": version, "why": "tried"}
    request(bench.directory / "work" / "control.sock", message, 60.0)


def state(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = bench.status()["shadow"]
    return found


def judged_parts(bench: Bench) -> int:
    found = state(bench)["probation"]
    return -1 if found is None else int(found["parts"])


def send_judged(bench: Bench, picture: Picture, count: int) -> None:
    """Parts that both engines judge, one after the other; ends early where the probation ends."""
    for _ in range(count):
        before = judged_parts(bench)
        if before < 0:
            return
        bench.result(bench.send(picture))
        wait_for(lambda: judged_parts(bench) != before, "the one before to judge the part")  # noqa: B023


def active(bench: Bench) -> int:
    version = EngineStore(bench.directory / "engines" / "default").active()
    assert version is not None
    return version.number


def entries(bench: Bench, action: str) -> list[tuple[str, str, str]]:
    with closing(open_reader(bench.directory / "work" / "records")) as connection:
        return [(row.who, row.result, row.detail) for row in audit_rows(connection, 100) if row.action == action]


def on_record(bench: Bench) -> int:
    with closing(open_reader(bench.directory / "work" / "records")) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM shadows").fetchone()[0])


def entered(bench: Bench, action: str, who: str, result: str) -> str:
    """The detail of the last such entry, once it is on record."""

    def found() -> list[str]:
        return [detail for by, was, detail in entries(bench, action) if (by, was) == (who, result)]

    wait_for(lambda: bool(found()), f"the entry of {who}: {action} {result}")
    return found()[-1]


def wait_on_probation(bench: Bench) -> None:
    wait_for(lambda: state(bench)["state"] == "runs" and state(bench)["probation"] is not None, "the probation", 60.0)


def test_an_engine_that_keeps_its_promise_passes_over_a_kill(tmp_path: Path) -> None:
    with station_with_two(tmp_path, parts=12) as bench:
        bench.start()
        activate(bench, "2")
        wait_on_probation(bench)
        assert state(bench)["purpose"] == "probation"
        send_judged(bench, good(), 5)
        wait_for(lambda: on_record(bench) == 5, "the parts on record")
        bench.kill()
        bench.start()
        wait_on_probation(bench)
        assert judged_parts(bench) == 5, "a kill keeps the sums"
        send_judged(bench, good(), 7)
        wait_for(lambda: state(bench)["state"] == "off", "the end of the probation")
        assert active(bench) == 2
        assert "probation passed: 0 of 12 parts rejected" in entered(bench, "probation", "station", "done")
        bench.terminate()


def test_an_engine_that_fails_is_left_with_a_warning_that_a_restart_keeps(tmp_path: Path) -> None:
    with station_with_two(tmp_path, parts=500) as bench:
        bench.start()
        activate(bench, "2")
        wait_on_probation(bench)
        send_judged(bench, doubtful(), 40)
        wait_for(lambda: any("probation" in text for text in bench.status()["warnings"]), "the warning")
        assert active(bench) == 2
        assert "probation failed" in entered(bench, "probation", "station", "refused")
        wait_for(lambda: state(bench)["state"] == "off", "the end of the probation")
        assert bench.terminate() == 0
        bench.start()
        wait_for(lambda: any("probation" in text for text in bench.status()["warnings"]), "the warning of before")
        request(tmp_path / "work" / "control.sock", {"command": "engine", "action": "rollback", "why": "key"}, 60.0)
        assert active(bench) == 1
        wait_for(lambda: not any("probation" in text for text in bench.status()["warnings"]), "the warning to go")
        wait_for(lambda: state(bench)["state"] == "off", "the shadow to end")
        bench.terminate()


def test_the_station_goes_back_once_where_that_is_configured(tmp_path: Path) -> None:
    with station_with_two(tmp_path, parts=500, engine__on_probation_failure="rollback") as bench:
        bench.start()
        activate(bench, "2")
        wait_on_probation(bench)
        send_judged(bench, doubtful(), 40)
        wait_for(lambda: active(bench) == 1, "the way back")
        wait_for(lambda: state(bench)["state"] == "off", "the end of the probation")
        assert bench.result(bench.send(doubtful())).passed
        assert "probation failed" in entered(bench, "engine", "station", "done")

        activate(bench, "2")  # a person wants it all the same: the station does not go back a second time
        wait_on_probation(bench)
        assert state(bench)["probation"]["goes_back"] is False
        send_judged(bench, doubtful(), 40)
        wait_for(lambda: any("probation" in text for text in bench.status()["warnings"]), "the warning")
        assert active(bench) == 2
        bench.terminate()


def test_a_kill_in_any_moment_of_the_way_back_ends_with_one_whole_engine(tmp_path: Path) -> None:
    """Killed just as the station goes back, and later and later: the next start takes it up where it was.

    Each time with another engine: the station goes back from one only once.
    """
    with station_with_two(tmp_path, parts=500, engine__on_probation_failure="rollback") as bench:
        store = EngineStore(tmp_path / "engines" / "default")
        for number in (3, 4):
            engine = write_small_engine(
                tmp_path / f"engine {number}",
                width=WIDTH,
                height=HEIGHT,
                reject_score=20.0 - number / 10,
                review_score=15.0,
            )
            store.add(engine, why="stricter")
        bench.start()
        for number, delay_s in ((2, 0.0), (3, 0.3), (4, 0.7)):
            before = on_record(bench)
            activate(bench, str(number))
            wait_on_probation(bench)
            send_judged(bench, doubtful(), 12)
            wait_for(lambda: on_record(bench) >= before + 10, "the sums on disk: a kill may lose what is younger")  # noqa: B023
            bench.result(bench.send(doubtful()))
            time.sleep(delay_s)
            bench.kill()
            bench.start()
            running = bench.status()["engine_id"]
            version = store.find(str(active(bench)))
            assert running.startswith(version.id_start), "what runs is what the store says"
            if active(bench) == number:
                wait_on_probation(bench)
                assert judged_parts(bench) >= 10, "a kill keeps the sums"
                send_judged(bench, doubtful(), 40)
            wait_for(lambda: active(bench) == 1, "the way back")
            wait_for(lambda: bench.status()["engine_id"] != running or version.number == 1, "its engine")  # noqa: B023
            assert bench.result(bench.send(doubtful())).passed
            wait_for(lambda: state(bench)["state"] == "off", "the end of the probation")
        bench.terminate()
        bench.assert_balanced()
