"""Results over OPC UA for a long time: each once and equal to the records, beside a client that never reads.
`node-opcua-client` hears them.

    python -m benchmarks.opcua --minutes 10 --rate 20 --out benchmarks/results/opcua.json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from station.line.recording.stage import Recorder, RecorderSettings
from station.records.parts import parts
from station.records.schema import open_reader
from tests.bench.npm import npm_packages
from tests.bench.sample_parts import PartMaker
from tests.northbound.opcua.client import PACKAGES, Client, papers
from tests.northbound.opcua.system import Bench
from tests.northbound.sending import VERDICTS

FIELDS = ("Time", "ReceiveTime", "ResultId", "PartId", "ResultState", "ResultContent")
DRAIN_S = 60.0


def main() -> None:
    """Prints the figures, and writes them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=20)
    parser.add_argument("--modules", type=Path, help="node_modules with the client; unset: they are installed")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        modules = options.modules or npm_packages(folder, *PACKAGES)
        found = measured(folder, modules, options.minutes * 60, options.rate)
    print(json.dumps(found, indent=2))
    if options.out:
        options.out.write_text(json.dumps(found, indent=2) + "\n")


def measured(folder: Path, modules: Path, seconds: float, rate: int) -> dict[str, Any]:
    """`rate` parts a second, recorded as the line does, heard by one client; a second one never reads."""
    station = Bench(folder / "station")
    mine, deaf = papers(folder / "client"), papers(folder / "deaf", "urn:plant:deaf")
    station.trust(mine.der)
    station.trust(deaf.der, "deaf")
    client, silent = Client(modules, folder / "client"), Client(modules, folder / "deaf")
    recorder = Recorder(RecorderSettings(station.records, min_free_mb=0), "s1")
    heard = Heard(station.records)
    try:
        client.connect(station.port, mine)
        client.ask("subscribe", fields=FIELDS, queue=1)
        silent.connect(station.port, deaf)
        silent.ask("subscribe", fields=FIELDS)
        silent.stop_reading()
        recorder.start()
        before, cpu = memory_mb(), time.process_time()
        made, began = PartMaker("s1"), time.monotonic()
        count = round(seconds * rate)
        for number in range(1, count + 1):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            recorder.record(made.inspected(number, VERDICTS[number % 3]))
            if number % rate == 0:
                heard.take(client)
        took, spent = time.monotonic() - began, time.process_time() - cpu
        limit = time.monotonic() + DRAIN_S
        while (station.at < count or len(heard.came) < count) and time.monotonic() < limit:
            time.sleep(0.1)
            heard.take(client)
        return heard.figures(count) | {
            "seconds": round(took, 1),
            "at_the_cursor": station.at,
            "cpu_share_with_recording": round(spent / took, 3),
            "memory_before_mb": before,
            "memory_after_mb": memory_mb(),
        }
    finally:
        recorder.stop(20)
        silent.kill()
        client.close()
        station.close()


class Heard:
    """What the client has heard, held against the records as it comes."""

    def __init__(self, records: Path) -> None:
        self._records = records
        self.came: Counter[str] = Counter()
        self._unequal = 0
        self._lags_ms: list[float] = []

    def take(self, client: Client) -> None:
        """Takes what has come since the last time."""
        count = len(client.events)
        events, client.events[:count] = client.events[:count], []
        if not events:
            return
        with closing(open_reader(self._records)) as connection:
            for event in events:
                key = event["ResultId"]["Id"]
                self.came[key] += 1
                row = next(iter(parts(connection, session="s1", acquisition_id=int(key.split("/")[1]))))
                self._unequal += not is_same(event, row)
                received = datetime.fromisoformat(event["ReceiveTime"].replace("Z", "+00:00")).timestamp()
                self._lags_ms.append((event["heard"] - received) * 1000)

    def figures(self, count: int) -> dict[str, Any]:
        """How often each result came, whether it says what is on record, how long after the server raised it."""
        cuts = statistics.quantiles(self._lags_ms, n=100)
        return {
            "parts": count,
            "came": len(self.came),
            "twice_or_more": sum(one > 1 for one in self.came.values()),
            "missing": len({f"s1/{number}" for number in range(1, count + 1)} - set(self.came)),
            "not_equal_to_the_record": self._unequal,
            "heard_after_ms": {
                "median": round(cuts[49], 1), "p99": round(cuts[98], 1), "most": round(max(self._lags_ms), 1),
            },
        }  # fmt: skip


def is_same(event: dict[str, Any], row: Any) -> bool:
    """The result that came against the row of the records."""
    content = event["ResultContent"][0]
    views = [(view["Camera"], view["Verdict"], view.get("Score")) for view in content["Views"]]
    return (
        (event["PartId"]["Id"], content["Verdict"], content.get("Score"), content.get("RejectScore"))
        == (str(row.part_id), row.verdict, row.score, row.reject_score)
    ) and views == [(view.camera, view.verdict, view.score) for view in row.views]


def memory_mb() -> float:
    """Resident, of this process: server, connector and the recording of the test."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


if __name__ == "__main__":
    main()
