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

from station.records.parts import parts
from station.records.schema import open_reader
from tests.bench.npm import npm_packages
from tests.bench.sample_parts import PartMaker
from tests.northbound.opcua.client import PACKAGES, Client, papers
from tests.northbound.opcua.system import Bench
from tests.northbound.sending import VERDICTS, record

FIELDS = ("Time", "ReceiveTime", "ResultId", "PartId", "ResultState", "ResultContent")
BATCH_S = 1.0
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
    """`rate` parts a second, recorded each second, heard by one client; a second one never reads."""
    station = Bench(folder / "station")
    mine, deaf = papers(folder / "client"), papers(folder / "deaf", "urn:plant:deaf")
    station.trust(mine.der)
    station.trust(deaf.der, "deaf")
    client, silent = Client(modules, folder / "client"), Client(modules, folder / "deaf")
    try:
        client.connect(station.port, mine)
        client.ask("subscribe", fields=FIELDS, queue=1)
        silent.connect(station.port, deaf)
        silent.ask("subscribe", fields=FIELDS)
        silent.stop_reading()
        before, cpu = memory_mb(), time.process_time()
        made, number, ends = PartMaker("s1"), 0, time.monotonic() + seconds
        while time.monotonic() < ends:
            started = time.monotonic()
            batch = [made.inspected(number + i, VERDICTS[(number + i) % 3]) for i in range(1, rate + 1)]
            record(station.records, batch)
            number += rate
            time.sleep(max(0.0, BATCH_S - (time.monotonic() - started)))
        spent = time.process_time() - cpu
        limit = time.monotonic() + DRAIN_S
        while (station.at < number or len(client.results()) < number) and time.monotonic() < limit:
            time.sleep(0.1)
        return figures(station, client, number, seconds) | {
            "cpu_share_with_recording": round(spent / seconds, 3),
            "memory_before_mb": before,
            "memory_after_mb": memory_mb(),
        }
    finally:
        silent.kill()
        client.close()
        station.close()


def figures(station: Bench, client: Client, number: int, seconds: float) -> dict[str, Any]:
    """How often each result came, and whether it says what is on record."""
    with closing(open_reader(station.records)) as connection:
        on_record = {f"{row.session}/{row.acquisition_id}": row for row in parts(connection)}
    came = Counter(client.results())
    unequal = sum(not is_same(event, on_record[event["ResultId"]["Id"]]) for event in client.events)
    return {
        "parts": number,
        "seconds": seconds,
        "on_record": len(on_record),
        "came": len(came),
        "twice_or_more": sum(count > 1 for count in came.values()),
        "missing": len(set(on_record) - set(came)),
        "not_equal_to_the_record": unequal,
        "at_the_cursor": station.at,
        "heard_after_ms": lag_ms(client),
    }


def is_same(event: dict[str, Any], row: Any) -> bool:
    """The result that came against the row of the records."""
    content = event["ResultContent"][0]
    views = [(view["Camera"], view["Verdict"], view.get("Score")) for view in content["Views"]]
    return (
        (event["PartId"]["Id"], content["Verdict"], content.get("Score"), content.get("RejectScore"))
        == (str(row.part_id), row.verdict, row.score, row.reject_score)
    ) and views == [(view.camera, view.verdict, view.score) for view in row.views]


def lag_ms(client: Client) -> dict[str, float]:
    """From the server's event to the client, by one clock."""
    lags = [
        (event["heard"] - datetime.fromisoformat(event["ReceiveTime"].replace("Z", "+00:00")).timestamp()) * 1000
        for event in client.events
        if "heard" in event
    ]
    if len(lags) < 2:
        return {}
    cuts = statistics.quantiles(lags, n=100)
    return {"median": round(cuts[49], 1), "p99": round(cuts[98], 1), "most": round(max(lags), 1)}


def memory_mb() -> float:
    """Resident, of this process: server, connector and the recording of the test."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


if __name__ == "__main__":
    main()
