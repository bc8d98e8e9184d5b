"""`station plc`: monitor, conformance, simulate: tools for whoever connects a PLC to a station.

Exit codes of `simulate`: 0 the books balance; 1 they do not, or the run could not be finished; 2 bad input.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from drivers.plc.signal_map import TEXT_REGISTERS
from station.commands.options import BadInput, add_config_option, add_json_option, calendar_at, complain, print_json
from station.commissioning import plc_command, plc_monitor
from station.commissioning.conformance import command as conformance_command
from station.commissioning.conformance import run as conformance_run
from station.commissioning.plc_client import LinkError, ModbusClient, Order, RtuTransport, SerialPort, TcpTransport
from station.commissioning.plc_monitor import Reader
from station.line.handshake.messages import Command
from station.simulation.accounts.books import Books
from station.simulation.parts import choosing
from station.simulation.parts.pictures import Canvas, ImageFolderError, open_folder
from station.simulation.parts.rendered import SIZE_PX
from station.simulation.parts.schedule import LineSchedule
from station.simulation.plant.faults import FaultKind, parse_fault
from station.simulation.plant.plc_signals import TriggerMode
from station.simulation.run.drive import RunFailed
from station.simulation.run.processes import ProcessEnded
from station.simulation.run.simulate import print_books, simulate
from station.simulation.run.workspace import DEADLINE_MS, Workspace, WorkspaceError, prepare
from station.terminal import console, say

DEFAULT_PORT = 1502
LONGEST_BATCH_NAME = 2 * TEXT_REGISTERS
EXIT_UNBALANCED = 1
RATES_PER_S = (0.2, 20.0)
FASTEST_DOUBLE_TRIGGER = 10.0
"""With a PLC that triggers: a second edge must be over before the next part comes."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `plc` and its actions."""
    parser = commands.add_parser("plc", help="tools for integrators: watch and test the link to the PLC")
    actions = parser.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")
    monitor = actions.add_parser("monitor", help="every point of a station's map, live; reads only")
    add_connection_options(monitor)
    plc_monitor.add_options(monitor)
    add_config_option(monitor)
    monitor.set_defaults(run=run_monitor)
    conformance = actions.add_parser(
        "conformance", help="does a station keep the rules of docs/plc.md?", description=conformance_command.DESCRIPTION
    )
    add_connection_options(conformance)
    conformance_command.add_options(conformance)
    conformance.set_defaults(run=run_conformance)
    commanded = actions.add_parser("command", help="give a command as the PLC does, where none is connected")
    names = [command.name.lower() for command in Command]
    commanded.add_argument("name", choices=names, metavar="NAME", help=", ".join(names))
    commanded.add_argument("--argument", type=int, default=0, metavar="N", help="number of the recipe or slot")
    commanded.add_argument("--batch", default="", metavar="NAME", help="of begin_batch: its name, up to 32 letters")
    commanded.add_argument("--timeout", type=float, default=60.0, metavar="S", help="longest wait (%(default)g)")
    add_connection_options(commanded)
    add_json_option(commanded, "command, argument, completed, seconds, problem")
    commanded.set_defaults(run=run_command)
    simulated = actions.add_parser("simulate", help="a whole line in front of a running station; faults on request")
    add_connection_options(simulated)
    add_simulate_options(simulated)
    simulated.set_defaults(run=run_simulate)


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


def run_command(options: argparse.Namespace) -> int:
    """Exit code 1: the station did not carry it out."""
    command, problem, seconds = Command[options.name.upper()], "", None
    if not 0 <= options.argument <= 0xFFFF:
        return complain(f"--argument {options.argument}: a register holds 0 to 65535")
    if options.batch and command is not Command.BEGIN_BATCH:
        return complain(f"--batch {options.batch}: without effect with {options.name}; begin_batch takes one")
    try:
        _check_batch(options.batch)
    except BadInput as bad:
        return complain(bad)
    try:
        with client_of(options) as client:
            order, timeout_s = order_of(options), options.timeout
            seconds = plc_command.carry_out(
                client, order, command, options.argument, timeout_s, batch_name=options.batch
            )
    except plc_command.CommandFailed as failed:
        problem = str(failed)
    except LinkError as lost:
        return complain(f"{lost}; where a PLC writes, the station takes no second writer")
    if options.json:
        done = {"command": options.name, "argument": options.argument, "completed": not problem}
        print_json({**done, "seconds": seconds, "problem": problem})
    elif not problem:
        console().print(f"{options.name}: completed after {seconds:.2f} s")
    else:
        say(problem, error=True)
    return EXIT_UNBALANCED if problem else 0


def _check_batch(name: str) -> None:
    """Raises BadInput: the registers cannot hold it. What they hold and the station refuses is its business."""
    if len(name) > LONGEST_BATCH_NAME or not name.isascii() or "\0" in name:
        raise BadInput(f"--batch {name}: up to {LONGEST_BATCH_NAME} letters of ASCII")


def order_of(options: argparse.Namespace) -> Order:
    return Order(high_word_first=options.word_order == "high", low_byte_first=options.byte_order == "low")


def run_monitor(options: argparse.Namespace) -> int:
    """`station plc monitor`."""
    try:
        with client_of(options) as client:
            return plc_monitor.monitor(options, client, order_of(options), calendar_at(options.config))
    except BrokenPipeError:  # of standard output: the links raise LinkError
        raise
    except (LinkError, OSError) as problem:
        return complain(problem)


