"""A whole station with its PLC at the end of each kind of link: one part that passes, one that fails."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.bench.bench import Bench, bad, good
from tests.bench.four_links import CONTROL_AT, STATUS_AT, FourLinks
from tests.bench.serial_pair import SerialPair
from tests.bench.waiting import wait_for

TRIGGER_ENABLE, TRIGGER, RESULTS_ACK, LATCH_PART_ID = 0, 1, 2, 11
ONLINE, TRIGGER_READY, TRIGGER_ACK, RESULTS_VALID, PASS, REJECT, PART_ID_ACK = 0, 1, 2, 6, 7, 8, 19


@pytest.mark.parametrize("name", ["rtu server", "tcp client", "rtu client"])
def test_parts_go_through_over_every_link(tmp_path: Path, name: str) -> None:
    with ExitStack() as closing:
        pair = None
        if name.startswith("rtu"):
            pair = closing.enter_context(SerialPair())
        links = FourLinks.on(pair)
        transport, role = name.split()
        plc_settings: dict[str, Any] = {
            "plc__role": role,
            "plc__transport": transport,
            "plc__heartbeat_timeout_s": 0,
        }
        plc_settings |= {"plc__serial_port": pair.station} if pair else {"plc__port": links.port}
        if role == "client":
            plc_settings |= {"plc__control_address": CONTROL_AT, "plc__status_address": STATUS_AT}
        bench = Bench(tmp_path, camera__trigger="plc", **plc_settings)
        closing.callback(bench.scene.close)
        if role == "client":
            plc = links.plc(name)
        bench.scene.show(good())
        bench.start(wait_ready=False)
        process = bench.process
        assert process is not None
        closing.callback(process.kill)
        wait_for(lambda: "station runs" in bench.log() or process.poll() is not None, "the station to run")
        if role == "server":
            plc = links.plc(name)
        closing.callback(plc.close)

        def wait(number: int, value: bool = True) -> None:
            wait_for(lambda: plc.status()[0][number] == value, f"status bit {number} = {value}")

        plc.set_coil(TRIGGER_ENABLE, True)
        for part_id, picture, result in ((70_001, good(), 1), (70_002, bad(), 2)):
            bench.scene.show(picture)
            plc.set_registers(3, [part_id >> 16, part_id & 0xFFFF])
            plc.set_coil(LATCH_PART_ID, True)
            wait(PART_ID_ACK)
            plc.set_coil(LATCH_PART_ID, False)
            wait(TRIGGER_READY)
            plc.set_coil(TRIGGER, True)
            wait(TRIGGER_ACK)
            plc.set_coil(TRIGGER, False)
            wait(RESULTS_VALID)
            bits, registers = plc.status()
            assert registers[12] << 16 | registers[13] == part_id
            assert (registers[14], bits[PASS]) == (result, result == 1)
            plc.set_coil(RESULTS_ACK, True)
            wait(RESULTS_VALID, False)
            plc.set_coil(RESULTS_ACK, False)
        assert bench.terminate() == 0
        if role == "client":
            bits, _ = plc.status()
            assert bits[REJECT], "what stays in the PLC when the station is gone"
            assert not any(bits[number] for number in (ONLINE, TRIGGER_READY, RESULTS_VALID, PASS))
        bench.assert_balanced(2)
