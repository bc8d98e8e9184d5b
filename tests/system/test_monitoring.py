"""Drift on a running station: the bit of the PLC, the status, the command, the audit log; over a restart."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from pyModbusTCP.client import ModbusClient

from drivers.plc.signal_map import STATUS
from station.codes import WarningCode
from station.monitoring.memory import FILE, write
from station.monitoring.simple_alarms import SimpleAlarms
from station.monitoring.watch import Promise, Watch, WatchSettings
from station.records.audit import audit_rows
from station.records.schema import open_reader
from tests.bench.ageing_days import write_ageing_days
from tests.bench.bench import Bench, bad, good
from tests.bench.waiting import wait_for
from tests.monitoring.line import Line


def drift_bit(bench: Bench) -> bool:
    client = ModbusClient("127.0.0.1", bench.port)
    try:
        address = next(point.address for point in STATUS if point.name == "Drift")
        bits = client.read_discrete_inputs(address, 1)
        assert bits is not None
        return bool(bits[0])
    finally:
        client.close()


def command(bench: Bench, *words: str) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "station", *words, "--config", str(bench.config_path)]
    return subprocess.run(call, capture_output=True, text=True, timeout=60)


def darkened(recipe: str, engine_id: str) -> Watch:
    """A watch that has seen the lamp get darker."""
    random, normal = np.random.default_rng(1), Line()
    watch = Watch(WatchSettings(3600, 1, 0.01, 0.005), Promise(0.01, 0.1))
    for part in (*normal.parts(1200, random), *replace(normal, grey=100.0).parts(400, random)):
        watch.add(replace(part, recipe=recipe, engine_id=engine_id))
    assert watch.finding is not None
    return watch


def test_drift_is_seen_by_the_plc_and_people_until_a_person_says_it_is_normal(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.start()
        assert bench.part(good()).passed
        state = bench.status()
        assert state["monitoring"]["state"] == "learning"
        assert not drift_bit(bench)
        assert bench.terminate() == 0
        memory = tmp_path / "work" / FILE
        kept = json.loads(memory.read_text())
        (key,) = kept["watches"]
        recipe, engine_id = key.split("\n")
        assert engine_id == state["engine_id"]
        watch = darkened(recipe, engine_id)
        write(memory, {key: {**watch.memory, "rejected": 0.01, "doubted": 0.1}}, SimpleAlarms(5).memory)

        bench.start()
        assert bench.part(good()).passed
        wait_for(lambda: drift_bit(bench), "the bit Drift")
        shown = command(bench, "monitoring")
        assert "brighter or darker" in shown.stdout
        assert "grey: top" in shown.stdout
        assert any("brighter or darker" in warning for warning in bench.status()["warnings"])
        refused = command(bench, "monitoring", "learn")
        assert (refused.returncode, "--why TEXT is missing" in refused.stderr) == (2, True)
        assert command(bench, "monitoring", "learn", "--why", "new lamp").returncode == 0
        wait_for(lambda: not drift_bit(bench), "the bit Drift to fall")

        for _ in range(5):
            bench.part(bad())
        wait_for(lambda: "rejects in a row" in bench.status()["warnings"], "the warning")
        assert not drift_bit(bench), "rejects are no drift"
        assert bench.terminate() == 0
        with closing(open_reader(tmp_path / "work" / "records")) as connection:
            audited = [row for row in audit_rows(connection, 10) if row.action == "monitoring"]
        assert [(row.before, row.after, row.detail) for row in audited] == [("changed", "learning", "new lamp")]


def test_a_lamp_that_ages_for_weeks_is_a_warning_of_the_running_station(tmp_path: Path) -> None:
    write_ageing_days(tmp_path / "work" / "records")
    with Bench(tmp_path, monitoring__trends_every_h=0.0005) as bench:
        bench.start()
        wait_for(lambda: WarningCode.WEARS_OUT in bench.status()["warning_codes"], "the warning")
        (advice,) = bench.status()["trends"]["advice"]
        assert advice["cause"] == "the lamp ages"
        assert bench.part(good()).passed, "no part is decided by it"
        assert not drift_bit(bench)
        assert bench.terminate() == 0


def test_without_monitoring_nothing_is_watched(tmp_path: Path) -> None:
    with Bench(tmp_path, monitoring__enabled=False) as bench:
        bench.start()
        assert bench.part(good()).passed
        assert bench.status()["monitoring"] == {"state": "off"}
        assert bench.status()["trends"] == {"state": "off"}
        assert "[monitoring] enabled = false" in command(bench, "monitoring", "learn", "--why", "x").stderr
        assert bench.terminate() == 0
        assert not (tmp_path / "work" / FILE).exists()


def test_a_memory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        (tmp_path / "work" / FILE).mkdir(parents=True)
        bench.start()
        assert bench.part(good()).passed
        assert bench.terminate() == 0
        assert "monitoring begins anew" in bench.log()
        assert "not kept for a restart" in bench.log()
