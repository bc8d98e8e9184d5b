"""What the line feels of people who look: overhead of a part with viewers against none, in pairs, in one run.

    python -m benchmarks.hmi_line --engine DIR [--pairs 5] [--parts 200] [--rate 4] [--viewers 10] [--json FILE]

One half of a pair is `benchmarks.line_path`'s first part as it is; in the other one `station hmi` runs beside it and
as many viewers as given ask for one message after the other, as open pages do (they draw nothing: browsers run
elsewhere). Which half comes first changes from pair to pair. Also: processor time of the pages' process, with the
viewers and without any. For a machine that nothing else uses.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import connect
from websockets.typing import Origin

from benchmarks.line_path import overhead, pictures_for
from station.line.inspection.loading import engine_threads
from station.simulation.run.processes import end_with_starter, stopped_in_order

START_S = 60.0
IDLE_S = 10.0
TICKS = os.sysconf("SC_CLK_TCK")


class Pages:
    """`station hmi` beside a station, and those who look."""

    def __init__(self, config: Path, viewers: int) -> None:
        self._config = config
        self._viewers = viewers
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pages")
        self.messages = 0
        self.cpu: dict[str, float] = {}
        self._thread.start()

    def stop(self) -> None:
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        end = time.monotonic() + START_S
        while not self._config.is_file() and time.monotonic() < end and not self._ends.wait(0.05):
            pass
        command = [sys.executable, "-m", "station", "hmi", "--config", str(self._config), "--port", "0"]
        with ExitStack() as opened:
            process = opened.enter_context(
                subprocess.Popen(
                    command,
                    stdout=subprocess.PIPE,
                    text=True,
                    preexec_fn=end_with_starter,  # noqa: PLW1509  one system call, no lock
                )
            )
            opened.callback(process.kill)
            assert process.stdout is not None
            found = None
            for line in process.stdout:
                if found := re.search(r"pages: http://([^/]+)/", line):
                    break
            if found is None:
                raise SystemExit("the pages did not start")
            with self._measured("idle", process.pid):
                self._ends.wait(IDLE_S)
            with self._measured(f"{self._viewers} viewers", process.pid):
                threads = [threading.Thread(target=self._look, args=(found[1],)) for _ in range(self._viewers)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()

    def _look(self, address: str) -> None:
        have = {"state": "", "part": ""}
        while not self._ends.is_set():
            with connect(f"ws://{address}/live/socket", origin=Origin(f"http://{address}"), proxy=None) as socket:
                try:
                    while not self._ends.is_set():
                        socket.send(json.dumps(have))
                        data = socket.recv(timeout=10.0)
                        assert isinstance(data, bytes)
                        head = json.loads(data[4 : 4 + int.from_bytes(data[:4], "little")])
                        have = {"state": head["state_key"], "part": head["part_key"]}
                        self.messages += 1
                except OSError:
                    continue

    @contextmanager
    def _measured(self, what: str, pid: int) -> Iterator[None]:
        """Share of a core that the process takes meanwhile."""
        cpu, start = _cpu_s(pid), time.monotonic()
        yield
        self.cpu[what] = round(100 * (_cpu_s(pid) - cpu) / (time.monotonic() - start), 2)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=Path, required=True, help="see: station teach")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--parts", type=int, default=200)
    parser.add_argument("--rate", type=float, default=4.0)
    parser.add_argument("--viewers", type=int, default=10)
    parser.add_argument("--limit-s", type=int, default=1800, help="ends the run, and its station, after this time")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pictures, threads = pictures_for(None), engine_threads(0)
    runs: list[dict[str, Any]] = []
    with stopped_in_order(options.limit_s):
        for pair in range(options.pairs):
            for with_viewers in (False, True) if pair % 2 == 0 else (True, False):
                with tempfile.TemporaryDirectory(prefix="hmi-line-") as folder:
                    work = Path(folder) / "station"
                    pages = Pages(work / "station.toml", options.viewers) if with_viewers else None
                    try:
                        engine = options.engine.resolve()
                        report = overhead(engine, pictures, options.parts, options.rate, work, threads)
                    finally:
                        if pages is not None:
                            pages.stop()
                run = {"pair": pair, "viewers": options.viewers if with_viewers else 0, **report["overhead_ms"]}
                if pages is not None:
                    run |= {"messages": pages.messages, "cpu_percent": pages.cpu}
                runs.append(run)
                print(run, flush=True)
    without, looked_at = ([run["p99"] for run in runs if bool(run["viewers"]) is looks] for looks in (False, True))
    ratio = statistics.median(looked_at) / statistics.median(without)
    print(
        f"p99 of the overhead: median {statistics.median(without)} ms without, {statistics.median(looked_at)} ms with"
    )
    print(f"ratio {ratio:.3f}, {'reached' if ratio <= 1.1 else 'MISSED'} (1.1)")
    if options.json:
        options.json.write_text(json.dumps({"runs": runs, "ratio": ratio}, indent=1) + "\n")
    return 0 if ratio <= 1.1 else 1


if __name__ == "__main__":
    sys.exit(main())
