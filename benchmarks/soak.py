"""Thousands of parts on the simulated line with a PLC that misbehaves, against the real station: do the books balance?

    python benchmarks/soak.py [--parts 10000] [--rate 20] [--trigger line] [--fault KIND:P ...] [--json FILE]

The path is the real one: `station run` with the software camera, Modbus TCP, journal and records. Only the engine is a
small one, so that its verdict of every picture is known: it passes each good part and fails each bad one. A third of
the parts are bad. At the end three books are held against each other: what the line saw, what the station counted, and
what it recorded, part by part. Exit code 0: all balance, no bad part passed, no wrong part was pushed off.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from station.commissioning.plc_client import ModbusClient, Order, TcpTransport
from station.commissioning.plc_monitor import Reader
from station.records.parts import PartRow, parts
from station.records.schema import open_reader
from station.records.sessions import count_parts
from station.simulation.accounts.books import COUNTERS, Books
from station.simulation.accounts.report import ids_in_words
from station.simulation.parts.pictures import GOOD, Canvas
from station.simulation.parts.schedule import LineSchedule, ScheduledPart
from station.simulation.plant.belt import Bin
from station.simulation.plant.faults import Fault, parse_fault
from station.simulation.plant.plc_signals import TriggerMode
from station.simulation.run.drive import drive
from station.simulation.run.processes import LineProcess, StationProcess, stopped_in_order
from station.simulation.run.simulate import print_books
from station.simulation.run.workspace import DEADLINE_MS, configuration, prepare
from tests.bench.engines.small_engine import write_small_engine

WIDTH, HEIGHT = 160, 128
BAD_SHARE = 1 / 3
FAULTS = (
    "late-ack:0.01",
    "lost-connection:0.003",
    "double-trigger:0.01",
    "frozen-heartbeat:0.0005",
    "wrong-part-id:0.01",
)
"""Together they disturb about a tenth of the time."""


CLEAR_FAULT_AFTER_S = 2.0
"""Three parts in a row without a result are a fault; on a machine that stalls that happens, and somebody clears it."""


def schedule_parts(count: int, folder: Path, seed: int) -> tuple[ScheduledPart, ...]:
    """Good and bad parts in random order, and their two pictures."""
    rng = np.random.default_rng(seed)
    good = np.full((HEIGHT, WIDTH), 64, np.uint8)
    bad = good.copy()
    bad[40:72, 40:72] = 220
    pictures = {GOOD: folder / "good.png", "spot": folder / "spot.png"}
    for path, picture in zip(pictures.values(), (good, bad), strict=True):
        cv2.imwrite(str(path), picture)
    truths = np.where(rng.random(count) < BAD_SHARE, "spot", GOOD)
    return tuple(
        ScheduledPart(serial, "inspect", str(truth), image=str(pictures[str(truth)]))
        for serial, truth in enumerate(truths, start=1)
    )


def soak(
    work: Path,
    *,
    count: int,
    rate_per_s: float,
    trigger: TriggerMode = TriggerMode.LINE,
    faults: Sequence[Fault] = (),
    seed: int = 0,
    console: Console | None = None,
) -> dict[str, Any]:
    """Runs it in the folder `work`; the figures."""
    console = console or Console(quiet=True)
    workspace = prepare(work)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    canvas = Canvas(WIDTH, HEIGHT, 1)
    schedule = LineSchedule(
        canvas=canvas,
        parts=schedule_parts(count, work, seed),
        rate_per_s=rate_per_s,
        transit_s=DEADLINE_MS / 1000 + 0.5,
        scene_prefix=str(workspace.scene_prefix),
        plc_host="127.0.0.1",
        plc_port=port,
        trigger=trigger,
        faults=tuple(faults),
        seed=seed,
        clear_fault_after_s=CLEAR_FAULT_AFTER_S,
    )
    schedule.save(workspace.schedule)
    write_small_engine(workspace.engine, width=WIDTH, height=HEIGHT)
    text = configuration(canvas, workspace.engine, port, trigger=trigger.value)
    workspace.configuration.write_text(text + 'pass_image_share = 0.0\n\n[log]\nlevel = "error"\n')
    client = ModbusClient(TcpTransport("127.0.0.1", port))
    with LineProcess(workspace.schedule, work) as line, client:
        environment = line.wait_ready()
        with StationProcess(
            workspace.configuration, workspace.control_socket, workspace.station_log, environment
        ) as station:
            station.wait_ready()
            started_s = time.monotonic()
            books = drive(line, schedule, Reader(client, Order()), wait_s=60.0, show=console.print)
            seconds = time.monotonic() - started_s
            status = station.status()
    with contextlib.closing(open_reader(workspace.records)) as connection:
        recorded = count_parts(connection)
        rows = list(parts(connection))
    good_bin = {serial for serial, end in line.state.ends.items() if end["bin"] == Bin.GOOD.value}
    found = [*books.problems, *compare(books, good_bin, rows, asdict(recorded), status["counters"])]
    print_books(console, books)
    return {
        "parts": count,
        "rate_per_s": rate_per_s,
        "held_rate_per_s": round(count / (seconds - schedule.transit_s), 2),
        "trigger": trigger.value,
        "faults": [asdict(fault) for fault in faults],
        "seed": seed,
        "books": books.as_json(),
        "recorded": asdict(recorded),
        "reasons": dict(Counter(str(row.reason_list[0]).split(":")[0] for row in rows if row.reason_list)),
        "problems": found,
    }


def compare(
    books: Books,
    good_bin: Collection[int],
    rows: Sequence[PartRow],
    recorded: dict[str, int],
    counted: dict[str, int],
) -> list[str]:
    """What the records say otherwise than line and counters. Every part in the good bin has its PASS on record."""
    problems = []
    names = dict(zip(COUNTERS, ("triggers", "passed", "failed", "review", "error", "missed"), strict=True))
    for name, field in names.items():
        if not books.station[name] == recorded[field] == counted[field]:
            said = f"map {books.station[name]}, records {recorded[field]}, status {counted[field]}"
            problems.append(f"{name} differs: {said}")
    without = sorted(set(good_bin) - {row.part_id for row in rows if row.verdict == "PASS"})
    if without:
        problems.append(f"parts in the good bin without a PASS on record: {ids_in_words(without)}")
    wrongly_failed = {why: n for why, n in books.good_parts_rejected.items() if why.startswith(("FAIL", "REVIEW"))}
    if wrongly_failed:
        problems.append(f"good parts with the verdict of another picture: {wrongly_failed}")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--trigger", choices=[mode.value for mode in TriggerMode], default=TriggerMode.LINE.value)
    parser.add_argument("--fault", action="append", metavar="KIND:P", help=f"default: {' '.join(FAULTS)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="keep the files here")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    faults = [parse_fault(text) for text in (FAULTS if options.fault is None else options.fault)]
    console = Console()
    with tempfile.TemporaryDirectory() as temporary:
        result = soak(
            options.work or Path(temporary),
            count=options.parts,
            rate_per_s=options.rate,
            trigger=TriggerMode(options.trigger),
            faults=faults,
            seed=options.seed,
            console=console,
        )
    console.print(f"held {result['held_rate_per_s']} parts/s; reasons on record: {result['reasons']}", highlight=False)
    for problem in result["problems"]:
        console.print(f"[bold red]wrong:[/] {problem}", highlight=False)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 1 if result["problems"] else 0


if __name__ == "__main__":
    with stopped_in_order():
        sys.exit(main())
