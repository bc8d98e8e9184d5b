"""`station plc`: tools for whoever connects a PLC to a station. Each lives in a module of its own."""

from __future__ import annotations

import argparse

from station import plc_monitor
from station.plc_client import LinkError, ModbusClient, RtuTransport, TcpTransport, Words
from station.station_tools import complain

DEFAULT_PORT = 1502


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `plc` and its actions."""
    parser = commands.add_parser("plc", help="tools for integrators: watch and test the link to the PLC")
    actions = parser.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")
    monitor = actions.add_parser("monitor", help="every point of a station's map, live; reads only")
    add_connection_options(monitor)
    plc_monitor.add_options(monitor)
    monitor.set_defaults(run=run_monitor)


def add_connection_options(parser: argparse.ArgumentParser) -> None:
    """Where the station is; the same for all tools."""
    parser.add_argument("--host", default="127.0.0.1", metavar="H", help="address of the station (%(default)s)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, metavar="P", help="its TCP port (%(default)s)")
    parser.add_argument("--unit", type=int, default=1, metavar="N", help="Modbus unit id (%(default)s)")
    parser.add_argument("--serial", metavar="PORT", help="Modbus RTU on this serial port in place of TCP")
    parser.add_argument("--baud", type=int, default=19200, metavar="N", help="of the serial port (%(default)s)")
    parser.add_argument("--parity", choices=("N", "E", "O"), default="E", help="of the serial port (%(default)s)")
    parser.add_argument("--word-order", choices=("high", "low"), default="high", help="first word of 32 bits")


def client_of(options: argparse.Namespace) -> ModbusClient:
    """The client that the options ask for. Raises LinkError when a serial port cannot be opened."""
    if options.serial:
        return ModbusClient(RtuTransport(options.serial, options.baud, options.parity), options.unit)
    return ModbusClient(TcpTransport(options.host, options.port), options.unit)


def words_of(options: argparse.Namespace) -> Words:
    return Words(high_first=options.word_order == "high")


def run_monitor(options: argparse.Namespace) -> int:
    """`station plc monitor`."""
    try:
        with client_of(options) as client:
            return plc_monitor.monitor(options, client, words_of(options))
    except (LinkError, OSError) as problem:
        return complain(problem)
