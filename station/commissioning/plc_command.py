"""One command of the map, as the PLC gives it: number, argument, Execute, and the station's reply.

For a station without its PLC: where one writes, the station refuses a second writer, and so does this.
"""

from __future__ import annotations

import time

from drivers.plc.signal_map import POINTS, Area, Point
from station.command_results import COMMAND_RESULTS, CommandResult
from station.commissioning.plc_client import ModbusClient, Order, decode, encode
from station.line.handshake.messages import Command

POLL_S = 0.05
RELEASE_S = 5.0


class CommandFailed(Exception):
    """The station did not carry it out; says what it replied."""


def carry_out(
    client: ModbusClient, order: Order, command: Command, argument: int, timeout_s: float, *, batch_name: str = ""
) -> float:
    """Returns the seconds until the station said CommandCompleted. `batch_name`: of `begin_batch`, one letter a byte.

    Raises:
        CommandFailed: the station said so, or nothing in time.
        LinkError: it does not reply, or another client writes.
    """
    execute = _point("Execute")
    client.write_coils(execute.address, [False])
    written: list[tuple[str, int | str]] = [("Command", int(command)), ("CommandArgument", argument)]
    if command is Command.BEGIN_BATCH:
        written.append(("BatchName", batch_name))
    for name, value in written:
        point = _point(name)
        client.write_registers(point.address, encode(point, value, order))
    begun = time.monotonic()
    client.write_coils(execute.address, [True])
    try:
        while time.monotonic() - begun < timeout_s:
            if _is_on(client, "CommandCompleted"):
                return time.monotonic() - begun
            if _is_on(client, "CommandFailed"):
                raise CommandFailed(f"{command.name}: the station refused or failed: {_why(client, order)}")
            time.sleep(POLL_S)
    finally:
        client.write_coils(execute.address, [False])
    raise CommandFailed(f"{command.name}: no reply within {timeout_s:g} s; it may still be carried out")


def _why(client: ModbusClient, order: Order) -> str:
    """What CommandResult says; a map of version 2 has none."""
    point = next(point for point in POINTS if point.name == "CommandResult")
    values = [0] * point.address + client.read_registers(point.area, point.address, 1)
    known = {int(code): text for code, text in COMMAND_RESULTS.items() if code is not CommandResult.NONE}
    text = known.get(int(decode(point, values, order)))
    return "its log and audit say why" if text is None else f"{text.text}; {text.action}"


def _is_on(client: ModbusClient, name: str) -> bool:
    point = _point(name)
    return client.read_bits(point.area, point.address, 1)[0]


def _point(name: str) -> Point:
    return next(point for point in POINTS if point.name == name and point.area is not Area.INPUT_REGISTER)