def run_conformance(options: argparse.Namespace) -> int:
    """`station plc conformance`."""
    try:
        chosen = conformance_run.selected(options.only, options.skip)
    except ValueError as problem:
        return complain(problem)
    try:
        if options.listen is not None or options.list:
            return conformance_command.conformance(options, chosen, None, order_of(options))
        with client_of(options) as client:
            return conformance_command.conformance(options, chosen, client, order_of(options))
    except BrokenPipeError:  # of standard output: the links raise LinkError
        raise
    except (LinkError, OSError) as problem:
        return complain(problem)


def add_simulate_options(parser: argparse.ArgumentParser) -> None:
    """All but the connection."""
    parser.add_argument("--parts", type=int, default=100, metavar="N", help="default: %(default)s")
    parser.add_argument("--rate", type=float, default=4.0, metavar="PARTS_PER_S", help="default: %(default)s")
    parser.add_argument("--trigger", choices=[mode.value for mode in TriggerMode], default=TriggerMode.LINE.value,
                        help="as `trigger` of the station's camera; default: %(default)s")  # fmt: skip
    parser.add_argument("--images", type=Path, metavar="DIR", help="real pictures in MVTec layout; default: rendered")
    parser.add_argument("--seed", type=int, default=0, help="of parts and faults; default: 0")
    parser.add_argument("--transit", type=float, default=DEADLINE_MS / 1000 + 0.5, metavar="S",
                        help="camera to ejector, more than the station's deadline; default: %(default)s")  # fmt: skip
    parser.add_argument("--batch", default="", metavar="NAME",
                        help="the PLC begins this batch before the first part and ends it behind the last")  # fmt: skip
    parser.add_argument("--fault", action="append", default=[], metavar="KIND:P",
                        help=f"the PLC misbehaves with this probability per part: {', '.join(FaultKind)}")  # fmt: skip
    parser.add_argument("--clear-faults", type=float, metavar="S",
                        help="clear a fault of the station after S seconds; default: never")  # fmt: skip
    parser.add_argument(
        "--work", type=Path, default=Path("line"), metavar="DIR", help="its files; default: %(default)s"
    )
    parser.add_argument("--write-config", type=Path, metavar="FILE", help="write a station.toml for the station")
    parser.add_argument("--engine", type=Path, default=Path("engine"), metavar="DIR", help="for --write-config")
    parser.add_argument("--wait", type=float, default=120.0, metavar="S", help="for TriggerReady; default: %(default)s")
    add_json_option(parser, ", ".join(field.name for field in fields(Books)))


def run_simulate(options: argparse.Namespace) -> int:
    """`station plc simulate`."""
    shown = console(stderr=options.json)
    try:
        schedule, workspace = _simulated_line(options)
        with client_of(options) as client:
            books = simulate(
                schedule,
                workspace,
                Reader(client, order_of(options)),
                engine=options.engine,
                station_toml=options.write_config or options.work / "station.toml",
                wait_s=options.wait,
                console=shown,
            )
    except (RunFailed, ProcessEnded, TimeoutError) as problem:
        complain(problem)
        return EXIT_UNBALANCED
    except BrokenPipeError:
        raise
    except (BadInput, ImageFolderError, LinkError, OSError, WorkspaceError) as problem:
        return complain(problem)
    if options.json:
        print_json(books.as_json())
    print_books(shown, books)
    return EXIT_UNBALANCED if books.problems else 0


def _simulated_line(options: argparse.Namespace) -> tuple[LineSchedule, Workspace]:
    """Looks at everything before anything is started. Raises BadInput, ImageFolderError, WorkspaceError."""
    low, high = RATES_PER_S
    if not low <= options.rate <= high:
        raise BadInput(f"--rate {options.rate:g}: allowed are {low:g} to {high:g} parts/s")
    if not 1 <= options.parts <= 1_000_000:
        raise BadInput(f"--parts {options.parts}: allowed are 1 to 1000000")
    if not 0.1 <= options.transit <= 60:
        raise BadInput(f"--transit {options.transit:g}: allowed are 0.1 to 60 s")
    if options.serial:
        raise BadInput("--serial: the line's PLC speaks Modbus TCP only")
    _check_batch(options.batch)
    try:
        faults = tuple(parse_fault(text) for text in options.fault)
    except ValueError as problem:
        raise BadInput(str(problem)) from problem
    trigger = TriggerMode(options.trigger)
    doubles = any(fault.kind is FaultKind.DOUBLE_TRIGGER for fault in faults)
    if doubles and trigger is TriggerMode.PLC and options.rate > FASTEST_DOUBLE_TRIGGER:
        raise BadInput(f"--fault double-trigger with --trigger plc: at most --rate {FASTEST_DOUBLE_TRIGGER:g}")
    if options.write_config is not None and not options.write_config.absolute().parent.is_dir():
        raise BadInput(f"--write-config {options.write_config}: no such folder")
    images = open_folder(options.images) if options.images is not None else None
    if images is not None:
        parts = choosing.from_images(images.test, options.parts, options.seed)
    else:
        parts = choosing.rendered(options.parts, 0, options.seed)
    workspace = prepare(options.work)
    schedule = LineSchedule(
        canvas=images.canvas if images else Canvas(SIZE_PX, SIZE_PX, 3),
        parts=parts,
        rate_per_s=options.rate,
        transit_s=options.transit,
        scene_prefix=str(workspace.scene_prefix),
        plc_host=options.host,
        plc_port=options.port,
        plc_unit=options.unit,
        trigger=trigger,
        faults=faults,
        seed=options.seed,
        clear_fault_after_s=options.clear_faults,
        batch=options.batch,
    )
    return schedule, workspace
