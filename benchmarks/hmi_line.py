"""What the line feels of people who look: overhead of a part with viewers against none, in pairs, in one run.

    python -m benchmarks.hmi_line --engine DIR [--pairs 5] [--parts 200] [--rate 4] [--viewers 10] [--kills 100]
                                  [--stops 10] [--json FILE]

1. One half of a pair is `benchmarks.line_path`'s first part as it is; in the other one `station hmi` runs beside it, as
   many viewers as given ask for one message after the other, as open pages do (they draw nothing: browsers
   run elsewhere), and reports with PDF and what-ifs are made in turn. Which half comes first changes from pair to pair.
   Also: processor time of the pages' process, without anybody and with the viewers alone.
2. `station hmi` is killed with SIGKILL again and again, and stopped with SIGSTOP for seconds, while pages are asked
   of it: the line loses no part, and the write-ahead log of the records stays small.

The pages have the priority that their service gives them. For a machine that nothing else uses.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from benchmarks.line_path import overhead, pictures_for
from station.access.accounts import PEOPLE_ROLES
from station.configuration.load import load_station
from station.hmi.app import accounts_of
from station.line.inspection.loading import engine_threads
from station.simulation.run.processes import end_with_starter, stopped_in_order
from tests.bench.pages import COOKIE, HOST, PASSWORD, Client

START_S = 60.0
IDLE_S, SETTLE_S, VIEWERS_ALONE_S = 10.0, 2.0, 12.0
STOPPED_S = 3.0
ALIVE_S = 0.6
"""Between two kills: long enough to be asked something."""
PAGES_NICE = 5
"""As systemd/station-hmi.service."""
LOWEST = 19
"""Of those who look: their browsers run on computers of their own and take nothing from the station's."""
TICKS = os.sysconf("SC_CLK_TCK")


