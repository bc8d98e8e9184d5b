"""How the refresh of many stations grows with the number of jobs: processes of this computer, and tasks of Ray.

    python -m benchmarks.fleet_refresh [--jobs 1,2,4,8] [--workers 1,2] [--executors local,ray] [--parts 60]
        [--steps N] [--ray-python FILE] [--json FILE]

Each job is one station: its rows in Debian's PostgreSQL, its images in a folder, a teaching with the default detector
(`--steps`: fewer), the engine in the folder of results. Measured is `station fleet refresh` from its start to its end,
and the processor time of each job as its row has it. A second part asks what the table itself costs: jobs that do
nothing, taken by some workers at once. Written on for 1,000 stations: core-hours of the teachings, and the table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from engines.cores import usable_cores
from station.fleet.refreshing.jobs import Asked, Result
from station.fleet.refreshing.table import Table
from station.results import Verdict
from tests.bench.engines.pictures import ring
from tests.bench.fleet import Fleet
from tests.bench.places import ROOT
from tests.bench.postgres import PostgresServer, postgres

STATIONS = 1000
NOTHING = Result("cover", "e" * 64, "a" * 64, 1, {}, 0.0)
SIZE_PX = 256


def round_of(
    server: PostgresServer, executor: str, workers: int, count: int, options: argparse.Namespace
) -> dict[str, Any]:
    """One `station fleet refresh` of `count` stations."""
    with tempfile.TemporaryDirectory(prefix="fleet-refresh-") as folder:
        fleet = Fleet(Path(folder), server, server.new_database(), lease_s=30.0)
        for number in range(count):
            fleet.send(f"ST-{number:02d}", good_parts(options.parts), lambda n: ring(n, size=SIZE_PX))
        words = ["--executor", executor, "--workers", str(workers), "--threads", "1", "--defect-trials", "0", "--json"]
        words += [] if options.steps is None else ["--steps", str(options.steps)]
        python, environment = interpreter(executor, options)
        began = time.perf_counter()
        done = subprocess.run(
            [python, "-m", "station", "fleet", "refresh", *words, "--config", str(fleet.config)],
            capture_output=True, text=True, cwd=ROOT, env=environment, check=False,
        )  # fmt: skip
        spent = time.perf_counter() - began
        if done.returncode:
            raise SystemExit(f"{executor}, {count} jobs: {done.stderr[-2000:]}")
        jobs = json.loads(done.stdout)["jobs"]
    core = [job["core_s"] for job in jobs]
    return {
        "executor": executor, "workers": workers, "jobs": count, "wall_s": round(spent, 1),
        "wall_s_per_job": round(spent / count, 1), "core_s_per_job": round(sum(core) / count, 1),
        "load": round(os.getloadavg()[0], 1), "tries": sum(job["tries"] for job in jobs),
    }  # fmt: skip


def good_parts(count: int) -> dict[int, Verdict]:
    """By their numbers."""
    return dict.fromkeys(range(1, count + 1), Verdict.PASS)


def interpreter(executor: str, options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """Python and environment: for Ray that of `make fleet-test`, with the packages of the station behind it."""
    environment = {**os.environ, "STATION_GIVES_WAY": "no"}
    if executor != "ray":
        return sys.executable, environment
    packages = [str(path) for path in options.ray_python.parent.parent.glob("lib/python*/site-packages")]
    own = Path(sysconfig.get_paths()["purelib"])
    more = [line for file in own.glob("*.pth") for line in file.read_text().splitlines() if line.startswith("/")]
    path = os.pathsep.join([str(ROOT), *packages, str(own), *more])
    return str(options.ray_python), {**environment, "PYTHONPATH": path}


def table_alone(server: PostgresServer, workers: int) -> dict[str, Any]:
    """Jobs of 1,000 stations that do nothing: add, take, beat, done."""
    with tempfile.TemporaryDirectory(prefix="fleet-table-") as folder:
        fleet = Fleet(Path(folder), server, server.new_database())
        table = fleet.table()
        began = time.perf_counter()
        table.add("r", [Asked(f"ST-{n:04d}", "default") for n in range(STATIONS)], parts=1, options={}, by="", tries=3)
        added = time.perf_counter()

        def work(own: Table) -> None:
            while (job := own.take(60.0)) is not None:
                own.beat(job, 60.0, "learn", 1, 2)
                own.done(job, NOTHING)
            own.close()

        threads = [threading.Thread(target=work, args=(fleet.table(f"w{n}"),)) for n in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ended = time.perf_counter()
        counts = table.counts("r")
        table.close()
        assert counts.of == {"done": STATIONS}, counts
        assert counts.tries == STATIONS, "a job was taken twice"
    return {
        "jobs": STATIONS, "workers": workers, "add_s": round(added - began, 2),
        "ms_per_job": round((ended - added) * 1000 / STATIONS, 1),
    }  # fmt: skip


def main() -> int:
    """Prints a line a round, and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", default="1,2,4,8")
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--executors", default="local,ray")
    parser.add_argument("--parts", type=int, default=60)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--ray-python", type=Path, default=ROOT / ".venv-fleet" / "bin" / "python")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rounds, tables = [], []
    with postgres() as server:
        for workers in (1, 8):
            tables.append(table_alone(server, workers))
            print(tables[-1], flush=True)
        for executor in options.executors.split(","):
            for workers in map(int, options.workers.split(",")):
                for count in map(int, options.jobs.split(",")):
                    rounds.append(round_of(server, executor, workers, count, options))
                    print(rounds[-1], flush=True)
    core_s = max(one["core_s_per_job"] for one in rounds)
    result = {
        "cores": usable_cores(), "parts": options.parts, "size_px": SIZE_PX, "steps": options.steps, "rounds": rounds,
        "table": tables, "stations": STATIONS, "core_hours": round(core_s * STATIONS / 3600, 1),
    }  # fmt: skip
    print(f"{STATIONS} stations: {result['core_hours']} core-hours of teaching")
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
