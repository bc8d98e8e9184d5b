"""A worker whose teaching is over at once, as a process, to be killed: `python -m ... FOLDER PORT DATABASE`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from station.fleet.refreshing.results import Results
from station.fleet.refreshing.table import Table
from station.fleet.refreshing.worker import Desk, Worker
from station.northbound.images.stores import Folder
from station.northbound.postgres.link import Server
from tests.bench.fleet import REFRESHER, REFRESHERS_WORD
from tests.fleet.refreshing.steps import QuickStep

LEASE_S = 1.0


def main(folder: Path, port: int, database: str) -> None:
    """Until it is killed."""
    server = Server("127.0.0.1", port, database, REFRESHER, REFRESHERS_WORD)
    step = QuickStep(lambda _job: time.sleep(1.0), folder / "made")
    store, results = Folder(folder / "share"), Results(folder / "results")
    desk = Desk(lambda name: Table(server, name), store, results, folder / "worker", step, 30, LEASE_S, 1 << 30)
    worker = Worker(desk)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        if worker.work_one() is None:
            time.sleep(0.1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
