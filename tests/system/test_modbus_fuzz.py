"""Twenty thousand mutated frames; `python -m benchmarks.fuzz_modbus` sends a million."""

from __future__ import annotations

import random
from pathlib import Path

from tests.bench.clients import read, write_coil, write_coils, write_register, write_registers
from tests.bench.modbus_fuzz import rtu_campaign, tcp_campaign
from tests.bench.modbus_mutants import illegal_pdus, is_legal_write


def test_frames_over_tcp_change_nothing_and_stop_nothing(tmp_path: Path) -> None:
    with tcp_campaign(tmp_path) as campaign:
        report = campaign.run(frames=18_000, quiet_parts=3)
    assert report.frames + report.hostile_frames >= 18_000


def test_frames_over_a_serial_line_change_nothing_and_stop_nothing(tmp_path: Path) -> None:
    with rtu_campaign(tmp_path) as campaign:
        report = campaign.run(frames=2_000, quiet_parts=3)
    assert report.frames >= 2_000


def test_what_the_fuzzer_takes_for_a_legal_write() -> None:
    legal = [write_coil(15, 0), write_register(9, 1), write_coils(0, [1] * 16), write_registers(3, [1] * 7)]
    illegal = [
        read(3, 0, 1),
        write_coil(32, 0),
        write_coil(16, 0xFF00),
        write_coil(0, 1),
        write_register(10, 1),
        write_coils(1, [1] * 32),
        write_registers(3, [1] * 62),
        write_registers(3, [1], size=3),
        write_registers(3, []),
    ]
    assert all(is_legal_write(pdu) for pdu in legal)
    assert not any(is_legal_write(pdu) for pdu in illegal)
    pdus = illegal_pdus(random.Random(5))
    assert {next(pdus)[0] for _ in range(5000)} >= {1, 2, 3, 4, 5, 6, 15, 16, 23, 43, 0, 255}