class Served:
    """`station hmi` as a process."""

    def __init__(self, config: Path) -> None:
        def as_the_service() -> None:
            end_with_starter()
            os.nice(PAGES_NICE)

        command = [sys.executable, "-m", "station", "hmi", "--config", str(config), "--port", "0"]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=as_the_service,  # noqa: PLW1509  two system calls, no lock
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(rf"pages: http://{re.escape(HOST)}:(\d+)/", line):
                self.port = int(found[1])
                return
        raise SystemExit("the pages did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def cpu_s(self) -> float:
        """Of a processor, until now."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


class Beside(threading.Thread):
    """What runs beside the line until `stop`; a failure of it is raised there."""

    def __init__(self, config: Path) -> None:
        super().__init__(name=type(self).__name__)
        self.config = config
        self.ends = threading.Event()
        self._failure: BaseException | None = None
        self.start()

    def run(self) -> None:
        end = time.monotonic() + START_S
        while not self.config.is_file() and time.monotonic() < end and not self.ends.wait(0.05):
            pass
        try:
            self.go()
        except BaseException as failure:  # noqa: BLE001  handed to the thread that waits
            self._failure = failure

    def go(self) -> None:
        """Until `ends`."""
        raise NotImplementedError

    def stop(self) -> None:
        self.ends.set()
        self.join()
        if self._failure is not None:
            raise self._failure

    def token(self) -> str:
        """The login of a person with every role."""
        accounts = accounts_of(load_station(self.config))
        return accounts.welcome("anna", accounts.invite("anna", PEOPLE_ROLES, "x", via="shell"), PASSWORD, HOST)

    def look(self, port: int) -> int:
        """An open Live page, until `ends` or until the pages are gone; how many messages came."""
        messages = 0
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST)
        with suppress(OSError):
            while not self.ends.is_set():
                address = f"{HOST}:{port}"
                with (
                    connect(f"ws://{address}/live/socket", origin=Origin(f"http://{address}"), proxy=None) as socket,
                    suppress(WebSocketException),  # the pages end a socket after a minute, and the page opens another
                ):
                    for _ in self._messages(socket):
                        messages += 1
        return messages

    def _messages(self, socket: ClientConnection) -> Iterator[dict[str, str]]:
        """One after the other, as a page asks for them; what it has then."""
        have = {"state": "", "part": ""}
        while not self.ends.is_set():
            socket.send(json.dumps(have))
            data = socket.recv(timeout=10.0)
            assert isinstance(data, bytes)
            head = json.loads(data[4 : 4 + int.from_bytes(data[:4], "little")])
            have = {"state": head["state_key"], "part": head["part_key"]}
            yield have


class People(Beside):
    """Viewers, a report and a what-if."""

    def __init__(self, config: Path, viewers: int, measures: int) -> None:
        """`measures`: first the processor time of the pages without anybody, and with viewers alone."""
        self._viewers = viewers
        self._measures = bool(measures)
        self.messages = 0
        self._lock = threading.Lock()
        self.made: dict[str, int] = {"report": 0, "what-if": 0}
        self.cpu: dict[str, float] = {}
        super().__init__(config)

    def go(self) -> None:
        pages = Served(self.config)
        try:
            if self._measures:
                with self._measured("idle", pages):
                    self.ends.wait(IDLE_S)
            threads = [threading.Thread(target=self._count, args=(pages.port,)) for _ in range(self._viewers)]
            for thread in threads:
                thread.start()
            if self._measures:
                self.ends.wait(SETTLE_S)
                with self._measured(f"{self._viewers} viewers", pages):
                    self.ends.wait(VIEWERS_ALONE_S)
            self._work(Client(pages.port, {COOKIE: self.token()}))
            for thread in threads:
                thread.join()
        finally:
            pages.kill()

    def _count(self, port: int) -> None:
        while not self.ends.is_set():  # a page opens another socket, as long as anybody looks
            messages = self.look(port)
            with self._lock:
                self.messages += messages
            self.ends.wait(0.5)

    def _work(self, client: Client) -> None:
        """Reports and what-ifs one after the other, as long as the line runs."""
        csrf = client.csrf()
        report = {"csrf": csrf, "of": "period", "since": "8h", "pdf": "1", "csv": "1"}
        asked = {"csrf": csrf, "set": "decision.reject_score=0.7", "newest": "10000"}
        for what in itertools.cycle(("report", "what-if")):
            path, fields = ("/reports/make", report) if what == "report" else ("/setup/what-if/start", asked)
            got = client.post(path, fields)
            if got.status != 303:
                raise SystemExit(f"{path}: {got.status} {got.text[-2000:]}")
            while not self.ends.wait(0.2):
                if json.loads(client.get("/work.json").text)["phase"] != "running":
                    break
            else:
                return
            self.made[what] += 1

    @contextmanager
    def _measured(self, what: str, pages: Served) -> Iterator[None]:
        """Share of a core that the process takes meanwhile, percent."""
        cpu, start = pages.cpu_s(), time.monotonic()
        yield
        self.cpu[what] = round(100 * (pages.cpu_s() - cpu) / (time.monotonic() - start), 2)


class Killing(Beside):
    """The pages die in the middle of what they do, or stand still; the write-ahead log is watched."""

    def __init__(self, config: Path, kills: int, stops: int) -> None:
        every = kills // stops if stops else 0
        self._left = [
            kind for n in range(kills) for kind in ("kills", "stops") if kind == "kills" or (every and n % every == 0)
        ]
        self.done = {"kills": 0, "stops": 0}
        self.longest_wal_bytes = 0
        super().__init__(config)

    def go(self) -> None:
        token = self.token()
        wal = self.config.parent / "records" / "records.db-wal"
        for kind in self._left:
            if self.ends.is_set():
                return
            pages = Served(self.config)
            asking = [
                threading.Thread(target=self.look, args=(pages.port,)),
                threading.Thread(target=self._ask, args=(Client(pages.port, {COOKIE: token}),)),
            ]
            for thread in asking:
                thread.start()
            self.ends.wait(ALIVE_S)
            if kind == "stops":
                pages.process.send_signal(signal.SIGSTOP)
                self.ends.wait(STOPPED_S)
            self.done[kind] += 1
            self.longest_wal_bytes = max(self.longest_wal_bytes, wal.stat().st_size if wal.exists() else 0)
            pages.kill()
            for thread in asking:
                thread.join()

    def _ask(self, client: Client) -> None:
        """Pages that read the records, until the process is dead."""
        with suppress(OSError):
            while not self.ends.is_set():
                client.get("/parts")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=Path, required=True, help="see: station teach")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--parts", type=int, default=200)
    parser.add_argument("--rate", type=float, default=4.0)
    parser.add_argument("--viewers", type=int, default=10)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--stops", type=int, default=10)
    parser.add_argument("--kill-parts", type=int, default=1400, help="parts of the second half")
    parser.add_argument("--limit-s", type=int, default=2700, help="ends the run, and its station, after this time")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pictures, threads = pictures_for(None), engine_threads(0)
    engine = options.engine.resolve()
    found: dict[str, Any] = {"load": os.getloadavg()[0], "runs": []}

    def measured(parts: int, beside: type[Beside] | None, *more: int) -> tuple[dict[str, Any], Any]:
        with tempfile.TemporaryDirectory(prefix="hmi-line-", ignore_cleanup_errors=True) as folder:
            work = Path(folder) / "station"
            runs = None if beside is None else beside(work / "station.toml", *more)
            try:
                return overhead(engine, pictures, parts, options.rate, work, threads), runs
            finally:
                if runs is not None:
                    runs.stop()

    with stopped_in_order(options.limit_s):
        for pair in range(options.pairs):
            for is_looked_at in (False, True) if pair % 2 == 0 else (True, False):
                times, people = measured(
                    options.parts,
                    People if is_looked_at else None,
                    *([options.viewers, pair == 0] if is_looked_at else []),
                )
                run = {
                    "pair": pair,
                    "viewers": options.viewers if is_looked_at else 0,
                    "load": os.getloadavg()[0],
                    "parts": times["parts"],
                    "refused": times["refused"],
                    **times["overhead_ms"],
                }
                if people is not None:
                    run |= {"messages": people.messages, "cpu_percent": people.cpu, "made": people.made}
                found["runs"].append(run)
                print(run, flush=True)
                _store(options.json, found)
        without, looked_at = (
            [run["p99"] for run in found["runs"] if bool(run["viewers"]) is looks] for looks in (False, True)
        )
        ratio = statistics.median(looked_at) / statistics.median(without) if without and looked_at else 1.0
        found |= {"ratio_of_p99": round(ratio, 3)}
        print(f"p99 of the overhead, median of the pairs: {without} ms without, {looked_at} ms with: ratio {ratio:.3f}")
        if options.kills:
            times, killing = measured(options.kill_parts, Killing, options.kills, options.stops)
            found["killed"] = {**killing.done, "pulses": options.kill_parts, "parts": times["parts"],
                               "refused": times["refused"], "lost": times["lost"], **times["overhead_ms"],
                               "longest_wal_bytes": killing.longest_wal_bytes}  # fmt: skip
            print(found["killed"], flush=True)
    _store(options.json, found)
    return 0 if ratio <= 1.1 else 1


def _store(file: Path | None, found: dict[str, Any]) -> None:
    if file is not None:
        file.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
