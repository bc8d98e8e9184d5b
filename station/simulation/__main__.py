"""The process of the simulated line: `python -m station.simulation schedule.json`."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from station.simulation.parts.schedule import load_schedule
from station.simulation.plant.line import run


def main() -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(load_schedule(Path(sys.argv[1])), sys.stdin.fileno(), sys.stdout, stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
