"""`station plc conformance`: the options, the link they ask for, the exit code."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from station.commissioning.conformance import run
from station.commissioning.conformance.links import Link, StationAsClient, StationAsServer
from station.commissioning.conformance.plc import Plc, Source, Times
from station.commissioning.conformance.plc_memory import PlcMemory, RtuPlcServer, TcpPlcServer
from station.commissioning.conformance.registry import Rule
from station.commissioning.plc_client import LinkError, ModbusClient, Order, SerialPort, TcpTransport
from station.terminal import coloured, console, joined

STANDARD_OUTPUT = Path("-")
DESCRIPTION = (
    "Plays the PLC of a station, a correct one and many that make mistakes, and reports which rules of docs/plc.md "
    "the station keeps. The line must stand still and no other PLC may be connected: parts are triggered, results "
    "acknowledged, the station is taken off line and brought into a fault, counters are reset. Put a good part before "
    "the camera. Exit code: 0 no rule is broken, 1 one is, 2 the station is not reached."
)


_SOURCES = {"auto": Source.NONE, "trigger": Source.TRIGGER, "command": Source.COMMAND, "line": Source.LINE}


def add_options(parser: argparse.ArgumentParser) -> None:
    """What is checked, and how; the options of the connection are those of all tools."""
    times = Times()
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        help="the station is the Modbus client: play its PLC here; with --serial without HOST:PORT",
        nargs="?",
        const="",
    )
    parser.add_argument("--control-address", type=int, default=0, metavar="N", help="of a station in client role")
    parser.add_argument("--status-address", type=int, default=100, metavar="N", help="of a station in client role")
    parser.add_argument("--only", action="append", default=[], metavar="RULE", help="this rule, or those of a pattern")
    parser.add_argument("--skip", action="append", default=[], metavar="RULE", help="not this rule, or this pattern")
    parser.add_argument("--list", action="store_true", help="print the rules and end")
    parser.add_argument(
        "--json", type=Path, nargs="?", const=STANDARD_OUTPUT, metavar="FILE",
        help=f"as JSON: {', '.join(run.REPORT_KEYS)}; into FILE, too, or alone on standard output; "
        "with --list: a list of rule, plays, text",
    )  # fmt: skip
    parser.add_argument(
        "--parts", choices=tuple(_SOURCES), default="auto", help="what brings a part; auto finds it out (%(default)s)"
    )
    parser.add_argument("--require-all", action="store_true", help="exit code 1 when a rule could not be checked")
    parser.add_argument("--answer-time", type=float, default=times.answer_s, metavar="S", help="limit of a step")
    parser.add_argument("--settle-time", type=float, default=times.settle_s, metavar="S", help="what must not come")
    parser.add_argument(
        "--heartbeat-timeout",
        type=float,
        default=times.heartbeat_timeout_s,
        metavar="S",
        help="plc.heartbeat_timeout_s of the station (%(default)s)",
    )


def conformance(options: argparse.Namespace, chosen: Sequence[Rule], client: ModbusClient | None, order: Order) -> int:
    """Checks the chosen rules, prints what was found and returns the exit code.

    Args:
        chosen: see `run.selected`.
        client: to a station in server role; None with --listen.

    Raises:
        LinkError, OSError: the station is not reached.
    """
    alone = options.json == STANDARD_OUTPUT
    shown = console(stderr=alone)
    if options.list and alone:
        print(json.dumps([{"rule": rule.id, "plays": rule.plays, "text": rule.text} for rule in chosen], indent=2))  # noqa: T201
        return 0
    if options.list:
        for rule in chosen:
            shown.print(
                joined(coloured(rule.id, "bold"), " ", coloured(f"({rule.plays})", "dim"), f"\n    {rule.text}")
            )
        return 0
    link = _served(options, client) if client is not None else _polled(options, order)
    times = Times(
        answer_s=options.answer_time,
        settle_s=options.settle_time,
        heartbeat_timeout_s=options.heartbeat_timeout,
    )
    plc = Plc(link, times, order)
    plc.source = _SOURCES[options.parts]
    try:
        findings = run.check(plc, chosen, lambda finding: run.print_finding(shown, finding))
    finally:
        link.close()
    shown.print(f"{link.name}, parts by {plc.source.value}: {run.summary(findings)}")
    if alone:
        print(run.as_json(plc, findings))  # noqa: T201
    elif options.json is not None:
        options.json.write_text(run.as_json(plc, findings))
    return run.exit_code(findings, require_all=options.require_all)


def _served(options: argparse.Namespace, client: ModbusClient) -> Link:
    """The station is the server."""
    if options.serial:
        return StationAsServer(client, None)

    def another() -> ModbusClient:
        return ModbusClient(TcpTransport(options.host, options.port), options.unit, options.base)

    return StationAsServer(client, another)


def _polled(options: argparse.Namespace, order: Order) -> Link:
    """The station is the client: it polls registers that this program serves."""
    memory = PlcMemory(order, options.control_address, options.status_address)
    if options.serial:
        port = SerialPort(options.serial, options.baud, options.parity, options.stop_bits)
        return StationAsClient(memory, RtuPlcServer(memory, port, options.unit))
    host, _, port = options.listen.rpartition(":")
    if not (host and port.isdigit() and int(port) <= 65535):
        raise LinkError(f'--listen "{options.listen}": HOST:PORT, such as 0.0.0.0:502')
    return StationAsClient(memory, TcpPlcServer(memory, host, int(port), options.unit))
