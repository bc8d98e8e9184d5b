"""A command as the PLC gives it: number and argument first, then Execute, and the reply."""

from __future__ import annotations

import pytest

from docs.generate.commands import json_of, leaves
from drivers.plc.signal_map import Area
from station.commands.main import build_parser
from station.commissioning.plc_client import ModbusClient, Order
from station.commissioning.plc_command import CommandFailed, carry_out
from station.line.handshake.messages import Command


class Station(ModbusClient):
    """Keeps what is written; completes or fails once Execute is 1."""

    def __init__(self, *, completes: bool, replies: bool = True, result: int = 0) -> None:
        self.result = result
        self.written: list[tuple[str, int, list[int]]] = []
        self.completes, self.replies = completes, replies
        self.execute = False

    def write_coils(self, address, values):  # type: ignore[no-untyped-def]
        self.written.append(("coil", address, [int(value) for value in values]))
        self.execute = bool(values[0])

    def write_registers(self, address, values):  # type: ignore[no-untyped-def]
        self.written.append(("register", address, list(values)))

    def read_bits(self, area: Area, address: int, count: int) -> list[bool]:
        assert area is Area.DISCRETE_INPUT
        self.reads = getattr(self, "reads", 0) + 1
        is_completed = self.reads % 2 == 1
        return [self.execute and self.replies and (is_completed is self.completes)]

    def read_registers(self, area: Area, address: int, count: int) -> list[int]:
        assert (area, address, count) == (Area.INPUT_REGISTER, 49, 1)
        return [self.result]


def test_number_and_argument_come_before_execute() -> None:
    station = Station(completes=True)
    assert carry_out(station, Order(), Command.SELECT_RECIPE, 7, 1.0) >= 0
    kinds = [(kind, values) for kind, _, values in station.written]
    assert kinds == [("coil", [0]), ("register", [1]), ("register", [7]), ("coil", [1]), ("coil", [0])]


def test_the_name_of_a_batch_comes_before_execute() -> None:
    station = Station(completes=True)
    carry_out(station, Order(), Command.BEGIN_BATCH, 0, 1.0, batch_name="A-7")
    assert station.written[3] == ("register", 10, [0x412D, 0x3700, *[0] * 14])
    assert station.written[4] == ("coil", 4, [1])


def test_a_refusal_and_silence_are_said_and_execute_falls() -> None:
    for station, said in (
        (Station(completes=False), "refused or failed: its log and audit say why"),
        (Station(completes=False, result=14), "refused or failed: no batch is open"),
        (Station(completes=True, replies=False), "no reply"),
    ):
        with pytest.raises(CommandFailed, match=said):
            carry_out(station, Order(), Command.GO_ONLINE, 0, 0.1)
        assert station.written[-1][2] == [0]


def test_its_help_names_the_keys_of_its_json() -> None:
    (parser,) = (
        parser
        for words, parser in leaves(build_parser(["plc"]))
        if words == ("plc", "command") or list(words) == ["plc", "command"]
    )
    assert json_of(parser) == "command, argument, completed, seconds, problem"
