"""What the line feels of the plant: overhead of a part with `station plant run` beside it against none, in pairs.

    python -m benchmarks.plant_line --engine DIR [--pairs 5] [--parts 1000] [--rate 20] [--json FILE]

One half of a pair is `benchmarks.line_path`'s first part as it is; in the other one the plant process sends a row of
every part to Debian's PostgreSQL, which is killed in the middle and away until the line has stopped. Then it starts,
and both sides must be equal. Which half comes first changes from pair to pair. Exit code 1 when the p99.9 of the
overhead (medians of the halves) is more than a tenth higher, or a row is missing.

Line and plant process have the priority that their services give them, so it starts as root. The server stands for
another computer: it takes the processor only where nothing of the station wants it. For a machine of its own.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.hmi_line import Beside, Lines, be_the_line, halves, with_priority
from station.configuration.load import load_station
from station.forwarding.progress import forwarding_beside, read_progress
from station.simulation.run.processes import stopped_in_order
from tests.bench.postgres import STATION, STATIONS_WORD, postgres
from tests.bench.waiting import children_of, wait_for
from tests.northbound.postgres.station import Row, hours_of

PLANT_NICE = 10
"""As systemd/station-plant.service."""
DRAIN_S = 120.0


class Plant(Beside):
    """The process that sends, and its server, which is away in the second half."""

    def __init__(self, config: Path, seconds: float) -> None:
        """`seconds`: how long the line runs."""
        self._seconds = seconds
        self._stack = ExitStack()
        self._server = self._stack.enter_context(postgres())
        self._database = self._server.new_database()
        self._leave_the_processor_to_the_station()
        self.rows = 0
        self.is_equal = False
        super().__init__(config)

    def _leave_the_processor_to_the_station(self) -> None:
        ours = children_of(os.getpid())
        for pid in [*ours, *(grandchild for child in ours for grandchild in children_of(child))]:
            if "postgres" in Path(f"/proc/{pid}/comm").read_text():
                os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))

    def go(self) -> None:
        """Until the line has stopped and everything is there."""

        own = self.config.with_name("plant.toml")
        word = self.config.with_name("database.password")
        word.write_text(f"{STATIONS_WORD}\n")
        word.chmod(0o600)
        own.write_text(
            f'{self.config.read_text()}[postgres]\nhost = "127.0.0.1"\nport = {self._server.port}\n'
            f'database = "{self._database}"\nuser = "{STATION}"\npassword_file = "{word.name}"\n'
            'encryption = "none"\npass_every = 1\ntimeout_s = 5\n'
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "station", "plant", "run", "--config", str(own)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=with_priority(PLANT_NICE),  # noqa: PLW1509  see there
        )  # fmt: skip
        try:
            self.ends.wait(self._seconds / 2)
            self._server.kill()
            self.ends.wait()
            self._server.start()  # of this thread, so it leaves the processor to the station, too
            records = load_station(own).records_dir
            wait_for(lambda: self._there() == hours_of(records), "both sides are equal", DRAIN_S)
            self.rows, self.is_equal = sum(parts for _, parts, _ in self._there()), True
            (found,) = read_progress(forwarding_beside(records))
            assert found.failing_since is None, found.detail
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            self._stack.close()

    def _there(self) -> list[Row]:
        return self._server.ask(self._database, "SELECT * FROM station_fleet.hours('demo') ORDER BY 1")


class PlantLines(Lines):
    """Halves with the plant process and without."""

    def pair(self, number: int, with_plant: bool) -> None:
        options = self._options
        plant = partial(Plant, seconds=options.parts / options.rate) if with_plant else None
        times, beside = self.run(options.parts, options.rate, plant)
        run = {
            "pair": number, "plant": with_plant, "load": os.getloadavg()[0], "parts": times["parts"],
            "refused": times["refused"], **times["overhead_ms"],
        }  # fmt: skip
        if with_plant:
            run |= {"rows": beside.rows, "equal": beside.is_equal}
        self.found["runs"].append(run)
        self.say(run)

    def ratios(self) -> dict[str, float]:
        """Of the medians, with to without."""
        found = {}
        for name in ("p50", "p99", "p99.9"):
            without, beside = (
                statistics.median(run[name] for run in self.found["runs"] if run["plant"] is is_there)
                for is_there in (False, True)
            )
            found[name] = round(beside / without, 3)
        self.found["ratios"] = found
        self.say(found)
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=Path, required=True, help="see: station teach")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--parts", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--limit-s", type=int, default=2700, help="ends the run, and its station, after this time")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    be_the_line(parser)
    lines = PlantLines(options)
    with stopped_in_order(options.limit_s):
        for pair, with_plant in halves(options.pairs):
            lines.pair(pair, with_plant)
    ratios = lines.ratios()
    return 0 if ratios["p99.9"] <= 1.1 and all(run.get("equal", True) for run in lines.found["runs"]) else 1


if __name__ == "__main__":
    sys.exit(main())
