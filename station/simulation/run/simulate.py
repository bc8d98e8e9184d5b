"""`station plc simulate`: the line of the demo in front of any running station whose camera is the software camera.

Belt, light barrier, parts, PLC and ejector are those of the demo; the station is known by its map alone. With `--fault`
the PLC misbehaves. Exit codes: 0 the books balance; 1 they do not, or the run could not be finished; 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from station.commands.daemon import complain
from station.commissioning.plc_client import ModbusClient, Order
from station.commissioning.plc_monitor import Reader
from station.simulation.accounts.books import COUNTERS, Books
from station.simulation.parts import choosing
from station.simulation.parts.pictures import Canvas, ImageFolderError, open_folder
from station.simulation.parts.rendered import SIZE_PX
from station.simulation.parts.schedule import LinePlan
from station.simulation.plant.faults import FaultKind, parse_fault
from station.simulation.plant.plc import TriggerMode
from station.simulation.run.drive import RunFailed, drive
from station.simulation.run.processes import LineProcess, ProcessEnded
from station.simulation.run.workspace import DEADLINE_MS, WorkspaceError, configuration, prepare

EXIT_UNBALANCED = 1
RATES_PER_S = (0.2, 20.0)
FASTEST_DOUBLE_TRIGGER = 10.0
"""With a PLC that triggers: a second edge must be over before the next part comes."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """All but the connection."""
    parser.add_argument("--parts", type=int, default=100, metavar="N", help="default: %(default)s")
    parser.add_argument("--rate", type=float, default=4.0, metavar="PARTS_PER_S", help="default: %(default)s")
    parser.add_argument("--trigger", choices=[mode.value for mode in TriggerMode], default=TriggerMode.LINE.value,
                        help="as `trigger` of the station's camera; default: %(default)s")  # fmt: skip
    parser.add_argument("--images", type=Path, metavar="DIR", help="real pictures in MVTec layout; default: rendered")
    parser.add_argument("--seed", type=int, default=0, help="of parts and faults; default: 0")
    parser.add_argument("--transit", type=float, default=DEADLINE_MS / 1000 + 0.5, metavar="S",
                        help="camera to ejector, more than the station's deadline; default: %(default)s")  # fmt: skip
    parser.add_argument("--fault", action="append", default=[], metavar="KIND:P",
                        help=f"the PLC misbehaves with this probability per part: {', '.join(FaultKind)}")  # fmt: skip
    parser.add_argument("--clear-faults", type=float, metavar="S",
                        help="somebody clears a fault of the station after so long; default: nobody does")  # fmt: skip
    parser.add_argument(
        "--work", type=Path, default=Path("line"), metavar="DIR", help="its files; default: %(default)s"
    )
    parser.add_argument("--write-config", type=Path, metavar="FILE", help="write a station.toml for the station")
    parser.add_argument("--engine", type=Path, default=Path("engine"), metavar="DIR", help="for --write-config")
    parser.add_argument("--wait", type=float, default=120.0, metavar="S", help="for TriggerReady; default: %(default)s")
    parser.add_argument("--json", action="store_true", help="the books as JSON on standard output")


def simulate(options: argparse.Namespace, client: ModbusClient, order: Order) -> int:
    """The command. Returns its exit code."""
    console = Console(stderr=options.json)
    try:
        plan = _plan(options)
        with LineProcess(_save(plan, options.work), options.work) as line:
            environment = line.wait_ready()
            _say_how_to_start(console, options, plan.canvas, environment)
            books = drive(line, plan, Reader(client, order), wait_s=options.wait, tell=console.print)
    except (ValueError, ImageFolderError, WorkspaceError) as problem:
        return complain(problem)
    except (RunFailed, ProcessEnded, TimeoutError) as problem:
        print(f"station: {problem}", file=sys.stderr)  # noqa: T201
        return EXIT_UNBALANCED
    if options.json:
        print(json.dumps(books.as_json(), indent=2))  # noqa: T201
    print_books(console, books)
    return EXIT_UNBALANCED if books.problems else 0


def _plan(options: argparse.Namespace) -> LinePlan:
    """Looks at everything before anything is started. Raises ValueError, ImageFolderError, WorkspaceError."""
    low, high = RATES_PER_S
    if not low <= options.rate <= high:
        raise ValueError(f"--rate {options.rate:g}: allowed are {low:g} to {high:g} parts/s")
    if not 1 <= options.parts <= 1_000_000:
        raise ValueError(f"--parts {options.parts}: allowed are 1 to 1000000")
    if not 0.1 <= options.transit <= 60:
        raise ValueError(f"--transit {options.transit:g}: allowed are 0.1 to 60 s")
    if options.serial:
        raise ValueError("--serial: the line's PLC speaks Modbus TCP only")
    faults = tuple(parse_fault(text) for text in options.fault)
    trigger = TriggerMode(options.trigger)
    doubles = any(fault.kind is FaultKind.DOUBLE_TRIGGER for fault in faults)
    if doubles and trigger is TriggerMode.PLC and options.rate > FASTEST_DOUBLE_TRIGGER:
        raise ValueError(f"--fault double-trigger with --trigger plc: at most --rate {FASTEST_DOUBLE_TRIGGER:g}")
    if options.write_config is not None and not options.write_config.absolute().parent.is_dir():
        raise ValueError(f"--write-config {options.write_config}: no such folder")
    images = open_folder(options.images) if options.images is not None else None
    if images is not None:
        parts = choosing.from_images(images.test, options.parts, options.seed)
    else:
        parts = choosing.rendered(options.parts, 0, options.seed)
    workspace = prepare(options.work)
    return LinePlan(
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
    )


def _save(plan: LinePlan, work: Path) -> Path:
    path = work / "plan.json"
    plan.save(path)
    return path


def _say_how_to_start(
    console: Console, options: argparse.Namespace, canvas: Canvas, environment: dict[str, str]
) -> None:
    path: Path = options.write_config or options.work / "station.toml"
    work_dir = options.work.absolute() / "station"
    path.write_text(
        configuration(canvas, options.engine.absolute(), options.port, trigger=options.trigger, work_dir=work_dir),
        encoding="utf-8",
    )
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    console.print("The camera of the station sees this line when the station runs with", highlight=False)
    console.print(f"  {variables} station run --config {shlex.quote(str(path))}", highlight=False, soft_wrap=True)


def print_books(console: Console, books: Books) -> None:
    """The books for people."""
    table = Table("", title="ledger", title_justify="left")
    for name in COUNTERS:
        table.add_column(name, justify="right")
    table.add_row("line", *(str(books.line.get(name, "")) for name in COUNTERS))
    table.add_row("station", *(str(books.station[name]) for name in COUNTERS))
    console.print(table)
    figures = Table.grid(padding=(0, 2))
    figures.add_row("parts", f"{books.parts}: {books.good_bin} in the good bin, {books.reject_bin} pushed off")
    figures.add_row("bad parts passed", str(len(books.bad_parts_passed)))
    figures.add_row("wrong ejections", str(len(books.wrong_ejections) + len(books.not_ejected) + books.misfires))
    for why, count in sorted(books.good_parts_rejected.items()):
        figures.add_row("good parts pushed off", f"{count}: {why}")
    for kind, count in sorted(books.faults.items()):
        figures.add_row("faults of the PLC", f"{count} {kind}")
    if books.station_faults:
        figures.add_row("faults of the station", f"{books.station_faults}, cleared at the line")
    figures.add_row("belt waited", f"{books.belt_waited_s:.1f} s for a scan that this machine held up")
    console.print(figures)
    for problem in books.problems:
        console.print(f"[bold red]wrong:[/] {problem}", highlight=False)
    if not books.problems:
        console.print("[green]The books balance; no bad part passed and no part was pushed off wrongly.[/]")
