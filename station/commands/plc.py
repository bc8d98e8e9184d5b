"""`station plc`: tools for whoever connects a PLC to a station. Each lives in a module of its own."""

from __future__ import annotations

import argparse

from station.commands.daemon import complain
from station.commissioning import plc_monitor
from station.commissioning.conformance import command as conformance_command
from station.commissioning.plc_client import LinkError, ModbusClient, Order, RtuTransport, SerialPort, TcpTransport
from station.simulation.run import simulate as plc_simulate

DEFAULT_PORT = 1502


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `plc` and its actions."""
    parser = commands.add_parser("plc", help="tools for integrators: watch and test the link to the PLC")
    actions = parser.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")
    monitor = actions.add_parser("monitor", help="every point of a station's map, live; reads only")
    add_connection_options(monitor)
    plc_monitor.add_options(monitor)
    monitor.set_defaults(run=run_monitor)
    conformance = actions.add_parser(
        "conformance", help="does a station keep the rules of docs/plc.md?", description=conformance_command.DESCRIPTION
    )
    add_connection_options(conformance)
    conformance_command.add_options(conformance)
    conformance.set_defaults(run=run_conformance)
    simulate = actions.add_parser("simulate", help="a whole line in front of a running station; faults on request")
    add_connection_options(simulate)
    plc_simulate.add_options(simulate)
    simulate.set_defaults(run=run_simulate)


def add_connection_options(parser: argparse.ArgumentParser) -> None:
    """Where the station is; the same for all tools."""
    parser.add_argument("--host", default="127.0.0.1", metavar="H", help="address of the station (%(default)s)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, metavar="P", help="its TCP port (%(default)s)")
    parser.add_argument("--unit", type=int, default=1, metavar="N", help="Modbus unit id (%(default)s)")
    parser.add_argument("--serial", metavar="PORT", help="Modbus RTU on this serial port in place of TCP")
    parser.add_argument("--baud", type=int, default=19200, metavar="N", help="of the serial port (%(default)s)")
    parser.add_argument("--parity", choices=("N", "E", "O"), default="E", help="of the serial port (%(default)s)")
    parser.add_argument("--stop-bits", type=int, choices=(1, 2), default=1, help="of the serial port (%(default)s)")
    parser.add_argument("--base", type=int, default=0, metavar="N", help="base address of the map (%(default)s)")
    parser.add_argument("--word-order", choices=("high", "low"), default="high", help="first word of 32 bits")
    parser.add_argument("--byte-order", choices=("high", "low"), default="high", help="first byte of a register")


def client_of(options: argparse.Namespace) -> ModbusClient:
    """The client that the options ask for. Raises LinkError when a serial port cannot be opened."""
    if options.serial:
        return ModbusClient(RtuTransport(serial_of(options)), options.unit, options.base)
    return ModbusClient(TcpTransport(options.host, options.port), options.unit, options.base)


def serial_of(options: argparse.Namespace) -> SerialPort:
    return SerialPort(options.serial, options.baud, options.parity, options.stop_bits)


def order_of(options: argparse.Namespace) -> Order:
    return Order(high_word_first=options.word_order == "high", low_byte_first=options.byte_order == "low")


def run_monitor(options: argparse.Namespace) -> int:
    """`station plc monitor`."""
    try:
        with client_of(options) as client:
            return plc_monitor.monitor(options, client, order_of(options))
    except (LinkError, OSError) as problem:
        return complain(problem)


def run_conformance(options: argparse.Namespace) -> int:
    """`station plc conformance`."""
    try:
        if options.listen is not None or options.list:
            return conformance_command.conformance(options, None, order_of(options))
        with client_of(options) as client:
            return conformance_command.conformance(options, client, order_of(options))
    except (LinkError, OSError) as problem:
        return complain(problem)


def run_simulate(options: argparse.Namespace) -> int:
    """`station plc simulate`."""
    try:
        with client_of(options) as client:
            return plc_simulate.simulate(options, client, order_of(options))
    except (LinkError, OSError) as problem:
        return complain(problem)
