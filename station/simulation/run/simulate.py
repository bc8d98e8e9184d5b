"""The line of the demo in front of any running station whose camera is the software camera: `station plc simulate`.

Belt, light barrier, parts, PLC and ejector are those of the demo; the station is known by its map alone.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console
from rich.table import Table

from station.commissioning.plc_monitor import Reader
from station.simulation.accounts.books import COUNTERS, Books
from station.simulation.parts.schedule import LineSchedule
from station.simulation.run.drive import drive
from station.simulation.run.processes import LineProcess
from station.simulation.run.workspace import Workspace, configuration
from station.terminal import coloured, joined


def simulate(
    schedule: LineSchedule,
    workspace: Workspace,
    reader: Reader,
    *,
    engine: Path,
    station_toml: Path,
    wait_s: float,
    console: Console,
) -> Books:
    """Starts the line, shows how to start a station in front of it, feeds all parts, and closes the books.

    Args:
        engine: folder that the configuration names.
        station_toml: this configuration of a station for the line is written here.
        wait_s: time limit for TriggerReady.

    Raises:
        RunFailed, ProcessEnded, TimeoutError: the run could not be finished.
    """
    schedule.save(workspace.schedule)
    station_toml.write_text(
        configuration(
            schedule.canvas,
            engine.absolute(),
            schedule.plc_port,
            trigger=schedule.trigger.value,
            work_dir=workspace.folder / "station",
            batches=bool(schedule.batch),
        ),
        encoding="utf-8",
    )
    with LineProcess(workspace.schedule, workspace.folder) as line:
        variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in line.wait_ready().items())
        command = f"{variables} station run --config {shlex.quote(str(station_toml))}"
        console.print("The camera of the station sees this line when the station runs with", highlight=False)
        console.print(f"  {command}", highlight=False, soft_wrap=True)
        return drive(line, schedule, reader, wait_s=wait_s, show=console.print)


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
        console.print(joined(coloured("wrong:", "bold red"), f" {problem}"))
    if not books.problems:
        console.print(coloured("The books balance; no bad part passed and no part was pushed off wrongly.", "green"))
