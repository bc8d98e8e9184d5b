"""Parts over a real broker: every one arrives whatever happens to broker, host, station and daemon."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from station.northbound.sparkplug.names import Names
from station.northbound.sparkplug.publisher import NUMBER_FILE
from tests.bench.broker import mosquitto
from tests.bench.waiting import wait_for
from tests.northbound.sending import record, some
from tests.northbound.sparkplug.publishing import Bench, born, host_says, plant

pytestmark = pytest.mark.system


def keys(first: int, last: int, session: str = "s1") -> list[str]:
    return [f"{session}/{number}" for number in range(first, last + 1)]


def test_the_line_and_its_parts_are_told(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker, plant(broker) as host, Bench(tmp_path, broker) as station:
        born(host)
        wait_for(lambda: host.host.device.values["Line/Ready"] is True, "the line")
        assert host.host.device.values["Count/Triggers"] == 7
        assert host.host.device.values["Count/Missed"] is None, "not known is not 0"
        assert host.host.node.values["Properties/Station"] == "ST-04"
        record(station.records, some(1, 400))
        wait_for(lambda: len(host.keys) == 400, "the parts")
        assert host.keys == keys(1, 400)
        assert host.stored == []
        assert host.host.device.values["Part/Key"] == "s1/400"
        wait_for(lambda: station.at == 400, "the cursor")
        station.wall += 10_000
        record(station.records, some(401, 410))
        wait_for(lambda: len(host.keys) == 410, "the parts")
        assert host.stored == keys(401, 410), "what is old is history"
        assert host.host.device.values["Part/Key"] == "s1/400"
        station.close()
        wait_for(lambda: not host.host.node.online, "the death")


def test_parts_that_pass_are_only_counted_unless_all_are_asked_for(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker, plant(broker) as host, Bench(tmp_path, broker, every_part=False) as station:
        born(host)
        record(station.records, some(1, 30))
        wait_for(lambda: station.at == 30, "the cursor")
        wait_for(lambda: len(host.keys) == 20, "a third of the parts is PASS")
        progress = station.cursors.of("sparkplug")
        assert progress is not None
        assert progress.sent == 20


def test_a_broker_that_is_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    got: set[str] = set()
    with mosquitto(tmp_path) as broker, Bench(tmp_path, broker) as station:
        for turn in range(3):
            with plant(broker) as host:
                born(host)
                record(station.records, some(100 * turn + 1, 100 * turn + 100))
                wait_for(lambda: len(host.keys) > 10, "some")
                broker.kill()
                got |= set(host.keys)
            broker.start()
        with plant(broker) as host:
            wait_for(lambda: station.at == 300, "the cursor")
            got |= set(host.keys)
    assert got == set(keys(1, 300))


def test_a_station_that_is_killed_goes_on_under_the_next_number(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker, plant(broker) as host, Bench(tmp_path, broker) as station:
        for turn in range(3):
            born(host)
            assert (station.file.parent / NUMBER_FILE).read_text() == str(turn)
            record(station.records, some(50 * turn + 1, 50 * turn + 50))
            wait_for(lambda: len(host.keys) > 0, "some")
            station.kill()
            wait_for(lambda: not host.host.node.online, "the will")
            station.start()
        wait_for(lambda: set(host.keys) == set(keys(1, 150)), "all")


def test_a_silent_daemon_is_a_dead_line_once_all_is_told(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker, plant(broker) as host, Bench(tmp_path, broker) as station:
        born(host)
        station.status = None
        wait_for(lambda: not host.host.device.online, "the death of the line")
        assert host.host.node.online
        record(station.records, some(1, 20))
        wait_for(lambda: host.keys == keys(1, 20), "what is on record is told all the same")
        wait_for(lambda: not host.host.device.online, "the death of the line")


def test_without_its_host_nothing_is_told_and_nothing_lost(tmp_path: Path) -> None:
    names = Names("plant", "ST-04", "line", "scada")
    with (
        mosquitto(tmp_path) as broker,
        plant(broker) as host,
        Bench(tmp_path, broker, names=names, host_timeout_s=1.0) as station,
    ):
        wait_for(lambda: station.publisher._link is not None, "the connection")
        record(station.records, some(1, 5))
        host_says(broker, "scada", False, 1)
        host_says(broker, "scada", True, 2)
        born(host)
        wait_for(lambda: station.at == 0, "its place")
        record(station.records, some(6, 15))
        wait_for(lambda: "s1/15" in host.keys, "the parts")
        told = len(host.keys)
        host_says(broker, "scada", False, int(time.time() * 1000))
        wait_for(lambda: not host.host.node.online, "the death")
        record(station.records, some(16, 20))
        host_says(broker, "scada", True, int(time.time() * 1000))
        wait_for(lambda: "s1/20" in host.keys, "the rest")
        assert host.keys[told:] == keys(1, 20), "what the host may not have heard comes again, in order"


def test_other_records_are_told_from_what_is_young(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker, plant(broker) as host, Bench(tmp_path, broker) as station:
        born(host)
        record(station.records, some(1, 30))
        wait_for(lambda: station.at == 30, "the cursor")
        for file in station.records.glob("records.db*"):
            file.unlink()
        record(station.records, some(1, 3, "s2"), "s2")
        wait_for(lambda: station.at == 3, "the cursor, in the other records")
        record(station.records, some(4, 6, "s2"), "s2")
        wait_for(lambda: host.keys[-3:] == keys(4, 6, "s2"), "what came since")
