"""A real station through a seeded schedule of faults while the line runs: what must hold, holds.

    python -m benchmarks.chaos [--parts 100000] [--faults 1000] [--rate 20] [--seed 1] [--minutes M] [--json FILE]

The daemon is the real one with the software camera and a small engine whose verdict of every picture is known; a third
of the parts are bad. The simulated line runs on through everything. The daemon is started again whenever it ends, as
systemd does. As root the records lie on a file system of their own, which is frozen and filled; without it those two
faults do nothing. The clock that the station sees is stepped, the computer's own is not. At the end:

* no bad part passes; a part in the good bin has its PASS on record;
* every verdict that the PLC has read is on record with its part, whatever was killed after it;
* pulses of the light barrier = triggers + missed ones, outside the times in which nobody was there to see them;
* within a session every part that was opened is on record;
* the daemon ends only when it is asked to, with exit code 0 (9 for a kill), and is ready again each time;
* memory, open files and threads of the longest session do not grow.

Exit code 1 when one of them does not hold, or took longer than it may (`slow`: a matter of the machine, too).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks.chaos.run import Asked, run
from station.simulation.run.processes import stopped_in_order


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, default=100_000)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="let no more parts onto the belt after that time")
    parser.add_argument("--work", type=Path, help="keep the files here")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    console = Console()
    asked = Asked(options.parts, options.faults, options.rate, options.seed, options.minutes)
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
        found = run(options.work or Path(temporary), asked, console)
    console.print_json(json.dumps(found))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 1 if found["problems"] or found["slow"] else 0


if __name__ == "__main__":
    with stopped_in_order():
        sys.exit(main())
