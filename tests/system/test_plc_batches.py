"""The PLC begins and ends batches over real sockets: parts carry them, a kill keeps them, a person's is left alone."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from station.command_results import CommandResult
from station.commands.main import main
from station.control import request
from tests.bench.bench import Bench, good
from tests.bench.four_links import CONTROL_AT, STATUS_AT, FourLinks
from tests.bench.waiting import wait_for

BEGIN, END = 9, 10
EXECUTE, COMMAND_COMPLETED, COMMAND_FAILED = 4, 13, 14
COMMAND_RESULT, BATCH_NUMBER = 49, 51
MAP_VERSION = 0


def begins(bench: Bench, name: str) -> bool:
    bench.plc.set(batch_name=name)
    return bench.plc.command(BEGIN)


def why(bench: Bench) -> int:
    """CommandResult, which stands behind CommandFailed too."""
    assert bench.plc.status is not None
    return bench.plc.status.command_result


def test_a_batch_of_the_plc_from_its_begin_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Bench(tmp_path, plc__batches=True) as bench:
        bench.start()
        bench.part(good())
        assert begins(bench, "LOT 8812/A")
        bench.part(good())
        assert not begins(bench, "LOT 8812/A")
        assert why(bench) == CommandResult.BATCH_OPEN_ALREADY
        assert not begins(bench, "bell\a")
        assert why(bench) == CommandResult.BATCH_NAME_LETTERS
        assert not begins(bench, "")
        assert why(bench) == CommandResult.BATCH_NAME_MISSING
        bench.kill()
        bench.start()
        bench.part(good())
        assert bench.plc.command(END)
        assert not bench.plc.command(END)
        assert why(bench) == CommandResult.NO_BATCH_OPEN
        bench.part(good())

        request(
            bench.directory / "work" / "control.sock", {"command": "batch", "action": "begin", "name": "of a person"}
        )
        bench.part(good())
        assert not begins(bench, "8813")
        assert why(bench) == CommandResult.BATCH_OF_A_PERSON
        assert not bench.plc.command(END)
        assert why(bench) == CommandResult.BATCH_OF_A_PERSON

        bench.plc.stop()  # and somebody tries the same without it, with the client of the tools
        options = ["--port", str(bench.port), "--timeout", "20"]
        assert main(["plc", "command", "begin_batch", "--batch", "8813", *options]) == 1
        assert "was begun by a person" in capsys.readouterr().err.replace("\n", " ")
        assert main(["plc", "monitor", "--once", "--port", str(bench.port)]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert "BatchName 8813" in shown
        assert "BatchNumber 2" in shown
        assert "CommandResult 13 the open batch was begun by a person" in shown
        assert bench.terminate() == 0
        rows = sorted(bench.rows(), key=lambda row: row.part_id)
        assert [row.batch for row in rows] == [None, 1, 1, None, 2]


def test_a_program_of_version_2_finds_its_map_and_begins_nothing(tmp_path: Path) -> None:
    """Also in client role, where its registers end before the name of a batch."""
    with ExitStack() as closing:
        links = FourLinks.on(None)
        roles: dict[str, Any] = {"plc__role": "client", "plc__port": links.port, "plc__heartbeat_timeout_s": 0}
        places: dict[str, Any] = {"plc__control_address": CONTROL_AT, "plc__status_address": STATUS_AT}
        bench = Bench(tmp_path, **roles, **places)
        closing.callback(bench.scene.close)
        plc = links.plc("tcp client")
        closing.callback(plc.close)
        bench.start(wait_ready=False)
        assert bench.process is not None
        closing.callback(bench.process.kill)
        wait_for(lambda: plc.status()[1][MAP_VERSION] == 2, "version 2 in MapVersion")
        plc.set_registers(1, [BEGIN])
        plc.set_coil(EXECUTE, True)
        wait_for(lambda: plc.status()[0][COMMAND_FAILED], "CommandFailed")
        assert bench.terminate() == 0


def test_the_station_reads_the_name_from_the_registers_of_the_plc(tmp_path: Path) -> None:
    with ExitStack() as closing:
        links = FourLinks.on(None)
        roles: dict[str, Any] = {
            "plc__role": "client",
            "plc__port": links.port,
            "plc__heartbeat_timeout_s": 0,
            "plc__batches": True,
        }
        places: dict[str, Any] = {"plc__control_address": CONTROL_AT, "plc__status_address": STATUS_AT}
        bench = Bench(tmp_path, plc__byte_order="low_first", **roles, **places)
        closing.callback(bench.scene.close)
        plc = links.plc("tcp client")
        closing.callback(plc.close)
        bench.start(wait_ready=False)
        assert bench.process is not None
        closing.callback(bench.process.kill)
        wait_for(lambda: plc.status()[1][MAP_VERSION] == 3 << 8, "version 3 in MapVersion, its bytes swapped")
        plc.set_registers(10, [int.from_bytes(pair, "little") for pair in (b"88", b"12")])
        plc.set_registers(1, [BEGIN << 8])
        plc.set_coil(EXECUTE + 8, True)  # the bytes of the coils' register are swapped, too
        wait_for(lambda: plc.status()[1][BATCH_NUMBER] == 1 << 8, "BatchNumber 1")
        assert (
            request(bench.directory / "work" / "control.sock", {"command": "status"})["status"]["batch"]["name"]
            == "8812"
        )
        assert bench.terminate() == 0
