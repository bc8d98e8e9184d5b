"""What Modbus adds between a PLC and the state of the running station, while four clients poll it every 10 ms.

    python -m benchmarks.plc_polling [--clients 4] [--parts 300] [--json FILE]

The real daemon with the software camera and a small engine, over loopback. Each client polls the whole status block
from a process of its own; one more, the PLC, drives parts and looks every 0.5 ms, which is part of the figures. (One
that looks without a pause takes a core for itself and most of another for the replies: on two cores nothing is left.)

    write_to_station_ms   the PLC begins to write Trigger .. the station takes it (time of the trigger in the records)
    station_to_plc_ms     the result is signalled (records) .. the PLC has read ResultsValid
    poll_ms               one request for bits or registers of the whole block, to its answer, at the polling clients

Goal: p99 of each at most 5 ms. The PLC, which in life is another machine, runs with real-time priority where the system
allows it; station and polling clients do not. Times are those of the machine as it is: other load shows, and what the
host of a virtual machine takes away is printed with them.
`benchmarks/plc_link.py` measures the link alone.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.plc_link import percentiles, poll
from benchmarks.reject_timing import as_hardware
from station.records.parts import parts
from station.records.schema import open_reader
from station.simulation.run.processes import stopped_in_order
from tests.bench.live_station import live_station
from tests.bench.modbus_fuzz import (
    RESULTS_ACK,
    RESULTS_VALID,
    TRIGGER,
    TRIGGER_ACK,
    TRIGGER_ENABLE,
    TRIGGER_READY,
    GoodPlc,
    TcpWire,
)

GOAL_MS = 5.0
PAUSE_S = 0.03
SCAN_S = 0.0005


def cpu_ticks() -> tuple[int, int]:
    """(those that the host of a virtual machine took away, all) since boot."""
    ticks = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return ticks[7], sum(ticks)


def drive(plc: GoodPlc, count: int) -> list[tuple[float, float]]:
    """For each part the time before Trigger was written and after ResultsValid was read, in s since the epoch."""
    times = []
    for _ in range(count):
        plc.wait(TRIGGER_READY)
        written = time.time()
        plc.set_coil(TRIGGER, True)
        plc.wait(TRIGGER_ACK)
        plc.set_coil(TRIGGER, False)
        plc.wait(RESULTS_VALID)
        times.append((written, time.time()))
        plc.set_coil(RESULTS_ACK, True)
        plc.wait(RESULTS_VALID, False)
        plc.set_coil(RESULTS_ACK, False)
        time.sleep(PAUSE_S)
    return times


def measure(clients: int, count: int) -> dict[str, Any]:
    """All figures of one run in ms."""
    context = multiprocessing.get_context("fork")  # this process has one thread; a spawned one imports for seconds
    polls: multiprocessing.Queue[list[float]] = context.Queue()
    with tempfile.TemporaryDirectory(prefix="polling-") as directory:
        with live_station(Path(directory), plc__heartbeat_timeout_s=0, log__level="warning") as bench:
            wire = TcpWire(bench.port)
            plc = GoodPlc(wire, SCAN_S)
            plc.set_coil(TRIGGER_ENABLE, True)
            drive(plc, 5)
            stop = context.Event()
            readers = [context.Process(target=poll, args=(bench.port, stop, polls)) for _ in range(clients)]
            for reader in readers:
                reader.start()
            for _ in readers:
                assert polls.get(timeout=60) == []  # it polls now
            taken, total = cpu_ticks()
            with ThreadPoolExecutor(1, initializer=as_hardware) as plc_thread:
                times = plc_thread.submit(drive, plc, count).result()
            taken, total = (after - before for after, before in zip(cpu_ticks(), (taken, total), strict=True))
            stop.set()
            polled = [seconds for _ in readers for seconds in polls.get(timeout=60)]
            for reader in readers:
                reader.join()
            bench.assert_balanced(count + 5)
        with open_reader(Path(directory) / "work" / "records") as connection:
            rows = sorted(parts(connection), key=lambda row: row.acquisition_id)[5:]
    to_station = [row.wall_time - written for row, (written, _) in zip(rows, times, strict=True)]
    to_plc = [
        seen - row.wall_time - (row.signalled_ms or 0.0) / 1e3 for row, (_, seen) in zip(rows, times, strict=True)
    ]
    return {
        "write_to_station_ms": percentiles(to_station, 1e3),
        "station_to_plc_ms": percentiles(to_plc, 1e3),
        **({"poll_ms": percentiles(polled, 1e3)} if polled else {}),
        "taken_by_the_host": {"percent": round(100 * taken / max(total, 1), 1)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--parts", type=int, default=300)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    report: dict[str, Any] = {
        "alone": measure(0, arguments.parts),
        f"{arguments.clients}_clients": measure(arguments.clients, arguments.parts),
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }
    measured = report[f"{arguments.clients}_clients"]
    met = all(figures["p99"] <= GOAL_MS for name, figures in measured.items() if name.endswith("_ms"))
    report["goal"] = f"p99 <= {GOAL_MS:g} ms with {arguments.clients} clients: {'met' if met else 'missed'}"
    print(json.dumps(report, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    with stopped_in_order():
        main()
