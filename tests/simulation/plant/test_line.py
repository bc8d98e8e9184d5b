"""The belt on the real clock: it waits for a PLC scan that the system holds up, and never runs ahead."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from pathlib import Path

import numpy as np

from drivers.camera.simtl import Scene
from station.simulation.parts.pictures import Canvas
from station.simulation.parts.schedule import LineSchedule, ScheduledPart
from station.simulation.plant.belt import PART_LENGTH_COUNTS, VIEW_COUNTS, Layout
from station.simulation.plant.faults import CameraFault
from station.simulation.plant.field import BELT_LEAD_SCANS, EXPOSURE_WAIT_S, Events, Field
from tests.bench.waiting import wait_for

SCHEDULE = LineSchedule(Canvas(8, 8, 1), (ScheduledPart(1, "inspect", "dent"),), 20.0, 0.1, "unused", "127.0.0.1", 1)


def test_belt_stands_while_nobody_scans_and_goes_on_afterwards(tmp_path: Path) -> None:
    with Scene(tmp_path / "s", 8, 8, 1) as scene:
        field = Field(SCHEDULE, [scene], Events(io.StringIO(), threading.Event()))
        for _ in range(20):
            time.sleep(0.005)  # the belt runs on the real clock
            field.move()
        stood_at = field.sample().encoder
        field.scanned()
        assert 0 < stood_at <= BELT_LEAD_SCANS * SCHEDULE.scan_s * field.layout.speed_counts_per_s

        def went_on() -> bool:
            field.move()
            encoder = field.sample().encoder
            field.scanned()
            return encoder > 3 * stood_at

        wait_for(went_on, "the belt")


def test_a_scan_that_is_held_up_half_way_does_not_let_the_belt_run_on(tmp_path: Path) -> None:
    """Else an ejector is set up to two leads behind the scan before, and misses: a part of the chaos run did so."""
    lead_counts = BELT_LEAD_SCANS * SCHEDULE.scan_s * Layout.for_rate(20.0, 0.1).speed_counts_per_s
    with Scene(tmp_path / "s", 8, 8, 1) as scene:
        field = Field(SCHEDULE, [scene], Events(io.StringIO(), threading.Event()))
        reached = []
        for _ in range(2):
            reached.append(field.sample().encoder)  # the second scan does not come to its end
            for _ in range(20):
                time.sleep(0.005)
                field.move()
        reached.append(field.sample().encoder)
    assert 0 < reached[-1] <= lead_counts < PART_LENGTH_COUNTS / 2


def test_belt_waits_with_a_part_in_view_for_a_camera_that_is_held_up(tmp_path: Path) -> None:
    """Somebody hears the trigger and takes no picture: a camera process that does not run for a while."""
    output = io.StringIO()
    camera = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with camera, Scene(tmp_path / "s", 8, 8, 1) as scene:
        camera.bind(str(tmp_path / "s.0.sock"))
        field = Field(SCHEDULE, [scene], Events(output, threading.Event()))
        field.put_on(SCHEDULE.parts[0], [np.zeros((8, 8), np.uint8)])
        triggered_s: list[float] = []

        def left_unexposed() -> bool:
            before_s = time.monotonic()
            field.move()
            if field.sample().barriers:
                triggered_s.append(before_s)
            field.scanned()
            return "unexposed" in output.getvalue()

        wait_for(left_unexposed, "the part to leave the view")
        assert time.monotonic() - triggered_s[0] >= EXPOSURE_WAIT_S
        in_view = field.layout.barrier_counts + VIEW_COUNTS[1]
        assert (
            field.sample().encoder - in_view < 2 * BELT_LEAD_SCANS * SCHEDULE.scan_s * field.layout.speed_counts_per_s
        )


def test_part_passes_all_sensors_and_an_ejector_that_fires_finds_it(tmp_path: Path) -> None:
    output = io.StringIO()
    with Scene(tmp_path / "s", 8, 8, 1) as scene:
        field = Field(SCHEDULE, [scene], Events(output, threading.Event()))
        field.put_on(SCHEDULE.parts[0], [np.zeros((8, 8), np.uint8)])
        entries: list[int] = []
        barriers: list[int] = []

        def reaches_the_ejector() -> bool:
            field.move()
            inputs = field.sample()
            entries.extend(inputs.entries)
            barriers.extend(inputs.barriers)
            field.set_ejector(inputs.encoder >= field.layout.ejector_counts)
            field.scanned()
            return inputs.encoder >= field.layout.ejector_counts

        wait_for(reaches_the_ejector, "the part at the ejector")
    events = [json.loads(line) for line in output.getvalue().splitlines()]
    assert (len(entries), len(barriers)) == (1, 1)
    assert [event["event"] for event in events] == ["unseen", "unexposed", "part"], "no camera listened"
    assert (events[2]["part_id"], events[2]["truth"], events[2]["bin"]) == (1, "dent", "reject")


def test_ejector_in_front_of_nobody_is_a_misfire(tmp_path: Path) -> None:
    output = io.StringIO()
    with Scene(tmp_path / "s", 8, 8, 1) as scene:
        field = Field(SCHEDULE, [scene], Events(output, threading.Event()))
        field.set_ejector(True)
        field.set_ejector(True)
    assert [json.loads(line)["event"] for line in output.getvalue().splitlines()] == ["misfire"]


def test_faults_of_a_camera_that_is_not_there_are_reported_and_a_plug_is_pulled_all_the_same(tmp_path: Path) -> None:
    output = io.StringIO()
    with Scene(tmp_path / "s", 8, 8, 1) as scene:
        field = Field(SCHEDULE, [scene], Events(output, threading.Event()))
        for fault in CameraFault:
            field.fail_camera(fault, 1)
    events = [json.loads(line) for line in output.getvalue().splitlines()]
    taken = {event["kind"]: event["event"] for event in events}
    plugs = {CameraFault.UNPLUGGED.value, CameraFault.PLUGGED.value}
    assert taken == {fault.value: "fault" if fault.value in plugs else "fault_not_taken" for fault in CameraFault}
