"""One command of the map, as the PLC gives it: number, argument, Execute, and the station's reply.

For a station without its PLC: where one writes, the station refuses a second writer, and so does this.
"""

from __future__ import annotations

import time

from drivers.plc.signal_map import POINTS, Area, Point
from station.commissioning.plc_client import ModbusClient, Order, encode
from station.line.handshake.messages import Command

POLL_S = 0.05
RELEASE_S = 5.0


class CommandFailed(Exception):
    """The station did not carry it out; says what it replied."""


def carry_out(client: ModbusClient, order: Order, command: Command, argument: int, timeout_s: float) -> float:
    """Returns the seconds until the station said CommandCompleted.

    Raises:
        CommandFailed: the station said so, or nothing in time.
        LinkError: it does not reply, or another client writes.
    """
    execute = _point("Execute")
    client.write_coils(execute.address, [False])
    for name, value in (("Command", int(command)), ("CommandArgument", argument)):
        point = _point(name)
        client.write_registers(point.address, encode(point, value, order))
    begun = time.monotonic()
    client.write_coils(execute.address, [True])
    try:
        while time.monotonic() - begun < timeout_s:
            if _is_on(client, "CommandCompleted"):
                return time.monotonic() - begun
            if _is_on(client, "CommandFailed"):
                raise CommandFailed(f"{command.name}: the station refused or failed; its log and audit say why")
            time.sleep(POLL_S)
    finally:
        client.write_coils(execute.address, [False])
    raise CommandFailed(f"{command.name}: no reply within {timeout_s:g} s; it may still be carried out")


def _is_on(client: ModbusClient, name: str) -> bool:
    point = _point(name)
    return client.read_bits(point.area, point.address, 1)[0]


def _point(name: str) -> Point:
    return next(point for point in POINTS if point.name == name and point.area is not Area.INPUT_REGISTER)
